"""What happens during a run, as values: the engine makes them, report.py shows them. Pure data, all picklable."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from deploy.resource import Concern

if TYPE_CHECKING:
    from deploy.engine.plan import Plan


class Failure(Struct, frozen=True):
    """Why a host's run failed, for one block on the screen.

    message: the one sentence. resource: id of what was being changed, None when it was no resource's fault.
    scope: the part of the host that failed; None: the host, and its run ended there.
    command: the label of the step. script: what ran. exit_code: its own. output: its last lines.
    stands: what is true on the host now ("the files were put back").
    advice: what to do next. exit_code_of_run: what the process will exit with (docs/exit-codes.md).
    """

    message: str
    exit_code_of_run: int
    resource: str | None = None
    command: str | None = None
    script: str | None = None
    exit_code: int | None = None
    output: tuple[str, ...] = ()
    stands: str | None = None
    advice: str | None = None
    scope: str | None = None


class Result(StrEnum):
    """How a run ended for one host."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    PLANNED = "planned"  # a plan only
    FAILED = "failed"
    SKIPPED = "skipped"  # never started
    STAGED = "staged"  # of a release over a fleet: not switched, for another host failed
    REVERTED = "reverted"  # of a release over a fleet: switched, and back


class Report(Struct, frozen=True):
    """How one host's run ended. Picklable.

    changed: ids of what was changed, in order. passes: how often it was looked at after a change, plus one.
    seconds: wall clock, connect included. round_trips: requests that waited for an answer.
    sent, received: payload bytes. urls: what the host serves, as proven.
    failures: what failed: the host, or some of its scopes while the others are as they should be.
    concerns: what a person should know of the state that the run has left.
    """

    host: str
    outcome: Result
    changed: tuple[str, ...] = ()
    plan: Plan | None = None
    seconds: float = 0.0
    passes: int = 0
    round_trips: int = 0
    sent: int = 0
    received: int = 0
    urls: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    concerns: tuple[Concern, ...] = ()

    @property
    def failure(self) -> Failure | None:
        """What the exit code is made of: the host's failure, else that of the first scope; None: all is well."""
        whole = (one for one in self.failures if one.scope is None)
        return next(whole, next(iter(self.failures), None))


class Event(Struct, frozen=True):
    """Something that happened on ``host`` (its inventory name)."""

    host: str


class Connecting(Event, frozen=True):
    """The connection is being opened."""


class Looking(Event, frozen=True):
    """The host is being looked at; number counts from 1."""

    number: int


class Planned(Event, frozen=True):
    """A look was compared with what is expected. Shown for the first look; later ones add what was unknown."""

    plan: Plan
    number: int
    diffs: tuple[Diff, ...] = ()


class Diff(Struct, frozen=True):
    """Old and new content of one file, for --diff; None: absent. Secret content never gets here."""

    path: str
    old: str | None
    new: str | None


class Sending(Event, frozen=True):
    """Bytes on their way: done of total (before compression)."""

    what: str
    done: int
    total: int


class StepStarted(Event, frozen=True):
    """A step began: number of count. script: what it runs, for -vv; None when it runs nothing of ours."""

    label: str
    number: int
    count: int
    script: str | None = None


class StepOutput(Event, frozen=True):
    """One line that the running step printed."""

    line: str


class StepFinished(Event, frozen=True):
    """The step ended with this exit code."""

    label: str
    exit_code: int
    seconds: float


class Note(Event, frozen=True):
    """Something a person should know; not a failure."""

    text: str


class Finished(Event, frozen=True):
    """The host is done, well or not."""

    report: Report = field(default_factory=lambda: Report("", Result.SKIPPED))


Emit = Callable[[Event], None]
"""Where events go. Called from the host's own thread; must be quick and thread-safe."""
