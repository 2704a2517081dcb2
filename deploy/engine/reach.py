"""What the engine needs of a host, and how an apply ended there. Only a contract: connects to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from deploy.engine.apply import Numbered
from deploy.engine.events import Emit
from deploy.engine.look import Look
from deploy.engine.plan import Plan
from deploy.engine.room import Room
from deploy.resource import Phase, Resource
from deploy.shell import Script


class Broken(Struct, frozen=True):
    """What failed of an apply: one scope, or (with an empty one) the host, which ends it.

    step: None where it was no step's. output: what it printed. restored: files that had taken their places were
    put back. proven: what the scope brought had been proven before, and stays. services: so had what this apply
    did to services.
    """

    scope: str = ""
    step: Numbered | None = None
    exit_code: int | None = None
    output: tuple[str, ...] = ()
    restored: bool = False
    proven: bool = False
    services: bool = False


class Ending(StrEnum):
    """How an apply ended; the host's own words, but for the last two."""

    DONE = "done"
    PARTLY = "partly"  # scopes failed, the others are done
    FAILED = "failed"
    LOST = "lost"  # the host ended it: out of memory, a reboot
    HELD = "held"  # a guarded change is made, and goes back unless somebody logs in anew
    LOCKED = "locked"  # it did not begin: another one holds the host


class Outcome(Struct, frozen=True):
    """How an apply ended on the host. broken: what failed, in order. output: what was printed last.

    holder: who holds the host since when, where that kept it from beginning.
    """

    outcome: Ending
    broken: tuple[Broken, ...] = ()
    output: tuple[str, ...] = ()
    holder: str | None = None


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
        *,
        partly: bool = False,
        guarded: bool = False,
    ) -> Outcome: ...
    def confirm(self) -> str | None: ...
    def attach(self, run: str, emit: Emit) -> Outcome: ...
    def fetch(self, paths: Sequence[str]) -> dict[str, bytes | None]: ...
    def lock(self, about: str) -> str | None: ...
    def unlock(self) -> None: ...
    def alive(self) -> None: ...
    def close(self) -> None: ...
