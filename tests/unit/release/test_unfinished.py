"""A rollback that did not reach its end is finished by the same command, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.release.listing import Held
from deploy.release.unfinished import Rollbacks, command_of

BOTH = command_of(["hello"], ["a", "b"])


def held(current: str, *others: str) -> list[Held]:
    ids = sorted({current, *others, "r1", "r2", "r3"}, reverse=True)
    return [Held(id, "v", "t", "ada", "", "t", None, None, 1, id == current) for id in ids]


@pytest.fixture
def begun(tmp_path: Path) -> Rollbacks:
    """From r3 to r2 on the hosts a and b."""
    one = Rollbacks(tmp_path, tmp_path, "hello")
    one.begin("r2", {"a": held("r3"), "b": held("r3")}, BOTH)
    return again(tmp_path)


def again(state: Path) -> Rollbacks:
    """As a later command finds it."""
    return Rollbacks(state, state, "hello")


def test_nothing_is_to_be_finished_where_nothing_was_begun(tmp_path: Path):
    assert again(tmp_path).target({"a": held("r3")}, BOTH) is None


@pytest.mark.parametrize("serving", [("r2", "r3"), ("r2", "r2"), ("r3", "r3")])
def test_the_same_command_goes_to_the_same_release_however_far_it_came(
    begun: Rollbacks, serving: tuple[str, str]
):
    there = {"a": held(serving[0]), "b": held(serving[1])}
    assert begun.target(there, BOTH) == "r2"
    begun.begin("r2", there, BOTH)
    assert begun.target(there, BOTH) == "r2"
    assert begun.target({"a": held("r3"), "b": held("r3")}, BOTH) == "r2", "what it went back from is kept"


def test_a_host_that_has_moved_on_has_nothing_to_finish(begun: Rollbacks):
    assert begun.target({"a": held("r4"), "b": held("r3")}, BOTH) is None


def test_a_release_that_is_gone_is_no_target(begun: Rollbacks):
    without = [one for one in held("r3") if one.id != "r2"]
    assert begun.target({"a": held("r3"), "b": without}, BOTH) is None


def test_once_all_is_done_the_next_rollback_is_another(begun: Rollbacks, tmp_path: Path):
    begun.end(["a", "b"], whole=True)
    assert again(tmp_path).target({"a": held("r2"), "b": held("r2")}, BOTH) is None
    assert not list((tmp_path / "begun").iterdir())


def test_a_host_that_is_done_waits_for_the_others_in_the_same_command_alone(begun: Rollbacks, tmp_path: Path):
    begun.end(["a"], whole=False)
    there = {"a": held("r2"), "b": held("r3")}
    assert again(tmp_path).target(there, BOTH) == "r2"
    assert again(tmp_path).target({"b": held("r3")}, command_of(["hello"], ["b"])) == "r2"
    assert again(tmp_path).target({"a": held("r2")}, command_of(["hello"], ["a"])) is None


def test_what_another_version_kept_is_not_known(begun: Rollbacks, tmp_path: Path):
    (file,) = (tmp_path / "begun").iterdir()
    for text in ("", "[]", '{"a": 1}', '{"a": {"id": "r2"}}'):
        file.write_text(text)
        assert again(tmp_path).target({"a": held("r3")}, BOTH) is None
