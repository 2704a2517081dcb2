"""The releases of a host, and where a rollback goes."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.errors import InputError, LookError
from deploy.release.listing import Held, parse, target


def held(id: str, **keys: Any) -> Held:
    values = {
        "venv": "v",
        "staged": "t",
        "by": "ada",
        "commit": "",
        "healthy": "t",
        "failed": None,
        "left": None,
        "size": 1,
    }
    return Held(id=id, **{**values, "current": False, **keys})


def test_the_records_of_a_host_are_read_newest_first():
    output = (
        b"current r3\nrelease r3\nvenv v3\nstaged t3\nby ada@desk\nhealthy t4\nsize 12\n"
        b"release r2\nvenv v2\nstaged t2\nfailed t2\nsize 9\nrelease r1\nvenv v1\nstaged t1\nhealthy t1\n"
    )
    found = parse(output)
    assert [(one.id, one.state, one.size) for one in found] == [
        ("r3", "current", 12),
        ("r2", "failed", 9),
        ("r1", "healthy", None),
    ]
    with pytest.raises(LookError, match="did not tell which releases"):
        parse(b"")


def test_a_release_that_was_gone_back_from_is_marked_until_it_is_healthy_again():
    lines = b"current r3\nrelease r3\nhealthy t\nrelease r2\nhealthy t1\nleft t2\n"
    lines += b"release r1\nhealthy t1\nleft t2\nhealthy t3\n"
    assert [(one.id, one.left) for one in parse(lines)] == [("r3", None), ("r2", "t2"), ("r1", None)]


NOW = held("r3", current=True)


@pytest.mark.parametrize(
    ("hosts", "to", "found"),
    [
        ({"a": [NOW, held("r2"), held("r1")]}, None, "r2"),
        ({"a": [NOW, held("r2", healthy=None), held("r1")]}, None, "r1"),
        ({"a": [NOW, held("r2", size=None), held("r1")]}, None, "r1"),
        ({"a": [NOW, held("r2"), held("r1")], "b": [NOW, held("r1")]}, None, "r1"),
        ({"a": [held("r4"), NOW, held("r2")]}, None, "r2"),
        ({"a": [NOW, held("r2"), held("r1")]}, "r1", "r1"),
        ({"a": [NOW, held("r2", left="t"), held("r1")]}, None, "r1"),
        ({"a": [NOW, held("r2"), held("r1")], "b": [NOW, held("r2", left="t"), held("r1")]}, None, "r1"),
        ({"a": [NOW, held("r2", left="t"), held("r1")]}, "r2", "r2"),
    ],
)
def test_where_a_fleet_goes_back_to(hosts: dict[str, list[Held]], to: str | None, found: str):
    assert target("hello", hosts, to).id == found


@pytest.mark.parametrize(
    ("hosts", "to", "says"),
    [
        ({"a": [NOW]}, None, "no earlier release of hello that was healthy on a"),
        ({"a": [NOW, held("r2")], "b": [NOW, held("r1")]}, None, "was healthy on a, b"),
        ({"a": [held("r2")]}, None, "a serves no release of hello"),
        ({"a": [NOW, held("r2", left="t")]}, None, "but r2, which was gone back from .--to goes there"),
        ({"a": [NOW, held("r2")], "b": [NOW]}, "r2", "b holds no healthy release r2 of hello; it has r3"),
        ({"a": [NOW, held("r2", healthy=None)]}, "r2", "a holds no healthy release r2"),
    ],
)
def test_where_there_is_nothing_to_go_back_to(hosts: dict[str, list[Held]], to: str | None, says: str):
    with pytest.raises(InputError, match=says):
        target("hello", hosts, to)
