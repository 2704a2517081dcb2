"""Events as lines of plain text, each with its host in front: what a log, a pipe or a dumb terminal gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from deploy.engine.events import (
    Diff,
    Event,
    Finished,
    Note,
    Planned,
    Report,
    Sending,
    StepFinished,
    StepOutput,
    StepStarted,
)
from deploy.report import lines, words
from deploy.report.lines import Line
from deploy.report.mask import StepMask
from deploy.report.sink import Sink

if TYPE_CHECKING:
    from deploy.engine.plan import Plan


class TextReporter:
    """One line per event that matters; the live display builds on it and keeps more for itself.

    clock: seconds, monotonic.
    """

    steps_are_news = True
    """Whether a step that starts is worth a line: on a live display it has its place already."""

    def __init__(
        self,
        sink: Sink,
        *,
        verbose: int,
        diff: bool,
        hosts: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._verbose = verbose
        self._diff = diff
        self._hosts = tuple(hosts)
        self._clock = clock
        self._began = clock()
        self._lock = threading.RLock()
        self._step_masks: dict[str, StepMask] = {}
        self._known: dict[str, set[Any]] = {}
        self._first: dict[Any, str] = {}
        self._failed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to restore: lines stay."""

    def __call__(self, event: Event) -> None:
        """Show ``event``; safe from any thread."""
        with self._lock:
            self._show(event)

    def close(self, reports: Sequence[Report]) -> None:
        """The end: failures not shown yet, a line per host, and the sum when there are several."""
        with self._lock:
            for report in reports:
                self._show_failure(report)
            rows = lines.summary(reports, self._sink.mask)
            if len(reports) > 1:
                rows.append(lines.total(reports, self._clock() - self._began))
            self._end(rows)

    def _show(self, event: Event) -> None:
        match event:
            case Planned(host, plan, number, diffs):
                self._show_plan(host, plan, number, diffs)
            case Sending(host, what, done, total) if done >= total:
                self._news(host, [(f"sent {self._data(what)}, {words.size(total)}", "")])
            case StepStarted(host, label, number, count, script):
                self._news(host, [(f"{number}/{count} ", "dim"), (self._data(label), "")])
                if script is not None and self._verbose > 1:
                    self._quote(host, self._sink.mask.block(script))
            case StepOutput(host, line):
                self._show_output(host, self._mask(host).feed(line))
            case StepFinished(host, label, exit_code, seconds):
                self._show_output(host, self._mask(host).flush())
                if self._verbose:
                    ended = f"exit code {exit_code} after " if exit_code else ""
                    line = f"{self._data(label)}: {ended}{words.seconds(seconds)}"
                    self._event(host, [(line, "red" if exit_code else "dim")])
            case Note(host, text):
                self._event(host, [(row, "") for row in self._sink.mask.block(text)])
            case Finished(host, report):
                self._show_output(host, self._mask(host).flush())
                self._show_finished(host, report)

    def _show_plan(self, host: str, plan: Plan, number: int, diffs: Sequence[Diff]) -> None:
        """The whole plan at the first look, then only what was not shown before."""
        known = self._known.setdefault(host, set())
        news = not_shown(plan, known)
        known.update(facets(plan))
        if not news or (number > 1 and not news.changes):
            return  # quiet: the summary says that there was nothing to change
        self._announce(host, news, diffs, later=number > 1)

    def _announce(self, host: str, plan: Plan, diffs: Sequence[Diff], *, later: bool) -> None:
        self._show_group([host], plan, diffs, later=later)

    def _show_group(self, hosts: Sequence[str], plan: Plan, diffs: Sequence[Diff], *, later: bool) -> None:
        """A plan in full once; for later hosts that have the same, only who had it first."""
        changes = words.count(len(plan.changes), "change") if plan.changes else "nothing to change"
        first = self._first.setdefault(self._key(plan, diffs), hosts[0])
        if first != hosts[0]:
            header: Line = [(f"the same {changes}" if plan.changes else changes, "bold")]
            self._block(hosts, [*header, (f" as {self._data(first)}", "")], [])
        elif later:
            more = f"{len(plan.changes)} more {'change' if len(plan.changes) == 1 else 'changes'}"
            self._block(hosts, [(more, "bold"), (", known now", "")], self._body(plan, diffs))
        else:
            same = "the same " if len(hosts) > 1 and plan.changes else ""
            self._block(hosts, [(f"{same}{changes}", "bold")], self._body(plan, diffs))

    def _key(self, plan: Plan, diffs: Sequence[Diff]) -> Any:
        return frozenset(facets(plan)), tuple(diffs) if self._diff else ()

    def _body(self, plan: Plan, diffs: Sequence[Diff]) -> list[Line]:
        body = lines.plan_body(plan, self._sink.mask, width=self._width(), verbose=self._verbose)
        for diff in diffs if self._diff else ():
            body += lines.diff_lines(diff, self._sink.mask)
        return body

    def _show_output(self, host: str, rows: Sequence[str]) -> None:
        if self._verbose:
            self._quote(host, rows)

    def _show_finished(self, host: str, report: Report) -> None:
        self._show_failure(report)
        if len(self._hosts) > 1 and report.failure is None:
            self._event(host, [(words.outcome(report), ""), (f" · {words.seconds(report.seconds)}", "dim")])

    def _show_failure(self, report: Report) -> None:
        if report.failures and report.host not in self._failed:
            self._failed.add(report.host)
            for failure in report.failures:
                body = lines.failure_body(failure, self._sink.mask, verbose=self._verbose)
                what = f"{self._data(failure.scope)} failed" if failure.scope else "failed"
                self._block([report.host], [(what, "red")], body)

    def _news(self, host: str, line: Line) -> None:
        if self.steps_are_news or self._verbose:
            self._event(host, line)

    def _quote(self, host: str, rows: Sequence[str]) -> None:
        for row in rows:
            self._event(host, [("  ", ""), (row, "dim")])

    def _event(self, host: str, line: Line) -> None:
        self._write([[(f"{self._data(host)} | ", "dim"), *line]])

    def _block(self, hosts: Sequence[str], header: Line, body: Sequence[Line]) -> None:
        for host in hosts:
            for line in [header, *([("  ", ""), *row] for row in body)]:
                self._event(host, line)

    def _end(self, rows: Sequence[Line]) -> None:
        self._write(rows)

    def _write(self, rows: Sequence[Line]) -> None:
        self._sink.lines(rows)

    def _width(self) -> int | None:
        """Columns to fit a plan into; None when nobody's screen sets a limit."""
        return None

    def _data(self, text: str) -> str:
        return self._sink.mask.data(text)

    def _mask(self, host: str) -> StepMask:
        return self._step_masks.setdefault(host, StepMask(self._sink.mask))


def facets(plan: Plan) -> set[Any]:
    """Everything a plan says, as values that can be compared; plans with equal facets look the same."""
    found: set[Any] = {
        (
            one.resource.id,
            one.action,
            tuple((key, (one.actual or {}).get(key), (one.expected or {}).get(key)) for key in one.keys),
        )
        for one in plan.changes
    }
    found |= {("known after", one.what, one.until) for one in plan.deferred}
    return found | {("unfinished", plan.unfinished)}


def not_shown(plan: Plan, known: set[Any]) -> Plan:
    """The part of ``plan`` whose facets are not in ``known``."""
    if not known:
        return plan
    changes = tuple(one for one in plan.changes if facets(type(plan)(plan.host, (one,))) - known)
    return type(plan)(plan.host, changes)
