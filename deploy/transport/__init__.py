"""The only place that talks SSH: one connection, one exec, framed scripts and uploads; prints nothing.

    with connect(host) as session:
        reply = session.run(sh("uname -r"), timeout=30)

session.py is what the engine sees; route.py says how a host is reached, hostkeys.py which key it must show,
link.py connects hop by hop (wire.py carries, login.py finds the keys), channel.py and frames.py speak with
deploy/host/loop.sh on the other side, apart.py has another process do so, and refusals.py words what can go wrong.
paramiko and Fabric are imported when a connection is made, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from deploy.shell import Script, Secret
from deploy.transport import hostkeys, route
from deploy.transport.hostkeys import HostKey, Presented
from deploy.transport.session import Reply, Session

if TYPE_CHECKING:
    from deploy.transport.endpoint import Endpoint

__all__ = ["HostKey", "Presented", "Reply", "Session", "connect", "interact", "scan", "standing", "trust"]


def connect(host: Endpoint, *, password: Callable[[str], Secret] | None = None) -> Session:
    """Log in and become root: a session, to be used in a ``with`` statement.

    password: asked for sudo's password when sudo wants one and the inventory has none, with a sentence to
    show; called from the thread that connects, so it must answer from memory the second time. None: such a
    host is a HostError.

    Raises HostError: one sentence that says what failed and what to do. docs/ssh.md lists them.
    """
    from msgspec import structs

    from deploy.transport import refusals
    from deploy.transport.channel import LoopSession
    from deploy.transport.link import open_link

    hops = route.route(host, route.lookup())
    try:
        link = open_link(host.name, hops)
    except refusals.Unreachable:
        if host.moved_from is None:
            raise
        hops = (*hops[:-1], structs.replace(hops[-1], port=host.moved_from))
        link = open_link(host.name, hops)

    def secret() -> Secret | None:
        if host.sudo_password is not None or password is None:
            return host.sudo_password
        return password(f"sudo password of {hops[-1].user} on {host.name}")

    try:
        return LoopSession(host, hops[-1].user, link, secret)
    except BaseException:
        link.close()
        raise


def interact(host: Endpoint, script: Script) -> int:
    """Run ``script`` as root on a terminal of the host that is this process's own; its exit code.

    Raises HostError as :func:`connect` does.
    """
    from deploy.transport.terminal import interact as on_terminal

    return on_terminal(host, script)


def scan(host: Endpoint) -> Presented:
    """The keys of the first hop to the host that is not trusted yet, else the host's own; none is trusted by it.

    For a person to compare their fingerprints. Behind a jump host that is not trusted nothing can be seen: trust its
    keys, then scan again. Raises HostError as :func:`connect` does.
    """
    from deploy.transport.link import fetch

    return fetch(host.name, route.route(host, route.lookup()))


def standing(host: Endpoint, key: HostKey) -> str:
    """What the known_hosts files say of a key: ``trusted``, ``unknown``, ``changed`` or ``revoked``."""
    return hostkeys.standing(_known(host, key), key)


def trust(host: Endpoint, keys: Sequence[HostKey], *, replace: bool = False) -> list[HostKey]:
    """Pin keys in the project's known_hosts file; those that were new to it.

    Raises HostError for a revoked key, and for one that differs from what any known_hosts file has, unless ``replace``.
    """
    for key in keys:
        hostkeys.refuse_unsafe(_known(host, key), [key], replace=replace)
    return hostkeys.pin(hostkeys.pins(host.project), keys, replace=replace)


def _known(host: Endpoint, key: HostKey) -> list[list[hostkeys.Known]]:
    """What the known_hosts files say that count for the hop whose key it is."""
    hops = route.route(host, route.lookup())
    return hostkeys.read(next(hop.known_hosts for hop in hops if hop.pin == key.name))
