"""The loop for one host: evaluate roles, look, plan, apply, look again, until nothing differs. Knows no nginx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from types import GeneratorType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploy.engine.events import Diff, Emit, Failure, Looking, Note, Planned, Report
from deploy.engine.look import Look, Room
from deploy.engine.plan import Plan, diff
from deploy.engine.reach import Broken, Outcome, Reach
from deploy.errors import ApplyError, BarehostError, DriftError, InputError, LockedError, UnsettledError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Change, Deferred, Phase, Resource, Upload
from deploy.roles import Role

SPARE = 32 << 20
"""Bytes of disk that stay free whatever is sent: logs, sockets and the undo need some."""

PASSES = 3
"""How often a host is changed before what still differs is an error: an install brings facts, facts bring
resources, and their first look may bring one more change. More passes than that do not settle."""


class Wishes(Struct, frozen=True):
    """What a run is to do. check: plan only. diffs: show old and new content. through: the last phase applied.

    about: the line for the host's own log. saved: plans by host, as JSON, that the first look must lead to again;
    None: whatever it leads to is carried out.
    """

    about: str
    saved: Mapping[str, Any] | None = None
    check: bool = False
    diffs: bool = False
    through: Phase = Phase.LEAVE


def converge(
    host: Host,
    roles: Sequence[Role],
    reach: Reach,
    wishes: Wishes,
    emit: Emit,
    known: Facts | None = None,
) -> tuple[Report, Facts]:
    """Bring one host to what its roles say; returns the report and the facts, for the next run's first look.

    known: facts of the last run. Where they still hold, the first look is the only one a converged host costs.
    Whatever stops it is in the report, with what stands on the host then.
    """
    return _Run(host, roles, reach, wishes, emit).converge(known or Facts())


def declared(roles: Sequence[Role], host: Host, facts: Facts) -> list[Resource]:
    """Everything the roles say of this host, each thing once.

    Equal declarations of one thing merge; two different ones are an InputError that names both lines.
    """
    found: dict[str, tuple[Resource, str]] = {}
    for role in roles:
        said = role(host, facts)
        for resource in said:
            where = _line(said)
            known = found.setdefault(resource.id, (resource, where))
            if known[0].scope != resource.scope:  # what two scopes need is the host's
                found[resource.id] = known = known[0].in_scope(""), known[1]
            if known[0] != resource:
                raise InputError(
                    f"{host.name}: {resource.id} is declared twice and differently, at {known[1]} and at {where}; "
                    "keep one of them"
                )
    return [resource for resource, _ in found.values()]


def _line(said: Iterator[Resource]) -> str:
    """Where a role's generator stands now, following ``yield from`` to the innermost."""
    where = "?"
    while isinstance(said, GeneratorType) and said.gi_frame is not None:
        code = said.gi_frame.f_code
        where = f"{code.co_filename.rpartition('/')[2]}:{said.gi_frame.f_lineno}"
        inner = said.gi_yieldfrom
        said = inner if isinstance(inner, GeneratorType) else iter(())
    return where


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
    undone: str | None = None
    """When the run began whose files were put back first; None: there was none."""

    def converge(self, facts: Facts) -> tuple[Report, Facts]:
        began = monotonic()
        failure: Failure | None = None
        try:
            settled = False
            while not settled:
                look, resources = self._look(facts)
                facts = look.facts
                settled = self._settled(look, resources)
        except Stopped as stopped:
            failure = stopped.failure
        except BarehostError as error:
            failure = Failure(_named(self.host, error), error.exit_code)
        failures = (*self.lost.values(), *([failure] if failure else []))
        return self._report(failures, monotonic() - began), facts

    def _settled(self, look: Look, resources: Sequence[Resource]) -> bool:
        """Show the plan and carry it out; True when there was nothing to do, or nothing is to be done."""
        plan = self._plan(look, resources)
        self.emit(Planned(self.host.name, plan, self.passes, self._diffs(plan)))
        if self.passes == 1 and self.wishes.saved is not None:
            self._hold(plan)
        if self.passes == 1:
            for remark in plan.remarks:
                self.emit(Note(self.host.name, remark))
        self.first = self.first or plan
        if self.wishes.check:
            return True
        if not (plan.changes or plan.unfinished):
            if plan.deferred:
                raise UnsettledError(f"{self.host.name}: {_waiting(plan.deferred[0])}")
            return True
        if look.busy is not None:
            raise LockedError(f"{self.host.name}: {look.busy}; run again when it is done")
        if plan.unfinished:
            self._undo(plan, plan.unfinished)
            return False
        if self.passes - self.spoiled > PASSES:
            self._give_up(plan.changes)
            return False
        self._make_sure_of_room(plan)
        self._apply(plan)
        return False

    def _give_up(self, changes: Sequence[Change[Resource]]) -> None:
        """What still differs does not settle: the end of its scope, or of the run where it is the host's."""
        for change in changes:
            sentence, scope = f"{self.host.name}: {_unsettled(change)}", change.resource.scope
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

    def _undo(self, plan: Plan, unfinished: str) -> None:
        """Have a run that was cut short taken back, and nothing else: what was seen is not what stands then."""
        if self.undone is not None:
            raise ApplyError(
                f"{self.host.name}: the files of the run of {unfinished} cannot be put back; "
                "/var/lib/barehost/undo on the host is the script that fails: run it there with sh -x"
            )
        self.undone = unfinished
        self.spoiled += 1
        self._apply(replace(plan, changes=()))

    def _look(self, facts: Facts) -> tuple[Look, Sequence[Resource]]:
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
        if look.facts != facts:
            again = self._declared(look.facts)
            if again != resources:
                return replace(self.reach.look(again), facts=look.facts), again
        return look, resources

    def _declared(self, facts: Facts) -> Sequence[Resource]:
        """What the roles say of a host with these facts, without what has failed; asked again only for other facts."""
        if self.said is None or self.said[0] != facts:
            self.said = facts, declared(self.roles, self.host, facts)
        if not self.lost:
            return self.said[1]
        lost = {one.id for one in self.said[1] if one.scope in self.lost}
        return [one.without(lost) for one in self.said[1] if one.scope not in self.lost]

    def _plan(self, look: Look, resources: Sequence[Resource]) -> Plan:
        resources = [one for one in resources if one.when <= self.wishes.through]
        named = {app.name for app in self.host.apps}
        orphans = sorted(app.name for app in look.facts.apps if app.name not in named)
        return diff(self.host.name, resources, look.states, orphans=orphans, unfinished=look.unfinished)

    def _hold(self, plan: Plan) -> None:
        """The plan must be the one that was saved, change by change; else a DriftError names what is not."""
        saved = (self.wishes.saved or {}).get(self.host.name)
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

    def _apply(self, plan: Plan) -> None:
        """Carry out the plan; up to the packages only where packages change.

        What an install brings along (a default site, a Python, a user) is seen by the next look and planned then.
        """
        packages = any(change.resource.when <= Phase.PACKAGES for change in plan.changes)
        through = min(self.wishes.through, Phase.PACKAGES) if packages else self.wishes.through
        outcome = self.reach.apply(plan, self.wishes.about, self.emit, through)
        lost = {one.scope: _failure(self.host, plan, outcome, one) for one in outcome.broken if one.scope}
        self.lost |= lost
        self.spoiled += bool(lost)
        if outcome.outcome not in ("done", "partly"):
            whole = next((one for one in outcome.broken if not one.scope), Broken(output=outcome.output))
            raise Stopped(_failure(self.host, plan, outcome, whole))
        self.changed += [
            change.resource.id
            for change in plan.changes
            if change.resource.when <= through
            and change.resource.scope not in self.lost
            and change.resource.id not in self.changed
        ]

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
        outcome = (
            "failed"
            if failures
            else "planned"
            if self.wishes.check
            else "changed"
            if self.changed
            else "unchanged"
        )
        return Report(
            host=self.host.name,
            outcome=outcome,
            changed=tuple(self.changed),
            plan=self.first,
            seconds=seconds,
            passes=self.passes,
            round_trips=self.reach.round_trips,
            sent=self.reach.sent,
            received=self.reach.received,
            urls=tuple(app.url for app in self.host.apps if app.state == "present"),
            failures=failures,
        )


class Stopped(ApplyError):
    """A step on the host failed; carries the whole failure for the report's block."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _stands(plan: Plan, broken: Broken) -> str:
    """What is true on the host after a failed apply, of what failed."""
    if broken.restored:
        return (
            "The files of this run were put back and their services reloaded; what served before serves on."
            if not broken.scope
            else f"The files of {broken.scope} were put back; what served before serves on."
        )
    if broken.proven:
        return "What it brought is proven and stays; only the tidying up after that failed."
    if broken.step is not None and broken.step.label.startswith("check: "):
        return "The candidate was refused before any file took its place; what served before serves on."
    switches = [
        change
        for change in plan.changes
        if change.resource.when == Phase.SWITCH and broken.scope in ("", change.resource.scope)
    ]
    if switches and all(change.actual is not None for change in switches):
        return "Nothing was switched: the release before serves on."
    return "Packages, accounts, folders, trees and venvs only go forward: what succeeded before stays."


def _failure(host: Host, plan: Plan, outcome: Outcome, broken: Broken) -> Failure:
    """Why the host, or one scope of it, failed."""
    step, scope = broken.step, broken.scope or None
    if outcome.outcome == "lost" and scope is None:
        return Failure(
            message=f"{host.name}: the apply was ended by the host before it was done (reboot, out of memory?)",
            exit_code_of_run=ApplyError.exit_code,
            output=broken.output,
            stands="Files that were not yet proven are put back by the next run.",
            advice="Run the same command again; it undoes what was left unfinished and goes on.",
        )
    where = f"{host.name}, {scope}" if scope else host.name
    return Failure(
        message=f"{where}: {step.label if step else 'preparing the files'} failed",
        exit_code_of_run=ApplyError.exit_code,
        resource=step.resource if step else None,
        command=step.label if step else None,
        script=step.script if step else None,
        exit_code=broken.exit_code,
        output=broken.output,
        stands=_stands(plan, broken),
        advice="Mend the cause and run the same command again: it looks anew and does what is left.",
        scope=scope,
    )


def _named(host: Host, error: BarehostError) -> str:
    """The error's sentence with the host in front, which a resource or a probe does not know."""
    told = str(error)
    return told if told.startswith(f"{host.name}:") else f"{host.name}: {told}"


def sending(changes: Sequence[Change[Resource]]) -> int:
    """Bytes that the builds among these changes bring to the host, unpacked."""
    return sum(
        step.size
        for change in changes
        if change.resource.when == Phase.BUILD
        for step in type(change.resource).steps([change])
        if isinstance(step, Upload)
    )


def shortage(room: Room, sent: int) -> str | None:
    """Why the host has no room, as a sentence; None when it has, or when it did not say.

    Memory: a second instance of a site needs what the one that serves uses. Disk: what is sent, unpacked, with
    as much again for copies, and :data:`SPARE` beside it.
    """
    if room.memory is not None and room.beside > room.memory:
        return (
            f"a new instance beside the old one needs about {room.beside >> 20} MiB of memory and "
            f"{room.memory >> 20} MiB are available; nothing was changed: free some, or use fewer workers"
        )
    if sent and room.disk is not None and 2 * sent + SPARE > room.disk:
        return (
            f"the plan needs about {2 * sent + SPARE >> 20} MiB of disk below /srv and {room.disk >> 20} MiB are "
            "free; nothing was changed: free some, or keep fewer releases"
        )
    return None


def _waiting(deferred: Deferred) -> str:
    return (
        f"{deferred.what} waits for {deferred.after}, which nothing left to do will bring; "
        "declare it in a role, or install it by hand"
    )


def _unsettled(change: Change[Resource]) -> str:
    keys = ", ".join(
        f"{key} is {(change.actual or {}).get(key)!r} and should be {(change.expected or {}).get(key)!r}"
        for key in change.keys
    )
    return (
        f"{change.resource.id} still differs after {PASSES} passes ({keys}); "
        "something on the host undoes the change, or two roles disagree"
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")
