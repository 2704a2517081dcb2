"""The only place that prints: events, tables and errors become text, a live display or JSON lines.

It decides how things look and nothing else; every byte passes one masking sink. rich is imported only for a
live display that really appears.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from deploy.errors import BarehostError
from deploy.report import lines
from deploy.report.mask import Mask
from deploy.report.sink import Sink, now
from deploy.shell import Secret, hear

if TYPE_CHECKING:
    from deploy.engine.events import Event, Report

__all__ = ["Reporter", "complain", "error", "mask_secrets", "reporter", "say", "summary", "table", "warning"]

_MASK = Mask()
hear(lambda secret: _MASK.add([secret]))


class Reporter(Protocol):
    """Shows a run. A context: what it draws is gone when it is left, also by an exception or ^C."""

    def __call__(self, event: Event) -> None:
        """Show one event; may be called from any thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self, reports: Sequence[Report]) -> None:
        """Print the summary; nothing is drawn live from then on."""


def reporter(
    *,
    json: bool = False,
    verbose: int = 0,
    diff: bool = False,
    stream: TextIO | None = None,
    hosts: Sequence[str],
) -> Reporter:
    """The reporter that suits where the output goes (stdout when ``stream`` is None).

    verbose: 1 shows steps and what they print, 2 their scripts too. diff: show unified diffs.
    hosts: all that will take part, in the order they are shown.
    """
    stream = stream or sys.stdout
    target = Sink(stream, _MASK, colour=_colourful(stream))
    if json:
        from deploy.report.jsonlines import JsonReporter

        return JsonReporter(target, verbose=verbose, diff=diff)
    if _terminal(stream):
        from deploy.report.live import LiveReporter

        return LiveReporter(target, verbose=verbose, diff=diff, hosts=hosts)
    from deploy.report.text import TextReporter

    return TextReporter(target, verbose=verbose, diff=diff, hosts=hosts)


def summary(reports: Sequence[Report], seconds: float) -> None:
    """The end of a run that had nothing to do and showed nothing on its way; first the remarks about its hosts.

    seconds: wall clock of the whole run.
    """
    planned = [(one.host, one.plan) for one in reports if one.plan is not None]
    if planned:
        from deploy.engine.events import Note, Planned

        with reporter(hosts=[one.host for one in reports]) as shown:
            for host, plan in planned:
                shown(Planned(host, plan, 1))
                for remark in plan.remarks:
                    shown(Note(host, remark))
            shown.close(reports)
        return
    total = [lines.total(reports, seconds)] if len(reports) > 1 else []
    _out(sys.stdout).lines([*lines.summary(reports, _MASK), *total])


def mask_secrets(secrets: Iterable[Secret]) -> None:
    """From now on nothing printed holds any of these; call it before anything that could print them."""
    _MASK.add(secrets)


def say(text: str, *, json: bool = False) -> None:
    """One line, or several, for people; as a ``message`` event for programs."""
    if json:
        _record({"event": "message", "text": text})
    else:
        _out(sys.stdout).lines([[(row, "")] for row in _MASK.block(text)])


def complain(text: str) -> None:
    """One line, or several, on stderr: what a command on a host wrote to its own."""
    _out(sys.stderr).lines([[(row, "")] for row in _MASK.block(text)])


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, json: bool = False) -> None:
    """Rows under their headers, in columns as wide as they need; a ``row`` event each for programs.

    None in a row shows as ``-``. Without any row it says ``none``.
    """
    values = list(rows)
    if json:
        for row in values:
            _record({"event": "row"} | dict(zip(headers, row, strict=True)))
        return
    if not values:
        say("none")
        return
    cells = [["-" if one is None else _MASK.data(str(one)) for one in row] for row in values]
    widths = [max(len(row[i]) for row in [list(headers), *cells]) for i in range(len(headers))]
    head, *body = (
        [f"{one:<{width}}" for one, width in zip(row, widths, strict=True)] for row in [headers, *cells]
    )
    styled = [[("  ".join(head).rstrip(), "bold")], *([("  ".join(row).rstrip(), "")] for row in body)]
    _out(sys.stdout).lines(styled)


def error(problem: BarehostError, *, json: bool = False) -> None:
    """Why nothing (more) is done: on stderr for people, an ``error`` event on stdout for programs."""
    if json:
        kind = type(problem).__name__
        _record({"event": "error", "kind": kind, "message": str(problem), "exit_code": problem.exit_code})
        return
    first, *rest = _MASK.block(str(problem))
    _out(sys.stderr).lines(
        [[("error: ", "red"), (first, "")], *([("       ", ""), (row, "")] for row in rest)]
    )


def warning(text: str) -> None:
    """Something that a person should know and that stops nothing: on stderr, so that programs read on."""
    first, *rest = _MASK.block(text)
    _out(sys.stderr).lines(
        [[("warning: ", "yellow"), (first, "")], *([("         ", ""), (row, "")] for row in rest)]
    )


def _record(values: dict[str, Any]) -> None:
    _out(sys.stdout).record({"event": values["event"], "time": now()} | values)


def _out(stream: TextIO) -> Sink:
    return Sink(stream, _MASK, colour=_colourful(stream))


def _terminal(stream: TextIO) -> bool:
    """A terminal that understands cursor movement."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _colourful(stream: TextIO) -> bool:
    return _terminal(stream) and not os.environ.get("NO_COLOR")
