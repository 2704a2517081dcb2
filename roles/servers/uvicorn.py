"""uvicorn: ASGI, with WebSocket. Pure: connects to nothing."""

from __future__ import annotations

from deploy.facts import Facts
from deploy.roles.servers import Server, processes, started_by
from deploy.site.app import App


def uvicorn(site: App, facts: Facts) -> Server:
    """One process accepts nothing itself where there are several; its socket is ours, for it would open it to all."""
    command, files = started_by(site, "uvicorn", workers=processes(site, facts))
    return Server(
        command,
        files,
        requirements=("uvicorn", "httptools", "uvloop", "websockets"),
        loggers=("uvicorn.error",),
    )
