"""Many hosts: reports in order, one failure leaves the others alone; what is remembered between runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy.engine.converge import Wishes
from deploy.engine.events import Connecting, Event, Failure, Finished, Report, Result
from deploy.errors import HostError, InputError
from deploy.facts import AppFacts, Facts
from deploy.fleet import run as fleet
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.path import File
from deploy.schema.model import build
from deploy.site.app import App
from deploy.site.release import Delivery, Release
from tests.unit.fakes.sandbox import Sandbox, SandboxSession, needs_root

WISHES = Wishes("ada@desk provision")


@pytest.fixture
def closed() -> Iterator[int]:
    """A port of this machine where nobody answers."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def refused(name: str, port: int, **keys: Any) -> Host:
    return Host(name, "127.0.0.1", port, "root", jump=(), **keys)


def no_roles(host: Host, delivery: Delivery) -> list[Any]:
    return []


def test_a_host_that_refuses_is_a_failure_in_its_own_report(closed: int, tmp_path: Path):
    events: list[Event] = []
    hosts = [refused("web1", closed), refused("web2", closed)]
    reports = fleet.run(hosts, no_roles, WISHES, events.append, state=tmp_path)
    assert [one.host for one in reports] == ["web1", "web2"]
    for one in reports:
        assert one.outcome == "failed"
        assert one.failure is not None
        assert one.failure.exit_code_of_run == HostError.exit_code
        assert one.failure.message.startswith(f"{one.host}: ")
    assert {event.host for event in events if isinstance(event, Connecting)} == {"web1", "web2"}
    assert sum(isinstance(event, Finished) for event in events) == 2


def test_any_executor_will_do(closed: int, tmp_path: Path):
    with ThreadPoolExecutor(1) as pool:
        reports = fleet.run(
            [refused("web1", closed)], no_roles, WISHES, lambda event: None, state=tmp_path, executor=pool
        )
        assert [one.outcome for one in reports] == ["failed"]
        assert pool.submit(int).result() == 0, "it is left open for its owner"


def test_a_role_that_is_not_there_stops_before_any_host(closed: int, tmp_path: Path):
    def missing(host: Host, delivery: Delivery) -> list[Any]:
        raise InputError("there is no role 'x'")

    with pytest.raises(InputError, match="no role"):
        fleet.run([refused("web1", closed)], missing, WISHES, lambda event: None, state=tmp_path)


def test_where_a_sites_migrations_fail_the_other_hosts_are_left_without_that_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun: list[tuple[str, list[str], list[str]]] = []

    def side_by_side(self: fleet._Fleet, hosts: list[Host]) -> list[Report]:
        for one in hosts:
            errand = self._errand(one)
            begun.append((one.name, list(errand.delivery.releases), sorted(errand.wishes.leave_out)))
        scopes = {"web1": "shop", "web2": None}
        return [
            Report(one.name, Result.FAILED, failures=(Failure("no", 7, scope=scopes[one.name]),))
            if one.name in scopes
            else Report(one.name, Result.UNCHANGED)
            for one in hosts
        ]

    monkeypatch.setattr(fleet._Fleet, "side_by_side", side_by_side)
    shop, blog = (
        build(App, {"name": name, "source": ".", "wsgi": "a:a", "server_names": [name], "migrate": ["true"]})
        for name in ("shop", "blog")
    )
    both = {name: Release("r", None) for name in ("shop", "blog")}
    hosts = [
        Host("web1", apps=(shop,)),
        Host("web2", apps=(shop, blog)),
        Host("web3", apps=(shop, blog)),
    ]
    deliveries = {
        "web1": Delivery({"shop": both["shop"]}),
        "web2": Delivery(both),
        "web3": Delivery(both),
    }
    fleet.run(hosts, no_roles, WISHES, lambda event: None, state=tmp_path, deliveries=deliveries)
    assert begun == [("web1", ["shop"], []), ("web2", ["blog"], ["shop"]), ("web3", [], ["blog", "shop"])]


def test_a_site_that_the_first_host_lacks_is_migrated_by_the_first_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun: list[list[tuple[str, list[str]]]] = []

    def side_by_side(self: fleet._Fleet, hosts: list[Host]) -> list[Report]:
        brought = {one.name: self.delivery(one) for one in hosts}
        begun.append([(one.name, sorted(brought[one.name].migrates or ())) for one in hosts])
        return [Report(one.name, Result.UNCHANGED) for one in hosts]

    monkeypatch.setattr(fleet._Fleet, "side_by_side", side_by_side)

    def site(name: str, *migrate: str) -> App:
        return build(
            App, {"name": name, "source": ".", "wsgi": "a:a", "server_names": ["h"], "migrate": migrate}
        )

    shop, blog, plain = site("shop", "true"), site("blog", "true"), site("plain")
    hosts = [
        Host("web1", apps=(plain,)),
        Host("web2", apps=(plain, shop)),
        Host("web3", apps=(shop, blog)),
        Host("web4", apps=(blog,)),
    ]
    reports = fleet.run(hosts, no_roles, WISHES, lambda event: None, state=tmp_path)
    assert begun == [[("web2", ["shop"])], [("web3", ["blog"])], [("web1", []), ("web4", [])]]
    assert [one.host for one in reports] == ["web1", "web2", "web3", "web4"]


def test_a_question_is_answered_by_each_or_says_what_went_wrong(closed: int):
    (answer,) = fleet.ask([refused("web1", closed)], lambda session: session.run)
    assert isinstance(answer, HostError)


@needs_root
class TestSandboxes:
    """Two hosts that are folders of this machine."""

    @pytest.fixture
    def boxes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Sandbox]:
        boxes = {name: Sandbox(tmp_path / name) for name in ("web1", "web2")}
        opened = {name: SandboxSession(box, Host(name)) for name, box in boxes.items()}
        monkeypatch.setattr(fleet.transport, "connect", lambda host, password: opened[host.name])
        return boxes

    def test_each_becomes_what_its_roles_say_and_is_remembered(
        self, boxes: dict[str, Sandbox], tmp_path: Path
    ):
        def role(host: Host, facts: Facts) -> Iterator[Resource]:
            yield File(f"{boxes[host.name].target}/name", f"{host.name} on {facts.os}\n")

        def run() -> list[tuple[str, int]]:
            reports = fleet.run(
                [Host("web1"), Host("web2")],
                lambda host, delivery: [role],
                WISHES,
                lambda event: None,
                state=tmp_path,
            )
            return [(one.outcome, one.passes) for one in reports]

        assert [outcome for outcome, _ in run()] == ["changed", "changed"]
        assert run() == [("unchanged", 1)] * 2
        known = fleet.recall(tmp_path, "web2")
        assert known is not None
        assert (boxes["web2"].target / "name").read_text() == f"web2 on {known.os}\n"

    def test_a_question_goes_to_every_host(self, boxes: dict[str, Sandbox]):
        assert fleet.ask([Host("web2"), Host("web1")], lambda session: session.host.name) == ["web2", "web1"]


def test_facts_are_remembered_for_each_host(tmp_path: Path):
    facts = Facts(os="debian", apps=(AppFacts("hello", 1, "r", "v"),))
    fleet.remember(tmp_path, "web1", facts)
    fleet.remember(tmp_path, "web1", facts)
    assert fleet.recall(tmp_path, "web1") == facts
    assert fleet.recall(tmp_path, "web2") is None
    assert [path.name for path in (tmp_path / "facts").iterdir()] == ["web1.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apps": [], "older": 1}', '{"os": "debian"}'])
def test_what_another_version_remembered_is_not_known(tmp_path: Path, text: str):
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "web1.json").write_text(text)
    assert fleet.recall(tmp_path, "web1") is None
