"""What runs on one host alone: before it starts there, it ends on every other host that shares the site."""

from __future__ import annotations

from collections.abc import Collection

from deploy import transport
from deploy.errors import BarehostError, HostError
from deploy.fleet.run import in_threads
from deploy.inventory.hosts import Host
from deploy.shell import Script, program, sh
from deploy.transport.connections import Password

COMMAND_SECONDS = 60
"""How long a command that a timer has started on another host is waited for."""

STOP_SECONDS = 900
"""How long a process on another host may take to end; it is killed there at the end of its own time."""


def end_elsewhere(host: Host, site: str, units: Collection[str], password: Password | None = None) -> None:
    """End these units of a site on every other host that shares it. Raises HostError where one cannot be asked.

    A staging host that is not up runs nothing.
    """
    script = ending(units)

    def end(other: Host) -> str | None:
        try:
            with transport.connect(other, password=password) as session:
                reply = session.run(script, timeout=STOP_SECONDS)
        except BarehostError as error:
            return str(error)
        told = (reply.stdout + reply.stderr).decode(errors="replace").strip()
        return None if reply.rc == 0 else f"{other.name}: {told or f'exit code {reply.rc}'}"

    others = [one for one in host.sharing.get(site, ()) if one.name != host.name and one.address]
    for problem in in_threads(end, others):
        if problem is not None:
            names = ", ".join(one.partition("@")[0] for one in units)
            raise HostError(
                f"{host.name}: {names} runs on one host alone, and may still run elsewhere ({problem}); bring that "
                "host up, or take it out of the inventory where it is gone for good, and run the same command again"
            )


def ending(units: Collection[str]) -> Script:
    """The script that ends them on the host where it runs."""
    return sh(program("elsewhere"), units=units, patience=COMMAND_SECONDS)
