"""A release over a fleet: staged everywhere first, switched batch by batch, taken back where one host fails."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from deploy.engine.events import Event, Note, Report
from deploy.engine.reach import Reach
from deploy.errors import HostError, InputError, LockedError
from deploy.facts import AppFacts, Facts
from deploy.fleet.rollout import Course, batches, rollout
from deploy.inventory.hosts import Host
from deploy.resource import Phase, Resource
from deploy.site.app import App
from deploy.site.release import Delivery, Release
from tests.unit.fakes.fake import BARE, FakeHost, Thing

MIGRATE = ("python manage.py migrate",)
SERVING = structs.replace(BARE, apps=(AppFacts("hello", activation=1, release="old", venv="v1"),))


def site(host: Host, facts: Facts, delivery: Delivery) -> Iterator[Resource]:
    """Code to stage, a migration on one host, and a switch; nothing where the site is not."""
    if not delivery.releases:
        return
    release = delivery.releases["hello"]
    yield Thing("code", release.id, Phase.BUILD)
    if delivery.migrating("hello") and host.app("hello").migrate and release.folder is not None:
        yield Thing("migration", release.id, Phase.MIGRATE)
    yield Thing("switch", release.id, Phase.SWITCH)


def switched(facts: Facts) -> Facts:
    """As the host tells after its switch."""
    return structs.replace(facts, apps=(structs.replace(facts.app("hello"), activation=2, release="new"),))


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
    return [Host(name, address="192.0.2.1", apps=(app,)) for name in names]


class Fleet:
    """A rollout over fakes by name; what was said stays in ``events``."""

    def __init__(self, state: Path, **fakes: FakeHost | HostError) -> None:
        self.state, self.fakes = state, fakes
        self.events: list[Event] = []
        self.without_site: set[str] = set()

    def roll(self, course: Course | None = None, migrate: Sequence[str] = ()) -> list[Report]:
        chosen = hosts(*self.fakes, migrate=migrate)
        release = Release("new", Path("src"), ship=True)
        return rollout(
            [replace(one, apps=()) if one.name in self.without_site else one for one in chosen],
            {name: Delivery({} if name in self.without_site else {"hello": release}) for name in self.fakes},
            lambda host, delivery: [functools.partial(site, delivery=delivery)],
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
        return [call for call in self.asked(name) if call not in ("look", "lock", "close")]

    def asked(self, name: str) -> list[str]:
        found = self.fakes[name]
        return found.calls if isinstance(found, FakeHost) else []

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
        (0, "25%", []),
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
    assert outcomes(fleet.roll(migrate=MIGRATE)) == ["changed"]
    assert fleet.calls("web1") == ["apply code migration switch"]


def test_every_host_is_staged_before_any_switches(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake())
    assert outcomes(fleet.roll()) == ["changed", "changed"]
    assert fleet.calls("web1") == ["apply code", "apply switch"]
    assert fleet.calls("web2") == ["apply code", "apply switch"]


def test_a_migration_runs_once_and_before_any_switch(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake())
    fleet.roll(migrate=MIGRATE)
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


FAILING: dict[str, Callable[[], FakeHost | HostError]] = {
    "cannot be reached": lambda: HostError("refused"),
    "is lost while it is locked": lambda: fake(dies_at="lock"),
    "is lost while it is looked at": lambda: fake(dies_at="look"),
    "is lost while it is staged": lambda: fake(dies_at="apply code"),
    "fails to build": lambda: fake(breaks_at="thing:code"),
}
"""How a host may fail before anything is switched."""


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("how", FAILING)
def test_an_accepted_host_is_left_out_and_the_others_are_released_when_it(
    how: str, place: int, tmp_path: Path
) -> None:
    fakes: list[FakeHost | HostError] = [fake(), fake()]
    fakes.insert(place, FAILING[how]())
    fleet = Fleet(tmp_path, **dict(zip(("web1", "web2", "web3"), fakes, strict=True)))
    ends = outcomes(fleet.roll(Course("x", batch="1", max_fail=1)))
    assert ends.pop(place) == "failed"
    assert ends == ["changed", "changed"]
    assert [one.states["thing:switch"]["value"] for one in fakes if isinstance(one, FakeHost)].count(
        "new"
    ) == 2
    told = [event for event in fleet.events if isinstance(event, Note) and "is left out" in event.text]
    assert [event.host for event in told] == [f"web{place + 1}"]


@pytest.mark.parametrize("how", FAILING)
def test_nothing_is_switched_anywhere_when_one_host_more_than_accepted(how: str, tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=FAILING[how](), web3=fake(), web4=FAILING[how]())
    reports = fleet.roll(Course("x", max_fail=1))
    assert [report.outcome for report in reports[1::2]] == ["failed", "failed"]
    assert {report.outcome for report in reports[::2]} <= {"skipped", "staged"}
    assert fleet.value("web1") == fleet.value("web3") == "old"


def test_failures_of_all_stages_count_together(tmp_path: Path) -> None:
    switching = fake(breaks_at="thing:switch")
    fleet = Fleet(tmp_path, web1=HostError("refused"), web2=fake(), web3=switching, web4=fake())
    reports = fleet.roll(Course("x", batch="1", max_fail=1))
    assert outcomes(reports) == ["failed", "reverted", "failed", "staged"]
    assert fleet.value("web2") == fleet.value("web4") == "old"


def test_when_every_host_fails_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=HostError("refused"), web2=HostError("refused"))
    assert outcomes(fleet.roll(Course("x", max_fail=5))) == ["failed", "failed"]
    assert not any(isinstance(event, Note) for event in fleet.events)


def test_batches_are_made_of_the_hosts_that_are_left(tmp_path: Path) -> None:
    broken = fake(breaks_at="thing:switch")
    fleet = Fleet(tmp_path, web1=HostError("refused"), web2=broken, web3=fake(), web4=fake(), web5=fake())
    reports = fleet.roll(Course("x", batch="50%", max_fail=1))
    assert outcomes(reports) == ["failed", "failed", "reverted", "staged", "staged"]


def test_a_host_that_somebody_holds_is_a_conflict_however_many_may_fail(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(held_by="bob@desk release holds the host"), web3=fake())
    reports = fleet.roll(Course("x", max_fail=2))
    assert outcomes(reports) == ["skipped", "failed", "skipped"]
    assert fleet.calls("web1") == fleet.calls("web3") == ["unlock"]


def migrations(fleet: Fleet) -> list[str]:
    """The hosts that ran them, once for each time."""
    return [name for name in fleet.fakes for call in fleet.asked(name) if "migration" in call.split()]


@pytest.mark.parametrize("how", FAILING)
def test_when_the_first_host_is_left_out_the_first_that_is_left_migrates(how: str, tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=FAILING[how](), web2=fake(), web3=fake())
    assert outcomes(fleet.roll(Course("x", max_fail=1), MIGRATE)) == ["failed", "changed", "changed"]
    assert migrations(fleet) == ["web2"]


@pytest.mark.parametrize("how", [{"breaks_at": "thing:migration"}, {"dies_at": "apply migration"}])
def test_a_migration_that_fails_stops_all_however_many_may_fail(how: dict[str, str], tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(**how), web2=fake(), web3=fake())
    assert outcomes(fleet.roll(Course("x", max_fail=2), MIGRATE)) == ["failed", "staged", "staged"]
    assert {fleet.value(name) for name in fleet.fakes} == {"old"}
    assert not any(isinstance(event, Note) for event in fleet.events)


def test_a_host_that_comes_back_does_not_migrate_again_what_another_has_migrated(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=HostError("refused"), web2=fake())
    fleet.roll(Course("x", max_fail=1), MIGRATE)
    fleet.fakes["web1"] = fake()
    assert outcomes(fleet.roll(migrate=MIGRATE)) == ["changed", "unchanged"]
    assert migrations(fleet) == ["web2"]


def test_a_release_that_was_migrated_by_a_host_that_is_gone_since_is_not_migrated_again(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(breaks_at="thing:switch"), web3=fake())
    fleet.roll(migrate=MIGRATE)
    assert migrations(fleet) == ["web1"]
    fleet.fakes = {"web1": HostError("refused"), "web2": fake(), "web3": fake()}
    assert outcomes(fleet.roll(Course("x", max_fail=1), MIGRATE)) == ["failed", "changed", "changed"]
    assert migrations(fleet) == []


def test_a_migration_that_was_cut_off_on_a_host_that_is_gone_since_is_begun_nowhere_else(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path, web1=fake(dies_at="apply migration"), web2=fake(), web3=fake())
    fleet.roll(migrate=MIGRATE)
    fleet.fakes = {"web1": HostError("refused"), "web2": fake(), "web3": fake()}
    reports = fleet.roll(Course("x", max_fail=1), MIGRATE)
    assert outcomes(reports) == ["failed", "staged", "staged"]
    assert migrations(fleet) == []
    failure = reports[0].failure
    assert failure is not None and failure.stands is not None
    assert failure.stands.startswith("It had begun to migrate hello new, and only it knows how far that came")


def test_another_fleet_migrates_the_same_release_for_itself(tmp_path: Path) -> None:
    Fleet(tmp_path, stage1=fake()).roll(migrate=MIGRATE)
    fleet = Fleet(tmp_path, web1=fake(), web2=fake())
    fleet.roll(migrate=MIGRATE)
    assert migrations(fleet) == ["web1"]


def test_a_site_that_the_first_host_does_not_have_migrates_on_the_first_that_has_it(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, web1=fake(), web2=fake(), web3=fake())
    fleet.without_site = {"web1"}
    fleet.roll(migrate=MIGRATE)
    assert migrations(fleet) == ["web2"]


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


class Awoken(FakeHost):
    """A host whose connection was lost before its switch; by the next one another run has brought its release."""

    def close(self) -> None:
        super().close()
        self.dies_at = None
        self.facts = structs.replace(
            SERVING, apps=(AppFacts("hello", activation=3, release="theirs", venv="v3"),)
        )
        self.states["thing:switch"] = {"value": "theirs"}


def test_a_run_that_lost_its_hosts_to_another_takes_nothing_back(tmp_path: Path) -> None:
    states = {"thing:code": {"value": "old"}, "thing:switch": {"value": "old"}}
    lost = Awoken(states=states, facts=SERVING, brings={"thing:switch": switched}, dies_at="apply switch")
    fleet = Fleet(tmp_path, web1=lost, web2=fake(breaks_at="thing:switch"))
    assert outcomes(fleet.roll()) == ["failed", "failed"]
    assert fleet.value("web1") == "theirs"
    (note,) = [
        event.text for event in fleet.events if isinstance(event, Note) and "not taken back" in event.text
    ]
    assert "theirs" in note


def test_a_host_that_another_run_holds_is_not_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.fleet.rollout.LOST", 0)
    monkeypatch.setattr("deploy.fleet.rollout.sleep", lambda seconds: None)

    class Taken(FakeHost):
        def close(self) -> None:
            super().close()
            self.dies_at, self.held_by = None, "bob@desk release holds the host since 2026"

    states = {"thing:code": {"value": "old"}, "thing:switch": {"value": "old"}}
    lost = Taken(states=states, facts=SERVING, brings={"thing:switch": switched}, dies_at="apply switch")
    fleet = Fleet(tmp_path, web1=lost, web2=fake())
    fleet.roll()
    calls = fleet.asked("web1")
    assert calls[calls.index("apply switch") :].count("apply switch") == 1
    notes = [event.text for event in fleet.events if isinstance(event, Note)]
    assert f"not taken back: {lost.held_by}" in notes
