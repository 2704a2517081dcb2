"""A release over a fleet: staged everywhere, then switched in batches, taken back where it fails. Prints nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic, sleep

from deploy.converge import Role, Wishes, converge
from deploy.errors import BarehostError, HostError, InputError, LockedError
from deploy.events import Connecting, Emit, Failure, Finished, Note, Report
from deploy.facts import Facts
from deploy.fleet import WORKERS, recall, remember
from deploy.inventory import Host
from deploy.remote import Reach
from deploy.resource import Phase
from deploy.source import Release

PULSE = 15.0
"""Seconds between signs of life to a host that waits for others; one that is silent for 60 may lose its lock."""


@dataclass(frozen=True)
class Course:
    """How a rollout goes.

    about: the line for the hosts' own logs. batch: hosts switched at once, as a number or a percentage; None: all.
    max_fail: failed hosts that are accepted before the rest is not begun. keep_going: leave what was switched
    where it is when a host fails. wait: seconds to wait for another run's lock.
    """

    about: str
    batch: str | None = None
    max_fail: int = 0
    keep_going: bool = False
    wait: float = 0.0


def rollout(
    hosts: Sequence[Host],
    roles: Callable[[Host], Sequence[Role]],
    course: Course,
    emit: Emit,
    *,
    state: Path,
    connect: Callable[[Host], Reach],
) -> list[Report]:
    """Bring every host's ``releases`` to it, all or (as far as can be) none; one report each, in the order given.

    Stage everywhere, migrate on the first, switch batch after batch, each proven before the next begins. When
    more than ``max_fail`` hosts fail, those switched in this run go back, unless ``keep_going``.
    """
    sizes = batches(len(hosts), course.batch)
    run = _Rollout([_Member(host) for host in hosts], roles, course, emit, state, connect)
    try:
        run.roll(sizes)
    finally:
        run.close()
    return [member.report for member in run.members]


def batches(count: int, batch: str | None) -> list[int]:
    """Sizes of the batches that ``count`` hosts make: ``"2"`` is two at a time, ``"25%"`` a quarter, rounded up.

    Raises InputError for anything else.
    """
    if batch is None:
        return [count]
    match = re.fullmatch(r"([1-9]\d*)(%?)", batch)
    if match is None or (match[2] and int(match[1]) > 100):
        raise InputError(f"--batch takes a number of hosts or a percentage, like 1 or 25%, not {batch!r}")
    size = math.ceil(count * int(match[1]) / 100) if match[2] else int(match[1])
    return [min(size, count - begun) for begun in range(0, count, size)]


@dataclass
class _Member:
    """One host in a rollout, and how far it is."""

    host: Host
    reach: Reach | None = None
    before: Facts = field(default_factory=Facts)
    facts: Facts = field(default_factory=Facts)
    changed: tuple[str, ...] = ()
    switched: bool = False
    proven: bool = False
    failure: Failure | None = None
    reverted: bool = False
    begun: bool = False
    last: Report | None = None
    began: float = field(default_factory=monotonic)
    turn: Lock = field(default_factory=Lock)

    @property
    def report(self) -> Report:
        """How it ended for this host."""
        reach = self.reach
        return Report(
            self.host.name,
            self._outcome,
            changed=self.changed,
            plan=self.last.plan if self.last else None,
            seconds=monotonic() - self.began,
            passes=self.last.passes if self.last else 0,
            round_trips=reach.round_trips if reach else 0,
            sent=reach.sent if reach else 0,
            received=reach.received if reach else 0,
            failure=self.failure,
        )

    @property
    def _outcome(self) -> str:
        if self.failure is not None:
            return "failed"
        if self.reverted:
            return "reverted"
        if self.last is None:
            return "skipped"
        if not self.proven:
            return "staged"
        return "changed" if self.changed else "unchanged"


@dataclass
class _Rollout:
    members: list[_Member]
    roles: Callable[[Host], Sequence[Role]]
    course: Course
    emit: Emit
    state: Path
    connect: Callable[[Host], Reach]

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=min(WORKERS, len(self.members) or 1))
        self.over = Event()
        Thread(target=self._pulse, daemon=True).start()

    def close(self) -> None:
        """Every session ends, and with it the lock it holds."""
        self.over.set()
        for member in self.members:
            if member.reach is not None:
                member.reach.close()
            self.emit(Finished(member.host.name, member.report))
        self.pool.shutdown(wait=False, cancel_futures=True)

    def roll(self, sizes: Sequence[int]) -> None:
        first, *others = self.members  # one host alone needs no stages: its switch comes last anyway
        if not self._all(self.members, self._connect) or not self._lock():
            return
        if others and not self._all(self.members, lambda one: self._converge(one, Phase.BUILD)):
            return
        migrates = any(app.migrate for app in first.host.apps if app.name in first.host.releases)
        if others and migrates and not self._all([first], lambda one: self._converge(one, Phase.MIGRATE)):
            return
        begun = 0
        for size in sizes:
            batch = self.members[begun : begun + size]
            begun += size
            self._all(batch, self._switch)
            failed = sum(member.failure is not None for member in self.members)
            if failed > self.course.max_fail:
                break
        else:
            failed = 0
        if failed and others and not self.course.keep_going:
            self._all([one for one in self.members if one.begun], self._revert)

    def _all(self, members: Sequence[_Member], act: Callable[[_Member], None]) -> bool:
        """Do it on all of them side by side; True when it went well on each."""

        def guarded(member: _Member) -> None:
            try:
                with member.turn:
                    act(member)
            except BarehostError as error:
                member.failure = member.failure or Failure(str(error), error.exit_code)

        list(self.pool.map(guarded, members))
        return all(member.failure is None for member in members)

    def _pulse(self) -> None:
        """Hosts that wait for others hear from us; one that cannot be asked says so when its turn comes."""
        while not self.over.wait(PULSE):
            for member in self.members:
                if member.reach is not None and member.turn.acquire(blocking=False):
                    with suppress(BarehostError):
                        member.reach.alive()
                    member.turn.release()

    def _connect(self, member: _Member) -> None:
        self.emit(Connecting(member.host.name))
        member.reach = self.connect(member.host)
        known = recall(self.state, member.host.name) or Facts()
        served = all(known.app(name).release is not None for name in member.host.releases)
        member.facts = known if served else Facts()  # what is remembered may be of before the first release

    def _lock(self) -> bool:
        """All locks or none: on a conflict every lock is given back, so that two runs cannot hold half each."""
        end = monotonic() + self.course.wait
        while True:
            held = [self._try(member) for member in self.members]
            conflicts = [
                (member, by) for member, by in zip(self.members, held, strict=True) if by is not None
            ]
            if not conflicts:
                return True
            for member in self.members:
                reach(member).unlock()
            if monotonic() >= end:
                break
            self.emit(Note(conflicts[0][0].host.name, f"waiting for {conflicts[0][1]}"))
            sleep(min(2.0, max(0.0, end - monotonic())))
        for member, by in conflicts:
            sentence = f"{member.host.name}: {by}; wait for it with --wait SECONDS"
            member.failure = Failure(
                sentence, LockedError.exit_code, stands="Nothing was changed on any host."
            )
        return False

    def _try(self, member: _Member) -> str | None:
        return reach(member).lock(self.course.about)

    def _converge(self, member: _Member, through: Phase) -> None:
        host = replace(member.host, migrates=member is self.members[0])
        wishes = Wishes(about=self.course.about, through=through)
        first = member.last is None
        report, facts = converge(host, self.roles(host), reach(member), wishes, self.emit, member.facts)
        member.before = facts if first else member.before
        member.last, member.facts = report, facts
        member.changed += tuple(id for id in report.changed if id not in member.changed)
        remember(self.state, host.name, facts)
        if report.failure is not None:
            member.failure = report.failure

    def _switch(self, member: _Member) -> None:
        member.begun = True
        before = {app.name: app.activation for app in member.facts.apps}
        try:
            self._converge(member, Phase.LEAVE)
        finally:
            after = {app.name: app.activation for app in member.facts.apps}
            member.switched = any(after.get(name) != number for name, number in before.items())
        member.proven = member.failure is None

    def _revert(self, member: _Member) -> None:
        """Back to what served before this run, with the same proof; a site that had nothing before stays.

        A host that failed has gone back by itself, unless its run was cut off: it is looked at all the same.
        """
        back = {
            app.name: Release(app.release, None, ship=True, venv=app.venv, by=self.course.about)
            for app in member.before.apps
            if app.release is not None and app.venv is not None and app.name in member.host.releases
        }
        failure = member.failure
        if failure is None:
            self.emit(Note(member.host.name, "another host failed: going back to what served before"))
        elif failure.exit_code_of_run == HostError.exit_code:
            reach(member).close()
            member.reach = self.connect(member.host)
        releases: Mapping[str, Release] = {**member.host.releases, **back}
        changed = member.changed
        member.host = replace(member.host, releases=releases)
        self._converge(member, Phase.LEAVE)
        member.changed = changed
        member.reverted = member.failure is None
        member.failure = failure or member.failure


def reach(member: _Member) -> Reach:
    """The host, which is connected from the first step on."""
    assert member.reach is not None
    return member.reach
