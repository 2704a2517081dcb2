"""Schedules: five fields as cron reads them, or systemd's own, as the lines of a timer unit."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.schema.marked import Written
from deploy.site.schedule import calendars, schedule


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("03:15", ("03:15",)),
        ("Mon..Fri 10:00 Europe/Berlin", ("Mon..Fri 10:00 Europe/Berlin",)),
        ("*/15 * * * *", ("*-*-* *:00,15,30,45:00",)),
        ("15 3 * * *", ("*-*-* 03:15:00",)),
        ("0 9-17/4 * * 1-5", ("Mon,Tue,Wed,Thu,Fri *-*-* 09,13,17:00:00",)),
        ("0 0 * * 7", ("Sun *-*-* 00:00:00",)),
        ("0 0 * * sun,Mon", ("Sun,Mon *-*-* 00:00:00",)),
        ("0 0 1 jan,7 *", ("*-01,07-01 00:00:00",)),
        ("0 0 1,15 * 5", ("*-*-01,15 00:00:00", "Fri *-*-* 00:00:00")),
        ("0 0 */10 * 5", ("Fri *-*-01,11,21,31 00:00:00",)),
        ("@hourly", ("*-*-* *:00:00",)),
        ("hourly", ("hourly",)),
    ],
)
def test_what_systemd_reads(text: str, lines: tuple[str, ...]) -> None:
    assert calendars(schedule(text)) == lines


@pytest.mark.parametrize(
    "value",
    [
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a b c d e",
        "",
        "03:15\nExecStart=x",
        "%h",
        195,
        None,
    ],
)
def test_what_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|schedule"):
        schedule(value)


def test_a_time_that_yaml_reads_as_a_number_is_to_be_quoted() -> None:
    value = Written(195)
    value.text = "03:15"
    with pytest.raises(ValueError, match="in quotes"):
        schedule(value)
