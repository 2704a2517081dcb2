"""release, rollback, restart, releases, history, maintenance, logs, run: what happens to a site after its first day."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from invoke import Context

from deploy.tasks.common import Choice, Course, Output, connections, password_once, present, state, task
from deploy.tasks.provision import exit_code

if TYPE_CHECKING:
    from deploy.engine.events import Report
    from deploy.engine.reach import Reach
    from deploy.errors import BarehostError
    from deploy.inventory.hosts import Host
    from deploy.release.listing import Held
    from deploy.site.app import App
    from deploy.site.release import Delivery, Release
    from deploy.transport.connections import Connections

ROLES = ("app",)
"""The roles that a rollout is about; the rest of a host is provision's. A release looks at services as well."""

SITE = "only this site; default: every site of the chosen hosts"


@task(help={"site": SITE, "ref": "branch, tag or commit of a git source, instead of the inventory's"})
def release(
    context: Context,
    choice: Choice,
    course: Course,
    output: Output,
    ref: str = "",
) -> int:
    """Ship the site's source as it is now, without a lost request; ends with proof through Nginx."""

    with connections() as sessions:  # begun before the rest is imported: that takes its time in there, too
        from deploy.fleet.run import recall
        from deploy.release.source import completed, release_of, resumed

        now = datetime.now(UTC)
        known: dict[str, Release] = {}
        picked = choice.hosts(reveal=course.site)
        facts = [found for one in picked if (found := recall(state(), one.name))]

        def shipped(host: Host, app: App) -> Release:
            key = f"{app.project}\0{app.source}\0{app.ref}\0{app.name}"
            if key not in known:
                code = release_of(app, state(), now=now, ship=True, ref=ref or None)
                serving = [found for one in facts if (found := one.app(app.name).release)]
                known[key] = resumed(code, app, state(), serving)
            return known[key]

        hosts, brought = _with(picked, course.site, shipped)
        reports = _roll("release", hosts, brought, course, output, sessions)
        code = exit_code(reports, check=False)
        if code == 0:
            shown = {
                app.name: app for one in hosts for app in one.apps if app.name in brought[one.name].releases
            }
            for app in shown.values():
                completed(app, state())
        return code


@task(
    help={
        "site": SITE,
        "to": "the id to go back to; default: the newest older one that was healthy on all hosts",
    }
)
def rollback(
    context: Context,
    choice: Choice,
    course: Course,
    output: Output,
    to: str = "",
) -> int:
    """Go back to the last healthy release, with the same proof. Migrations are not undone."""
    from deploy import report
    from deploy.release.listing import target
    from deploy.release.source import whoami
    from deploy.release.unfinished import Rollbacks, command_of
    from deploy.site.release import Release

    hosts = choice.hosts()
    held, lost = _held(hosts, course.site, course.max_fail)
    begun = {name: Rollbacks(state(), hosts[0].project, name) for name in held}
    command = command_of(held, {name for by_host in held.values() for name in by_host})
    back = {}
    for name, by_host in held.items():
        again = None if to else begun[name].target(by_host, command)
        back[name] = target(name, by_host, to or again)
        if again and not output.json:
            report.say(
                f"{name}: going on with the rollback to {again} that was not finished; --to names another"
            )

    def earlier(host: Host, app: App) -> Release:
        if host.name in lost:
            return Release("", None)
        there = next(one for one in held[app.name][host.name] if one.id == back[app.name].id)
        return Release(there.id, None, ship=True, by=whoami(), venv=there.venv, procfile=there.procfile)

    picked, brought = _with(hosts, course.site, earlier)
    for name, by_host in held.items():
        begun[name].begin(back[name].id, by_host, command)
    for app in {app.name: app for one in hosts for app in one.apps if app.name in back and app.migrate}:
        if not output.json:
            report.say(f"{app}: the code goes back, the database does not: migrations are not undone")
    with connections() as sessions:
        reports = _roll("rollback", picked, brought, course, output, sessions, lost)
    code = exit_code(reports, check=False)
    for name in held:
        begun[name].end({one.host for one in reports if _there(one, name)}, whole=code == 0)
    return code


@task(help={"site": SITE, "process": "only this process, which finishes its job first"})
def restart(context: Context, choice: Choice, course: Course, output: Output, process: str = "") -> int:
    """Start the current release anew beside itself and switch: a restart without a lost request."""
    if process:
        return _restart_process(choice.hosts(), course.site, process)
    return renew(choice.hosts(), course, output)


def renew(hosts: Sequence[Host], course: Course, output: Output) -> int:
    """Start the current release of a site (or all) anew on these hosts, each proven; returns the exit code."""
    from deploy.errors import InputError
    from deploy.release.source import whoami
    from deploy.site.release import Release

    held, lost = _held(hosts, course.site, course.max_fail)
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"

    def same(host: Host, app: App) -> Release:
        if host.name in lost:
            return Release("", None)
        current = next((one for one in held[app.name][host.name] if one.current), None)
        if current is None:
            raise InputError(f"{host.name} serves no release of {app.name}; invoke provision makes the first")
        return Release(
            current.id,
            None,
            ship=True,
            by=whoami(),
            venv=current.venv,
            renew=run,
            procfile=current.procfile,
        )

    with connections() as sessions:
        picked, brought = _with(hosts, course.site, same)
        reports = _roll("restart", picked, brought, course, output, sessions, lost)
    return exit_code(reports, check=False)


def _restart_process(hosts: Sequence[Host], site: str, process: str) -> int:
    """One process on every host, side by side, while each host is held against other runs."""
    from deploy import report
    from deploy.engine.remote import Remote
    from deploy.errors import BarehostError, LockedError
    from deploy.fleet import run as fleet
    from deploy.release.everyday import check_process
    from deploy.release.everyday import restart as script
    from deploy.release.source import whoami
    from deploy.transport import Session
    from deploy.transport.session import each

    sites = present(hosts, site)
    check_process([app for apps in sites.values() for app in apps], process, timers=False)

    def act(session: Session) -> None:
        name = session.host.name
        if holder := Remote(session).lock(f"{whoami()} restart {process}"):
            raise LockedError(f"{name}: {holder}; run again when it is done")
        for app in sites[name]:
            if app.processes is not None and process not in app.processes:
                continue
            lines: list[str] = []
            reply = each(session.stream(script(app, process), timeout=None, idle=None), lines.append)
            for line in lines:
                report.say(f"{name} | {line}")
            if reply.rc:
                raise BarehostError(
                    f"{name}: {process} of {app.name} was not started anew; its last words stand above"
                )

    answers = fleet.ask(hosts, act, password=password_once())
    failures = [answer for answer in answers if isinstance(answer, BarehostError)]
    for failure in failures:
        report.error(failure)
    return max((one.exit_code for one in failures), default=0)


@task(help={"site": SITE})
def releases(
    context: Context,
    choice: Choice,
    site: str = "",
    json: bool = False,
) -> None:
    """List the releases that hosts hold: id, commit, who, when, healthy or failed, current, size."""
    from deploy import report

    rows = [
        [
            name,
            app,
            one.id,
            one.state,
            one.commit[:7] or "no commit",
            one.by,
            one.staged,
            f"{one.size} KiB" if one.size is not None else "gone",
        ]
        for app, by_host in _held(choice.hosts(), site)[0].items()
        for name, held in by_host.items()
        for one in held
    ]
    report.table(["host", "site", "release", "state", "commit", "by", "staged", "size"], rows, json=json)


@task(help={"n": "how many lines of each host, the newest; default: 20"})
def history(
    context: Context,
    choice: Choice,
    n: int = 20,
    json: bool = False,
) -> int:
    """Read the hosts' own log of runs: when, how it ended, who, from where, what."""
    from deploy import report
    from deploy.errors import BarehostError
    from deploy.fleet import run as fleet
    from deploy.shell import sh

    hosts = choice.hosts()
    script = sh("[ ! -e /var/log/barehost.log ] || tail -n @{n} /var/log/barehost.log", n=n)
    answers = fleet.ask(hosts, lambda session: session.run(script, timeout=60), password=password_once())
    rows, failed = [], 0
    for one, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, BarehostError):
            report.error(answer)
            failed = failed or answer.exit_code
            continue
        for line in answer.stdout.decode(errors="replace").splitlines():
            when, outcome, what = ([*line.split(" ", 2), "", ""])[:3]
            rows.append([one.name, when, outcome, what])
    report.table(["host", "when", "outcome", "who and what"], rows, json=json)
    return failed


def _with(
    hosts: Sequence[Host], site: str, release: Callable[[Host, App], Release]
) -> tuple[list[Host], dict[str, Delivery]]:
    """The hosts that have a chosen site, and by host the release that each is to get; other sites stay as they are."""
    from deploy.errors import InputError
    from deploy.site.release import Delivery

    done, brought = [], {}
    for host in hosts:
        apps = [app for app in host.apps if app.state == "present" and (not site or app.name == site)]
        if apps:
            done.append(host)
            brought[host.name] = Delivery({app.name: release(host, app) for app in apps}, services=False)
    if not done:
        raise InputError(f"none of the chosen hosts has {f'a site {site!r}' if site else 'any site'}")
    return done, brought


def _held(
    hosts: Sequence[Host], site: str, max_fail: int = 0
) -> tuple[dict[str, dict[str, list[Held]]], dict[str, BarehostError]]:
    """The releases that hosts hold, by site and host; and why some could not be asked, by host.

    Raises the first such error when there are more of them than ``max_fail``, or nobody answered.
    """
    from deploy.errors import BarehostError, InputError
    from deploy.fleet import run as fleet
    from deploy.release import listing
    from deploy.transport import Session

    names = {one.name: [app.name for app in one.apps if not site or app.name == site] for one in hosts}

    def question(session: Session) -> dict[str, list[Held]]:
        return {
            name: listing.parse(session.run(listing.script(name), timeout=60).stdout)
            for name in names[session.host.name]
        }

    found: dict[str, dict[str, list[Held]]] = {}
    lost: dict[str, BarehostError] = {}
    answers: Sequence[Mapping[str, list[Held]] | BarehostError] = fleet.ask(
        hosts, question, password=password_once()
    )
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, BarehostError):
            lost[host.name] = answer
            continue
        for name, held in answer.items():
            found.setdefault(name, {})[host.name] = held
    if lost and (len(lost) > max_fail or len(lost) == len(hosts)):
        raise next(iter(lost.values()))
    if not found:
        raise InputError(f"none of the chosen hosts has {f'a site {site!r}' if site else 'any site'}")
    return found, lost


def _roll(
    what: str,
    hosts: Sequence[Host],
    deliveries: Mapping[str, Delivery],
    course: Course,
    output: Output,
    sessions: Connections,
    lost: Mapping[str, BarehostError] | None = None,
) -> list[Report]:
    """lost: hosts that could not be asked for their releases, and so are not begun."""
    from deploy import report

    sessions.expect([one for one in hosts if not lost or one.name not in lost])

    from deploy.engine.remote import Remote  # what follows is imported while the hosts are being connected to
    from deploy.fleet import rollout
    from deploy.fleet.elsewhere import end_elsewhere
    from deploy.release.source import whoami
    from deploy.roles import roles_of

    def connect(host: Host) -> Reach:
        if lost and host.name in lost:
            raise lost[host.name]
        from deploy import transport

        return Remote(sessions.connect(host), lambda: transport.connect(host, password=sessions.password))

    way = rollout.Course(
        f"{whoami()} {what}",
        course.batch or None,
        course.max_fail,
        course.keep_going,
        course.wait,
        functools.partial(end_elsewhere, password=password_once()),
    )
    names = [one.name for one in hosts]
    only = (*ROLES, "services") if what == "release" else ROLES
    with report.reporter(json=output.json, verbose=output.v, diff=False, hosts=names) as shown:
        reports = rollout.rollout(
            hosts,
            deliveries,
            lambda host, delivery: roles_of(host, delivery, only=only),
            way,
            shown,
            state=state(),
            connect=connect,
        )
        shown.close(reports)
    return reports


def _there(report: Report, site: str) -> bool:
    """Whether the site serves on this host what the run was to bring, and is done with it."""
    return report.outcome in ("changed", "unchanged", "failed") and not any(
        one.scope in (None, site) for one in report.failures
    )
