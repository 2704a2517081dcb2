"""A release over a fleet: staged everywhere first, switched batch by batch, taken back where one host fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.app import App
from deploy.converge import Role
from deploy.errors import HostError, InputError, LockedError
from deploy.events import Event, Note, Report
from deploy.facts import AppFacts, Facts
from deploy.inventory import Host
from deploy.remote import Reach
from deploy.resource import Phase, Resource
from deploy.rollout import Course, batches, rollout
from deploy.source import Release
from tests.unit.fake import BARE, FakeHost, Thing

SERVING = replace(BARE, apps=(AppFacts("hello", activation=1, last=1, release="old", venv="v1"),))


def site(host: Host, facts: Facts) -> Iterator[Resource]:
    """Code to stage, a migration on one host, and a switch."""
    release = host.releases["hello"]
    yield Thing("code", release.id, Phase.BUILD)
    if host.migrates and release.folder is not None:
        yield Thing("migration", release.id, Phase.MIGRATE)
    yield Thing("switch", release.id, Phase.SWITCH)


def switched(facts: Facts) -> Facts:
    """As the host tells after its switch."""
    return replace(facts, apps=(replace(facts.app("hello"), activation=2, last=2, release="new"),))


def fake(**more: object) -> FakeHost:
    states = {"thing:code": {"value": "old"}, "thing:switch": {"value": "old"}}
    return FakeHost(states=dict(states), facts=SERVING, brings={"thing:switch": switched}, **more)  # type: ignore[arg-type]


def hosts(*names: str, migrate: Sequence[str] = ()) -> list[Host]:
    app = App(
        name="hello",
        source="src",
        wsgi="hello:app",
        server_names=("hello.example.com",),
        migrate=tuple(migrate),
    )
    release = Release("new", Path("src"), ship=True)
    return [Host(name, address="192.0.2.1", apps=(app,), releases={"hello": release}) for name in names]


class Fleet:
    """A rollout over fakes by name; what was said stays in ``events``."""

    def __init__(self, state: Path, **fakes: FakeHost | HostError) -> None:
        self.state, self.fakes = state, fakes
        self.events: list[Event] = []

    def roll(self, course: Course | None = None, migrate: Sequence[str] = ()) -> list[Report]:
        roles: list[Role] = [site]
        return rollout(
            hosts(*self.fakes, migrate=migrate),
            lambda host: roles,
            course or Course("ada@desk release"),
            self.events.append,
            state=self.state,
            connect=self.connect,
        )

    def connect(self, host: Host) -> Reach:
        found = self.fakes[host.name]
        if isinstance(found, HostError):
            raise found
        return found

    def calls(self, name: str) -> list[str]:
        found = self.fakes[name]
        assert isinstance(found, FakeHost)
        return [call for call in found.calls if call not in ("look", "lock", "close")]

    def value(self, name: str) -> object:
        found = self.fakes[name]
        assert isinstance(found, FakeHost)
        return found.states["thing:switch"]["value"]


def outcomes(reports: Sequence[Report]) -> list[str]:
    return [report.outcome for report in reports]


@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [
        (3, None, [3]),
        (3, "1", [1, 1, 1]),
        (5, "2", [2, 2, 1]),
        (8, "25%", [2, 2, 2, 2]),
        (3, "25%", [1, 1, 1]),
    ],
)
def test_batches_cover_every_host_once(count: int, batch: str | None, sizes: list[int]) -> None:
    assert batches(count, batch) == sizes


@pytest.mark.parametrize("batch", ["0", "-1", "101%", "half", "1.5", ""])
def test_a_batch_that_is_no_number_is_refused(batch: str) -> None:
    with pytest.raises(InputError, match="--batch takes a number of hosts or a percentage"):
        batches(3, batch)


def test_one_host_is_one_apply(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake())
    assert outcomes(fleet.roll()) == ["changed"]
    assert fleet.calls("web1") == ["apply code migration switch"]


def test_every_host_is_staged_before_any_switches(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake())
    assert outcomes(fleet.roll()) == ["changed", "changed"]
    assert fleet.calls("web1") == ["apply code", "apply migration switch"]
    assert fleet.calls("web2") == ["apply code", "apply switch"]


def test_a_migration_runs_once_and_before_any_switch(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake())
    fleet.roll(migrate=["python manage.py migrate"])
    assert fleet.calls("web1") == ["apply code", "apply migration", "apply switch"]
    assert fleet.calls("web2") == ["apply code", "apply switch"]


def test_a_failed_migration_leaves_every_host_on_the_old(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(breaks_at="thing:migration"), web2=fake())
    reports = fleet.roll(migrate=["python manage.py migrate"])
    assert outcomes(reports) == ["failed", "staged"]
    assert fleet.value("web1") == fleet.value("web2") == "old"


def test_a_host_that_cannot_be_staged_stops_the_fleet_before_any_switch(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(breaks_at="thing:code"))
    assert outcomes(fleet.roll()) == ["staged", "failed"]
    assert fleet.value("web1") == "old"


def test_a_host_that_cannot_be_reached_stops_the_fleet_before_anything(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=HostError("web2: refused"))
    reports = fleet.roll()
    assert outcomes(reports) == ["skipped", "failed"]
    assert reports[1].failure is not None and reports[1].failure.exit_code_of_run == HostError.exit_code
    assert fleet.calls("web1") == []


def test_where_one_host_fails_those_that_switched_go_back(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(breaks_at="thing:switch"), web3=fake())
    reports = fleet.roll()
    assert outcomes(reports) == ["reverted", "failed", "reverted"]
    assert fleet.calls("web1")[-1] == "apply code switch"
    assert fleet.value("web1") == fleet.value("web3") == "old"
    assert any(isinstance(event, Note) and "going back" in event.text for event in fleet.events)


def test_keep_going_leaves_what_was_switched(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(breaks_at="thing:switch"))
    assert outcomes(fleet.roll(Course("x", keep_going=True))) == ["changed", "failed"]
    assert fleet.value("web1") == "new"


def test_a_later_batch_is_not_begun_after_a_failure(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(breaks_at="thing:switch"), web3=fake())
    reports = fleet.roll(Course("x", batch="1"))
    assert outcomes(reports) == ["reverted", "failed", "staged"]
    assert fleet.calls("web3") == ["apply code"]


def test_accepted_failures_neither_stop_nor_revert(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(breaks_at="thing:switch"), web2=fake(), web3=fake())
    assert outcomes(fleet.roll(Course("x", batch="1", max_fail=1))) == ["failed", "changed", "changed"]


def test_a_conflict_gives_every_lock_back_and_names_who_holds_it(tmp_path: Path) -> None:
    busy = fake(held_by="bob@desk release holds the host since 2026-11-23 10:00:00 UTC")
    fleet = Fleet(tmp_path, web1=fake(), web2=busy)
    reports = fleet.roll()
    assert outcomes(reports) == ["skipped", "failed"]
    failure = reports[1].failure
    assert failure is not None and failure.exit_code_of_run == LockedError.exit_code
    assert failure.message.startswith("web2: bob@desk release holds the host since 2026-11-23 10:00:00 UTC")
    assert fleet.calls("web1") == ["unlock"]


def test_every_lock_is_free_when_it_is_over(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(breaks_at="thing:switch"))
    fleet.roll()
    assert all(isinstance(one, FakeHost) and not one.locked for one in fleet.fakes.values())
