"""How backups stand, of what hosts said."""

from __future__ import annotations

import json

import pytest

from deploy.errors import LookError
from deploy.fleet.backups import Backups, parse

TOLD = {
    "site": "shop",
    "good": {"id": "20261130-192608", "at": 1796066768, "size": 3_000_000},
    "drill": {"ok": True, "at": 1796066000, "id": "20261129-023000"},
    "wrong": None,
}


def test_the_newest_good_one_is_shown_with_its_age_and_the_last_drill() -> None:
    one = parse("web1", "shop", json.dumps(TOLD).encode())
    assert one.id == "20261130-192608"
    headers, ((*row,),) = Backups((one,), ()).table(json=False)
    assert row == ["web1", "shop", "20261130-192608", "2026-11-30 19:26", "3.0 MB", "2026-11-30 19:13", None]
    _, ((*plain,),) = Backups((one,), ()).table(json=True)
    assert plain[3:5] == ["2026-11-30T19:26:08+00:00", 3_000_000]
    assert len(headers) == len(row)


def test_one_that_was_never_made_or_failed_is_wrong() -> None:
    assert parse("web1", "shop", b"").wrong
    failed = parse(
        "web1", "shop", json.dumps(TOLD | {"drill": {"ok": False, "at": 1}, "wrong": "no"}).encode()
    )
    assert (failed.drill, failed.wrong) == (None, "no")


def test_an_answer_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(LookError):
        parse("web1", "shop", b"Traceback")
