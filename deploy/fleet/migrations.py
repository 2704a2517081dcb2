"""Which host runs a site's migrations: one for each site and group that defines it. Decides; contacts no host.

Hosts of one group serve one database, so it is migrated once. Hosts of another group that defines the site as well
(staging and production, each with a DATABASE_URL of its own) have another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from deploy.engine.events import Report
from deploy.inventory.hosts import Host
from deploy.release.source import migrating
from deploy.site.app import App
from deploy.site.release import Delivery, Release


@dataclass(frozen=True)
class Shared:
    """What hosts have in common whose site is migrated once: its name and the groups that define it.

    app: the whole definition, where no group but the hosts themselves have it; then equal ones are shared.
    """

    site: str
    groups: tuple[str, ...]
    app: App | None = None


Migrators = Mapping[Shared, str]
"""The host that runs the migrations, by what shares them."""


def shared(host: Host, app: App) -> Shared:
    """With which hosts this one shares the migrations of ``app``."""
    groups = host.defined.get(app.name, ())
    return Shared(app.name, groups, None if groups else app)


def first(hosts: Sequence[Host], without: Collection[str] = ()) -> dict[Shared, str]:
    """The first host of each that has the site, in the order given. without: sites that the run is not about."""
    chosen: dict[Shared, str] = {}
    for host in hosts:
        for app in host.apps:
            if app.migrate and app.state == "present" and app.name not in without:
                chosen.setdefault(shared(host, app), host.name)
    return chosen


def only(host: Host, delivery: Delivery, migrators: Migrators) -> Delivery:
    """What the host is brought, with the migrations of only those sites that it was chosen for."""
    chosen = (app.name for app in host.apps if migrators.get(shared(host, app)) == host.name)
    return structs.replace(delivery, migrates=frozenset(chosen))


def shipped(host: Host, delivery: Delivery) -> list[App]:
    """The sites that are to be migrated on the host: a release that it has already was migrated to before."""
    return [
        app
        for app in host.apps
        if app.migrate
        and delivery.migrating(app.name)
        and app.name in delivery.releases
        and delivery.releases[app.name].folder is not None
    ]


def failed(host: Host, delivery: Delivery, report: Report) -> Iterator[Shared]:
    """What ``host`` was to migrate, and did not or may not have."""
    for app in host.apps:
        wrong = any(one.scope in (None, app.name) for one in report.failures)
        if wrong and app.migrate and delivery.migrating(app.name):
            yield shared(host, app)


@dataclass(frozen=True)
class Candidate:
    """A host of a rollout that is to have this release of the site. able: it has not failed."""

    host: Host
    app: App
    release: Release
    able: bool


@dataclass(frozen=True)
class Appointed:
    """host: who migrates; None: nobody, for it is done or cannot be. unknown: a host that began to migrate this
    release in an earlier run and has failed now, so that nobody knows how far it came; None: there is none.
    """

    host: str | None
    unknown: str | None = None


def appoint(candidates: Sequence[Candidate], state: Path) -> Appointed:
    """Who migrates a site, of the hosts that share its migrations: the first that is able.

    One that began to migrate this release in an earlier run goes on with it. Where that one has failed now, nobody
    migrates if it was done. state: the project's state folder, which knows of earlier runs.
    """
    chosen = next((one.host.name for one in candidates if one.able), None)
    for one in candidates:
        earlier = migrating(one.app, one.release, state).get(one.host.name)
        if earlier is None:
            continue
        if one.able:
            chosen = one.host.name
        elif earlier == one.app.migrate:
            return Appointed(None)
        elif chosen is not None:
            return Appointed(None, one.host.name)
    return Appointed(chosen)
