"""A release of two sites over a fleet: each is a rollout of its own, and what becomes of one leaves the other alone."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from deploy.engine.events import Event, Note, Report
from deploy.facts import AppFacts, Facts
from deploy.fleet.rollout import Course, rollout
from deploy.inventory.hosts import Host
from deploy.resource import Phase, Resource
from deploy.site.app import App
from deploy.site.release import Delivery, Release
from tests.unit.fakes.fake import BARE, FakeHost, Thing

NAMES = ("blog", "shop")
SERVING = structs.replace(
    BARE, apps=tuple(AppFacts(name, activation=1, release="old", venv="v1") for name in NAMES)
)


def sites(host: Host, facts: Facts, delivery: Delivery) -> Iterator[Resource]:
    """Of each site that is released: code to stage, a migration, a switch."""
    for name, release in delivery.releases.items():
        yield Thing(f"{name} code", release.id, Phase.BUILD, scope=name)
        if host.app(name).migrate and delivery.migrating(name) and release.folder is not None:
            yield Thing(f"{name} migration", release.id, Phase.MIGRATE, scope=name)
        yield Thing(f"{name} switch", release.id, Phase.SWITCH, scope=name)


def fake(breaks_at: str | None = None) -> FakeHost:
    states = {f"thing:{name} {what}": {"value": "old"} for name in NAMES for what in ("code", "switch")}
    return FakeHost(states=states, facts=SERVING, breaks_at=breaks_at and f"thing:{breaks_at}")  # type: ignore[arg-type]


class Fleet:
    """A rollout of both sites over fakes by name."""

    def __init__(self, state: Path, **fakes: FakeHost) -> None:
        self.state, self.fakes = state, fakes
        self.events: list[Event] = []

    def roll(self, course: Course | None = None, migrate: Sequence[str] = ()) -> list[Report]:
        apps = tuple(
            App(name=name, source="s", wsgi="a:b", server_names=(f"{name}.example",), migrate=tuple(migrate))
            for name in NAMES
        )
        releases = {name: Release("new", Path("s"), ship=True) for name in NAMES}
        return rollout(
            [Host(name, address="192.0.2.1", apps=apps) for name in self.fakes],
            {name: Delivery(releases) for name in self.fakes},
            lambda host, delivery: [functools.partial(sites, delivery=delivery)],
            course or Course("ada@desk release"),
            self.events.append,
            state=self.state,
            connect=lambda host: self.fakes[host.name],
        )

    def serves(self, site: str) -> list[object]:
        return [one.states[f"thing:{site} switch"]["value"] for one in self.fakes.values()]


def failures(report: Report) -> list[tuple[str | None, str | None]]:
    return [(one.scope, one.stands) for one in report.failures]


def test_on_one_host_the_other_site_is_released(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake("blog switch"))
    (report,) = fleet.roll()
    assert (report.outcome, [one.scope for one in report.failures]) == ("failed", ["blog"])
    assert (fleet.serves("blog"), fleet.serves("shop")) == (["old"], ["new"])


@pytest.mark.parametrize("at", ["blog code", "blog switch"])
def test_a_site_that_fails_on_one_host_is_on_the_old_everywhere_and_the_other_on_the_new(
    tmp_path: Path, at: str
) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(at), web3=fake())
    reports = fleet.roll(Course("x", batch="1"))
    assert (fleet.serves("blog"), fleet.serves("shop")) == (["old"] * 3, ["new"] * 3)
    assert [one.outcome for one in reports] == ["changed", "failed", "changed"]
    assert "apply blog switch" not in fleet.fakes["web3"].calls


def test_a_migration_that_fails_stops_its_site_alone(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake("blog migration"), web2=fake())
    fleet.roll(Course("x", max_fail=1), migrate=["migrate"])
    assert (fleet.serves("blog"), fleet.serves("shop")) == (["old"] * 2, ["new"] * 2)


def test_a_site_may_fail_on_a_host_that_may_fail(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake("blog switch"), web3=fake())
    fleet.roll(Course("x", max_fail=1))
    assert (fleet.serves("blog"), fleet.serves("shop")) == (["new", "old", "new"], ["new"] * 3)
    notes = [event for event in fleet.events if isinstance(event, Note)]
    assert [(note.host, "blog failed here" in note.text) for note in notes] == [("web2", True)]


def test_keep_going_leaves_a_failed_site_where_it_was_switched(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake("blog switch"))
    fleet.roll(Course("x", batch="1", keep_going=True))
    assert (fleet.serves("blog"), fleet.serves("shop")) == (["new", "old"], ["new", "new"])


def test_what_stands_is_what_stands_after_all_went_back(tmp_path: Path) -> None:
    """A host whose tidying failed after its proof serves the new release only until the fleet goes back."""
    fleet = Fleet(tmp_path, web1=fake(), web2=fake("blog switch"))
    first, second = fleet.roll()
    assert failures(first) == []
    ((scope, stands),) = failures(second)
    assert scope == "blog"
    assert stands is not None and stands.startswith("It went back to what served before")
    assert first.outcome == "changed", "shop is released there"


def test_where_both_sites_fail_nothing_is_left_to_go_on_with(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake("blog code"), web2=fake("shop code"), web3=fake())
    reports = fleet.roll()
    assert [one.outcome for one in reports] == ["failed", "failed", "staged"]
    assert fleet.serves("blog") == fleet.serves("shop") == ["old"] * 3
