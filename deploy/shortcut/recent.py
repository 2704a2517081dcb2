"""A host whose last look still counts for a moment, so that stages that follow each other closely look once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from deploy.engine.events import Emit
from deploy.engine.look import Look, Room
from deploy.engine.plan import Plan
from deploy.engine.reach import Outcome, Reach
from deploy.resource import Phase, Resource
from deploy.shell import Script

RECENT = 5.0
"""Seconds in which nobody but the run that holds a host is expected to change it."""


@dataclass
class Recent:
    """A :class:`deploy.engine.remote.Reach` that answers one question of what was just seen.

    What proves that a host is staged is so what its switch starts from. Whatever changes the host makes the next
    look a new one: a switch is always proven by a look after it.
    """

    reach: Reach
    seen: tuple[Sequence[Resource], Look, float] | None = None

    def look(self, resources: Sequence[Resource]) -> Look:
        seen, self.seen = self.seen, None
        if seen is not None and seen[0] == resources and monotonic() - seen[2] < RECENT:
            return seen[1]
        look = self.reach.look(resources)
        self.seen = resources, look, monotonic()
        return look

    def apply(
        self,
        plan: Plan,
        about: str,
        emit: Emit,
        through: Phase = Phase.LEAVE,
        then: Sequence[Resource] = (),
    ) -> Outcome:
        self.seen = None
        return self.reach.apply(plan, about, emit, through, then)

    def attach(self, run: str, emit: Emit) -> Outcome:
        self.seen = None
        return self.reach.attach(run, emit)

    def lock(self, about: str) -> str | None:
        self.seen = None
        return self.reach.lock(about)

    def unlock(self) -> None:
        self.seen = None
        self.reach.unlock()

    def room(self, beside: Sequence[Script]) -> Room:
        return self.reach.room(beside)

    def fetch(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        return self.reach.fetch(paths)

    def alive(self) -> None:
        self.reach.alive()

    def close(self) -> None:
        self.reach.close()

    @property
    def round_trips(self) -> int:
        return self.reach.round_trips

    @property
    def sent(self) -> int:
        return self.reach.sent

    @property
    def received(self) -> int:
        return self.reach.received
