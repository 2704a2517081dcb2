"""What a report says of a host where an apply failed: said by the step, or by what was not made any more."""

from __future__ import annotations

import pytest

from deploy.engine.apply import REFUSED, Numbered
from deploy.engine.failing import failure
from deploy.engine.plan import Plan, diff
from deploy.engine.reach import Broken, Ending, Outcome
from deploy.inventory.hosts import Host
from deploy.resource import Change, Phase
from deploy.shell import Script
from tests.unit.fakes.fake import Thing

FORWARD = "Packages, accounts, folders, trees and venvs only go forward: what succeeded before stays."


class Switch(Thing):
    """What goes on as it was until it is switched."""

    def untouched(self, change: Change[Thing]) -> str | None:
        return None if change.actual is None else f"{self.name} goes on."


def plan(*things: Thing, there: bool = True) -> Plan:
    return diff("web1", things, {one.id: {"value": "old"} if there else None for one in things})


def stands(plan: Plan, step: Numbered, **more: bool) -> str | None:
    broken = Broken(step=step, exit_code=1, **more)
    return failure(Host("web1"), plan, Outcome(Ending.FAILED, (broken,)), broken).stands


def step(resource: str | None, says: str = "") -> Numbered:
    return Numbered("x", Script("false"), 60, resource, stands=says)


@pytest.mark.parametrize(
    ("failed", "there", "says"),
    [
        ("thing:build", True, "shop goes on."),
        ("thing:shop", True, "shop goes on."),
        ("thing:tidy", True, FORWARD),  # it was switched by then
        ("thing:build", False, FORWARD),
    ],
)
def test_what_was_not_made_any_more_says_what_is_as_it_was(failed: str, there: bool, says: str) -> None:
    things = Thing("build"), Switch("shop", at=Phase.SWITCH), Thing("tidy", at=Phase.LEAVE)
    assert stands(plan(*things, there=there), step(failed)) == says


def test_a_step_that_says_it_itself_is_believed() -> None:
    assert stands(plan(Switch("shop", at=Phase.SWITCH)), step(None, REFUSED)) == REFUSED
    assert "put back" in str(stands(plan(Thing("a")), step("thing:a"), restored=True))


def test_services_that_were_proven_before_it_failed_are_said_to_stay():
    one = plan(Thing("a"))
    assert str(stands(one, step("thing:a"), services=True)).endswith(" and stays.")
    assert not str(stands(one, step("thing:a"))).endswith(" and stays.")
