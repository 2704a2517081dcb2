"""The site itself: its code, its packages and the activation that serves them; or its leaving. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from deploy.errors import InputError
from deploy.facts import AppFacts, Facts
from deploy.files.folders import anchored
from deploy.inventory.hosts import Host
from deploy.release import Activation, Built, Intact, Leaving, Migrated, Place, Question
from deploy.release.processes import beside
from deploy.render.systemd import environment_file
from deploy.render.templates import render
from deploy.requirements import builders, find, read
from deploy.resource import Deferred, Fact, Remark, Resource
from deploy.resources.image import PREFIX
from deploy.resources.package import Package
from deploy.resources.path import Directory
from deploy.resources.tree import EXCLUDE, Tree
from deploy.resources.venv import Venv, key
from deploy.roles.backups import before_migrating
from deploy.roles.images import of_image, rooted, shipped
from deploy.roles.servers import Server, server_of
from deploy.roles.static import BROTLI
from deploy.schema.text import Unreadable, text_of
from deploy.shell import program, sh
from deploy.site.app import App
from deploy.site.checks import distinct
from deploy.site.processes import PROCFILE, Process, Timer, from_procfile
from deploy.site.release import Delivery, Release
from deploy.site.schedule import calendars
from deploy.site.services import environment

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armhf": "armv7l"}
"""Debian's name of an architecture → what Python's markers call it."""


def app(host: Host, facts: Facts, delivery: Delivery) -> Iterator[Resource]:
    """Every site of the inventory: a present one runs its release, an absent one leaves.

    A run that is about one site has a release for that one only, and leaves the others as they are.
    """
    for site in host.apps:
        if site.state == "present" and environment(site) and "services" not in host.roles:
            raise InputError(
                f"{host.name}: {site.name} has a database or redis: put services before app in roles"
            )
        if site.state == "absent":
            yield Leaving(site.name, purge=delivery.purge, scope=site.name)
        elif site.name in delivery.releases:
            yield from serving(host, site, facts, delivery)


def serving(host: Host, app: App, facts: Facts, delivery: Delivery) -> Iterator[Resource]:
    """The code at its place, the packages in their venv, and an activation that runs the one with the other."""
    yield BROTLI
    for name, timer in app.timers.items():
        yield from checked(app, name, timer, facts)
    yield Package("python3")  # what root and Nginx's user run: never the site's own Python
    yield Directory(f"{app.root}/releases", group=app.user, mode=0o750, scope=app.name)
    yield Directory(f"{app.root}/venvs", scope=app.name)
    yield Directory(f"{app.root}/activations", group=app.user, mode=0o750, scope=app.name)

    now = facts.app(app.name)
    if now.release is None:
        yield Place(app.name, scope=app.name)
    version = interpreter(app, facts)
    wanted = delivery.releases[app.name]
    if wanted.ship and now.release is None and facts.os is not None:
        raise InputError(f"{host.name} serves no release of {app.name} yet; invoke provision makes the first")
    if version is None:
        yield Deferred(what=f"the first release of {app.name}", until="package:python3", scope=app.name)
        return

    # nobody knows what a release holds whose record is lost
    current = now.release if not wanted.ship and now.manifest else None
    server = server_of(host, app, facts)
    for name in server.packages:
        yield Package(name, scope=app.name)
    advice = None
    if wanted.folder is None:
        id, packages, env = wanted.id, wanted.venv, None  # it lies on the host: a rollback, a restart
        yield Intact(app.name, id, packages, programs(server, packages), scope=app.name)
    elif current and release(app, current, wanted, now).manifest != now.manifest:
        id, packages = current, now.venv or ""
        env = variables(app, id, packages)
        yield Intact(app.name, id, packages, programs(server, packages), scope=app.name)
        yield Remark(
            f"{app.name}: the source has changed since release {current}; invoke release ships it",
            scope=app.name,
        )
        advice = (
            f"The source of {app.name} has changed as well, and provision keeps the code of release {current}: "
            "where the two belong together, invoke release ships the source with this configuration."
        )
    elif app.image is not None:
        id = current or wanted.id
        image = of_image(app, facts, wanted, server)
        packages = image.venv
        env = variables(app, id, packages)
        yield release(app, id, wanted, now)
        yield from shipped(app, facts, wanted, id, image, env)
    else:
        id = current or wanted.id
        missing(app, wanted.folder)
        needs = venv(app, facts, version, wanted.folder, server.requirements)
        packages = needs.key
        env = variables(app, id, packages)
        yield from (Package(name, scope=app.name) for name in needs.requirements.system)
        if app.requirements == "auto" and find(wanted.folder) is None:
            yield Remark(
                f"{app.name}: no file in its source names packages, so there are none but what serves it; "
                "requirements: null says that this is so, requirements: FILE where there is one",
                scope=app.name,
            )
        yield release(app, id, wanted, now)
        yield needs
        yield built(app, facts, wanted, id, needs, env)
        if app.migrate and delivery.migrating(app.name):
            secrets = tuple(app.secrets.values())
            migration = Migrated(app.name, id, packages, app.migrate, env, secrets, scope=app.name)
            if app.backup is not None and app.backup.before_migrate:
                yield before_migrating(app, migration)
            yield migration

    processes = app.processes
    if processes is None:
        if wanted.folder is None:
            text = wanted.procfile
        else:
            text = now.procfile if advice is not None else procfile(wanted.folder)
        processes = of_procfile(host, app, text)
    more = beside(app, processes, host.project, first=host.is_first(app.name))
    yield Activation(
        app=app.name,
        release=id,
        venv=packages,
        env=env,
        files=tuple(sorted((*server.files.items(), *more.files))),
        units=((f"{app.name}@.service", unit(host, app, server, packages)), *more.units),
        jobs=more.jobs,
        timers=more.timers,
        alone=more.alone,
        settle=more.settle,
        stopping=more.stopping,
        www=tuple((url.strip("/"), folder) for url, folder in app.static.items()),
        named=named(app),
        question=question(app),
        drain=app.graceful_timeout,
        keep=app.keep,
        renewed=wanted.renew,
        advice=advice,
        scope=app.name,
    )


def procfile(folder: Path) -> str:
    """The text of the source's Procfile, empty where it has none."""
    try:
        return text_of(folder / PROCFILE)
    except Unreadable:
        return ""


def of_procfile(host: Host, app: App, text: str) -> Mapping[str, Process]:
    """The processes that a Procfile names. Raises InputError where their units would be another site's."""
    found = from_procfile(text, f"{app.name}: {PROCFILE}")
    if found:
        try:
            distinct(
                structs.replace(one, processes=found) if one.name == app.name else one for one in host.apps
            )
        except ValueError as error:
            raise InputError(f"{host.name}: {PROCFILE}: {error.args[0]}") from None
    return found


def checked(app: App, name: str, timer: Timer, facts: Facts) -> Iterator[Resource]:
    """What the host's systemd says of a timer's schedule, which this refuses once it is known to be none.

    A timer that lies there with these lines was accepted before.
    """
    lines = calendars(timer.schedule)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    fact = f"schedule:{app.name}-{name}:{digest}"
    unit = f"/etc/systemd/system/{app.name}-{name}.timer"
    yield Fact(fact, sh(program("schedule"), unit=unit, calendars=lines), scope=app.name)
    problem = facts.own.get(fact, "accepted")
    if problem != "accepted":
        raise InputError(
            f"{app.name}: the schedule {timer.schedule!r} of the timer {name} is none: {problem}"
        )


def programs(server: Server, packages: str = "") -> tuple[str, ...]:
    """The packages of a site's venv that the server starts from, as far as its requirements name them.

    None of an image: it was looked for there before it counted as whole.
    """
    if packages.startswith(PREFIX):
        return ()
    names = (re.match(r"([A-Za-z0-9][\w.-]*)\s*([\[<>=!~;@]|$)", line) for line in server.requirements)
    return tuple(one[1] for one in names if one and not one[1].endswith((".whl", ".gz", ".zip")))


def named(app: App) -> tuple[tuple[str, str], ...]:
    """The files of a release that Nginx serves by their names: (key of the inventory, file)."""
    found = [("files", file) for file in app.files.values()]
    found += [("error_pages", file) for file in app.error_pages.values()]
    found += [("fallback", f"{app.static[prefix]}/{file}") for prefix, file in app.fallback.items()]
    return tuple(sorted(found))


def missing(app: App, source: Path) -> None:
    """Raise InputError for a file that Nginx is to serve and the source has not.

    What a build may make is seen on the host, before the switch.
    """
    for where, file in () if app.build else named(app):
        if not (source / file).is_file():
            raise InputError(f"{app.name}: {where} names {file}, and there is no such file in {source}")


def release(app: App, id: str, wanted: Release, now: AppFacts) -> Tree:
    """The code of one release; files that the current release has are copied on the host, not sent."""
    assert wanted.folder is not None
    return Tree(
        f"{app.root}/releases/{id}",
        source=wanted.folder,
        delete=False,
        group=app.user,
        exclude=(*EXCLUDE, *wanted.left_out, *map(anchored, app.writable)),
        within=wanted.within,
        links=app.links,
        base=f"{app.root}/releases/{now.release}" if now.release not in (None, id) else None,
        scope=app.name,
    )


def unit(host: Host, app: App, server: Server, packages: str = "") -> str:
    """The unit of an activation of the site, with ``%i`` for its number. packages: its folder among the venvs."""
    values = {"host": host, "app": app, "server": server, "socket_name": program("socket-name")}
    values["image"] = rooted(app, packages)
    return render("app@.service.j2", host.project, values)[0]


def venv(app: App, facts: Facts, version: str, source: Path, extra: Sequence[str]) -> Venv:
    """The packages the source asks for, and the server's, for the host's Python."""
    machine = MACHINES.get(facts.arch or "", facts.arch or "")
    named = find(source) if app.requirements == "auto" else app.requirements
    needs = read(source, named, extra, python=version, machine=machine)
    if app.wheels_folder and needs.projects:  # no index to fetch from what builds them
        needs = replace(needs, apart=(*needs.apart, *builders(source, needs)))
    name = key(needs, version, app.wheels_folder)
    return Venv(
        f"{app.root}/venvs/{name}",
        needs,
        version,
        python=app.python,
        wheels=app.wheels_folder,
        scope=app.name,
    )


def built(app: App, facts: Facts, release: Release, id: str, venv: Venv, env: bytes) -> Built:
    """The release's build commands and static files, and its record."""
    return Built(
        app=app.name,
        release=id,
        venv=venv.key,
        projects=venv.requirements.projects,
        version=release.version,
        offline=venv.wheels is not None,
        commands=app.build,
        env=env,
        secrets=tuple(app.secrets.values()),
        static=tuple(app.static.items()),
        keep_assets=app.keep_assets,
        brotli="brotli" in facts.own,
        by=release.by,
        commit=release.commit or "",
        scope=app.name,
    )


def variables(app: App, release: str, venv: str) -> bytes:
    """The environment file of the site's processes and commands: services, ``env`` with its places, ``secrets``."""
    places = {
        "{release}": f"{app.root}/releases/{release}",
        "{venv}": f"{app.root}/venvs/{venv}",
        "{shared}": app.shared,
        "{root}": app.root,
    }
    pattern = re.compile("|".join(map(re.escape, places)))
    values = environment(app)
    values |= {name: pattern.sub(lambda found: places[found[0]], value) for name, value in app.env.items()}
    values |= {name: secret.reveal() for name, secret in app.secrets.items()}
    return environment_file(values).encode()


def interpreter(app: App, facts: Facts) -> str | None:
    """The version of the site's Python, as 3.11; None when it is not known before one is installed."""
    if named := re.search(r"python(3\.\d+)$", app.python):
        return named[1]
    return facts.python


def question(app: App) -> Question:
    """How the site shows that it serves: by each of its names, in every way that visitors come to it."""
    names = [name.replace("*", "barehost") for name in app.server_names]
    plain = "http"
    if app.tls and app.tls.redirect:
        plain = "either" if app.tls.acme else "redirect"  # until there is a certificate, HTTP serves
    doors = [f"{plain}:{port}:{name}" for name in names for port in app.listen]
    others = [name.replace("*", "barehost") for name in app.redirects]
    doors += [f"moved:{port}:{name}" for name in others for port in app.listen]
    if app.tls:
        doors += [f"https:{app.tls.port}:{name}" for name in names]
        doors += [f"smoved:{app.tls.port}:{name}" for name in others]
    first = f"https:{app.tls.port}:{names[0]}" if app.tls else doors[0]
    return Question(
        name=names[0],
        path=app.health.path,
        status=app.health.expect,
        timeout=app.health.timeout,
        port=app.tls.port if app.tls else app.listen[0],
        scheme="https" if app.tls else "http",
        doors=tuple(one for one in doors if one != first),
    )
