"""When a timer runs: five fields as cron has them, or what systemd's OnCalendar= takes. Pure: whether a host's systemd
understands the latter, the host says.
"""

from __future__ import annotations

import re
from typing import Any

from deploy.schema.marked import Written, describe

EXPECTS = "five cron fields like '15 3 * * *', or what systemd's OnCalendar= takes like '03:15'; in quotes"

_FIELDS = re.compile(r"[0-9A-Za-z*,/-]+(?: +[0-9A-Za-z*,/-]+){4}", re.ASCII)
_CALENDAR = re.compile(r"[A-Za-z0-9*:.,/~ +_-]+", re.ASCII)
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LIMITS = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day of the month": (1, 31),
    "month": (1, 12),
    "weekday": (0, 7),
}


def schedule(value: Any) -> str:
    """The text of a schedule, its white space in order. Raises ValueError for what cannot be one."""
    if isinstance(value, Written):
        raise ValueError(f"{value.text} is the number {value} in YAML; write it in quotes")
    if not isinstance(value, str):
        raise ValueError(f"expected {EXPECTS}, found {describe(value)}")
    text = " ".join(value.split())
    calendars(text)
    return text


def calendars(text: str) -> tuple[str, ...]:
    """The ``OnCalendar=`` lines of a schedule. Raises ValueError, the whole sentence, where it is none."""
    fields = _ALIASES.get(text, text)
    if _FIELDS.fullmatch(fields):
        return _cron(fields)
    if not _CALENDAR.fullmatch(text):
        raise ValueError(f"expected {EXPECTS}, found {describe(text)}")
    return (text,)


def _cron(text: str) -> tuple[str, ...]:
    """As cron reads it: where both kinds of days are given, and neither begins with ``*``, either of them counts."""
    minute, hour, day, month, weekday = text.split()
    numbers = _limited("minute", minute), _limited("hour", hour)
    days, months = _limited("day of the month", day), _limited("month", month, _MONTHS)
    weekdays = _limited("weekday", weekday, tuple(one.lower() for one in _DAYS[:7]), first=0)
    time = f"{_text(numbers[1])}:{_text(numbers[0])}:00"
    names = ",".join(dict.fromkeys(_DAYS[one] for one in weekdays)) if weekdays else ""
    if days and weekdays and not (day[0] == "*" or weekday[0] == "*"):
        return (f"*-{_text(months)}-{_text(days)} {time}", f"{names} *-{_text(months)}-* {time}")
    return (f"{names} *-{_text(months)}-{_text(days)} {time}".lstrip(),)


def _text(numbers: tuple[int, ...]) -> str:
    return ",".join(f"{one:02}" for one in numbers) or "*"


def _limited(what: str, field: str, names: tuple[str, ...] = (), first: int = 1) -> tuple[int, ...]:
    """The numbers that a field names, in order; none at all where it is ``*``."""
    if field == "*":
        return ()
    low, high = _LIMITS[what]

    def number(text: str) -> int:
        found = (
            names.index(text.lower()) + first
            if text.lower() in names
            else int(text)
            if text.isdigit()
            else -1
        )
        if not low <= found <= high:
            raise ValueError(f"expected a {what} from {low} to {high} in a schedule, found {text!r}")
        return found

    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        begin, _, end = span.partition("-")
        if span == "*":
            start, stop = low, high - (what == "weekday")
        else:
            start = number(begin)
            stop = number(end) if end else (high if step else start)
        if (step and (not step.isdigit() or int(step) == 0)) or stop < start:
            raise ValueError(f"{part!r} is no {what} of a schedule; expected like 1, 1-5, */2 or 1,3,5")
        found.update(range(start, stop + 1, int(step or 1)))
    return tuple(sorted(found))
