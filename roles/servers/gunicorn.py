"""Gunicorn: WSGI by threads, processes or greenlets, and ASGI by its own worker. Pure: connects to nothing."""

from __future__ import annotations

from deploy.facts import Facts
from deploy.roles.servers import Server, here, processes, text
from deploy.site.app import App
from deploy.site.values import size

EXTRAS = {"gevent": "gevent", "tornado": "tornado"}
"""What a worker class needs besides Gunicorn."""


def gunicorn(site: App, facts: Facts) -> Server:
    """One process accepts nothing itself: it keeps ``workers`` others, and tells systemd when it is ready."""
    worker = site.worker_class or ("asgi" if site.asgi else "gthread")
    config = text(
        site,
        "gunicorn.conf.py.j2",
        worker_class=worker,
        workers=processes(site, facts, waiting=worker != "sync"),
        threads=site.threads if worker == "gthread" else 1,
        header=size(site.max_header),
    )
    return Server(
        command=f"{here(site)}/venv/bin/gunicorn -c {here(site)}/server/gunicorn.conf.py",
        files={"gunicorn.conf.py": config},
        requirements=("gunicorn", *(package for name, package in EXTRAS.items() if name == worker)),
        notifies=True,
        loggers=("gunicorn.error",),
    )
