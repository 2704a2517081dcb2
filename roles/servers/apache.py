"""Apache with mod_wsgi, Debian's builds: WSGI by processes and threads. Pure: connects to nothing."""

from __future__ import annotations

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.roles.servers import Server, here, processes, text
from deploy.shell import embedded
from deploy.site.app import App


def apache(site: App, facts: Facts) -> Server:
    """Apache has no unix sockets, so it listens on a loopback address of the activation, behind a proxy on the socket.

    Only the programs of Debian's Apache are installed, not its service. Raises InputError for a site with a Python of
    its own: Debian's mod_wsgi is made for Debian's Python.
    """
    if site.python != "python3":
        raise InputError(
            f"{site.name}: server: apache has Debian's mod_wsgi, which runs Debian's Python, and python: is "
            f"{site.python}; leave out python:, or choose another server"
        )
    config = text(site, "apache.conf.j2", workers=processes(site, facts))
    return Server(
        command=f"/usr/bin/python3 -I {here(site)}/server/serve.py",
        files={"apache.conf": config, "serve.py": embedded("apache")},
        packages=("apache2-bin", "libapache2-mod-wsgi-py3"),
    )
