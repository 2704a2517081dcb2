"""The short way: taken when this machine and a host say the same as when nothing was left to do, and only then."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from deploy import transport
from deploy.engine import answers
from deploy.engine.events import Report
from deploy.engine.plan import Plan
from deploy.errors import HostError
from deploy.files import reads
from deploy.inventory.hosts import Host
from deploy.shell import Script, Secret
from deploy.shortcut.fork import Apart
from deploy.shortcut.prelogin import Openings
from deploy.shortcut.unchanged import Way
from deploy.staging.machine import wait
from deploy.transport import Reply, forked
from deploy.transport.endpoint import Endpoint

SETTLED = Report("web1", "unchanged", settled=True)


@dataclass
class Session:
    """A host that answers as it is told, and counts."""

    host: Endpoint
    says: dict[str, bytes]
    round_trips: int = 0
    sent: int = 0
    received: int = 0
    closed: bool = False
    asked: list[Script] = field(default_factory=list)

    def run(self, script: Script, *, timeout: float, compress: bool = False) -> Reply:
        self.round_trips += 1
        self.asked.append(script)
        mark = script.split()[-1].encode()
        return Reply(0, self.says["answer"].replace(b"MARK", mark), b"")

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, bytes], list[Session]]]:
    """What every host says, and the sessions that were opened."""
    says, opened = {"answer": b"all is well MARK"}, []

    def connect(host: Endpoint, *, password: Any = None) -> Session:
        if says["answer"] == b"gone":
            raise HostError(f"{host.name}: gone")
        opened.append(Session(host, says))
        return opened[-1]

    monkeypatch.setattr(transport, "connect", connect)
    yield says, opened
    reads._notes = None


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text("web1")
    time.sleep(2 * reads.TICK / 1e9)
    return tmp_path


def way(project: Path, *chosen: str) -> Way:
    return Way(project / ".barehost", chosen, None)


def go_the_long_way(project: Path, report: Report = SETTLED, host: Host | None = None) -> None:
    """A run that reads, looks with a script of its own, and ends as ``report`` says."""
    host = host or Host("web1", address="192.0.2.1", project=project)
    with way(project) as one:
        (project / "hosts.yml").read_text()
        with one.reach(host, None) as remote:
            remote.look([])
        one.remember([host], [report])


def kept(project: Path) -> list[Path]:
    return sorted((project / ".barehost/settled").glob("*.json"))


@pytest.fixture(autouse=True)
def look_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.engine import look

    monkeypatch.setattr(look, "script", lambda resources, nonce: Script(f"how are you {nonce}"))
    monkeypatch.setattr(look, "parse", lambda resources, nonce, answer: None)


def test_the_same_answer_to_the_same_question_is_the_whole_run(project: Path, hosts: Any) -> None:
    _, opened = hosts
    go_the_long_way(project)
    with way(project) as one:
        reports = one.short()
    assert reports is not None
    assert [(report.host, report.outcome, report.round_trips) for report in reports] == [
        ("web1", "unchanged", 1)
    ]
    assert opened[-1].asked != opened[0].asked  # each look has a mark of its own
    assert all(session.closed for session in opened)


def test_another_answer_goes_the_long_way_over_the_same_connection_without_asking_again(
    project: Path, hosts: Any
) -> None:
    says, opened = hosts
    go_the_long_way(project)
    says["answer"] = b"somebody was here MARK"
    host = Host("web1", address="192.0.2.1", project=project)
    with way(project) as one:
        assert one.short() is None
        with one.reach(host, None) as remote:
            remote.look([])
            assert remote.round_trips == 1
            remote.look([])
            assert remote.round_trips == 2
    assert len(opened) == 2


def test_another_input_is_read_before_any_host_is_asked(project: Path, hosts: Any) -> None:
    _, opened = hosts
    go_the_long_way(project)
    (project / "hosts.yml").write_text("web2")
    with way(project) as one:
        assert one.short() is None
    assert len(opened) == 1


def test_a_host_that_is_gone_is_for_the_long_way_to_say(project: Path, hosts: Any) -> None:
    says, _ = hosts
    go_the_long_way(project)
    says["answer"] = b"gone"
    host = Host("web1", address="192.0.2.1", project=project)
    with way(project) as one:
        assert one.short() is None
        with pytest.raises(HostError, match="web1: gone"), one.reach(host, None):
            raise AssertionError("it is not reached")


@pytest.mark.parametrize(
    "report",
    [
        Report("web1", "changed"),
        Report("web1", "failed"),
        Report("web1", "planned"),
        Report("web1", "unchanged"),
    ],
    ids=lambda report: report.outcome,
)
def test_a_run_that_left_or_said_something_is_not_remembered(
    project: Path, hosts: Any, report: Report
) -> None:
    go_the_long_way(project, report)
    assert kept(project) == []


def test_a_host_with_a_sudo_password_is_not_remembered(project: Path, hosts: Any) -> None:
    host = Host("web1", address="192.0.2.1", project=project, sudo_password=Secret("hunter2"))
    go_the_long_way(project, host=host)
    assert kept(project) == []


def test_another_choice_of_hosts_is_another_memory(project: Path, hosts: Any) -> None:
    go_the_long_way(project)
    with way(project, "web2") as one:
        assert one.known is None


def test_what_is_kept_is_for_its_owner_alone_and_holds_no_answer(project: Path, hosts: Any) -> None:
    go_the_long_way(project)
    (file,) = kept(project)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert "all is well" not in file.read_text()


@pytest.mark.parametrize("damage", ["", "{}", "[]", "null", '{"form": 0}', '{"form": 1, "scripts": []}'])
def test_a_damaged_memory_is_none(project: Path, hosts: Any, damage: str) -> None:
    go_the_long_way(project)
    (file,) = kept(project)
    file.write_text(damage)
    with way(project) as one:
        assert one.short() is None


def test_an_endpoint_is_kept_whole(project: Path, hosts: Any) -> None:
    host = Host(
        "web1",
        address="192.0.2.1",
        port=2222,
        user="deploy",
        key=Path("/keys/id"),
        jump=("a@b", "c"),
        known_hosts=Path("/keys/known"),
        project=project,
        connect_timeout=3,
    )
    go_the_long_way(project, host=host)
    known = way(project).known
    assert known is not None
    ((place, _),) = known.hosts
    assert type(place) is Endpoint
    assert {name: getattr(host, name) for name in vars(place)} == vars(place)
    assert json.loads(kept(project)[0].read_text())["hosts"][0][0]["name"] == "web1"


def test_what_was_to_be_said_of_a_host_is_said_again(project: Path, hosts: Any) -> None:
    plan = Plan("web1", orphans=("blog",), remarks=("shop: the source has changed",))
    go_the_long_way(project, structs.replace(SETTLED, plan=plan))
    with way(project) as one:
        reports = one.short()
    assert reports is not None
    assert reports[0].plan == plan


class Guessing:
    """Openings over a process that is none, and what came of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, password: Any = None) -> None:
        self.opened: list[Session] = []
        self.asked: list[str] = []
        self.wants_password = password is not None
        self.fails = False
        self.tried = 0
        monkeypatch.setattr(forked, "connect", self.connect)
        self.asking: Future[bool] = Future()
        self.openings = Openings(password, self.asking, cast(Apart, SimpleNamespace(hand=None)))

    def connect(self, hand: None, host: Endpoint, *, password: Any = None) -> Session:
        self.tried += 1
        if self.fails:
            raise HostError(f"{host.name}: gone")
        if self.wants_password:
            self.asked.append(password(f"sudo password of {host.name}").reveal())
        self.opened.append(Session(host, {"answer": b"all is well MARK"}))
        return self.opened[-1]

    def logged_in(self) -> bool:
        return wait(lambda: bool(self.opened), 5)

    def close(self, hosts: int) -> None:
        """Once every host was tried: none may outlive the test."""
        assert wait(lambda: self.tried == hosts, 5)
        self.openings.close()


WEB1 = Endpoint("web1", "192.0.2.1")
QUESTION = answers.Question(f"how are you {answers.BLANK}", "")


def test_a_guess_is_logged_in_to_and_asked_once_it_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    guessing = Guessing(monkeypatch)
    guessing.openings.guess({WEB1: QUESTION}, "1" * 16)
    assert guessing.logged_in()
    guessing.asking.set_result(True)
    time.sleep(0.05)
    assert guessing.opened[0].asked == []
    guessing.openings.begin({WEB1: QUESTION}, "1" * 16)
    taken = guessing.openings.take(WEB1)
    assert taken is not None
    assert taken.answer == b"all is well " + b"1" * 16
    assert len(guessing.opened) == 1
    assert not guessing.opened[0].closed
    guessing.close(1)


@pytest.mark.parametrize("ends", ["another host is begun", "the run ends"])
def test_a_guess_that_was_wrong_is_asked_nothing_and_closed(
    monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    guessing = Guessing(monkeypatch)
    guessing.openings.guess({WEB1: QUESTION}, "1" * 16)
    assert guessing.logged_in()
    guessing.asking.set_result(True)
    if ends == "another host is begun":
        guessing.openings.begin({Endpoint("web2"): None}, "1" * 16)
        assert guessing.openings.take(WEB1) is None
        guessing.close(2)
    else:
        guessing.close(1)
    assert wait(lambda: guessing.opened[0].closed, 5)
    assert guessing.opened[0].asked == []


def test_a_guess_asks_nobody_for_a_password_until_it_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences: list[str] = []

    def password(sentence: str) -> Secret:
        sentences.append(sentence)
        return Secret("hunter2")

    guessing = Guessing(monkeypatch, password)
    guessing.openings.guess({WEB1: None, Endpoint("web2"): None}, "")
    time.sleep(0.05)
    assert sentences == []
    guessing.openings.begin({WEB1: None}, "")
    assert guessing.openings.take(WEB1) is not None
    assert sentences == ["sudo password of web1"]
    assert guessing.asked == ["hunter2"]
    guessing.close(2)


def test_a_guess_that_failed_is_an_error_only_of_who_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    guessing = Guessing(monkeypatch)
    guessing.fails = True
    guessing.openings.guess({WEB1: None, Endpoint("web2"): None}, "")
    guessing.openings.begin({WEB1: None}, "")
    with pytest.raises(HostError, match="web1: gone"):
        guessing.openings.take(WEB1)
    guessing.close(2)


def test_without_another_process_nobody_is_guessed(project: Path, hosts: Any) -> None:
    _, opened = hosts
    go_the_long_way(project)
    with way(project) as one:
        one.guess()
        time.sleep(0.05)
    assert len(opened) == 1
