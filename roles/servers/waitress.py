"""Waitress: WSGI by threads of one process, in pure Python. Pure: connects to nothing."""

from __future__ import annotations

from deploy.facts import Facts
from deploy.roles.servers import Server, started_by
from deploy.site.app import App


def waitress(site: App, facts: Facts) -> Server:
    """One process; its threads are all that a site gets."""
    command, files = started_by(site, "waitress")
    return Server(command, files, requirements=("waitress",), loggers=("waitress",))
