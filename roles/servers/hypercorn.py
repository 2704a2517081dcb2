"""Hypercorn: ASGI and WSGI, with WebSocket. Pure: connects to nothing."""

from __future__ import annotations

from deploy.facts import Facts
from deploy.roles.servers import Server, processes, started_by
from deploy.site.app import App


def hypercorn(site: App, facts: Facts) -> Server:
    """Several processes on one socket of ours."""
    command, files = started_by(site, "hypercorn", workers=processes(site, facts))
    return Server(command, files, requirements=("hypercorn",), loggers=("hypercorn.error",))
