"""Events as JSON, one object a line, for programs; prints nothing else and decides nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from msgspec.structs import asdict, replace

from deploy.engine.events import (
    Connecting,
    Event,
    Failure,
    Finished,
    Looking,
    Note,
    Planned,
    Report,
    Sending,
    StepFinished,
    StepOutput,
    StepStarted,
)
from deploy.report.mask import StepMask
from deploy.report.sink import Sink, now

NAMES: dict[type[Event], str] = {
    Connecting: "connecting",
    Looking: "looking",
    Planned: "planned",
    Sending: "sending",
    StepStarted: "step_started",
    StepOutput: "step_output",
    StepFinished: "step_finished",
    Note: "note",
    Finished: "finished",
}
"""Stable: programs read them. docs/output.md lists them and a test keeps the two equal."""

_EVERY = 0.5
"""Seconds between two ``sending`` events of one thing; its first and its last are always written."""


class JsonReporter:
    """Writes each event as it comes, and a ``summary`` at the end."""

    def __init__(self, sink: Sink, *, verbose: int, diff: bool) -> None:
        self._sink = sink
        self._verbose = verbose
        self._diff = diff
        self._lock = threading.Lock()
        self._masks: dict[str, StepMask] = {}
        self._sent: dict[tuple[str, str], float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to restore: nothing was drawn."""

    def __call__(self, event: Event) -> None:
        """Write ``event``; safe from any thread."""
        with self._lock:
            match event:
                case StepOutput(host, line):
                    self._output(host, self._mask(host).feed(line))
                case Sending() if not self._due(event):
                    pass
                case _:
                    if isinstance(event, StepStarted | StepFinished | Finished):
                        self._output(event.host, self._mask(event.host).flush())
                    self._record(NAMES[type(event)], event.host, self._values(event))

    def close(self, reports: Sequence[Report]) -> None:
        """Write the summary: every host's report."""
        with self._lock:
            hosts = [self._report(one) for one in reports]
            self._sink.record({"event": "summary", "time": now(), "hosts": hosts})

    def _values(self, event: Event) -> dict[str, Any]:
        match event:
            case Planned(_, plan, number, diffs):
                values = {"number": number, **plan.as_json()}
                return values | {"diffs": [asdict(one) for one in diffs]} if self._diff else values
            case Finished(_, report):
                return self._report(report)
            case StepStarted(_, label, number, count, script):
                values = {"label": label, "number": number, "count": count}
                return values | {"script": script} if self._verbose > 1 else values
        return asdict(event)

    def _report(self, report: Report) -> dict[str, Any]:
        """A report as plain values; its plan is left out, ``planned`` has told it."""
        values = asdict(replace(report, plan=None, seconds=round(report.seconds, 3)))
        del values["plan"]
        values["failures"] = [self._failure(one) for one in report.failures]
        values["concerns"] = [asdict(one) for one in report.concerns]
        values["failure"] = None if report.failure is None else self._failure(report.failure)
        return values

    def _failure(self, failure: Failure) -> dict[str, Any]:
        return asdict(failure) | {"output": self._sink.mask.output(failure.output)}

    def _mask(self, host: str) -> StepMask:
        return self._masks.setdefault(host, StepMask(self._sink.mask))

    def _output(self, host: str, lines: Sequence[str]) -> None:
        for line in lines:
            self._record("step_output", host, {"line": line})

    def _record(self, name: str, host: str, values: dict[str, Any]) -> None:
        self._sink.record({"event": name, "host": host, "time": now()} | values)

    def _due(self, event: Sending) -> bool:
        key, moment = (event.host, event.what), time.monotonic()
        if event.done < event.total and moment - self._sent.get(key, -_EVERY) < _EVERY:
            return False
        self._sent[key] = moment
        return True
