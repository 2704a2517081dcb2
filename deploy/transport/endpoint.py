"""How a host is reached, and nothing else of it: all that a connection needs. Pure: reads and connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.errors import HostError
from deploy.shell import Secret


@dataclass(frozen=True)
class Endpoint:
    """Where to log in, as whom, and how to become root: a picklable value, cheap to import.

    address: what to connect to; None: a staging host that is not up, see :meth:`endpoint`.
    port, user: None lets ssh_config decide, then 22 and the current user.
    key: the private key; None: the agent and ssh_config.
    sudo: become root with sudo unless logged in as root already.
    sudo_password: None: sudo asks for none.
    jump: hosts to jump through in the order they are visited, as [user@]host[:port]; () is a direct connection,
        None lets ssh_config decide.
    known_hosts: the file of pinned host keys; None: the project's and the user's.
    project: the folder that relative paths start from, and where the user's roles/ and templates/ lie.
    connect_timeout: seconds.
    moved_from: the port before ``port``, where the host's key is pinned under it, and where it is tried when nobody
        listens on the new one yet; None: it has not moved.
    """

    name: str
    address: str | None = None
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    sudo: bool = True
    sudo_password: Secret | None = None
    jump: tuple[str, ...] | None = None
    known_hosts: Path | None = None
    project: Path = Path()
    connect_timeout: int = 10
    moved_from: int | None = None

    def endpoint(self) -> str:
        """The address to connect to; a HostError when it is a staging host that is not up."""
        if self.address is None:
            raise HostError(
                f"{self.name} is a staging host that is not up: run invoke staging.up {self.name}"
            )
        return self.address
