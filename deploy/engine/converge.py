"""The loop for one host: evaluate roles, look, plan, apply, look again, until nothing differs. Knows no kinds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploy.engine.declare import declared
from deploy.engine.events import Diff, Emit, Failure, Looking, Note, Planned, Report, Result
from deploy.engine.failing import failure, hindered, locked_out, unsettled, waiting
from deploy.engine.look import Look
from deploy.engine.plan import Plan, diff
from deploy.engine.reach import Broken, Ending, Reach
from deploy.engine.room import sending, shortage
from deploy.errors import ApplyError, BarehostError, DriftError, InputError, LockedError, UnsettledError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Change, Concern, Phase, Resource
from deploy.roles import Role

PASSES = 3
"""How often a host is changed before what still differs is an error: an install brings facts, facts bring
resources, and their first look may bring one more change. More passes than that do not settle."""


Elsewhere = Callable[[Host, str, Collection[str]], None]


class Wishes(Struct, frozen=True):
    """What a run is to do. check: plan only. diffs: show old and new content. through: the last phase applied.

    about: the line for the host's own log. saved: plans by host, as JSON, that the first look must lead to again;
    None: whatever it leads to is carried out. leave_out: scopes that the run is not about. only_checked: phases that
    the run looks at and changes nothing of: what differs there is a remark, or fails what cannot work without it.
    elsewhere: called before an apply with the host, a scope and what is to run on this host alone; it ends that on all
    others, or raises. None: nobody else is asked.
    """

    about: str
    saved: Mapping[str, Any] | None = None
    check: bool = False
    diffs: bool = False
    through: Phase = Phase.LEAVE
    leave_out: frozenset[str] = frozenset()
    only_checked: frozenset[Phase] = frozenset()
    elsewhere: Elsewhere | None = None


def converge(
    host: Host,
    roles: Sequence[Role],
    reach: Reach,
    wishes: Wishes,
    emit: Emit,
    known: Facts | None = None,
) -> tuple[Report, Facts]:
    """Bring one host to what its roles say; returns the report and the facts, for the next run's first look.

    host → role(host, facts) → [Resource] → probe → State → Plan → files and steps → probe again → Report

    known: facts of the last run. Where they still hold, the first look is the only one a converged host costs.
    Whatever stops it is in the report, with what stands on the host then.
    """
    return _Run(host, roles, reach, wishes, emit).converge(known or Facts())


@dataclass
class _Run:
    """One host's run; keeps what the report will say."""

    host: Host
    roles: Sequence[Role]
    reach: Reach
    wishes: Wishes
    emit: Emit

    changed: list[str] = field(default_factory=list)
    lost: dict[str, Failure] = field(default_factory=dict)
    """Why scopes have failed: the run goes on without what they were to bring."""
    first: Plan | None = None
    passes: int = 0
    spoiled: int = 0
    """Passes that do not count, for what they were to bring was undone or failed by itself."""
    said: tuple[Facts, Sequence[Resource]] | None = None
    """What the roles say, and of a host with which facts."""
    begun: bool = False
    """Whether anything was carried out; until then the plan must be the one that was saved, where one was."""
    late: int = 0
    """How often another apply was first."""
    concerns: tuple[Concern, ...] = ()
    """Of the last look."""
    undone: str | None = None
    """When the run began whose files were put back first; None: there was none."""

    def converge(self, facts: Facts) -> tuple[Report, Facts]:
        began, failures = monotonic(), []
        try:
            while True:
                resources, look = self._look(facts)
                facts = look.facts
                plan = self._plan(resources, look)
                if (doing := self._next(plan, look)) is None:
                    for concern in plan.concerns:
                        self.emit(Note(self.host.name, concern.text))
                    break
                if doing:
                    self._apply(doing)
        except Stopped as stopped:
            failures.append(stopped.failure)
        except BarehostError as error:
            failures.append(Failure(_named(self.host, error), error.exit_code))
        return self._report((*self.lost.values(), *failures), monotonic() - began), facts

    def _plan(self, resources: Sequence[Resource], look: Look) -> Plan:
        """What differs, shown; the first plan must be the one that was saved, where one was."""
        within = [one for one in resources if one.when <= self.wishes.through]
        plan = diff(self.host.name, within, look.states, unfinished=look.unfinished)
        if self.wishes.only_checked:
            plan = self._checked(plan)
        self.emit(Planned(self.host.name, plan, self.passes, self._diffs(plan)))
        self.concerns = plan.concerns
        if self.first is None:
            self.first = plan
            for remark in plan.remarks:
                self.emit(Note(self.host.name, remark))
        if not self.begun:
            self._hold(plan)
        return plan

    def _checked(self, plan: Plan) -> Plan:
        """The plan without what this run does not change; raises ApplyError where the host cannot do without that.

        A scope that cannot is left out from here on.
        """
        others: list[Change[Resource]] = []
        left: list[Change[Resource]] = []
        for change in plan.changes:
            (left if change.resource.when in self.wishes.only_checked else others).append(change)
        for change in left:
            if (problem := change.resource.hinders(change)) is None:
                continue
            failure = hindered(self.host, change, problem)
            if not change.resource.scope:
                raise Stopped(failure)
            self.lost.setdefault(change.resource.scope, failure)
        others = [change for change in others if change.resource.scope not in self.lost]
        remarks = plan.remarks
        if older := [change.resource.id for change in left if change.resource.hinders(change) is None]:
            remarks = (*remarks, f"{', '.join(older)}: not as the inventory says; invoke provision brings it")
        return replace(plan, changes=tuple(others), remarks=remarks)

    def _next(self, plan: Plan, look: Look) -> Plan | None:
        """What to carry out now; None when the run is over, an empty plan when the host is only looked at again."""
        if self.wishes.check:
            return None
        if not (plan.changes or plan.unfinished or look.armed):
            if plan.deferred:
                raise UnsettledError(f"{self.host.name}: {waiting(plan.deferred[0])}")
            return None
        if look.armed:
            return self._confirming(plan)
        if look.busy is not None:
            raise LockedError(f"{self.host.name}: {look.busy}; run again when it is done")
        if plan.unfinished:
            return self._undoing(plan, plan.unfinished)
        if self.passes - self.spoiled > PASSES:
            self._give_up(plan.changes)
            return Plan(self.host.name)
        self._make_sure_of_room(plan)
        return plan

    def _give_up(self, changes: Sequence[Change[Resource]]) -> None:
        """What still differs does not settle: the end of its scope, or of the run where it is the host's."""
        for change in changes:
            sentence, scope = f"{self.host.name}: {unsettled(change, PASSES)}", change.resource.scope
            if not scope:
                raise UnsettledError(sentence)
            self.lost.setdefault(scope, Failure(sentence, UnsettledError.exit_code, scope=scope))

    def _make_sure_of_room(self, plan: Plan) -> None:
        """One more question, where something large is sent or something is started beside what runs."""
        through = [change for change in plan.changes if change.resource.when <= self.wishes.through]
        beside = [script for change in through if (script := change.resource.beside(change))]
        sent = sending(through)
        if (beside or sent) and (problem := shortage(self.reach.room(beside), sent)):
            raise ApplyError(f"{self.host.name}: {problem}")

    def _undoing(self, plan: Plan, unfinished: str) -> Plan:
        """Have a run that was cut short taken back, and nothing else: what was seen is not what stands then."""
        if self.undone is not None:
            raise ApplyError(
                f"{self.host.name}: the files of the run of {unfinished} cannot be put back; "
                "/var/lib/barehost/undo on the host is the script that fails: run it there with sh -x"
            )
        self.undone = unfinished
        self.spoiled += 1
        return replace(plan, changes=())

    def _look(self, facts: Facts) -> tuple[Sequence[Resource], Look]:
        """A look, with the resources that the host's own facts ask for: one round trip when ``facts`` hold."""
        self.passes += 1
        self.emit(Looking(self.host.name, self.passes))
        resources = self._declared(facts)
        look = self.reach.look(resources)
        while look.running is not None:
            self.emit(
                Note(self.host.name, f"following the run that is under way: {look.holder or look.running}")
            )
            self.reach.attach(look.running, self.emit)
            look = self.reach.look(resources)
        own = {**facts.own, **look.facts.own}  # a run about a part of the host asks only what that needs
        look = replace(look, facts=replace(look.facts, own=own))
        if look.facts != facts:
            again = self._declared(look.facts)
            if again != resources:
                return again, replace(self.reach.look(again), facts=look.facts)
        return resources, look

    def _declared(self, facts: Facts) -> Sequence[Resource]:
        """What the roles say of a host with these facts, without what is left out or has failed."""
        if self.said is None or self.said[0] != facts:
            self.said = facts, declared(self.roles, self.host, facts)
        left_out = self.wishes.leave_out | self.lost.keys()
        if not left_out:
            return self.said[1]
        lost = {one.id for one in self.said[1] if one.scope in left_out}
        return [one.without(lost) for one in self.said[1] if one.scope not in left_out]

    def _hold(self, plan: Plan) -> None:
        """The plan must be the one that was saved, change by change; else a DriftError names what is not."""
        if self.wishes.saved is None:
            return
        saved = self.wishes.saved.get(self.host.name)
        if saved is None:
            raise DriftError("not in the saved plan; make one that has it")
        found = plan.as_json()
        if found != saved:
            before, now = ({one["id"]: one for one in side["changes"]} for side in (saved, found))
            differs = sorted(id for id in before.keys() | now.keys() if before.get(id) != now.get(id))
            raise DriftError(
                "not as it was when the plan was saved"
                f"{': ' + ', '.join(differs) if differs else ''}; nothing was changed: look at a new plan"
            )

    def _confirming(self, plan: Plan) -> Plan:
        """A guarded change of a run that is gone: that this one could log in is what it waits for."""
        self.emit(
            Note(self.host.name, "confirming a change that an earlier run has made: this run could log in")
        )
        self.reach.confirm()
        self.spoiled += 1
        return Plan(self.host.name)

    def _guarded(self, plan: Plan) -> None:
        """Changes that could lock people out, which the host takes back unless a new login shows that they do not."""
        for change in plan.changes:
            if change.resource.when not in (Phase.FILES, Phase.UNITS):
                kind = change.resource.id.partition(":")[0]
                raise InputError(
                    f"{change.resource.id}: guarded=True is for what has an old state to go back to; a {kind} has none"
                )
        self.spoiled += 1
        outcome = self.reach.apply(plan, self.wishes.about, self.emit, self.wishes.through, guarded=True)
        if outcome.outcome is Ending.LOCKED:
            self._yield_to(outcome.holder or "another run holds the host")
            return
        self.begun = True
        if outcome.outcome is not Ending.HELD:
            whole = next((one for one in outcome.broken if not one.scope), Broken(output=outcome.output))
            raise Stopped(failure(self.host, plan, outcome, whole))
        if (why := self.reach.confirm()) is not None:
            raise Stopped(locked_out(self.host, plan, why))
        self.changed += [
            change.resource.id for change in plan.changes if change.resource.id not in self.changed
        ]

    def _apply(self, plan: Plan) -> None:
        """Carry out the plan; up to the packages only where packages change.

        What an install brings along (a configuration, a Python, a user) is seen by the next look and planned then.
        """
        ordinary = tuple(change for change in plan.changes if not change.resource.locks_out)
        if len(ordinary) < len(plan.changes):
            if not ordinary:
                self._guarded(plan)
                return
            plan = replace(plan, changes=ordinary)  # the others in an apply of their own, after the next look
            self.spoiled += 1
        packages = any(change.resource.when <= Phase.PACKAGES for change in plan.changes)
        through = min(self.wishes.through, Phase.PACKAGES) if packages else self.wishes.through
        self._alone([change for change in plan.changes if change.resource.when <= through])
        outcome = self.reach.apply(plan, self.wishes.about, self.emit, through, partly=bool(self.lost))
        if outcome.outcome is Ending.LOCKED:
            self._yield_to(outcome.holder or "another run holds the host")
            return
        self.begun = True
        lost = {one.scope: failure(self.host, plan, outcome, one) for one in outcome.broken if one.scope}
        self.lost |= lost
        self.spoiled += bool(lost)
        if outcome.outcome not in (Ending.DONE, Ending.PARTLY):
            whole = next((one for one in outcome.broken if not one.scope), Broken(output=outcome.output))
            raise Stopped(failure(self.host, plan, outcome, whole))
        self.changed += [
            change.resource.id
            for change in plan.changes
            if change.resource.when <= through
            and change.resource.scope not in self.lost
            and change.resource.id not in self.changed
        ]

    def _yield_to(self, holder: str) -> None:
        """Another apply was first, a moment ago: the next look follows it, and what it has done is not done again."""
        self.late += 1
        self.spoiled += 1
        if self.late > PASSES:
            raise LockedError(f"{self.host.name}: {holder}; run again when it is done")
        self.emit(Note(self.host.name, holder))

    def _alone(self, changes: Sequence[Change[Resource]]) -> None:
        """What is to run on this host alone ends on the others first."""
        for change in changes:
            names = change.resource.only_here(change)
            if names and self.wishes.elsewhere is not None:
                self.wishes.elsewhere(self.host, change.resource.scope, names)

    def _diffs(self, plan: Plan) -> tuple[Diff, ...]:
        """Old and new text of what differs, in one more round trip; none unless asked for."""
        if not self.wishes.diffs:
            return ()
        differs = [
            (text, change.actual is not None)
            for change in plan.changes
            for text in change.resource.content()
            if text.key in change.keys
        ]
        there = [text.path for text, is_there in differs if is_there]
        old = self.reach.fetch(there) if there else {}
        return tuple(
            Diff(text.path, _text(old.get(text.path)), _text(text.new))
            for text, _ in differs
            if old.get(text.path) != text.new
        )

    def _report(self, failures: tuple[Failure, ...], seconds: float) -> Report:
        if failures:
            result = Result.FAILED
        elif self.wishes.check:
            result = Result.PLANNED
        else:
            result = Result.CHANGED if self.changed else Result.UNCHANGED
        return Report(
            host=self.host.name,
            outcome=result,
            changed=tuple(self.changed),
            plan=self.first,
            seconds=seconds,
            passes=self.passes,
            round_trips=self.reach.round_trips,
            sent=self.reach.sent,
            received=self.reach.received,
            failures=failures,
            concerns=self.concerns,
        )


class Stopped(ApplyError):
    """A step on the host failed; carries the whole failure for the report's block."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _named(host: Host, error: BarehostError) -> str:
    """The error's sentence with the host in front, which a resource or a probe does not know."""
    told = str(error)
    return told if told.startswith(f"{host.name}:") else f"{host.name}: {told}"


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")
