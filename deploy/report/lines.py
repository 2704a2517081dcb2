"""Events as lines of styled text: plans, diffs, failures, summaries. Pure; writes nothing anywhere.

A line is a list of spans, a span is a text and the name of its style. Data passes the mask before it is
shortened or put in columns, since half a secret would not be recognised any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from deploy.report import words
from deploy.report.mask import Mask

if TYPE_CHECKING:
    from deploy.engine.events import Diff, Failure, Report
    from deploy.engine.plan import Plan
    from deploy.resource import Change, Resource, Value

Span = tuple[str, str]
Line = list[Span]

_SIGNS = {"create": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}
_LAST = 20
"""Lines of a failed step's output that are shown without -v."""
_TOO_LONG = 20_000
"""Lines, old and new together, from which on no unified diff is computed: difflib would take seconds."""


def plan_body(plan: Plan, mask: Mask, *, width: int | None, verbose: int) -> list[Line]:
    """What will be undone first, a line per change, what is not known yet.

    width: columns; what differs goes on lines of its own where it would not fit beside the name. None: no limit.
    """
    body: list[Line] = []
    if plan.unfinished:
        body.append([("! ", "yellow"), (f"unfinished {mask.data(plan.unfinished)}, undone first", "")])
    rows = list(_rows(plan, mask, verbose))
    kinds = max((len(kind) for _, kind, _, _ in rows), default=0)
    for action, kind, name, details in rows:
        sign, colour = _SIGNS[action]
        line: Line = [(f"{sign} ", colour), (f"{kind:<{kinds}}  ", "dim"), (name, colour)]
        together = ", ".join(details)
        if width is not None and len(details) > 1 and 8 + kinds + len(name) + len(together) > width:
            body += [line, *([(" " * (kinds + 4) + one, "")] for one in details)]
        else:
            body.append([*line, ("  " + together, "")] if details else line)
    for one in plan.deferred:
        body.append(
            [("? ", "cyan"), (mask.data(one.what), ""), (f"  known after {mask.data(one.until)}", "dim")]
        )
    return body


def _rows(plan: Plan, mask: Mask, verbose: int) -> Iterator[tuple[str, str, str, list[str]]]:
    """Action, kind, name and details of each line; without -v many new folders, files or links are one."""
    named = [(mask.data(kind), mask.data(name)) for kind, name in map(words.kind_and_name, plan.changes)]
    made: dict[str, list[str]] = {}  # names by kind
    for change, (kind, name) in zip(plan.changes, named, strict=True):
        if change.action == "create" and kind in _SUMMED and not verbose:
            made.setdefault(kind, []).append(name)
    for change, (kind, name) in zip(plan.changes, named, strict=True):
        alike = made.get(kind, []) if change.action == "create" else []
        if len(alike) <= _FEW:
            yield change.action, kind, name, list(_details(change, mask, verbose))
        elif name == alike[0]:
            yield "create", kind, words.places(alike), ["-v names them"]


_SUMMED = ("directory", "file", "link")
"""Kinds whose new ones are summed up, when there are more than _FEW: a first run makes dozens of them."""
_FEW = 3


def _details(change: Change[Resource], mask: Mask, verbose: int) -> Iterable[str]:
    if change.action == "remove":
        return
    unloaded = [key for key in change.keys if key.startswith("loaded ")]
    if change.action == "change" and not verbose and len(unloaded) > _FEW:
        yield f"has not loaded {len(unloaded)} of its files"
    else:
        unloaded = []
    for key in change.keys:
        if key in unloaded:
            continue
        new = _masked((change.expected or {}).get(key), mask)
        if change.action == "change":
            yield words.difference(mask.data(key), _masked((change.actual or {}).get(key), mask), new)
        elif verbose and key not in ("type", "content") and not key.startswith("loaded "):
            yield f"{mask.data(key)}: {words.value(new)}"


def _masked(given: Value, mask: Mask) -> Value:
    return mask.data(given) if isinstance(given, str) else given


def diff_lines(diff: Diff, mask: Mask) -> list[Line]:
    """A unified diff, coloured by line."""
    from difflib import unified_diff

    old, new = (mask.block(text.replace("\r", "\\r")) if text else [] for text in (diff.old, diff.new))
    path = mask.data(diff.path)
    head: list[Line] = [
        [(f"--- {path if diff.old is not None else '/dev/null'}", "bold")],
        [(f"+++ {path if diff.new is not None else '/dev/null'}", "bold")],
    ]
    if len(old) + len(new) > _TOO_LONG:
        return [*head, [(f"{len(old)} lines → {len(new)} lines, too long to compare here", "dim")]]
    rows = list(unified_diff(old, new, lineterm="", n=3))[2:]
    body: list[Line] = [[(row, _DIFF_STYLES.get(row[:1], ""))] for row in rows]
    if diff.old and diff.new and diff.old.endswith("\n") != diff.new.endswith("\n"):
        side = "new" if diff.old.endswith("\n") else "old"
        body.append([(f"\\ the {side} file has no newline at its end", "dim")])
    return [*head, *body]


_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def failure_body(failure: Failure, mask: Mask, *, verbose: int) -> list[Line]:
    """The block under ``web1  failed``: what, where, its last words, what stands now, what to do."""
    body: list[Line] = [[(row, "")] for row in mask.block(failure.message)]
    facts = {
        "resource": failure.resource,
        "command": failure.command,
        "exit code": None if failure.exit_code is None else str(failure.exit_code),
    }
    for label, text in facts.items():
        if text is not None:
            body.append([(f"{label:<10} ", "dim"), (mask.data(text), "")])
    if failure.script is not None and verbose > 1:
        body += _framed("script", mask.block(failure.script))
    body += _output(failure, mask, verbose)
    for label, text in (("now", failure.stands), ("to do", failure.advice)):
        if text is not None:
            first, *rest = mask.block(text)
            body.append([(f"{label:<10} ", "bold"), (first, "")])
            body += [[(" " * 11, ""), (row, "")] for row in rest]
    return body


def _output(failure: Failure, mask: Mask, verbose: int) -> list[Line]:
    rows = mask.output(failure.output)
    if verbose or len(rows) <= _LAST:
        return _framed("output", rows)
    left_out = len(rows) - _LAST
    return _framed("output", [f"… {words.count(left_out, 'line')} before, -v shows all", *rows[-_LAST:]])


def _framed(label: str, rows: Sequence[str]) -> list[Line]:
    labels = [label, *[""] * len(rows)]
    return [[(f"{name:<10} │ ", "dim"), (row, "")] for name, row in zip(labels, rows, strict=False)]


_OUTCOMES = {
    "unchanged": "green",
    "changed": "yellow",
    "planned": "yellow",
    "failed": "red",
    "staged": "yellow",
    "reverted": "yellow",
    "skipped": "dim",
}


def summary(reports: Sequence[Report], mask: Mask) -> list[Line]:
    """One line per host, in columns, with the addresses it serves under each that changed."""
    hosts = [mask.data(one.host) for one in reports]
    outcomes = [words.outcome(one) for one in reports]
    widest, longest = (max(map(len, column), default=0) for column in (hosts, outcomes))
    found: list[Line] = []
    for report, host, outcome in zip(reports, hosts, outcomes, strict=True):
        line: Line = [(f"{host:<{widest}}  ", "bold"), (outcome, _OUTCOMES.get(report.outcome, ""))]
        if report.outcome != "skipped":
            line.append((f"{'':<{longest - len(outcome)}} · {words.cost(report)}", "dim"))
        found.append(line)
        if report.outcome == "changed":
            found += [[(" " * (widest + 2), ""), (mask.data(url), "cyan")] for url in report.urls]
    return found


def total(reports: Sequence[Report], seconds: float) -> Line:
    """``5 hosts: 2 changed, 3 unchanged``; seconds: wall clock of the whole run."""
    spoken = {
        "unchanged": "unchanged",
        "changed": "changed",
        "planned": "to change",
        "skipped": "not started",
    }
    line: Line = [(f"{words.count(len(reports), 'host')}: ", "bold")]
    outcomes = ["unchanged" if one.outcome == "planned" and not one.plan else one.outcome for one in reports]
    counts = {outcome: outcomes.count(outcome) for outcome in _OUTCOMES}
    for outcome, number in counts.items():
        if number:
            separator = ", " if len(line) > 1 else ""
            line += [(separator, ""), (f"{number} {spoken.get(outcome, outcome)}", _OUTCOMES[outcome])]
    return [*line, (f" · {words.seconds(seconds)}", "dim")]
