"""testinfra over our own connection: one for a host's whole run, with the keys, jumps and sudo of everything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult

from deploy import transport
from deploy.engine.remote import Remote
from deploy.errors import HostError
from deploy.facts import Facts
from deploy.shell import Script, Secret
from deploy.transport import Session

if TYPE_CHECKING:
    from deploy.inventory.hosts import Host

SECONDS = 60
"""How long one command of a check may take."""


class Said(CommandResult):
    """What a command printed, as a sentence where testinfra puts it into one: "Unexpected exit code 1 for …"."""

    def __repr__(self) -> str:
        lines = (self.stderr or self.stdout).strip().splitlines()
        return f"{self.command.decode()!r}: {lines[-1] if lines else 'it printed nothing'}"


class SessionBackend(BaseBackend):
    """Runs testinfra's commands in one session, as root, in ``/``, with LC_ALL=C and /dev/null on stdin.

    testinfra quotes its own arguments (``host.run("test -e %s", path)``), so its text is taken as it is.
    """

    NAME = "barehost"

    def __init__(self, described: Host, password: Callable[[str], Secret] | None = None) -> None:
        super().__init__(described.name)
        self.described = described
        self._password = password
        self._session: Session | None = None
        self._encoding = "utf-8"  # testinfra would start a Python on the host to find out

    @cached_property
    def host(self) -> testinfra.host.Host:
        """What a check is given."""
        host = testinfra.host.Host(self)
        self.set_host(host)
        return host

    @cached_property
    def facts(self) -> Facts:
        """What the host says of itself, asked once a run."""
        return Remote(self.connect()).look(()).facts

    def connect(self) -> Session:
        """The session; a new one where there is none or the last one broke. Raises HostError."""
        if self._session is None:
            self._session = transport.connect(self.described, password=self._password)
        return self._session

    def close(self) -> None:
        """End the session; the backend may be used again, with a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """One round trip. HostError when the connection breaks or the command takes more than :data:`SECONDS`."""
        text = self.get_command(command, *args)
        try:
            reply = self.connect().run(Script(text), timeout=SECONDS)
        except HostError:
            self.close()
            raise
        return Said(self, reply.rc, self.encode(text), reply.stdout, reply.stderr)

    def get_sudo_command(self, command: str, sudo_user: str | None) -> str:
        """``with host.sudo("user")``: we are root already, so no sudo has to be there."""
        if sudo_user is None:
            return command
        become = 'setpriv --reuid %s --regid "$(id -g %s)" --init-groups -- /bin/sh -c %s'
        return str(self.quote(become, sudo_user, sudo_user, command))
