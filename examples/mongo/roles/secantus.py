"""SecantusDB, a server that speaks MongoDB's protocol, for a site of this host; on loopback, with a password. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.requirements import Requirements
from deploy.resource import Deferred, Phase, Resource
from deploy.resources.account import User
from deploy.resources.package import Package
from deploy.resources.path import Directory, Template
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from deploy.resources.venv import Venv, key
from deploy.shell import sh

SERVER = Requirements(lines=("SecantusDB==0.7.0b3",))
PORT = 27017
DATA = "/var/lib/secantus"

ANSWERS = sh(
    "/usr/bin/python3 -I -c @{ask}", ask=f"import socket; socket.create_connection(('127.0.0.1', {PORT}), 1)"
)


def secantus(host: Host, facts: Facts) -> Iterator[Resource]:
    """The server in a venv of its own, and before it first starts the one user that it knows: the site's.

    Every account of a host can open a port of 127.0.0.1, so who comes in must know the password of ``MONGO_URL``.
    """
    (site,) = (app for app in host.apps if app.state == "present") if host.apps else (None,)
    if site is None or "MONGO_URL" not in site.secrets:
        raise InputError(f"{host.name}: the role secantus wants one site, with MONGO_URL under its secrets")
    yield Package("python3-venv")
    yield User("secantus", home=DATA)
    yield Directory("/opt/secantus")
    yield Directory(DATA, owner="secantus", group="secantus", mode=0o700)
    if facts.python is None:
        yield Deferred(what="SecantusDB", until="package:python3-venv")
        return
    place = f"/opt/secantus/{key(SERVER, facts.python)}"
    yield Venv(place, SERVER, facts.python, when=Phase.SERVICES)
    yield (
        first := Template(
            "/usr/local/lib/secantus/first-user.py", "secantus-user.py.j2", when=Phase.SERVICES, host=host, data=DATA
        )
    )
    yield (
        unit := Template(
            "/etc/systemd/system/secantus.service",
            "secantus.service.j2",
            when=Phase.SERVICES,
            host=host,
            place=place,
            port=PORT,
            data=DATA,
        )
    )
    yield Run(
        "first user of SecantusDB",
        sh("exec @{python} -I @{script}", python=f"{place}/bin/python", script=first.path),
        creates=f"{DATA}/first-user",
        user="secantus",
        cwd=DATA,
        stdin=site.secrets["MONGO_URL"],
        when=Phase.SERVICES,
    )
    yield Unit("secantus.service", restart_on=(unit,), proof=ANSWERS, when=Phase.SERVICES)
