"""One host over a session: looked at, applied to, followed; the session's scripts run on this machine's sh."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.engine.converge import Wishes, converge
from deploy.engine.events import Event, Sending, StepFinished, StepOutput, StepStarted
from deploy.engine.plan import Plan
from deploy.engine.reach import Ending
from deploy.engine.remote import Remote
from deploy.errors import ApplyError, LookError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Change, Command, Fact, Phase, Resource, Step, Upload
from deploy.resources.path import Directory, File
from deploy.shell import sh
from tests.unit.fakes.fake import Thing
from tests.unit.fakes.sandbox import Sandbox, SandboxSession, needs_root

pytestmark = needs_root


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "box")


@pytest.fixture
def remote(box: Sandbox) -> Remote:
    return Remote(SandboxSession(box, Host("web1")))


class Told(list[Event]):
    """Events as they come."""

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self if type(event) is kind]


def plan(*resources: Resource) -> Plan:
    return Plan("web1", tuple(Change(one, None, one.expected()) for one in resources))


class Broken(Thing):
    """A Thing whose step talks and fails."""

    @classmethod
    def steps(cls, changes: object) -> Iterator[Step]:
        yield Command("break it", sh("echo first; echo; echo 'the cause'; exit 3"))


def test_a_look_is_one_round_trip_and_tells_facts_and_states(box: Sandbox, remote: Remote):
    (box.target / "x").write_text("1")
    look = remote.look([File(f"{box.target}/x", "1"), Directory(f"{box.target}/y"), Thing("a")])
    assert remote.round_trips == 1
    assert look.facts.os is not None
    assert look.facts.cores is not None
    assert {id.rpartition("/")[2]: state is not None for id, state in look.states.items()} == {
        "x": True,
        "y": False,
        "thing:a": True,
    }
    assert (look.unfinished, look.running) == (None, None)


def test_a_probe_that_fails_names_what_was_looked_at_and_says_why(remote: Remote):
    class Blind(Thing):
        @classmethod
        def probe(cls, resources: object) -> object:
            return sh("echo half; echo no such luck >&2; exit 4")

    with pytest.raises(LookError, match=r"looking at thing failed with exit code 4: no such luck"):
        remote.look([Blind("a")])


def test_an_apply_is_followed_to_its_end(box: Sandbox, remote: Remote):
    told = Told()
    outcome = remote.apply(plan(Thing("a"), File(f"{box.target}/x", "1")), "ada@desk", told.append)
    assert (outcome.outcome, outcome.broken) == ("done", ())
    assert (box.target / "x").read_text() == "1"
    assert told.of(StepStarted) == [StepStarted("web1", "make thing:a", 1, 1, sh("echo thing:a"))]
    assert told.of(StepOutput) == [StepOutput("web1", "thing:a")]
    (finished,) = told.of(StepFinished)
    assert isinstance(finished, StepFinished)
    assert finished.exit_code == 0


def test_a_failed_step_is_told_with_what_it_printed(remote: Remote):
    outcome = remote.apply(plan(Broken("b")), "ada@desk", Told().append)
    (failed,) = outcome.broken
    assert failed.step is not None
    assert (outcome.outcome, failed.scope, failed.step.label, failed.exit_code) == (
        "failed",
        "",
        "break it",
        3,
    )
    assert failed.output == ("first", "", "the cause")
    assert not failed.restored


def test_files_that_were_put_back_are_told(box: Sandbox, remote: Remote):
    broken = Broken("b", at=Phase.UNITS)
    outcome = remote.apply(plan(File(f"{box.target}/x", "1"), broken), "ada@desk", Told().append)
    assert outcome.broken[0].restored
    assert not (box.target / "x").exists()


def test_files_of_an_earlier_run_that_were_put_back_are_not_this_runs(box: Sandbox, remote: Remote):
    (box.box / "lib" / "undo").write_text(":\n")
    outcome = remote.apply(plan(Broken("b")), "ada@desk", Told().append)
    assert (outcome.outcome, outcome.broken[0].restored) == ("failed", False)


def test_uploads_arrive_and_their_progress_is_told(box: Sandbox, remote: Remote):
    class Sent(Thing):
        @classmethod
        def steps(cls, changes: object) -> Iterator[Step]:
            yield Upload("tree", lambda: iter([b"abc", b"de"]), 1, 5)
            yield Command("unpack", sh('cp "$UPLOAD/tree" @{target}/tree', target=str(box.target)))

    told = Told()
    assert remote.apply(plan(Sent("s")), "ada@desk", told.append).outcome == "done"
    assert (box.target / "tree").read_bytes() == b"abcde"
    assert [event.done for event in told.of(Sending) if isinstance(event, Sending)] == [3, 2]


def test_a_host_that_another_run_holds_says_who_and_since_when(box: Sandbox, remote: Remote):
    import fcntl

    folder = box.box / "lib" / "runs" / "7"
    folder.mkdir()
    (folder / "about").write_text("bob@desk provision\n")
    (folder / "pid").touch()
    os.utime(folder / "pid", (0, 0))
    with (box.box / "run" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (box.box / "run" / "holder").write_text("/var/lib/barehost/runs/7\n")
        outcome = remote.apply(plan(Thing("a")), "ada@desk", Told().append)
    assert outcome.outcome is Ending.LOCKED
    assert outcome.holder == "bob@desk provision holds the host since 1970-01-01 00:00:00 UTC"


def test_a_run_that_is_under_way_is_seen_with_who_started_it_and_can_be_followed(
    box: Sandbox, remote: Remote
):
    import fcntl

    folder = box.box / "lib" / "runs" / "7"
    folder.mkdir()
    (folder / "about").write_text("bob@desk provision\n")
    (folder / "log").write_text(
        "\n\x1eff begin 0\nhello\n\n\x1eff end 0 0\n\n\x1eff begin 1\nno\n\n\x1eff end 1 5\n\n\x1eff finished failed\n"
    )
    (box.box / "run" / "holder").write_text("/var/lib/barehost/runs/7\n")
    with (box.box / "run" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        look = remote.look([])
    assert (look.running, look.holder) == ("/var/lib/barehost/runs/7", "bob@desk provision")
    told = Told()
    outcome = remote.attach("/var/lib/barehost/runs/7", told.append)
    assert (outcome.outcome, outcome.broken[0].exit_code, outcome.output) == ("failed", 5, ("no",))
    assert told.of(StepOutput) == [StepOutput("web1", "hello"), StepOutput("web1", "no")]


def test_a_run_that_ended_without_a_word_is_lost(box: Sandbox, remote: Remote):
    (box.box / "lib" / "runs" / "8").mkdir()
    (box.box / "lib" / "runs" / "8" / "log").write_text("\n\x1eff begin 0\nlong work\n")
    outcome = remote.attach("/var/lib/barehost/runs/8", Told().append)
    assert (outcome.outcome, outcome.output) == ("lost", ("long work",))


def test_a_log_with_a_foreign_mark_is_refused(box: Sandbox, remote: Remote):
    class Forging(Thing):
        @classmethod
        def steps(cls, changes: object) -> Iterator[Step]:
            yield Command("forge", sh(r"printf '\n\036forged finished done\n'"))

    with pytest.raises(ApplyError, match="log is not its own"):
        remote.apply(plan(Forging("f")), "ada@desk", Told().append)


def test_an_apply_that_cannot_start_changed_nothing(box: Sandbox, remote: Remote):
    box.install("systemd-run", "#!/bin/sh\necho 'no room for units' >&2; exit 1\n")
    with pytest.raises(ApplyError, match=r"could not be started, so nothing was changed: no room for units"):
        remote.apply(plan(File(f"{box.target}/x", "1")), "ada@desk", Told().append)
    assert not (box.target / "x").exists()


def test_an_unfinished_transaction_is_seen_with_its_time(box: Sandbox, remote: Remote):
    (box.box / "lib" / "sweep").write_text(":\n")
    unfinished = remote.look([]).unfinished
    assert unfinished is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", unfinished)
    remote.apply(Plan("web1"), "ada@desk", Told().append)
    assert remote.look([]).unfinished is None


def test_only_the_last_twenty_runs_are_kept(box: Sandbox, remote: Remote):
    for number in range(25):
        (box.box / "lib" / "runs" / f"2020{number:02}").mkdir()
    remote.apply(Plan("web1"), "ada@desk", Told().append)
    assert len(kept := sorted(path.name for path in (box.box / "lib" / "runs").iterdir())) == 20
    assert kept[0] == "202006"


def test_files_are_fetched_for_a_diff(box: Sandbox, remote: Remote):
    names = {"plain": b"one\ntwo", "empty": b"", "it's $(x)\n": b"\0\xff\n", "-n": b"-1\n"}
    for name, data in names.items():
        (box.target / name).write_bytes(data)
    (box.target / "big").write_bytes(b"x" * 262145)
    paths = [f"{box.target}/{name}" for name in [*names, "big", "none"]]
    assert list(remote.fetch(paths).values()) == [*names.values(), None, None]


def test_the_whole_loop_over_real_scripts(box: Sandbox, remote: Remote):
    """A folder and two files, from nothing; drift; a converged host is one round trip, a changed one three."""

    def role(host: Host, facts: Facts) -> Iterator[Resource]:
        yield Directory(f"{box.target}/etc")
        yield File(f"{box.target}/etc/a", "one\n")
        yield File(f"{box.target}/etc/b", "secret\n", mode=0o600, secret=True)

    def run() -> tuple[str, tuple[str, ...], int]:
        nonlocal facts
        before = remote.round_trips
        report, facts = converge(Host("web1"), [role], remote, Wishes("ada@desk"), Told().append, facts)
        assert report.failure is None
        changed = tuple(id.rpartition("/")[2] for id in report.changed)
        return report.outcome, changed, remote.round_trips - before

    facts = Facts()
    assert run()[:2] == ("changed", ("etc", "a", "b"))
    assert run() == ("unchanged", (), 1)
    (box.target / "etc" / "a").write_text("edited\n")
    (box.target / "etc" / "b").chmod(0o644)
    assert run() == ("changed", ("a", "b"), 3)
    assert (box.target / "etc" / "a").read_text() == "one\n"
    assert run() == ("unchanged", (), 1)


def test_a_host_can_be_held_for_longer_than_one_apply(box: Sandbox, remote: Remote):
    box.install("tail", "#!/bin/sh\nexec sleep 0\n")
    assert remote.lock("ada@desk release") is None
    assert (box.box / "run" / "run.by").read_text().startswith("ada@desk release holds the host since ")
    remote.unlock()
    assert not (box.box / "scratch" / "lock").exists()


def test_what_was_sent_and_received_is_the_sessions_own_count(remote: Remote):
    remote.session.sent, remote.session.received = 7, 9
    assert (remote.sent, remote.received) == (7, 9)


def test_what_a_role_asks_itself_it_knows_in_the_same_pass_and_remembers(
    box: Sandbox, remote: Remote
) -> None:
    """Over real scripts: the answer, no answer, and the next run's single look."""
    asked = Fact("kernel", sh("uname -s")), Fact("nothing", sh(":"))

    def role(host: Host, facts: Facts) -> Iterator[Resource]:
        yield from asked
        if "kernel" in facts.own:
            yield File(f"{box.target}/kernel", facts.own["kernel"])

    host = Host("web1")
    report, facts = converge(host, [role], remote, Wishes("x"), lambda event: None)
    assert report.failure is None
    assert (box.target / "kernel").read_text() == "Linux"
    assert facts.own == {"kernel": "Linux"}
    before = remote.round_trips
    again, _ = converge(host, [role], remote, Wishes("x"), lambda event: None, facts)
    assert (again.outcome, remote.round_trips - before) == ("unchanged", 1)
