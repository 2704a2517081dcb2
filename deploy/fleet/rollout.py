"""A release over a fleet: staged everywhere, then switched in batches, taken back where it fails. Prints nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from msgspec import structs

from deploy.engine.converge import Elsewhere, Wishes, converge
from deploy.engine.events import Connecting, Emit, Note, Report
from deploy.engine.reach import Reach
from deploy.errors import HostError, InputError
from deploy.facts import Facts
from deploy.fleet import migrations
from deploy.fleet.holding import Pulse, hold
from deploy.fleet.job import RolesOf
from deploy.fleet.members import Member, Members, reach
from deploy.fleet.migrations import Candidate, Shared, appoint, shared
from deploy.fleet.run import recall, remember
from deploy.inventory.hosts import Host
from deploy.release.source import migrating, remember_migrating
from deploy.resource import Phase
from deploy.site.app import App
from deploy.site.release import Delivery, Release

LOST = 90
"""Seconds that the lock of a session may outlive its connection: a host gives a silent one up after 60."""


WENT_BACK = "It went back to what served before this run, proven through Nginx, as on every host."


@dataclass(frozen=True)
class Course:
    """How a rollout goes.

    about: the line for the hosts' own logs. batch: hosts switched at once, as a number or a percentage of those
    that are left; None: all. max_fail: hosts that may fail, at whatever stage: each is left out and the others go
    on. keep_going: when more than those fail, leave what was switched where it is. wait: seconds to wait for
    another run's lock. elsewhere: as :class:`deploy.engine.converge.Wishes` has it.
    """

    about: str
    batch: str | None = None
    max_fail: int = 0
    keep_going: bool = False
    wait: float = 0.0
    elsewhere: Elsewhere | None = None


def rollout(
    hosts: Sequence[Host],
    deliveries: Mapping[str, Delivery],
    roles: RolesOf,
    course: Course,
    emit: Emit,
    *,
    state: Path,
    connect: Callable[[Host], Reach],
) -> list[Report]:
    """Bring every host its delivery, all or (as far as can be) none; one report each, in the order given.

    Stage everywhere, migrate each site on one host, switch batch after batch, each proven before the next begins.
    Up to ``max_fail`` hosts that fail are left out. More than that before the first switch: nothing is switched;
    after it: those switched in this run go back, unless ``keep_going``. Each site counts by itself: one that fails
    stops none of the others.
    """
    batches(len(hosts), course.batch)  # what is wrong with it is said before any host is contacted
    members = Members([Member(host, deliveries[host.name]) for host in hosts], emit)
    pulse = Pulse(members)
    try:
        _Rollout(members, roles, course, emit, state, connect).roll()
    finally:
        pulse.stop()
        members.close()
    return [member.report for member in members]


def batches(count: int, batch: str | None) -> list[int]:
    """Sizes of the batches that ``count`` hosts make: ``"2"`` is two at a time, ``"25%"`` a quarter, rounded up.

    Raises InputError for anything else.
    """
    if batch is None:
        return [count]
    match = re.fullmatch(r"([1-9]\d*)(%?)", batch)
    if match is None or (match[2] and int(match[1]) > 100):
        raise InputError(f"--batch takes a number of hosts or a percentage, like 1 or 25%, not {batch!r}")
    size = max(1, math.ceil(count * int(match[1]) / 100)) if match[2] else int(match[1])
    return [min(size, count - begun) for begun in range(0, count, size)]


@dataclass
class _Rollout:
    """Each site is a rollout of its own: one that fails on more hosts than may is dropped, and the others go on."""

    members: Members
    roles: RolesOf
    course: Course
    emit: Emit
    state: Path
    connect: Callable[[Host], Reach]

    def __post_init__(self) -> None:
        self.sites = tuple(dict.fromkeys(site for one in self.members for site in one.delivery.releases))
        self.dropped: dict[
            str, bool
        ] = {}  # sites that are switched nowhere from now on → whether they went back
        self.migrators: dict[Shared, str] = {}

    @property
    def going(self) -> list[str]:
        """The sites that the rollout goes on with."""
        return [site for site in self.sites if site not in self.dropped]

    def of(self, member: Member) -> list[str]:
        """Those of them that have not failed on this host."""
        return [site for site in self.going if site in member.delivery.releases and site not in member.lost]

    def roll(self) -> None:
        several = len(self.members) > 1  # one host alone needs no stages: its switch comes last anyway
        if not self._all(self.members, self._connect):
            return
        if not hold(self.members, self._all, self.course.about, self.course.wait):
            return
        if several and not self._all(self.members.left, lambda one: self._converge(one, Phase.BUILD)):
            return
        if not self._appoint() or (several and not self._migrate()):
            return
        ready = self.members.left
        for size in batches(len(ready), self.course.batch):
            batch, ready = ready[:size], ready[size:]
            going = self._all(batch, self._switch)
            if several and not self.course.keep_going:
                self._take_back()
            if not going:
                return

    def _all(self, members: Sequence[Member], act: Callable[[Member], None]) -> bool:
        """Do it on all of them side by side; True when a site is left that has not failed on more hosts than may."""
        before = {(one.host.name, site) for one in self.members for site in self._failed_of(one)}
        self.members.each(members, act)
        for site in self.going:
            failed = [one for one in self.members if site in self._failed_of(one)]
            there = [one for one in self.members if site in one.delivery.releases]
            if len(failed) > self.course.max_fail or len(failed) == len(there):
                self._drop(site)
        self._tell(before)
        return bool(self.going)

    def _failed_of(self, member: Member) -> list[str]:
        """The sites that fail on this host, for whatever reason."""
        return [
            site for site in member.delivery.releases if member.failure is not None or site in member.lost
        ]

    def _drop(self, site: str) -> None:
        self.dropped.setdefault(site, False)

    def _tell(self, before: Collection[tuple[str, str]]) -> None:
        """Who or what is left out from here on, while something goes on."""
        may = f"(--max-fail {self.course.max_fail})"
        for member in self.members if self.going else ():
            new = [site for site in self._failed_of(member) if (member.host.name, site) not in before]
            stays = [site for site in new if site not in self.dropped]
            if stays and member.failure is not None:
                self.emit(Note(member.host.name, f"failed and is left out; the others go on {may}"))
            elif stays:
                text = f"{', '.join(stays)} failed here and is left out; the other hosts go on {may}"
                self.emit(Note(member.host.name, text))
            for site in new:
                if site in self.dropped:
                    self.emit(Note(member.host.name, f"{site} failed: the other sites go on without it"))

    def _appoint(self) -> bool:
        """Choose the host that migrates each site. Where only one knows that cannot be asked, the site is dropped."""
        sharing: dict[Shared, list[Candidate]] = {}
        by_name = {one.host.name: one for one in self.members}
        for member in self.members:
            for app in migrations.shipped(member.host, member.delivery):
                able = member.failure is None and app.name in self.of(member)
                sharing.setdefault(shared(member.host, app), []).append(
                    Candidate(member.host, app, member.delivery.releases[app.name], able)
                )
        for key, candidates in sharing.items():
            appointed = appoint(candidates, self.state)
            if appointed.host is not None:
                self.migrators[key] = appointed.host
            if appointed.unknown is not None:
                self._drop(key.site)
                member = by_name[appointed.unknown]
                stands = (
                    f"It had begun to migrate {key.site} {member.delivery.releases[key.site].id}, and only it knows "
                    "how far that came: nothing was switched on any host."
                )
                if member.failure is not None:
                    member.failure = structs.replace(member.failure, stands=stands)
                elif key.site in member.lost:
                    member.lost[key.site] = structs.replace(member.lost[key.site], stands=stands)
        return bool(self.going)

    def _migrate(self) -> bool:
        """Each site's migrations, on the hosts that were chosen; a site that fails is dropped, however many may."""
        chosen = [one for one in self.members.left if one.host.name in self.migrators.values()]
        before = {(one.host.name, site) for one in self.members for site in self._failed_of(one)}
        self.members.each(chosen, lambda one: self._converge(one, Phase.MIGRATE))
        for key, name in self.migrators.items():
            if any(one.host.name == name and key.site in self._failed_of(one) for one in chosen):
                self._drop(key.site)
        self._tell(before)
        return bool(self.going)

    def _connect(self, member: Member) -> None:
        self.emit(Connecting(member.host.name))
        member.reach = self.connect(member.host)
        known = recall(self.state, member.host.name) or Facts()
        served = all(known.app(name).release is not None for name in member.delivery.releases)
        member.facts = known if served else Facts()  # what is remembered may be of before the first release

    def _converge(
        self, member: Member, through: Phase, releases: Mapping[str, Release] | None = None
    ) -> None:
        """releases: what the host is to get; None: those of the sites that go on."""
        if releases is None:
            releases = {site: member.delivery.releases[site] for site in self.of(member)}
        if not releases:
            return
        host = member.host
        delivery = migrations.only(host, structs.replace(member.delivery, releases=releases), self.migrators)
        migrates = migrations.shipped(host, delivery) if through >= Phase.MIGRATE else []
        self._remember(host, delivery, migrates, done=False)
        wishes = Wishes(
            about=self.course.about,
            through=through,
            only_checked=frozenset({Phase.SERVICES}),
            leave_out=frozenset(app.name for app in host.apps if app.name not in releases),
            elsewhere=self.course.elsewhere,
        )
        first = member.last is None
        report, facts = converge(
            host, self.roles(host, delivery), reach(member), wishes, self.emit, member.facts
        )
        member.before = facts if first else member.before
        member.last, member.facts = report, facts
        member.changed += tuple(id for id in report.changed if id not in member.changed)
        remember(self.state, host.name, facts)
        for failure in report.failures:
            if failure.scope is None:
                member.failure = failure
            else:
                member.lost[failure.scope] = failure
        if member.failure is None:
            done = [app for app in migrates if app.name not in member.lost]
            self._remember(host, delivery, done, done=True)

    def _remember(self, host: Host, delivery: Delivery, sites: Sequence[App], *, done: bool) -> None:
        for app in sites:
            release = delivery.releases[app.name]
            known = migrating(app, release, self.state).get(host.name)
            wanted = app.migrate if done else ()
            if known is None or (done and known != wanted):
                remember_migrating(app, release, host.name, wanted, self.state)

    def _switch(self, member: Member) -> None:
        sites = self.of(member)
        member.tried |= set(sites)
        self._converge(member, Phase.LEAVE)
        if member.failure is None:
            member.proven |= {site for site in sites if site not in member.lost}

    def _take_back(self) -> None:
        """The sites that were dropped go back to what served before, on every host that was to switch them."""
        sites = [site for site, done in self.dropped.items() if not done]
        self.dropped |= dict.fromkeys(sites, True)
        members = [one for one in self.members if one.tried & set(sites)]
        self.members.each(
            members, lambda one: self._revert(one, [site for site in sites if site in one.tried])
        )

    def _revert(self, member: Member, sites: Sequence[str]) -> None:
        """Back to what served before this run, with the same proof; a site that had nothing before stays.

        A host that failed has gone back by itself, unless its run was cut off: it is looked at all the same.
        """
        back = {
            app.name: Release(
                app.release, None, ship=True, venv=app.venv, by=self.course.about, procfile=app.procfile
            )
            for app in member.before.apps
            if app.release is not None and app.venv is not None and app.name in sites
        }
        failure, lost = member.failure, dict(member.lost)
        if failure is None and not any(site in lost for site in sites):
            text = "another host failed: going back to what served before"
            self.emit(Note(member.host.name, f"{', '.join(sites)}: {text}" if len(self.sites) > 1 else text))
        elif failure and failure.exit_code_of_run == HostError.exit_code and not self._is_ours(member):
            return
        changed = member.changed
        member.failure = None
        for site in sites:
            member.lost.pop(site, None)
        self._converge(member, Phase.LEAVE, {site: member.delivery.releases[site] for site in sites} | back)
        member.changed = changed
        wrong = member.failure is not None or any(site in member.lost for site in sites)
        member.failure = failure or member.failure
        member.lost |= lost
        if not wrong:
            member.proven -= set(sites)
            member.reverted |= set(sites)
            if failure is not None:
                member.failure = structs.replace(failure, stands=WENT_BACK)
            member.lost |= {
                site: structs.replace(lost[site], stands=WENT_BACK) for site in sites if site in lost
            }

    def _is_ours(self, member: Member) -> bool:
        """Connect and lock anew a host whose connection was lost: False where another run has taken it meanwhile.

        A run that slept for a while has lost its locks, and what serves by then is somebody else's to take back.
        """
        reach(member).close()
        member.reach = self.connect(member.host)
        end = monotonic() + LOST
        while holder := reach(member).lock(self.course.about):  # it may be our own lost session, for a while
            if monotonic() >= end:
                self.emit(Note(member.host.name, f"not taken back: {holder}"))
                return False
            sleep(1)
        for app in reach(member).look([]).facts.apps:
            known = (member.before.app(app.name).release, member.delivery.releases.get(app.name))
            if known[1] is not None and app.release not in (known[0], known[1].id):
                text = f"not taken back: another run has switched {app.name} to {app.release} since"
                self.emit(Note(member.host.name, text))
                return False
        return True
