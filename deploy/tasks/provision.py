"""provision, plan, status, verify: hosts become what their roles say, and show it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from invoke import Context

from deploy.tasks.common import Choice, Output, connections, password_once, state, task, with_site

if TYPE_CHECKING:
    from deploy.engine.events import Report
    from deploy.fleet.run import Distant
    from deploy.inventory.hosts import Host
    from deploy.site.release import Delivery

SITE = "only this site and what all sites of its hosts share; default: every site"


@task(
    help={
        "site": SITE,
        "purge": "of sites with state: absent, remove the shared data and the account too",
        "plan": "a file that plan --out wrote: do exactly that, or nothing where something has changed since",
    }
)
def provision(
    context: Context,
    choice: Choice,
    output: Output,
    site: str = "",
    check: bool = False,
    diff: bool = False,
    purge: bool = False,
    plan: str = "",
    executor: str = "",
) -> int:
    """Make hosts what the inventory says: a bare one becomes a served site, a converged one costs one look."""
    return _converge(
        choice,
        output,
        site=site,
        check=check,
        diff=diff,
        executor=executor,
        purge=purge,
        plan=plan,
    )


@task(help={"site": SITE, "out": "write the plan to this file too, for provision --plan"})
def plan(
    context: Context,
    choice: Choice,
    output: Output,
    site: str = "",
    diff: bool = False,
    out: str = "",
    executor: str = "",
) -> int:
    """Show what provision would change, and change nothing. Exit code 0: nothing to do, 2: changes."""
    return _converge(
        choice,
        output,
        site=site,
        check=True,
        diff=diff,
        executor=executor,
        out=out,
    )


@task()
def status(
    context: Context,
    choice: Choice,
    json: bool = False,
) -> int:
    """Say what runs where: site, release, since when, and whether it runs what lies on the disk."""
    from deploy import report
    from deploy.errors import AlarmError
    from deploy.fleet.backups import backups_of
    from deploy.fleet.status import status_of
    from deploy.report.standings import table

    hosts = choice.hosts()
    status = status_of(hosts, password=password_once())
    if status.standings or not status.failures:
        report.table(*table(status, json=json), json=json)
    for note in status.notes:
        report.say(f"Attention: {note}", json=json)
    kept = backups_of(hosts, password=password_once())
    if kept.standings:
        report.table(*kept.table(json=json), json=json)
    alarms = tuple(dict.fromkeys((*status.alarms, *kept.alarms)))  # the host itself says most of them
    for alarm in alarms:
        report.say(f"Not well: {alarm}", json=json)
    failures = (*status.failures, *kept.failures)
    for error in failures:
        report.error(error, json=json)
    unwell = AlarmError.exit_code if alarms else 0
    return max((error.exit_code for error in failures), default=unwell)


@task(help={"site": "only the checks of this site; default: those of the hosts and of every site"})
def verify(
    context: Context,
    choice: Choice,
    site: str = "",
    v: int = 0,
) -> int:
    """Prove with testinfra what a provisioned host must show: packages, users, units, ports, headers, files."""
    from deploy.verify import verify as run

    hosts = with_site(choice.hosts(), site)
    return run(hosts, password=password_once(), verbose=v, site=site)


def _converge(
    choice: Choice,
    output: Output,
    *,
    site: str,
    check: bool,
    diff: bool,
    executor: str,
    purge: bool = False,
    plan: str = "",
    out: str = "",
) -> int:
    # begun before the rest is imported: that takes its time in there, too
    with nullcontext() if executor else connections() as sessions:
        picked = with_site(choice.hosts(reveal=""), site)
        if sessions is not None:
            sessions.expect(picked)

        from pathlib import Path  # what follows is imported while the hosts are being connected to

        from deploy import report
        from deploy.engine import savedplan
        from deploy.engine.converge import Wishes
        from deploy.fleet import job
        from deploy.fleet import run as fleet
        from deploy.fleet.elsewhere import end_elsewhere
        from deploy.release.source import whoami
        from deploy.roles import roles_of

        saved = savedplan.read(Path(plan)) if plan else None
        deliveries = prepared(picked, purge=purge, ids=saved.releases if saved else None, site=site)
        others_of = frozenset(app.name for one in picked for app in one.apps if site and app.name != site)
        wishes = Wishes(
            f"{whoami()} provision",
            saved.plans if saved else None,
            check=check,
            diffs=diff,
            leave_out=others_of,
            elsewhere=end_elsewhere
            if executor
            else functools.partial(end_elsewhere, password=password_once()),
        )
        names = [one.name for one in picked]
        with (
            workers(executor) as others,
            report.reporter(json=output.json, verbose=output.v, diff=diff, hosts=names) as shown,
        ):
            reports = fleet.run(
                picked,
                roles_of,
                wishes,
                shown,
                state=state(),
                deliveries=deliveries,
                executor=others,
                reaching=job.over_ssh if sessions is None else job.through(sessions),
            )
            shown.close(reports)
    if out:
        ids = {site: one.id for each in deliveries.values() for site, one in each.releases.items()}
        savedplan.write(Path(out), ids, reports)
    return exit_code(reports, check=check)


def workers(executor: str) -> AbstractContextManager[Distant | None]:
    """Who converges the hosts: the workers of the cluster at ``executor``; None, when it is empty: this process."""
    if not executor:
        return nullcontext()
    from deploy.fleet import dask as cluster

    return cluster.joined(executor)


def prepared(
    hosts: Sequence[Host], *, purge: bool = False, ids: Mapping[str, str] | None = None, site: str = ""
) -> dict[str, Delivery]:
    """By host, the release that each site would get where it has none yet; the same on every host.

    ids: of releases by site, where a saved plan has named them already. site: the only one; empty: all.
    """
    from datetime import UTC, datetime

    from msgspec import structs

    from deploy.release.source import release_of
    from deploy.site.release import Delivery, Release

    now = datetime.now(UTC)
    known: dict[object, Release] = {}
    done = {}
    for host in hosts:
        releases = {}
        for app in host.apps:
            if app.state == "present" and site in ("", app.name):
                key = (app.source, app.ref, app.project, app.image and app.name)
                known[key] = known.get(key) or release_of(app, state(), now=now)
                id = (ids or {}).get(app.name, known[key].id)
                releases[app.name] = structs.replace(known[key], id=id)
        done[host.name] = Delivery(releases, purge)
    return done


def exit_code(reports: Sequence[Report], *, check: bool) -> int:
    """0 when all is well, 2 when a check found something to do, else what the first failure, or concern, says."""
    for report in reports:
        if report.failure is not None:
            return report.failure.exit_code_of_run
    if check and any(report.plan for report in reports):
        return 2
    return next((one.exit_code for report in reports for one in report.concerns if one.exit_code), 0)
