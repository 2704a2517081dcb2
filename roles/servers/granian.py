"""Granian: WSGI and ASGI on a Rust server, with WebSocket. Pure: connects to nothing."""

from __future__ import annotations

from deploy.facts import Facts
from deploy.roles.servers import Server, processes, started_by
from deploy.site.app import App


def granian(site: App, facts: Facts) -> Server:
    """Its workers take requests from one socket, which it opens itself; a worker that dies is replaced."""
    command, files = started_by(site, "granian", workers=processes(site, facts))
    return Server(command, files, requirements=("granian",), loggers=("_granian",))
