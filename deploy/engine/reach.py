"""What the engine needs of a host, and how an apply ended there. Only a contract: connects to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from deploy.engine.apply import Numbered
from deploy.engine.events import Emit
from deploy.engine.look import Look, Room
from deploy.engine.plan import Plan
from deploy.resource import Phase, Resource
from deploy.shell import Script


class Outcome(Struct, frozen=True):
    """How an apply ended on the host.

    outcome: ``done``, ``failed``, or ``lost`` when the host ended it (out of memory, a reboot).
    failed: the step that failed. output: what it printed. restored: the files phase was taken back.
    """

    outcome: str
    failed: Numbered | None = None
    exit_code: int | None = None
    output: tuple[str, ...] = ()
    restored: bool = False


class Reach(Protocol):
    """What the engine needs of a host; the real one is :class:`Remote`, the unit tests' keeps a dictionary."""

    @property
    def round_trips(self) -> int: ...
    @property
    def sent(self) -> int: ...
    @property
    def received(self) -> int: ...

    def look(self, resources: Sequence[Resource]) -> Look: ...
    def room(self, beside: Sequence[Script]) -> Room: ...
    def apply(
        self,
        plan: Plan,
        about: str,
        emit: Emit,
        through: Phase = Phase.LEAVE,
        then: Sequence[Resource] = (),
    ) -> Outcome: ...
    def attach(self, run: str, emit: Emit) -> Outcome: ...
    def fetch(self, paths: Sequence[str]) -> dict[str, bytes | None]: ...
    def lock(self, about: str) -> str | None: ...
    def unlock(self) -> None: ...
    def alive(self) -> None: ...
    def close(self) -> None: ...
