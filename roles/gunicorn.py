"""Gunicorn runs the sites: a unit and a configuration for each activation. Pure: connects to nothing."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.path import File, Template
from deploy.site.app import App


def gunicorn(host: Host, facts: Facts) -> Iterator[Resource]:
    """No unit that instances share: a change of it would reach those that run, and one that is gone could start."""
    for app in host.apps:
        yield File(f"/etc/systemd/system/{app.name}@.service", state="absent", scope=app.name)


def unit(host: Host, app: App) -> str:
    """The unit of an activation of the site, with ``%i`` for its number."""
    return Template(f"/etc/systemd/system/{app.name}@.service", "app@.service.j2", host=host, app=app).text


def config(host: Host, app: App, facts: Facts) -> str:
    """Gunicorn's own configuration; the same for every activation, which finds its socket in its environment."""
    return Template(
        f"{app.root}/gunicorn.conf.py",
        "gunicorn.conf.py.j2",
        host=host,
        app=app,
        workers=workers(app, facts.cores or 1),
        threads=app.threads if app.worker_class == "gthread" else 1,
    ).text


def workers(app: App, cores: int) -> int:
    """How many processes serve a site; ``auto`` goes by how its worker class waits.

    A sync worker does nothing while it waits, so there are Gunicorn's own 2 × cores + 1. A threaded or
    cooperative one waits without stopping: one a core keeps the cores busy, and memory is spent once a core.
    Never fewer than two, so that the site answers while one is renewed.
    """
    if app.workers != "auto":
        return app.workers
    return 2 * cores + 1 if app.worker_class == "sync" else max(2, cores)
