"""A host in a dictionary: it looks and applies as the engine expects of a real one, and can fail in its ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from deploy.engine.apply import Numbered
from deploy.engine.events import Emit, StepFinished, StepOutput, StepStarted
from deploy.engine.look import Look
from deploy.engine.plan import Plan
from deploy.engine.reach import Broken, Ending, Outcome
from deploy.engine.room import Room
from deploy.errors import HostError
from deploy.facts import Facts
from deploy.resource import Change, Deferred, Phase, Resource, State, Step
from deploy.shell import Command, Script, sh

BARE = Facts(os="debian", version="12", codename="bookworm", arch="amd64", hostname="web1", cores=2)


@dataclass(frozen=True)
class Thing(Resource):
    """A resource of any phase whose whole state is one value."""

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "thing"

    name: str
    value: str = "new"
    at: Phase = Phase.BUILD
    wanted: bool = True

    @property
    def id(self) -> str:
        return f"thing:{self.name}"

    def __post_init__(self) -> None:
        self.__dict__["when"] = self.at

    def expected(self) -> State | None:
        return {"value": self.value} if self.wanted else None

    @classmethod
    def probe(cls, resources: Sequence[Resource]) -> Script:
        return sh("printf '%s\\n' @{names}", names=[one.id for one in resources])

    @classmethod
    def parse(cls, resources: Sequence[Resource], output: bytes) -> dict[str, State | None]:
        told = output.decode().splitlines()
        return {one.id: {"value": "there"} if one.id in told else None for one in resources}

    @classmethod
    def steps(cls, changes: Sequence[Change]) -> Iterator[Step]:
        for change in changes:
            yield Command(f"make {change.resource.id}", sh("echo @{id}", id=change.resource.id))


@dataclass
class FakeHost:
    """Implements :class:`deploy.engine.remote.Reach` over a dictionary.

    brings: facts that change once a resource of that id was applied. stubborn: ids that an apply leaves as
    they are. breaks_at, lost_at: id whose step fails, or at which the host ends the run. under_way: runs that
    are found running, one a look. late: how often another apply is first, which does what this one was to do.
    held_by: who holds its lock, None: nobody. dies_at: the call at which the
    connection goes, for good. calls: what was asked, in order. endings: how its own log has each apply that ended.
    """

    states: dict[str, State] = field(default_factory=dict)
    facts: Facts = BARE
    brings: Mapping[str, Callable[[Facts], Facts]] = field(default_factory=dict)
    stubborn: frozenset[str] = frozenset()
    breaks_at: str | None = None
    lost_at: str | None = None
    late: int = 0
    under_way: list[str] = field(default_factory=list)
    unfinished: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    held_by: str | None = None
    dies_at: str | None = None
    locked: bool = False
    goes_back: str | None = None
    armed: bool = False
    calls: list[str] = field(default_factory=list)
    abouts: list[str] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    round_trips: int = 0
    sent: int = 0
    received: int = 0

    def look(self, resources: Sequence[Resource]) -> Look:
        self._asked("look")
        asked = [one for one in resources if not isinstance(one, Deferred)]
        running = self.under_way[0] if self.under_way else None
        return Look(
            self.facts,
            {one.id: self.states.get(one.id) for one in asked},
            unfinished=self.unfinished,
            armed=self.armed,
            running=running,
            holder="ada@desk provision" if running else None,
        )

    def room(self, beside: Sequence[Script]) -> Room:
        self._asked("room")
        return Room()

    def attach(self, run: str, emit: Emit) -> Outcome:
        self._asked(f"attach {run}")
        self.under_way.remove(run)
        return Outcome(Ending.DONE)

    def lock(self, about: str) -> str | None:
        self._asked("lock")
        if self.held_by is None:
            self.locked = True
        return self.held_by

    def unlock(self) -> None:
        self._asked("unlock")
        self.locked = False

    def alive(self) -> None:
        self._asked("alive")

    def close(self) -> None:
        self.locked = False
        self.calls.append("close")

    def fetch(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        self._asked(f"fetch {' '.join(paths)}")
        return {path: self.files.get(path) for path in paths}

    def confirm(self) -> str | None:
        self._asked("confirm")
        self.armed, self.unfinished = False, None
        return self.goes_back

    def apply(
        self,
        plan: Plan,
        about: str,
        emit: Emit,
        through: Phase = Phase.LEAVE,
        *,
        partly: bool = False,
        guarded: bool = False,
    ) -> Outcome:
        changes = [change for change in plan.changes if change.resource.when <= through]
        self._asked("apply " + " ".join(change.resource.id.partition(":")[2] for change in changes))
        if self.late:
            self.late -= 1
            self.under_way.append("theirs")
            for change in changes:
                self._set(change)
            return Outcome(Ending.LOCKED, holder="bob@desk provision holds the host since 2026")
        self.abouts.append(about)
        self.unfinished = None
        before = dict(self.states)
        broken: dict[str, Broken] = {}
        for number, change in enumerate(changes, 1):
            id, scope = change.resource.id, change.resource.scope
            if scope in broken:
                continue
            step = Numbered(f"make {id}", Script("false"), 60, id)
            emit(StepStarted(plan.host, step.label, number, len(changes)))
            if id == self.lost_at:
                self.unfinished = "2026-11-23 09:00:00" if change.resource.when >= Phase.FILES else None
                return Outcome(Ending.LOST, (*broken.values(),), ("Killed",))
            if id == self.breaks_at:
                emit(StepOutput(plan.host, "no space left"))
                emit(StepFinished(plan.host, step.label, 7, 0.1))
                failed = self._failed(step, change, changes, before)
                if not scope:
                    return Outcome(Ending.FAILED, (*broken.values(), failed))
                broken[scope] = failed
                continue
            emit(StepFinished(plan.host, step.label, 0, 0.1))
            self._set(change)
        whole = Ending.PARTLY if partly else Ending.DONE
        ending = Ending.PARTLY if broken else Ending.HELD if guarded else whole
        self.endings.append(ending)
        return Outcome(ending, (*broken.values(),))

    def _failed(
        self, step: Numbered, change: Change, changes: Sequence[Change], before: Mapping[str, State]
    ) -> Broken:
        """Files go back when they, or the units proven with them, fail; everything else stays."""
        scope = change.resource.scope
        restored = change.resource.when in (Phase.FILES, Phase.UNITS)
        if restored:
            for one in changes:
                if one.resource.when is Phase.FILES and scope in ("", one.resource.scope):
                    self._put(one.resource.id, before.get(one.resource.id))
        return Broken(scope, step, 7, ("no space left",), restored)

    def _set(self, change: Change) -> None:
        id = change.resource.id
        if id not in self.stubborn:
            self._put(id, change.expected)
        if id in self.brings:
            self.facts = self.brings[id](self.facts)

    def _put(self, id: str, state: State | None) -> None:
        if state is None:
            self.states.pop(id, None)
        else:
            self.states[id] = state

    def _asked(self, what: str) -> None:
        self.round_trips += 1
        self.calls.append(what)
        if self.dies_at is not None and what.startswith(self.dies_at):
            self.dies_at = ""
            raise HostError("the connection was lost")
