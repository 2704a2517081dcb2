"""Reads the log of an apply as it grows: steps that begin and end, and what they print. Sends nothing."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from time import monotonic

from msgspec.structs import replace

from deploy.engine.apply import Numbered, Program
from deploy.engine.events import Emit, Note, StepFinished, StepOutput, StepStarted
from deploy.engine.reach import Broken, Ending, Outcome
from deploy.errors import ApplyError
from deploy.shell import sh
from deploy.transport import Reply
from deploy.transport.session import each


@dataclass
class Follower:
    """Reads an apply's log: events become steps, the rest is output of the step that runs."""

    host: str
    nonce: str | None
    program: Program | None
    emit: Emit
    outcome: Ending = Ending.LOST
    holder: str | None = None
    switched: bool = False
    services: bool = False
    broken: list[Broken] = field(default_factory=list)
    failed: Broken | None = None
    restored: bool = False
    proven: set[str] = field(default_factory=set)
    output: list[str] = field(default_factory=list)
    began: float = 0.0
    running: bool = False
    blank: bool = False
    label: str = ""
    """Of the step that runs, as the log has it: of a run that another command began, nothing else is known."""

    def follow(self, stream: Generator[bytes, None, Reply]) -> Outcome:
        """Read to the end. Raises ApplyError when it could not begin, for another reason than another apply."""
        reply = each(stream, self._line)
        if reply.rc != 0 and self.outcome is Ending.LOST:
            message = reply.stderr.decode(errors="replace").strip() or f"exit code {reply.rc}"
            raise ApplyError(
                f"{self.host}: the apply could not be started, so nothing was changed: {message}"
            )
        return Outcome(self.outcome, tuple(self.broken), tuple(self.output), self.holder)

    def _line(self, line: str) -> None:
        if line.startswith("\x1e"):
            self._event(line[1:].split(" "))
            self.blank = False
            return
        if self.blank:
            self._print("")
        self.blank = line == ""
        if not self.blank:
            self._print(line)

    def _event(self, words: list[str]) -> None:
        nonce, kind, *rest = words
        if self.nonce is not None and nonce != self.nonce:
            raise ApplyError(
                f"{self.host}: the run's log is not its own (wrong mark); look at it on the host"
            )
        if kind == "begin":
            self._begin(int(rest[0]), " ".join(rest[1:]))
        elif kind == "end":
            self._end(int(rest[0]), int(rest[1]))
        elif kind == "note":
            self.emit(Note(self.host, " ".join(rest)))
        elif kind == "lost":
            self._broken(self._scope(int(rest[0])))
        elif kind == "restored" and rest:
            self.broken[-1] = replace(self.broken[-1], restored=True)
        elif kind == "restored":
            self.restored = self.switched  # else it was an earlier run's, undone before this one began
        elif kind == "switched":
            self.switched = True
        elif kind == "services":
            self.services = True
        elif kind == "finished":
            self.outcome = Ending(rest[0])
            if self.outcome is Ending.FAILED:
                self._broken("")
        elif kind == "locked":
            self.outcome, self.holder = Ending.LOCKED, " ".join(rest)

    def _scope(self, number: int) -> str:
        return self.program.scopes[number] if self.program is not None else str(number)

    def _broken(self, scope: str) -> None:
        """What has just failed was the end of ``scope``; an empty one is the host."""
        failed = self.failed or Broken(output=tuple(self.output))
        self.failed = None
        self.broken.append(
            replace(
                failed,
                scope=scope,
                restored=self.restored if not scope else False,
                proven=scope in self.proven,
                services=self.services,
            )
        )

    def _step(self, number: int) -> Numbered:
        if self.program is not None:
            return self.program.steps[number]
        return Numbered(self.label, sh(":"), 0)

    def _begin(self, number: int, label: str) -> None:
        self.output.clear()
        self.label = label
        self.began, self.running = monotonic(), True
        count = len(self.program.steps) if self.program is not None else number + 1
        step = self._step(number)
        self.emit(StepStarted(self.host, step.label, number + 1, count, step.script or None))

    def _end(self, number: int, code: int) -> None:
        step = self._step(number)
        self.running = False
        if code != 0:
            self.failed = Broken(step=step, exit_code=code, output=tuple(self.output))
        elif step.proves:
            self.proven.add(step.scope)
        self.emit(StepFinished(self.host, step.label, code, monotonic() - self.began))

    def _print(self, line: str) -> None:
        self.output.append(line)
        del self.output[:-200]
        if self.running:
            self.emit(StepOutput(self.host, line))
