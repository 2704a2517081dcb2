"""How a host is reached: inventory first, then ssh_config, then defaults, as a chain of hops. Never connects."""

from __future__ import annotations

import getpass
import glob
import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from deploy.errors import HostError
from deploy.transport.hostkeys import pin_name, pins

if TYPE_CHECKING:
    from deploy.transport.endpoint import Endpoint

Lookup = Callable[[str], Mapping[str, Any]]
"""ssh_config's answer for one name, keys in lower case, as paramiko's ``SSHConfig.lookup`` gives it."""

CONFIGS = (Path("~/.ssh/config"), Path("/etc/ssh/ssh_config"))
IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")
_DEPTH = 8
"""Jump hosts of jump hosts, and included files of included files: more is a circle."""


class Hop(Struct, frozen=True):
    """One ssh login on the way to a host; the last hop is the host itself.

    keys: private keys that somebody named, in order. agent: whether the agent's keys may be tried after them.
    usual: whether ~/.ssh/id_ed25519 and its like are tried at last.
    pin: the name its key has in known_hosts files; known_hosts: those files, the first that knows it decides.
    command: a program that carries the connection instead of TCP (ProxyCommand); None: TCP.
    timeout: seconds for each of connecting, the banner and logging in.
    """

    address: str
    port: int
    user: str
    keys: tuple[Path, ...]
    agent: bool
    usual: bool
    pin: str
    known_hosts: tuple[Path, ...]
    command: str | None
    timeout: float

    def __str__(self) -> str:
        return f"{self.user}@{self.address}" + (f":{self.port}" if self.port != 22 else "")


def route(host: Endpoint, lookup: Lookup) -> tuple[Hop, ...]:
    """The hops to a host, the nearest first. What the inventory says wins over ssh_config.

    Raises HostError when jump hosts go in a circle, a jump host is no [user@]host[:port], or a staging host is not up.
    """
    address = host.endpoint()
    config = lookup(address)
    jump = host.jump if host.jump is not None else _jumps(config)
    command = None if jump or host.jump is not None else _command(config)
    files = (pins(host.project), *((host.known_hosts,) if host.known_hosts else ()))
    last = _hop(host, config, port=host.port, user=host.user, command=command, files=files, last=True)
    if host.moved_from is not None and "hostkeyalias" not in config:
        last = replace(last, pin=pin_name(last.address, host.moved_from))
    return (*_before(host, jump, lookup, files, 0), last)


def split(hop: str) -> tuple[str | None, str, int | None]:
    """User, address and port of ``[user@]host[:port]``, also ``ssh://`` and ``[::1]:22``; else ValueError."""
    match = re.fullmatch(
        r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?(?:\[(?P<six>[^\]\s]+)\]|(?P<name>[^:@\s\[\]]+))(?::(?P<port>\d+))?/?",
        hop,
    )
    if not match:
        raise ValueError(f"not [user@]host[:port]: {hop!r}")
    return match["user"], match["six"] or match["name"], int(match["port"]) if match["port"] else None


@cache
def lookup() -> Lookup:
    """The user's and the system's ssh_config, read once per process; HostError when one makes no sense."""
    from paramiko import SSHConfig
    from paramiko.ssh_exception import ConfigParseError

    config = SSHConfig()
    for path in (one.expanduser() for one in CONFIGS):
        try:
            config.parse(io.StringIO(expand(path.read_text(encoding="utf-8"), path.parent)))
        except FileNotFoundError:
            continue
        except (OSError, ConfigParseError, UnicodeDecodeError) as error:
            raise HostError(f"cannot read {path}: {error}") from error
    return config.lookup


def expand(text: str, folder: Path, depth: int = 0) -> str:
    """ssh_config with every Include replaced by the files it names; paths are relative to ``folder``.

    What follows an Include belongs to the same Host or Match block as before it.
    """
    lines: list[str] = []
    block = "Host *"
    for line in text.splitlines():
        keyword, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if keyword.lower() in ("host", "match"):
            block = line
        if keyword.lower() != "include":
            lines.append(line)
            continue
        for pattern in rest.split() if depth < _DEPTH else ():
            path = Path(pattern.strip('"')).expanduser()
            for found in sorted(glob.glob(str(folder / path))):  # noqa: PTH207 (the pattern may be absolute)
                lines += [expand(Path(found).read_text(encoding="utf-8"), folder, depth + 1), block]
    return "\n".join(lines)


def _before(
    host: Endpoint, jump: Sequence[str], lookup: Lookup, files: tuple[Path, ...], depth: int
) -> tuple[Hop, ...]:
    """The jump hosts; the nearest may have jump hosts of its own in ssh_config."""
    hops: list[Hop] = []
    for position, one in enumerate(jump):
        try:
            user, address, port = split(one)
        except ValueError as error:
            raise HostError(f"{host.name}: the jump host {one!r} is not [user@]host[:port]") from error
        config = lookup(address)
        own = () if position else _jumps(config)
        if own and depth >= _DEPTH:
            raise HostError(f"{host.name}: the jump host {one} is reached through itself in ssh_config")
        hops += _before(host, own, lookup, files, depth + 1)
        command = None if position or own else _command(config)
        hops.append(_hop(host, config, port=port, user=user, command=command, files=files, last=False))
    return tuple(hops)


def _hop(
    host: Endpoint,
    config: Mapping[str, Any],
    *,
    port: int | None,
    user: str | None,
    command: str | None,
    files: tuple[Path, ...],
    last: bool,
) -> Hop:
    """One login. The key that the inventory names for the host may open its jump hosts as well."""
    address = config["hostname"]
    port = port or int(config.get("port", 22))
    configured = tuple(Path(one).expanduser() for one in config.get("identityfile", ()))
    return Hop(
        address=address,
        port=port,
        user=user or config.get("user") or getpass.getuser(),
        keys=(*((host.key,) if host.key else ()), *configured),
        agent=config.get("identitiesonly", "no").lower() != "yes",
        usual=not configured and not (last and host.key),
        pin=config.get("hostkeyalias") or pin_name(address, port),
        known_hosts=(*files, *_users_files(config)),
        command=command,
        timeout=float(config.get("connecttimeout", host.connect_timeout)),
    )


def _users_files(config: Mapping[str, Any]) -> list[Path]:
    users = config.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2").split()
    systems = config.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2").split()
    return [Path(one).expanduser() for one in (*users, *systems) if one != "none"]


def _jumps(config: Mapping[str, Any]) -> tuple[str, ...]:
    jump = config.get("proxyjump", "none")
    return () if jump.lower() == "none" else tuple(one.strip() for one in jump.split(","))


def _command(config: Mapping[str, Any]) -> str | None:
    command = config.get("proxycommand")
    return None if command is None or command.lower() == "none" else str(command)
