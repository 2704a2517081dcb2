"""Numbers, sizes and times as words."""

from __future__ import annotations

import pytest

from deploy.engine.events import (
    Report,
    Result,
)
from deploy.engine.plan import Plan
from deploy.report import words
from tests.unit.fakes import storyboard


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (words.count(1, "change"), "1 change"),
        (words.count(0, "change"), "0 changes"),
        (words.count(2, "entry", "entries"), "2 entries"),
        (words.size(0), "0 B"),
        (words.size(999), "999 B"),
        (words.size(1000), "1.0 kB"),
        (words.size(999_999), "1.0 MB"),
        (words.size(5_250_000_000), "5.2 GB"),
        (words.size(3 * 10**12), "3.0 TB"),
        (words.seconds(0.306), "0.31 s"),
        (words.seconds(9.999), "10.0 s"),
        (words.seconds(59.99), "1 min 0 s"),
        (words.seconds(125), "2 min 5 s"),
        (words.seconds(3725), "1 h 2 min"),
        (words.names(["a", "b"]), "a, b"),
        (words.names([str(n) for n in range(9)]), "0, 1, 2, 3, 4 and 4 more"),
        (words.shortened("abcdefghij", 5), "ab…ij"),
        (words.value(None), "none"),
        (words.value(True), "yes"),
        (words.value(False), "no"),
        (words.value(""), "empty"),
        (words.value(3), "3"),
        (words.value("f" * 64), "ffffffff"),
        (words.difference("gid", None, 5), "gid: none → 5"),
        (words.difference("loaded unit:x", "1", "2"), "has not loaded unit:x"),
        (words.outcome(Report("a", Result.FAILED)), "failed"),
        (words.outcome(Report("a", Result.FAILED, ("x",), Plan("a", storyboard.changes()))), "failed, 1 of 8 changed"),
        (words.outcome(Report("a", Result.PLANNED, plan=Plan("a", unfinished="1"))), "an unfinished run to undo"),
        (words.outcome(Report("a", Result.PLANNED, plan=Plan("a"))), "nothing to change"),
    ],
)  # fmt: skip
def test_words_are_short_and_their_plural_is_right(found: str, expected: str) -> None:
    assert found == expected


def test_no_sum_of_seconds_reads_as_sixty() -> None:
    assert words.seconds(119.7) == "2 min 0 s"
    assert words.seconds(3599.9) == "1 h 0 min"
