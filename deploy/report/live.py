"""The live display: a line per host with its step and progress, everything lasting printed above it.

rich is imported when the display first appears, and it appears only when a run takes longer than a moment.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from deploy.engine.events import (
    Connecting,
    Diff,
    Event,
    Finished,
    Looking,
    Report,
    Sending,
    StepStarted,
)
from deploy.report import words
from deploy.report.lines import Line
from deploy.report.progress import Progress
from deploy.report.sink import Sink, masked
from deploy.report.text import TextReporter

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from deploy.engine.plan import Plan

APPEARS_AFTER = 0.4
"""Seconds; a run that ends sooner leaves only its lines, without a flash, and does not pay for rich (80 ms)."""
_TICK = 0.125
"""Seconds between two drawings."""
_GATHER = 0.5
"""Seconds a plan waits for other hosts' plans, to be shown once for all that have the same."""
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass
class Row:
    """What one host is doing. since: when that began, None while the host waits for its turn."""

    host: str
    text: str = "waiting"
    count: str = ""
    progress: Progress = field(default_factory=Progress)
    since: float | None = None
    report: Report | None = None


@dataclass
class Waiting:
    """Plans that say the same, and who has them. since: when the first of them came."""

    plan: Plan
    diffs: Sequence[Diff]
    hosts: list[str]
    since: float


class LiveReporter(TextReporter):
    """Text for a terminal: coloured blocks above, a redrawn region below, gone when the run is over."""

    steps_are_news = False

    def __init__(self, sink: Sink, **options: Any) -> None:
        super().__init__(sink, **options)
        self._rows = {host: Row(host) for host in self._hosts}
        self._waiting: dict[Any, Waiting] = {}
        self._live: Live | None = None
        self._spoke = self._after_block = False
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="live display", daemon=True)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever happened: plans that waited are shown, the region is gone, the cursor is back."""
        try:
            with self._lock:
                self._flush_plans()
        finally:
            self._stop()

    def close(self, reports: Sequence[Report]) -> None:
        with self._lock:
            self._flush_plans()
        self._stop()
        super().close(reports)

    def _end(self, rows: Sequence[Line]) -> None:
        self._gap()
        super()._end(rows)

    def _stop(self) -> None:
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()

    # What the rows say

    def _show(self, event: Event) -> None:
        row = self._rows.setdefault(event.host, Row(event.host))
        match event:
            case Connecting():
                self._turn(row, "connecting")
            case Looking(_, number):
                self._turn(row, "looking" if number == 1 else "looking again")
            case Sending(_, what, done, total):
                if row.text != (text := f"sending {self._data(what)}"):
                    self._turn(row, text)
                row.progress.text = (
                    f"{100 * done // max(total, 1)} %, {words.size(done)} of {words.size(total)}"
                )
            case StepStarted(_, label, number, count):
                self._turn(row, self._data(label), f"{number}/{count}")
            case Finished(_, report):
                row.report = report
        super()._show(event)

    def _turn(self, row: Row, text: str, count: str = "") -> None:
        row.text, row.count, row.progress = text, count, Progress()
        row.since = row.since if row.since is not None else self._clock()

    def _show_finished(self, host: str, report: Report) -> None:
        """Its row and the summary say how it ended; above the region only a failure is news."""
        self._show_failure(report)

    def _show_output(self, host: str, rows: Sequence[str]) -> None:
        for row in rows:
            self._rows[host].progress.feed(row)
        super()._show_output(host, rows)

    # Plans, gathered

    def _announce(self, host: str, plan: Plan, diffs: Sequence[Diff], *, later: bool) -> None:
        if later or len(self._hosts) < 2:
            self._show_group([host], plan, diffs, later=later)
            return
        waiting = self._waiting.setdefault(self._key(plan, diffs), Waiting(plan, diffs, [], self._clock()))
        waiting.hosts.append(host)
        if sum(len(one.hosts) for one in self._waiting.values()) == len(self._hosts):
            self._flush_plans()

    def _flush_plans(self, older_than: float = 0) -> None:
        now = self._clock()
        for key, group in list(self._waiting.items()):
            if now - group.since >= older_than:
                del self._waiting[key]
                hosts = [host for host in self._rows if host in group.hosts]
                self._show_group(hosts, group.plan, group.diffs, later=False)

    # Where it goes

    def _event(self, host: str, line: Line) -> None:
        self._flush_if_waiting(host)
        if self._after_block:
            self._gap()
            self._after_block = False
        super()._event(host, line)

    def _block(self, hosts: Sequence[str], header: Line, body: Sequence[Line]) -> None:
        for host in hosts:
            self._flush_if_waiting(host)
        who = self._data(words.names(hosts))
        self._gap()
        self._write([[(f"{who}  ", "bold"), *header], *([("  ", ""), *row] for row in body)])
        self._after_block = bool(body)

    def _gap(self) -> None:
        """An empty line between blocks; none above the first."""
        if self._spoke:
            self._write([[]])

    def _flush_if_waiting(self, host: str) -> None:
        """A host's plan stands above anything else it says."""
        if any(host in group.hosts for group in self._waiting.values()):
            self._flush_plans()

    def _write(self, rows: Sequence[Line]) -> None:
        self._spoke = True
        if self._live is None:
            super()._write(rows)
        elif rows:
            from rich.text import Text

            text = Text("\n").join(assembled(masked(row, self._sink.mask)) for row in rows)
            self._live.console.print(text, soft_wrap=True, highlight=False)

    def _width(self) -> int | None:
        return shutil.get_terminal_size().columns

    # The region

    def _tick(self) -> None:
        if self._over.wait(APPEARS_AFTER):
            return
        import rich.live

        while True:
            with self._lock:
                if self._over.is_set():
                    return
                self._flush_plans(_GATHER)
                self._draw(rich.live.Live)
            self._over.wait(_TICK)

    def _draw(self, live: type[Live]) -> None:
        if self._live is None:
            self._live = live(console=_console(self._sink), auto_refresh=False, transient=True)
            self._live.start()
        width, height = shutil.get_terminal_size()
        rows = self._region(width, max(1, min(height - 2, 30)))
        self._live.update(rows, refresh=True)

    def _region(self, width: int, height: int) -> Text:
        """The hosts at work first, then those done, then those waiting; what has no room is counted."""
        from rich.text import Text

        busy = [row for row in self._rows.values() if row.since is not None and row.report is None]
        done = [row for row in self._rows.values() if row.report is not None]
        idle = [row for row in self._rows.values() if row.since is None and row.report is None]
        ordered = [*busy, *done, *idle]
        shown = ordered if len(ordered) <= height else ordered[: height - 1]
        widest = max((len(self._data(row.host)) for row in shown), default=0)
        rows = [assembled(masked(self._line(row, widest), self._sink.mask)) for row in shown]
        if len(shown) < len(ordered):
            hidden = len(ordered) - len(shown)
            rows.append(Text(f"  and {hidden} more: {len(done)} done, {len(idle)} waiting in all", "dim"))
        for row in rows:
            row.no_wrap, row.overflow = True, "ellipsis"
            row.truncate(width - 1, overflow="ellipsis")
        return Text("\n", no_wrap=True, overflow="ellipsis").join(rows)

    def _line(self, row: Row, widest: int) -> Line:
        host = f"{self._data(row.host):<{widest}}  "
        if row.report is not None:
            failed = row.report.failure is not None
            mark = ("✗ ", "red") if failed else ("✓ ", "green")
            return [mark, (host, "bold"), (words.outcome(row.report), "dim")]
        if row.since is None:
            return [("  ", ""), (host, "bold"), (row.text, "dim")]
        elapsed = self._clock() - row.since
        line: Line = [(_FRAMES[int(elapsed / _TICK) % len(_FRAMES)] + " ", "cyan"), (host, "bold")]
        line += [
            (f"{int(elapsed):>3} s  ", "dim"),
            (f"{row.count} " if row.count else "", "dim"),
            (row.text, ""),
        ]
        return [*line, (f"  {row.progress.text}" if row.progress.text else "", "dim")]


def assembled(line: Line) -> Text:
    """A line as rich's text: data stays data, no markup is read from it."""
    from rich.text import Text

    return Text.assemble(*((text, style) for text, style in line if text))


def _console(sink: Sink) -> Any:
    from rich.console import Console

    return Console(
        file=sink,  # type: ignore[arg-type]  # it has all that rich uses of a file
        force_terminal=True,
        color_system="standard" if sink.colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
