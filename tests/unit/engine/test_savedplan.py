"""A saved plan is done as it was shown, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.engine import savedplan
from deploy.engine.converge import Wishes, converge
from deploy.engine.events import Report
from deploy.engine.plan import diff
from deploy.errors import DriftError, InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.path import File
from tests.unit.fakes.fake import FakeHost, Thing

WEB1 = Host("web1", address="192.0.2.1")
RELEASES = {"hello": "20261123-000000"}


def role(host: Host, facts: Facts) -> Iterator[Resource]:
    yield Thing("one")
    yield Thing("two")


def run(fake: FakeHost, saved: dict[str, Any] | None, *, check: bool = False) -> Report:
    wishes = Wishes("ada@desk provision", saved, check=check)
    return converge(WEB1, [role], fake, wishes, lambda event: None)[0]


@pytest.fixture
def saved(tmp_path: Path) -> savedplan.SavedPlan:
    """What a check of a bare host saved."""
    savedplan.write(tmp_path / "plan", RELEASES, [run(FakeHost(), None, check=True)])
    return savedplan.read(tmp_path / "plan")


def test_a_plan_that_still_holds_is_carried_out(saved: savedplan.SavedPlan) -> None:
    fake = FakeHost()
    assert run(fake, dict(saved.plans)).outcome == "changed"
    assert "apply one two" in fake.calls


@pytest.mark.parametrize(
    ("states", "named"),
    [({"thing:one": {"value": "new"}}, "thing:one"), ({"thing:two": {"value": "other"}}, "thing:two")],
    ids=["somebody did a part of it", "something else lies there"],
)
def test_a_host_that_has_drifted_is_left_alone(
    saved: savedplan.SavedPlan, states: dict[str, Any], named: str
) -> None:
    fake = FakeHost(states=states)
    report = run(fake, dict(saved.plans))
    assert report.failure is not None
    assert report.failure.exit_code_of_run == DriftError.exit_code
    assert report.failure.message == (
        f"web1: not as it was when the plan was saved: {named}; nothing was changed: look at a new plan"
    )
    assert fake.calls == ["look"]


def test_a_host_the_plan_does_not_name_is_left_alone() -> None:
    fake = FakeHost()
    report = run(fake, {})
    assert report.failure is not None and "web1: not in the saved plan" in report.failure.message
    assert fake.calls == ["look"]


def test_the_release_that_was_planned_is_the_one_that_is_made(saved: savedplan.SavedPlan) -> None:
    assert saved.releases == RELEASES


def test_a_secret_is_in_no_plan_and_hinders_none(tmp_path: Path) -> None:
    one = File("/etc/key", body="swordfish", secret=True)
    other = replace(one, body="halibut")
    first, second = (diff("web1", [file], {file.id: None}) for file in (one, other))
    assert first.as_json() == second.as_json()
    assert "***" in json.dumps(first.as_json()) and "keyed" not in json.dumps(first.as_json())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"the plan .*plan cannot be read: No such file or directory"),
        ("{", r"plan is no plan: .*; write one with invoke plan --out"),
        ("[]", r"plan is no plan of this version; write one with invoke plan --out"),
        ('{"barehost plan": 0}', r"plan is no plan of this version"),
    ],
)
def test_what_is_no_plan_is_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "plan").write_text(text)
    with pytest.raises(InputError, match=sentence):
        savedplan.read(tmp_path / "plan")


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the plan cannot be written to .*: Is a directory"):
        savedplan.write(tmp_path, RELEASES, [])
