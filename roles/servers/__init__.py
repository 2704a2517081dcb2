"""What can run a site's web process: one file a server, each a pure function of a site and its host's facts.

A server says how it is started and configured. What is the same for all (unit, sandbox, socket, health, switch, proof,
drain) stands once, in roles/app.py and templates/app@.service.j2. A project's own ``roles/servers/<name>.py`` wins.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.render.templates import render
from deploy.roles import function_of
from deploy.schema.marked import nearest
from deploy.shell import embedded
from deploy.site.app import App

ENTRY = "barehost_entry"
"""The module that every server loads: its ``application`` is the site's callable, marked with its release."""


class Server(Struct, frozen=True):
    """How one application server runs a site.

    command: the unit's ``ExecStart=``; ``%i`` is the activation's number. files: name → text, in the folder
    ``server/`` of the activation. requirements: lines for the site's venv, each left out where the project names that
    package itself. packages: apt packages. notifies: whether it tells systemd when it is ready; otherwise the
    instance's health says so. loggers: names of its loggers, which a site's logging configuration must not turn off.
    stop: the signal on which it takes no new request and lets those end that it has.
    """

    command: str
    files: Mapping[str, str]
    requirements: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    notifies: bool = False
    loggers: tuple[str, ...] = ()
    stop: str = "SIGTERM"


def server_of(host: Host, site: App, facts: Facts) -> Server:
    """The server of the inventory's ``server:``, with the entry module among its files.

    Raises InputError where there is none of that name.
    """
    known = [module.name for module in pkgutil.iter_modules(__path__)]
    serve = function_of(host, "servers", site.runs_by)
    if serve is None:
        where = host.project / "roles" / "servers"
        raise InputError(
            f"{host.name}: {site.name}: there is no server {site.runs_by!r}, in {where} or ours"
            f"{nearest(site.runs_by, known)}"
        )
    server: Server = serve(site, facts)
    files = {
        f"{ENTRY}.py": embedded("entry"),
        "barehost_listen.py": embedded("listen"),
    }
    return replace(server, files=files | dict(server.files))


def here(site: App) -> str:
    """The folder of an activation, in a unit file."""
    return f"{site.root}/activations/%i"


def started_by(site: App, name: str, **values: object) -> tuple[str, dict[str, str]]:
    """Command and file of a server that a small Python program of ours starts: ``templates/servers/<name>.py.j2``."""
    command = f"{here(site)}/venv/bin/python {here(site)}/server/serve.py"
    return command, {"serve.py": text(site, f"{name}.py.j2", **values)}


def text(site: App, template: str, **values: object) -> str:
    """A file of a server, from ``templates/servers/``; the project's own template of that name wins."""
    return render(f"servers/{template}", site.project, {"site": site, "entry": ENTRY, **values})[0]


def processes(site: App, facts: Facts, *, waiting: bool = True) -> int:
    """How many processes serve a site; ``auto`` goes by whether one serves others while a request waits.

    One that does not (Gunicorn's sync worker) is idle while it waits, so there are 2 × cores + 1, Gunicorn's own
    advice. Otherwise one a core keeps the cores busy, and memory is spent once a core. Never fewer than two, so that
    the site answers while one is renewed.
    """
    cores = facts.cores or 1
    if site.workers != "auto":
        return site.workers
    return max(2, cores) if waiting else 2 * cores + 1
