"""Expected and actual become a plan: pure comparison, in order; a value to show and to compare."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.engine.plan import Plan, diff, fingerprint
from deploy.resource import Change, Deferred, Phase, Remark, Resource
from deploy.resources.path import File
from tests.unit.fakes.fake import Thing

states = st.none() | st.dictionaries(
    st.sampled_from("abc"), st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=2)
)


@pytest.mark.parametrize(
    ("expected", "actual", "keys", "action"),
    [
        ({"a": 1}, {"a": 1}, (), None),
        ({"a": 1}, {"a": 1, "b": 2}, (), None),
        ({"a": 1}, {"a": 2}, ("a",), "change"),
        ({"a": 1, "b": 2}, {"b": 2}, ("a",), "change"),
        ({"a": None}, {}, ("a",), "change"),
        ({"b": 1, "a": 1}, None, ("a", "b"), "create"),
        ({}, None, (), "create"),
        (None, {"b": 1, "a": 1}, ("a", "b"), "remove"),
        (None, {}, (), "remove"),
        (None, None, (), None),
    ],
)
def test_what_differs(expected: Any, actual: Any, keys: tuple[str, ...], action: str | None):
    change = Change(Thing("x"), actual, expected)
    assert change.keys == keys
    assert bool(change) == (action is not None)
    if action:
        assert change.action == action


@given(states)
def test_a_state_never_differs_from_itself(state: Any):
    assert not Change(Thing("x"), state, state)


def test_changes_come_by_phase_and_within_it_as_they_were_read():
    resources = [
        Thing("switch", at=Phase.SWITCH),
        Thing("b", at=Phase.FILES),
        Thing("package", at=Phase.PACKAGES),
        Thing("a", at=Phase.FILES),
    ]
    plan = diff("web1", resources, {one.id: None for one in resources})
    assert [change.resource.id for change in plan.changes] == [
        "thing:package",
        "thing:b",
        "thing:a",
        "thing:switch",
    ]


def test_what_was_not_looked_at_is_an_error_and_not_absent():
    with pytest.raises(KeyError):
        diff("web1", [Thing("a")], {})


def test_what_is_not_known_yet_is_kept_apart():
    plan = diff("web1", [Deferred(what="venv", until="python")], {})
    assert (plan.changes, [one.what for one in plan.deferred]) == ((), ["venv"])
    assert plan


@pytest.mark.parametrize(
    ("plan", "something"),
    [
        (Plan("web1"), False),
        (Plan("web1", remarks=("old",)), False),
        (Plan("web1", unfinished="2026-11-23 09:00:00"), True),
        (Plan("web1", (Change(Thing("a"), None, {}),)), True),
    ],
)
def test_whether_there_is_something_to_do(plan: Plan, something: bool):
    assert bool(plan) == something


def test_as_json_it_tells_both_states_of_what_differs():
    resources: list[Resource] = [
        Thing("a"),
        Thing("gone", wanted=False),
        Deferred(what="venv", until="python"),
        Remark("old is left alone"),
    ]
    actual = {"thing:a": {"value": "old", "other": 1}, "thing:gone": {"value": "x"}}
    told = diff("web1", resources, actual, unfinished="now").as_json()
    assert (
        json.loads(json.dumps(told)).items()
        >= {
            "host": "web1",
            "fingerprint": fingerprint({"thing:a": {"value": "old"}, "thing:gone": {"value": "x"}}),
            "unfinished": "now",
            "changes": [
                {"id": "thing:a", "action": "change", "differs": {"value": ["old", "new"]}},
                {"id": "thing:gone", "action": "remove", "differs": {"value": ["x", None]}},
            ],
            "deferred": [{"what": "venv", "after": "python"}],
            "remarks": ["old is left alone"],
        }.items()
    )


def test_a_plan_can_be_pickled_and_shows_no_secret():
    file = File("/etc/key", "hunter2", secret=True)
    plan = diff("web1", [file], {file.id: None})
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert "hunter2" not in repr(plan) + json.dumps(plan.as_json())


@given(st.dictionaries(st.sampled_from("xyz"), states), st.dictionaries(st.sampled_from("xyz"), states))
def test_fingerprints_are_equal_when_and_only_when_the_states_are(one: Any, two: Any):
    def plain(states: Any) -> str:
        return json.dumps(states, sort_keys=True)

    assert (fingerprint(one) == fingerprint(two)) == (plain(one) == plain(two))
