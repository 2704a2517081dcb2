"""backup, backups, restore, db: the data of a site on its ordinary days, and on its worst."""

from __future__ import annotations

import functools
import json as jsonlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from invoke import Context

from deploy.tasks.common import Choice, Course, Output, password_once, task

if TYPE_CHECKING:
    from deploy.inventory.hosts import Host
    from deploy.site.app import App

SITE = "only this site; default: every site with backups on the chosen hosts"


@task(help={"site": SITE, "drill": "restore the newest on trial instead, and compare"})
def backup(
    context: Context,
    choice: Choice,
    site: str = "",
    drill: bool = False,
) -> int:
    """Back up the data of sites now, verified and synced before it counts; or try the newest backup (--drill)."""
    from deploy import report, transport
    from deploy.release.backups import perform
    from deploy.transport.session import each

    code = 0
    for one, app in _kept(choice.hosts(), site):
        script = perform(app.name, "drill" if drill else "run")
        with transport.connect(one, password=password_once()) as session:
            reply = each(
                session.stream(script, timeout=None, idle=None), functools.partial(_say, f"{one.name} | ")
            )
        for line in reply.stderr.decode(errors="replace").splitlines():
            report.complain(f"{one.name} | {line}")
        code = code or reply.rc
    return code


@task(help={"site": SITE})
def backups(
    context: Context,
    choice: Choice,
    site: str = "",
    json: bool = False,
) -> int:
    """List the backups of sites: id, size, release, and where they lie."""
    from deploy import report
    from deploy.errors import BarehostError
    from deploy.fleet import run as fleet
    from deploy.release.backups import perform
    from deploy.transport import Session

    hosts = choice.hosts()
    kept = list(_kept(hosts, site))
    names = {one.name: [app.name for other, app in kept if other is one] for one, _ in kept}

    def listed(session: Session) -> list[tuple[str, dict[str, Any]]]:
        rows = []
        for name in names[session.host.name]:
            reply = session.run(perform(name, "list"), timeout=600)
            if reply.rc:
                raise BarehostError(
                    f"{session.host.name}: {name}: {reply.stderr.decode(errors='replace').strip()}"
                )
            rows += [(name, jsonlib.loads(line)) for line in reply.stdout.splitlines()]
        return rows

    asked = [one for one in hosts if one.name in names]
    rows, failed = [], 0
    for one, answer in zip(asked, fleet.ask(asked, listed, password=password_once()), strict=True):
        if isinstance(answer, BarehostError):
            report.error(answer)
            failed = failed or answer.exit_code
            continue
        for name, found in answer:
            size = f"{found['size'] / 1e6:.1f} MB" if found["size"] is not None else None
            rows.append([one.name, name, found["id"], size, found["release"], ", ".join(found["where"])])
    report.table(["host", "site", "backup", "size", "release", "where"], rows, json=json)
    return failed


@task(
    help={
        "site": "whose data; default: the host's only site with backups",
        "to": "id of the backup; default: the newest",
        "forget": "drop what earlier restores have kept aside, and restore nothing",
        "wait": "seconds to wait for another run that holds the host",
    }
)
def restore(
    context: Context,
    choice: Choice,
    site: str = "",
    to: str = "",
    forget: bool = False,
    wait: int = 0,
) -> int:
    """Bring back a site's data, proven through Nginx. The data before it is kept aside until --forget."""
    import time

    from deploy import report, transport
    from deploy.engine.remote import Remote
    from deploy.errors import ApplyError, InputError, LockedError
    from deploy.release.backups import perform
    from deploy.release.source import whoami
    from deploy.tasks.release import renew
    from deploy.transport.session import each

    kept = list(_kept(choice.hosts(), site))
    if len(kept) != 1:
        found = ", ".join(f"{app.name} on {one.name}" for one, app in kept)
        raise InputError(f"one site on one host is restored at a time, found {found}; say --host and --site")
    ((one, app),) = kept
    with transport.connect(one, password=password_once()) as session:
        reach, end = Remote(session), time.monotonic() + wait
        while holder := reach.lock(f"{whoami()} restore"):
            if time.monotonic() >= end:
                raise LockedError(f"{one.name}: {holder}; run again when it is done, or with --wait SECONDS")
            time.sleep(1)
        if not to and not forget:
            listed = session.run(perform(app.name, "list"), timeout=600)
            ids = [jsonlib.loads(line)["id"] for line in listed.stdout.splitlines()]
            if listed.rc or not ids:
                told = (
                    listed.stderr.decode(errors="replace").strip() or f"there is no backup of {app.name} yet"
                )
                raise ApplyError(f"{one.name}: {told}")
            to = ids[0]
        script = perform(app.name, "forget") if forget else perform(app.name, "restore", to)
        reply = each(
            session.stream(script, timeout=None, idle=None), functools.partial(_say, f"{one.name} | ")
        )
        reach.unlock()
    if reply.rc:
        raise ApplyError(f"{one.name}: {reply.stderr.decode(errors='replace').strip()}")
    if forget:
        return 0
    report.say(f"{one.name} | {app.name} is started anew on it, and proven")
    return renew([one], Course(site=app.name, wait=60), Output())


@task(
    help={
        "site": "whose; default: the host's only site with one",
        "redis": "cache or queue; default: the database",
    }
)
def db(
    context: Context,
    choice: Choice,
    site: str = "",
    redis: str = "",
) -> int:
    """Open psql or redis-cli in the site's own database or cache, as the site: `invoke db --host web1`."""
    from deploy.errors import InputError
    from deploy.tasks.sites import in_site

    hosts = choice.hosts()
    found = [
        (one, app)
        for one in hosts
        for app in one.apps
        if app.state == "present" and site in ("", app.name) and (app.redis if redis else app.database)
    ]
    if len(found) != 1:
        named = ", ".join(f"{app.name} on {one.name}" for one, app in found) or "none"
        raise InputError(f"one database is opened at a time, found {named}; say --host and --site")
    ((one, app),) = found
    if not redis:
        return in_site([one], {one.name: [app]}, ["psql"])
    assert app.redis is not None
    if redis not in app.redis.purposes:
        raise InputError(f"{app.name} has {' and '.join(app.redis.purposes)}, no {redis!r}")
    client = f"{app.redis.kind}-cli"
    return in_site([one], {one.name: [app]}, [client, "-s", app.redis.socket(app.name, redis)])


def _kept(hosts: Sequence[Host], site: str) -> Iterator[tuple[Host, App]]:
    """The sites with backups, each with its host; none at all is an InputError."""
    from deploy.errors import InputError

    found = [
        (one, app)
        for one in hosts
        for app in one.apps
        if app.state == "present" and app.backup is not None and site in ("", app.name)
    ]
    if not found:
        what = f"a site {site!r}" if site else "any site"
        raise InputError(f"none of the chosen hosts has {what} with backups; backup: true gives it some")
    yield from found


def _say(prefix: str, line: str) -> None:
    from deploy import report

    report.say(prefix + line)
