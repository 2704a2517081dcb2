"""uWSGI, Debian's build: WSGI by processes and threads. Pure: connects to nothing."""

from __future__ import annotations

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.roles.servers import Server, here, processes, text
from deploy.site.app import App


def uwsgi(site: App, facts: Facts) -> Server:
    """It speaks HTTP to Nginx as all servers do, and tells systemd when it is ready.

    Raises InputError for a site with a Python of its own: Debian's build is made for Debian's Python.
    """
    if site.python != "python3":
        raise InputError(
            f"{site.name}: server: uwsgi is Debian's build, which runs Debian's Python, and python: is {site.python}; "
            "leave out python:, or choose another server"
        )
    return Server(
        command=f"/usr/bin/uwsgi --ini {here(site)}/server/uwsgi.ini",
        files={"uwsgi.ini": text(site, "uwsgi.ini.j2", workers=processes(site, facts))},
        packages=("uwsgi-core", "uwsgi-plugin-python3"),
        notifies=True,
    )
