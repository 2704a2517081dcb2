"""How we say it: counts, sizes, durations, values, all short and in correct plural. Pure; prints nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploy.shell import KEYED

if TYPE_CHECKING:
    from deploy.engine.events import Report
    from deploy.resource import Change, Resource, Value

_HEX = re.compile(r"[0-9a-f]{32,}")


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 change``, ``2 changes``; ``many`` for what does not just take an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def size(number: int) -> str:
    """Bytes in decimal units: ``999 B``, ``12.4 kB``."""
    if number < 1000:
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def seconds(value: float) -> str:
    """``0.31 s``, ``38.2 s``, ``2 min 5 s``, ``1 h 2 min``."""
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def names(hosts: Sequence[str], most: int = 6) -> str:
    """``web1, web2, web3``, or the first few ``and 9 more``."""
    if len(hosts) <= most:
        return ", ".join(hosts)
    return f"{', '.join(hosts[: most - 1])} and {len(hosts) - most + 1} more"


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters, the middle left out."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def value(given: Value) -> str:
    """A value of a state; ``none`` when it is not set. Its text must be masked already."""
    if given is None:
        return "none"
    if isinstance(given, bool):
        return "yes" if given else "no"
    text = str(given)
    if text.startswith(KEYED):
        return "***"
    if _HEX.fullmatch(text):
        return text[:8]
    return shortened(text, 48) if text else "empty"


def difference(key: str, old: Value, new: Value) -> str:
    """One thing that differs: ``mode: 0644 → 0600``; of content only that it does."""
    if key == "content":
        return "content"
    if key.startswith("loaded "):  # a unit whose process is older than what it reads
        return f"has not loaded {key.removeprefix('loaded ').removeprefix('path:')}"
    if value(old) == value(new) == "***":
        return key
    return f"{key}: {value(old)} → {value(new)}"


def kind_and_name(change: Change[Resource]) -> tuple[str, str]:
    """What a person calls the resource: ``file``, ``/etc/hosts``; for a path its type instead of ``path``."""
    kind, _, name = change.resource.id.partition(":")
    if kind == "path":  # what lies there: a file, a directory, a link; or what it is kept as: a tree, a venv
        kind = str((change.expected or change.actual or {}).get("type", change.resource.family))
    return kind, name


def places(paths: Sequence[str], most: int = 3) -> str:
    """``9, in /etc/nginx, /etc/nginx/conf.d and 2 more``: how many, and the first of the folders that hold them."""
    folders = list(dict.fromkeys(path.rpartition("/")[0] or "/" for path in paths))
    more = f" and {len(folders) - most} more" if len(folders) > most else ""
    return f"{len(paths)}, in {', '.join(folders[:most])}{more}"


_OUTCOMES = {
    "skipped": "not started",
    "staged": "staged, not switched",
    "reverted": "switched and gone back",
}


def outcome(report: Report) -> str:
    """How a host's run ended, in a few words."""
    changes = report.plan.changes if report.plan else ()
    if report.outcome == "failed":
        of = f" of {len(changes)}" if len(changes) >= len(report.changed) else ""
        scopes = [one.scope for one in report.failures if one.scope]
        failed = f"{names(scopes)} failed" if scopes else "failed"
        return f"{failed}, {len(report.changed)}{of} changed" if report.changed else failed
    if report.outcome == "changed":
        return f"{len(report.changed)} changed"
    if report.outcome == "planned" and report.plan is not None:
        unknown = f"{len(report.plan.deferred)} not known yet" if report.plan.deferred else ""
        undo = "an unfinished run to undo" if report.plan.unfinished else ""
        known = f"{len(changes)} to change" if changes else ""
        return ", ".join(filter(None, [known, undo, unknown])) or "nothing to change"
    return _OUTCOMES.get(report.outcome, "nothing to change")


def cost(report: Report) -> str:
    """What a host's run took: seconds, round trips, bytes both ways."""
    parts = [seconds(report.seconds), count(report.round_trips, "round trip")]
    return " · ".join([*parts, size(report.sent + report.received)])
