"""Many hosts on threads, on processes and on any Executor: what travels, what comes back, what a lost worker means."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from deploy.engine.converge import Wishes
from deploy.engine.events import Emit, Event, Finished, Note, Planned, Report, Sending, StepStarted
from deploy.engine.plan import diff
from deploy.engine.reach import Reach
from deploy.errors import HostError, InputError
from deploy.facts import Facts
from deploy.fleet import job as errand
from deploy.fleet import run as fleet
from deploy.fleet.job import Ended, Errand, Parcel, Password, carry_out, digest, needed, pack, plain
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.path import File
from deploy.resources.tree import Tree
from deploy.roles import roles_of
from deploy.shell import Secret
from deploy.site.app import App
from deploy.site.release import Delivery, Release
from tests.unit.fakes.fake import BARE, FakeHost, Thing

PROVISION = Wishes("ada@desk provision")
PASSWORD = "correct horse battery staple"


# What is given to workers stands in a module: that is how it travels.


def things(host: Host, facts: Facts) -> Iterator[Resource]:
    if host.vars.get("dies"):
        os._exit(9)
    if host.vars.get("mistaken"):
        raise ZeroDivisionError("a mistake of ours")
    yield Thing(host.vars.get("thing", "a"))
    yield File("/etc/key", PASSWORD, secret=True)
    yield File("/etc/motd", "content of a file")


def found(host: Host, delivery: Delivery) -> list[Any]:
    if host.vars.get("roleless"):
        raise InputError(f"{host.name}: there is no role 'x'")
    return [things]


@contextmanager
def fake(host: Host, password: Password | None) -> Iterator[Reach]:
    """A host of no network; one that is ``down`` refuses, one that ``asks`` has sudo ask for a password."""
    if host.vars.get("down"):
        raise HostError(f"{host.name}: connection refused")
    if host.vars.get("asks") and password is None and host.sudo_password is None:
        raise HostError(f"{host.name}: sudo asks for the password and none is given")
    if host.sudo_password is not None:
        assert host.sudo_password.reveal() == PASSWORD
    yield FakeHost(breaks_at=host.vars.get("breaks_at"), facts=structs.replace(BARE, hostname=host.name))


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(params=["threads of its own", "a thread pool", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param == "threads of its own":
        yield None
    elif request.param == "a thread pool":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        yield request.getfixturevalue("processes")


class Elsewhere(Executor):
    """An Executor nobody has heard of: it does its work at once, but could be anywhere."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Channel(fleet.Distant):
    """Workers behind a channel that is private or not; what they were sent is kept."""

    name = "channel:1"

    def __init__(self, *, private: bool) -> None:
        self.private = private
        self.sent: list[Parcel] = []

    def send(self, parcel: Parcel, emit: Emit) -> Future[Ended]:
        self.sent.append(parcel)
        future: Future[Ended] = Future()
        future.set_result(carry_out(parcel, emit))
        return future


def host(name: str, **variables: Any) -> Host:
    return Host(name, vars=variables)


def secretive(name: str) -> Host:
    app = App(
        name="shop", source="s", wsgi="a:b", server_names=("x.example",), secrets={"KEY": Secret(PASSWORD)}
    )
    return Host(name, apps=(app,))


class Run:
    """One run over hosts, its reports and what was told."""

    def __init__(self, state: Path, *hosts: Host, executor: Any = None, **options: Any) -> None:
        self.events: list[Event] = []
        wishes = options.pop("wishes", PROVISION)
        self.reports = fleet.run(
            hosts, found, wishes, self.events.append, state=state, executor=executor, reaching=fake, **options
        )

    @property
    def outcomes(self) -> list[str]:
        return [report.outcome for report in self.reports]

    def of(self, host: str) -> list[str]:
        return [type(event).__name__ for event in self.events if event.host == host]


# -- on any executor ---------------------------------------------------------------------------------------


def test_every_host_is_reported_in_the_order_given(tmp_path: Path, executor: Executor | None):
    run = Run(tmp_path, host("b"), host("a"), host("c"), executor=executor)
    assert [report.host for report in run.reports] == ["b", "a", "c"]
    assert run.outcomes == ["changed"] * 3
    assert run.reports[0].changed == ("thing:a", "path:/etc/key", "path:/etc/motd")


def test_one_hosts_failure_leaves_the_others_running(tmp_path: Path, executor: Executor | None):
    run = Run(tmp_path, host("a", down=True), host("b"), host("c", breaks_at="thing:a"), executor=executor)
    assert run.outcomes == ["failed", "changed", "failed"]
    down, _, broken = (report.failure for report in run.reports)
    assert down is not None and broken is not None
    assert (down.message, down.exit_code_of_run) == ("a: connection refused", HostError.exit_code)
    assert broken.output == ("no space left",)


def test_events_come_in_their_order_wherever_the_work_was_done(tmp_path: Path, executor: Executor | None):
    told = Run(tmp_path, host("a"), host("b"), executor=executor).of("a")
    assert told[:4] == ["Connecting", "Looking", "Looking", "Planned"] or told[:3] == [
        "Connecting",
        "Looking",
        "Planned",
    ]
    assert told.count("StepStarted") == told.count("StepFinished") == 3
    assert told[-1] == "Finished"
    assert told.count("Finished") == 1


def test_facts_are_kept_on_this_side_and_used_by_the_next_run(tmp_path: Path, executor: Executor | None):
    assert fleet.recall(tmp_path, "a") is None
    Run(tmp_path, host("a"), executor=executor)
    known = fleet.recall(tmp_path, "a")
    assert known is not None
    assert known.hostname == "a"
    again = Run(tmp_path, host("a"), executor=executor)
    assert again.of("a").count("Looking") == 2  # before and after the change; none to learn the facts


def test_what_is_wrong_with_a_role_is_said_before_any_host_is_contacted(
    tmp_path: Path, executor: Executor | None
):
    with pytest.raises(InputError, match="b: there is no role"):
        Run(tmp_path, host("b", roleless=True), host("a"), executor=executor)


def test_migrations_run_on_the_first_host_alone_and_before_the_others(
    tmp_path: Path, executor: Executor | None
):
    app = App(name="shop", source="s", wsgi="a:b", server_names=("x.example",), migrate=("migrate",))
    run = Run(tmp_path, *(Host(name, apps=(app,)) for name in "abc"), executor=executor)
    assert run.outcomes == ["changed"] * 3
    order = [event.host for event in run.events if isinstance(event, Finished)]
    begun = next(number for number, event in enumerate(run.events) if event.host in "bc")
    assert order[0] == "a"
    assert isinstance(run.events[begun - 1], Finished)


def test_when_the_host_that_migrates_fails_the_others_go_on_without_that_site(
    tmp_path: Path, executor: Executor | None
):
    app = App(name="shop", source="s", wsgi="a:b", server_names=("x.example",), migrate=("migrate",))
    hosts = (Host("a", apps=(app,), vars={"down": True}), Host("b", apps=(app,)))
    run = Run(tmp_path, *hosts, executor=executor)
    assert run.outcomes == ["failed", "changed"]
    notes = [event for event in run.events if isinstance(event, Note)]
    assert [(note.host, note.text.partition(" ")[0]) for note in notes] == [("b", "shop")]


# -- elsewhere ---------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_is_its_hosts_failure_and_not_a_traceback(tmp_path: Path):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        run = Run(tmp_path, host("a", dies=True), executor=pool)
    (report,) = run.reports
    assert report.failure is not None
    assert report.failure.message.startswith("a: the worker that converged it was lost before it was done")
    assert "goes on there to its end" in (report.failure.stands or "")
    assert "Run the same command again" in (report.failure.advice or "")
    assert report.failure.exit_code_of_run == HostError.exit_code
    assert run.of("a") == ["Finished"]


def test_a_mistake_elsewhere_is_one_sentence(tmp_path: Path, processes: Executor):
    run = Run(tmp_path, host("a", mistaken=True), host("b"), executor=processes)
    assert run.outcomes == ["failed", "changed"]
    assert run.reports[0].failure is not None
    assert (
        run.reports[0].failure.message
        == "a: the worker could not converge it: ZeroDivisionError: a mistake of ours"
    )


def test_a_mistake_in_a_thread_of_this_process_is_not_hidden(tmp_path: Path):
    with pytest.raises(ZeroDivisionError):
        Run(tmp_path, host("a", mistaken=True))


def test_only_names_and_states_come_back(tmp_path: Path, processes: Executor):
    run = Run(tmp_path, host("a"), executor=processes)
    data = pickle.dumps([run.reports, run.events])
    assert b"/etc/motd" in data
    assert b"content of a file" not in data
    assert PASSWORD.encode() not in data


def test_a_plan_says_the_same_after_its_journey(tmp_path: Path):
    (tmp_path / "x").write_text("x")
    one, gone, there = File("/etc/a", "new"), File("/etc/b", state="absent"), Tree("/srv/t", tmp_path)
    state = {"type": "file", "content": "0", "owner": "root", "group": "root", "mode": "0600"}
    plan = diff("a", [one, gone, there], {one.id: state, gone.id: state, there.id: None})
    assert pickle.loads(pickle.dumps(plain(plan))).as_json() == plan.as_json()
    assert [change.action for change in plain(plan).changes] == [change.action for change in plan.changes]
    assert len(pickle.dumps(plain(plan))) < 2000


def test_a_role_of_the_projects_own_works_elsewhere(tmp_path: Path, processes: Executor):
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from tests.unit.fakes.fake import Thing\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Own(Thing):\n"
        "    pass\n\n\n"
        "def mine(host, facts):\n"
        "    yield Own('mine')\n"
    )
    one = Host("a", project=tmp_path, roles=("mine",))
    (report,) = fleet.run(
        [one], roles_of, PROVISION, [].append, state=tmp_path, executor=processes, reaching=fake
    )
    assert report.changed == ("thing:mine",)


def test_a_worker_cannot_ask_for_a_password(tmp_path: Path, processes: Executor):
    def never(sentence: str) -> Secret:
        raise AssertionError(sentence)

    run = Run(tmp_path, host("a", asks=True), executor=processes, password=never)
    assert run.reports[0].failure is not None
    assert "none is given" in run.reports[0].failure.message


def test_events_come_while_the_work_goes_on_where_workers_can_tell_them(tmp_path: Path):
    run = Run(tmp_path, host("a"), executor=Channel(private=False))
    assert run.of("a").count("StepStarted") == 3
    assert run.of("a").count("Planned") == 2


def test_progress_is_told_a_few_times_a_second_and_at_its_end():
    told: list[Event] = []
    telling = errand._Telling(told.append)
    for done in range(1, 1001):
        telling(Sending("a", "tree", done, 1000))
    assert [event.done for event in told if isinstance(event, Sending)][-1] == 1000
    assert len(told) < 10
    kept = errand._Telling(None)
    kept(Sending("a", "tree", 1, 1))
    kept(StepStarted("a", "x", 1, 1))
    assert [type(event) for event in kept.kept] == [StepStarted]


# -- secrets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (secretive("a"), r"^a: its site shop has secrets \(KEY\), and the way to the workers of "),
        (
            Host("a", sudo_password=Secret(PASSWORD)),
            r"^a: it has a sudo password, and the way to the workers of ",
        ),
    ],
)
@pytest.mark.parametrize("way", [Elsewhere(), Channel(private=False)])
def test_secrets_do_not_travel_where_others_can_read_them(tmp_path: Path, one: Host, says: str, way: Any):
    with pytest.raises(InputError, match=says) as caught:
        Run(tmp_path, host("b"), one, executor=way)
    assert "tls://" in str(caught.value)
    assert "nothing was begun" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_without_secrets_any_executor_will_do(tmp_path: Path):
    assert Run(tmp_path, host("a"), executor=Elsewhere()).outcomes == ["changed"]


@pytest.mark.parametrize("private", ["processes", "channel"])
def test_secrets_reach_workers_that_nobody_can_overhear(
    tmp_path: Path, private: str, request: pytest.FixtureRequest
):
    way = request.getfixturevalue("processes") if private == "processes" else Channel(private=True)
    assert Run(tmp_path, Host("a", sudo_password=Secret(PASSWORD)), executor=way).outcomes == ["changed"]


def test_what_a_worker_was_given_shows_nothing_of_it():
    parcel = pack(Errand(secretive("a"), Delivery(), found, PROVISION))
    assert PASSWORD.encode() in parcel.data
    assert PASSWORD not in repr(parcel)
    with pytest.raises(TypeError, match="only where that is meant"):
        pickle.dumps(Errand(secretive("a"), Delivery(), found, PROVISION))


# -- what a worker must have -------------------------------------------------------------------------------


def test_the_project_the_source_and_the_wheels_are_needed(tmp_path: Path):
    for name in ("roles", "templates", "site", "wheels"):
        (tmp_path / name).mkdir()
    app = App(
        name="shop", source="site", wsgi="a:b", server_names=("x.example",), wheels="wheels", project=tmp_path
    )
    one = Host("a", apps=(app,), project=tmp_path)
    brought = Delivery({"shop": Release("1", tmp_path / "site")})
    assert needed(one, brought) == [tmp_path / name for name in ("roles", "templates", "site", "wheels")]
    assert needed(Host("a", project=tmp_path / "other"), Delivery()) == []


def test_a_worker_without_the_source_says_so_and_leaves_the_host_alone(tmp_path: Path):
    source = tmp_path / "site"
    source.mkdir()
    needs = ((source, digest(source)),)
    parcel = pack(Errand(host("a"), Delivery(), found, PROVISION, needs=needs, reaching=fake))
    assert carry_out(parcel).report.outcome == "changed"
    (source / "x").write_text("x")
    assert f"has another content of {source}" in _failure(carry_out(parcel).report)
    (source / "x").unlink()
    source.rmdir()
    told: list[Event] = []
    report = carry_out(parcel, told.append).report
    assert f"has no folder {source}" in _failure(report)
    assert report.failure is not None
    assert report.failure.exit_code_of_run == InputError.exit_code
    assert report.failure.stands == "The host was not contacted."
    assert told == []


def test_a_worker_of_another_version_says_so():
    parcel = replace(pack(Errand(host("a"), Delivery(), found, PROVISION, reaching=fake)), version="0.0.1")
    assert "and not 0.0.1; install the same there" in _failure(carry_out(parcel).report)


def _failure(report: Report) -> str:
    assert report.failure is not None
    return report.failure.message


def test_a_check_travels_too(tmp_path: Path, processes: Executor):
    run = Run(tmp_path, host("a"), executor=processes, wishes=Wishes("ada@desk plan", check=True))
    assert run.outcomes == ["planned"]
    planned = [event for event in run.events if isinstance(event, Planned)]
    assert [change.resource.id for change in planned[0].plan.changes] == [
        "thing:a",
        "path:/etc/key",
        "path:/etc/motd",
    ]


def test_a_worker_is_given_the_saved_plan_of_its_own_host_alone(tmp_path: Path):
    channel = Channel(private=False)
    saved = {name: {"host": name, "changes": []} for name in ("a", "b")}
    run = Run(
        tmp_path, host("a"), host("c"), executor=channel, wishes=structs.replace(PROVISION, saved=saved)
    )
    assert run.outcomes == ["failed", "failed"]
    assert "not as it was when the plan was saved" in _failure(run.reports[0])
    assert "not in the saved plan" in _failure(run.reports[1])
    assert [list(pickle.loads(parcel.data).wishes.saved) for parcel in channel.sent] == [["a"], []]
