"""The site itself: its code, its packages and the activation that serves them; or its leaving. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploy.app import App
from deploy.facts import AppFacts, Facts
from deploy.inventory import Host
from deploy.release import Activation, Leaving, Question, environment
from deploy.resource import Deferred, Resource
from deploy.resources.path import Directory
from deploy.resources.tree import Tree
from deploy.resources.venv import Venv, key, read
from deploy.roles.gunicorn import config, unit
from deploy.systemd import environment_file

EXTRAS = {"gevent": "gevent", "eventlet": "eventlet", "tornado": "tornado"}
"""What a worker class needs besides Gunicorn."""

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armhf": "armv7l"}
"""Debian's name of an architecture → what Python's markers call it."""


def app(host: Host, facts: Facts) -> Iterator[Resource]:
    """Every site of the inventory: a present one runs its release, an absent one leaves."""
    for site in host.apps:
        if site.state == "present":
            yield from serving(host, site, facts)
        else:
            yield Leaving(site.name, purge=host.purge)


def serving(host: Host, app: App, facts: Facts) -> Iterator[Resource]:
    """The code at its place, the packages in their venv, and an activation that runs the one with the other."""
    yield Directory(f"{app.root}/releases", group=app.user, mode=0o750)
    yield Directory(f"{app.root}/venvs")
    yield Directory(f"{app.root}/activations", group=app.user, mode=0o750)

    now = facts.app(app.name)
    version = interpreter(app, facts)
    if version is None:
        yield Deferred(what=f"the first release of {app.name}", after="package:python3")
        return

    code = release(host, app, now)
    packages = venv(host, app, facts, version)
    if code.path.endswith(f"/{now.release}") and code.manifest != now.manifest:
        release_id, venv_key = (
            now.release or "",
            now.venv or "",
        )  # the source has moved on: a release ships it
    else:
        yield code
        yield packages
        release_id, venv_key = code.path.rpartition("/")[2], packages.key

    variables = dict(app.env) | {name: secret.reveal() for name, secret in app.secrets.items()}
    yield Activation(
        app=app.name,
        release=release_id,
        venv=venv_key,
        env=environment_file(environment(variables, release_id)).encode(),
        config=config(host, app, facts),
        unit=unit(host, app).digest,
        www=tuple((url.strip("/"), folder) for url, folder in app.static.items()),
        question=question(app),
        drain=app.graceful_timeout,
        keep=app.keep,
    )


def release(host: Host, app: App, now: AppFacts) -> Tree:
    """The code of the release that should serve: the run's own where it ships one or the host has none."""
    wanted = host.releases[app.name]
    id = wanted.id if wanted.ship or now.release is None else now.release
    return Tree(
        f"{app.root}/releases/{id}",
        source=wanted.folder,
        delete=False,
        group=app.user,
        base=f"{app.root}/releases/{now.release}" if now.release not in (None, id) else None,
    )


def venv(host: Host, app: App, facts: Facts, version: str) -> Venv:
    """The packages the source asks for, and Gunicorn, for the host's Python."""
    source = host.releases[app.name].folder
    extra = ["gunicorn", *(package for name, package in EXTRAS.items() if app.worker_class == name)]
    machine = MACHINES.get(facts.arch or "", facts.arch or "")
    needs = read(source, app.requirements_in(source), extra, python=version, machine=machine)
    name = key(needs, version, app.wheels_folder)
    return Venv(f"{app.root}/venvs/{name}", needs, version, python=app.python, wheels=app.wheels_folder)


def interpreter(app: App, facts: Facts) -> str | None:
    """The version of the site's Python, as 3.11; None when it is not known before one is installed."""
    if named := re.search(r"python(3\.\d+)$", app.python):
        return named[1]
    return ".".join(facts.python.split(".")[:2]) if facts.python else None


def question(app: App) -> Question:
    """How the site shows that it serves: by its first name, over TLS where it has a certificate."""
    return Question(
        name=app.server_names[0].replace("*", "barehost"),
        path=app.health.path,
        status=app.health.expect,
        timeout=app.health.timeout,
        port=app.tls.port if app.tls else app.listen[0],
        scheme="https" if app.tls else "http",
    )
