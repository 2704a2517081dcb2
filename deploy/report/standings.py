"""What `invoke status` shows, as headers and rows. Pure; prints nothing."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from deploy.fleet.status import Standing, Status
from deploy.report import words


def table(status: Status, *, json: bool) -> tuple[list[str], list[list[object]]]:
    """Headers and rows; for programs with the commit, ISO times and plain bytes."""
    if json:
        headers = [field.name for field in fields(Standing)]
        return headers, [[_plain(getattr(one, name)) for name in headers] for one in status.standings]
    headers = ["host", "site", "release", "activation", "state", "since (UTC)", "memory"]
    return headers, [
        [
            one.host,
            one.site,
            one.release,
            one.activation,
            one.state,
            f"{one.since:%Y-%m-%d %H:%M:%S}" if one.since else None,
            words.size(one.memory) if one.memory else None,
        ]
        for one in status.standings
    ]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
