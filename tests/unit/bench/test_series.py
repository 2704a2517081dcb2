"""A series in itself: turns, rounds, what ends them, and that nothing stays. Its hosts are names that are written down;
its peers are commands of a shell that take as long as a test says, and where measuring is tested as long as they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import series
from bench.cases import Case
from bench.contenders import Act, Peer, Place, Run, Said, Target
from bench.hosts import Traffic
from bench.job import Job
from bench.series import Plan, Sample, Series


@dataclass
class Hosts:
    """Stands in for bench.hosts: keeps which hosts and images there are."""

    up_now: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    booted: list[tuple[str, str | None]] = field(default_factory=list)
    again_of: list[str] = field(default_factory=list)
    most: int = 0

    def clear(self) -> None:
        self.up_now.clear()
        self.images.clear()

    def up(self, names: Sequence[str], image: str | None = None) -> list[Target]:
        assert image is None or image in self.images
        assert not self.up_now & set(names)
        self.up_now |= set(names)
        self.most = max(self.most, len(self.up_now))
        self.booted += [(name, image) for name in names]
        return [Target(name, "address") for name in names]

    def down(self, hosts: Sequence[Target]) -> None:
        self.up_now -= {host.name for host in hosts}

    def freeze(self, host: Target, image: str) -> None:
        self.up_now.remove(host.name)
        self.images.add(image)

    def again(self, host: Target) -> None:
        self.again_of.append(host.name)

    def traffic(self, hosts: Sequence[Target]) -> Traffic:
        return Traffic(len(hosts), 100, 10, 3)


Shell = Callable[[Act, int], str]
"""What a peer's shell does for an act, by the number of commands it was asked for."""


class Clock:
    """Stands in for the module `time`: a sleep takes no time here and all of it there."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def strftime(self, form: str) -> str:
        return "12:00:00"


@dataclass
class World:
    """A bench of cases and peers of one's own. takes: seconds of a run, by peer; a hundredth where none are named."""

    place: Place
    hosts: Hosts
    clock: Clock = field(default_factory=Clock)
    takes: dict[str, float] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    peers: dict[str, Peer] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Act, tuple[str, ...]]] = field(default_factory=list)

    def peer(self, name: str, shell: str | Shell = "true", leaves: str = "") -> None:
        """A peer that is a shell; quiet when it prints nothing."""

        def command(place: Place, hosts: Sequence[Target], act: Act) -> Run:
            number = sum(asked == name for asked, _, _ in self.asked)
            self.asked.append((name, act, tuple(host.name for host in hosts)))
            text = shell if isinstance(shell, str) else shell(act, number)
            return Run(("sh", "-c", text), place.job.work, quiet="^$")

        kind = leaves or name
        self.peers[name] = Peer(name, name, kind, "nothing", command)
        self.makers.setdefault(kind, name)

    def case(self, name: str, **given: object) -> None:
        usual = Case(name, name, 1, tuple(self.peers), lambda job, number: Act("provision"))
        self.cases[name] = replace(usual, **given)  # type: ignore[arg-type]

    def measure(self, run: Run, *, watched: bool, limit: float) -> tuple[dict[str, float], str]:
        """Stands in for Series._measure: the command's exit code and output, and the time that is written down."""
        name = self.asked[-1][0]
        done = (
            subprocess.run(run.argv, capture_output=True, text=True, check=False)
            if run.argv[-1] != "true"
            else None
        )
        self.clock.now += (seconds := self.takes.get(name, 0.01))
        told = {
            "wall": seconds,
            "ended": self.clock.now,
            "cpu": 0,
            "late": 0,
            "code": done.returncode if done else 0,
        }
        return {**told, "memory": 1.0 if watched else None}, done.stdout if done else ""  # type: ignore[dict-item]

    def first(self, **given: object) -> None:
        self.case("first", act=lambda job, number: Act("first"), before=self.hosts.again, **given)

    def run(self, *cases: str, **plan: object) -> list[Sample]:
        """Measure; every sample."""
        usual = Plan(cases=cases or tuple(self.cases), peers=tuple(self.peers), limit=30, rounds=3)
        with Series(self.place, replace(usual, **plan)) as measured:  # type: ignore[arg-type]
            return list(measured.measure())[-1]


@pytest.fixture
def measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """No hosts, no wait for a quiet machine; bare hosts are first met by every maker. Commands are really measured."""
    work = tmp_path / "work"
    work.mkdir()
    place = Place(Job(work), tmp_path, tmp_path, tmp_path, tmp_path, tmp_path)
    world = World(place, Hosts())
    world.first()
    monkeypatch.setattr(series, "hosts", world.hosts)
    monkeypatch.setattr(series, "CASE", world.cases)
    monkeypatch.setattr(series, "PEER", world.peers)
    monkeypatch.setattr(series, "MAKER", world.makers)
    monkeypatch.setattr(series, "_quiet", lambda: 0.0)
    return world


@pytest.fixture
def world(measuring: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same with a clock of its own: no test depends on how busy this machine is."""
    monkeypatch.setattr(series, "time", measuring.clock)
    monkeypatch.setattr(Series, "_measure", lambda series, run, **how: measuring.measure(run, **how))
    return measuring


def order(samples: Sequence[Sample]) -> str:
    return "".join(one.peer for one in samples)


def test_peers_take_turns_and_another_begins_each_round(world: World) -> None:
    for name in "abc":
        world.peer(name)
    world.case("noop")
    assert order(world.run("noop")) == "abcbcacababc"


def test_only_the_first_round_is_watched(measuring: World) -> None:
    measuring.peer("a")
    measuring.case("noop")
    samples = measuring.run("noop")
    assert [one.watched for one in samples] == [True, False, False, False]
    assert [one.memory is not None for one in samples] == [True, False, False, False]
    assert samples[0].traffic == Traffic()  # before and after it was the same here
    assert samples[1].traffic is None


def test_a_case_has_rounds_of_its_own_unless_the_plan_says_another_number(world: World) -> None:
    world.peer("a")
    world.case("noop", rounds=5)
    assert order(world.run("noop", rounds=None)) == "a" * 6
    assert order(world.run("noop", rounds=1)) == "aa"


def test_a_peer_that_has_spent_its_time_stops_and_the_others_go_on(world: World) -> None:
    world.peer("fast")
    world.peer("slow")
    world.takes["slow"] = 0.8
    world.case("noop", rounds=4, budget=1.5)
    samples = world.run("noop", rounds=None, fewest=0)
    assert [one.peer for one in samples].count("slow") == 2
    assert [one.peer for one in samples].count("fast") == 5


def test_a_slow_peer_gets_the_fewest_rounds_all_the_same(world: World) -> None:
    world.peer("slow")
    world.takes["slow"] = 0.2
    world.case("noop", rounds=5, budget=0.1)
    assert order(world.run("noop", rounds=None, fewest=2)) == "slow" * 3


def test_a_peer_that_is_to_run_once_is_run_once(world: World) -> None:
    world.peer("a")
    world.peer("b")
    world.case("noop", once=("b",))
    assert order(world.run("noop")) == "abaaa"


def test_a_failure_ends_the_peers_rounds_and_is_told(measuring: World) -> None:
    measuring.peer("good")
    measuring.peer("bad", lambda act, number: "true" if number < 2 else "echo no such host; exit 4")
    measuring.case("noop")
    samples = measuring.run("noop")  # the first command of `bad` makes its host, the second is watched
    assert order(samples).replace("good", "g").replace("bad", "b") == "gbbggg"
    failures = [one.failure for one in samples if one.failure]
    assert len(failures) == 1
    assert failures[0].startswith("exit code 4: ")
    assert "no such host" in failures[0]


def test_a_run_that_says_it_changed_something_is_no_noop(world: World) -> None:
    world.peer("a", lambda act, number: "echo changed" if number else "true")
    world.case("noop", quiet=True)
    (sample,) = world.run("noop")
    assert "it says that it changed something" in sample.failure
    assert "changed" in sample.failure


def test_a_run_whose_proof_fails_does_not_count(world: World) -> None:
    def proof(targets: Sequence[Target], number: int) -> None:
        raise AssertionError(f"{targets[0].name} serves another version")

    world.peer("a")
    world.case("release", proof=proof)
    (sample,) = world.run("release")
    assert sample.failure.startswith("b-a-0 serves another version")


def test_a_run_over_the_limit_is_ended_and_the_peers_last(measuring: World) -> None:
    measuring.peer("a", lambda act, number: "sleep 30" if act.what == "provision" else "true")
    measuring.case("noop")
    began = time.monotonic()
    (sample,) = measuring.run("noop", limit=0.3)
    assert time.monotonic() - began < 20
    assert sample.late
    assert not sample.failure


def test_every_run_changes_something_else(world: World) -> None:
    world.peer("a")
    world.peer("b")
    world.case("template", act=lambda job, number: Act("provision", body=f"{number}m"))
    world.run("template", rounds=2)
    bodies = [act.body for _, act, _ in world.asked if act.what == "provision"]
    assert len(bodies) == len(set(bodies)) == 6


def test_one_host_is_each_peers_own_and_a_fleet_is_shared_by_all_who_can_go_on_with_it(world: World) -> None:
    world.peer("a", leaves="x")
    world.peer("b", leaves="x")
    world.peer("c", leaves="y")
    world.case("noop")
    world.case("noop-4", count=4)
    world.run("noop", "noop-4")
    used = {(name, hosts) for name, act, hosts in world.asked if act.what == "provision"}
    fleets = {kind: tuple(f"b-{kind}-{n}" for n in range(4)) for kind in "xy"}
    assert used == {
        ("a", ("b-a-0",)),
        ("b", ("b-b-0",)),
        ("c", ("b-c-0",)),
        ("a", fleets["x"]),
        ("b", fleets["x"]),
        ("c", fleets["y"]),
    }


def test_hosts_are_made_once_and_cloned_for_every_case(world: World) -> None:
    world.peer("a")
    world.case("noop")
    world.case("template")
    world.run("noop", "template")
    assert world.hosts.booted == [("b-a", None), ("b-a-0", "made-a"), ("b-a-0", "made-a")]


def test_what_the_first_run_leaves_is_what_the_others_begin_with(world: World) -> None:
    world.peer("a", leaves="x")
    world.peer("b", leaves="x")
    world.first(peers=("a", "b"))
    world.case("noop")
    samples = world.run("first", "noop", rounds=2)
    assert world.hosts.booted == [("b-a", None), ("b-b", None), ("b-a-0", "made-x"), ("b-b-0", "made-x")]
    assert order(samples) == "abbaab" * 2
    assert world.hosts.again_of == ["b-b", "b-a", "b-a", "b-b"], "bare again before all but the first round"


def test_hosts_that_cannot_be_made_are_a_failure_in_every_case_and_tried_once(world: World) -> None:
    world.peer("a", "echo no index; exit 1")
    world.peer("b")
    world.case("noop")
    world.case("template")
    samples = world.run("noop", "template", rounds=1)
    failed = [(one.case, one.failure.split(":")[0]) for one in samples if one.peer == "a"]
    assert failed == [("noop", "no host to begin with"), ("template", "no host to begin with")]
    assert "no index" in samples[0].failure
    assert [name for name, _ in world.hosts.booted].count("b-a") == 1
    assert [one.case for one in samples if one.peer == "b"] == ["noop", "noop", "template", "template"]


def test_samples_are_given_after_every_case(world: World) -> None:
    world.peer("a")
    world.case("noop")
    world.case("template")
    plan = Plan(("template", "noop"), ("a",), limit=30, rounds=1)
    with Series(world.place, plan) as measured:
        assert [len(samples) for samples in measured.measure()] == [2, 4]


def test_what_is_to_be_unchanged_is_put_there_first_and_not_measured(world: World) -> None:
    folder = world.place.job.work
    world.peer("a", lambda act, number: "echo sent" if act.what == "sync" and number == 1 else "true")
    world.case("tree", act=lambda job, number: Act("sync", folder=folder), quiet=True)
    samples = world.run("tree", rounds=1)
    assert [act.what for _, act, _ in world.asked] == ["first", "sync", "sync", "sync"]
    assert [one.failure for one in samples] == ["", ""]


def test_what_a_run_says_of_itself_is_kept(measuring: World) -> None:
    measuring.peer("a", "echo 'web1  nothing to change · 0.31 s · 1 round trip · 12.4 kB'")
    measuring.case("noop")
    assert {one.said for one in measuring.run("noop")} == {Said(1, 12_400)}


def test_a_change_is_in_force_when_nothing_old_is_answered_any_more(world: World) -> None:
    world.peer("a")
    world.takes["a"] = 2.0
    asked: dict[int, list[float]] = {}

    def old_for_a_while(host: Target, number: int) -> bool:
        """Old and new by turns, as while both answer, and nobody; then new alone."""
        times = asked.setdefault(number, [])
        times.append(world.clock.now)
        if len(times) == 4:
            raise ConnectionResetError
        return len(times) not in (2, 3)

    world.case("reload", effect=old_for_a_while)
    world.case("at once", effect=lambda host, number: True)
    world.case("unasked")
    found = {one.case: one for one in world.run(rounds=1)}
    times = list(asked.values())[-1]
    assert found["reload"].effective == pytest.approx(2.0 + times[3] - times[0])
    assert times[-1] - times[3] == pytest.approx(series.SURE, abs=2 * series.PAUSE), "asked until it is sure"
    assert found["at once"].effective == found["at once"].wall == 2.0
    assert found["unasked"].effective is None


def test_a_machine_that_asks_late_asks_all_the_same(world: World) -> None:
    world.peer("a")
    asked: list[float] = []

    def old_at_first(host: Target, number: int) -> bool:
        """The first question takes a busy machine longer than it asks otherwise in all."""
        asked.append(world.clock.now)
        if len(asked) == 1:
            world.clock.now += 3 * series.SURE
        return len(asked) > 2

    sample = Case("reload", "reload", 1, ("a",), lambda job, number: Act("provision"), effect=old_at_first)
    late = world.clock.now
    world.clock.now += 2 * series.SURE
    assert series._after(sample, [Target("a", "address")], 1, late) == asked[1] - late
    assert len(asked) > 50


def test_what_never_comes_into_force_is_not_waited_for(world: World) -> None:
    world.peer("a")
    world.case("reload", effect=lambda host, number: False)
    sample = world.run(rounds=1)[-1]
    assert sample.effective == pytest.approx(sample.wall + series.SERVED_SECONDS, abs=series.PAUSE)


def test_nothing_stays_after_a_series(world: World) -> None:
    world.peer("a")
    world.peer("b")
    world.case("noop-4", count=4)
    world.run("noop-4")
    assert world.hosts.most == 8
    assert not world.hosts.up_now
    assert not world.hosts.images


@pytest.mark.parametrize("trouble", [RuntimeError, KeyboardInterrupt])
def test_nothing_stays_when_a_series_ends_early(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: type[BaseException]
) -> None:
    def raises(targets: Sequence[Target], number: int) -> None:
        raise trouble

    world.peer("a")
    world.case("noop", count=4, proof=raises)
    with pytest.raises(trouble):
        world.run("noop")
    assert world.hosts.booted[-1] == ("b-a-3", "made-a")
    assert not world.hosts.up_now
    assert not world.hosts.images


def test_an_interrupt_ends_the_run_that_is_measured(measuring: World, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    measuring.peer(
        "a",
        lambda act, number: (
            f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 60" if number else "true"
        ),
    )
    measuring.case("noop")

    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    # which a shell's job in the background ignores
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            measuring.run("noop")
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()
    assert not measuring.hosts.up_now


def test_a_peer_gets_nothing_of_the_environment_that_would_speak_to_it(
    measuring: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "ANSIBLE_FORKS", "BAREHOST_STATE", "PYINFRA_SSH_USER"):
        monkeypatch.setenv(name, "1")
    measuring.peer("a", "env | grep -E '^(PYTHON|ANSIBLE|BAREHOST|PYINFRA)'; [ \"$NO_COLOR\" = 1 ]")
    measuring.case("noop", quiet=True)
    assert {one.failure for one in measuring.run("noop")} == {""}


def test_a_run_waits_for_a_quiet_machine_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([0.9, 0.6, 0.05])
    monkeypatch.setattr(series, "_busy", lambda: next(seen))
    assert series._quiet() == 0.05
    monkeypatch.setattr(series, "_busy", lambda: 0.7)
    monkeypatch.setattr(series, "PATIENCE", 0.05)
    assert series._quiet() == 0.7


def test_a_busy_machine_is_seen() -> None:
    spin = "import time; end = time.monotonic() + 20\nwhile time.monotonic() < end: pass"
    processes = [subprocess.Popen([sys.executable, "-IS", "-c", spin]) for _ in range(os.cpu_count() or 1)]
    try:
        assert series._busy() > series.CALM
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_the_command_line_chooses_cases_and_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import __main__ as command

    def plan(*words: str) -> Plan:
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        return command._parse()[0]

    assert plan() == command.FULL
    chosen = plan("--case", "noop,push", "--peer", "tar,barehost", "--rounds", "2", "--limit", "9")
    assert chosen == replace(
        command.FULL, cases=("noop", "push"), peers=("tar", "barehost"), rounds=2, limit=9
    )
    assert plan("--quick").peers == ("barehost", "script", "ansible")
    for wrong in (["--case", "nop"], ["--peer", "chef"], ["--rounds", "0"]):
        with pytest.raises(SystemExit):
            plan(*wrong)


def test_a_run_that_is_ended_keeps_the_cases_it_has(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import __main__ as command
    from bench import tables

    def raises(targets: Sequence[Target], number: int) -> None:
        raise KeyboardInterrupt

    world.peer("a")
    world.case("noop")
    world.case("template", proof=raises)
    monkeypatch.setattr(tables, "CASE", world.cases)
    monkeypatch.setattr(tables, "PEER", world.peers)
    monkeypatch.setattr(tables, "FLEETS", ("noop",))
    machine = {"date": "2026-01-02 03:04 UTC", "machine": "this"}
    monkeypatch.setattr(command, "machine", lambda place: machine)
    monkeypatch.setattr(command, "CHECKOUT", tmp_path)
    monkeypatch.setattr(command.Job, "write", lambda job: job.work.mkdir(parents=True))
    installed = SimpleNamespace(install_barehost=lambda work: work, install_peers=lambda work: (work, work))
    monkeypatch.setattr(command, "peers", installed)
    plan = Plan(("noop", "template"), ("a",), limit=30, rounds=1)
    monkeypatch.setattr(command, "_parse", lambda: (plan, tmp_path / "results"))
    monkeypatch.setenv("BAREHOST_STATE", "")  # put back afterwards
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt):
            command.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    text = (tmp_path / "results/2026-01-02-0304.md").read_text()
    assert "| noop |" in text
    assert "The run was ended before: template." in text
    assert not world.hosts.up_now
