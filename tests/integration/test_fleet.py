"""Releases over several hosts: all or none, one run at a time, nothing sent twice."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from booting import Boot
from releasing import HEALTH, broken, edit, hello, listed, mend, original, quick, serving, ship, tidy
from sites import Project, Run, answers, line_with, new_project, sh, until

from deploy import staging
from deploy.staging import Image, StagingHost

BAD_THERE = "if __import__('pathlib').Path('/srv/hello/shared/bad').exists(): raise RuntimeError('not here')"
"""A version that does not start on hosts that are marked."""
COUNTED = "echo one more >> /srv/hello/shared/migrations"
WAITS = "until test -e /srv/hello/shared/go; do sleep 0.05; done"
"""A build that takes until :func:`let_go`."""


@pytest.fixture(scope="module")
def fleet(
    served: Callable[[str], Image], session_bare: Boot, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, list[StagingHost]]]:
    """Three hosts that serve the same release, for the tests of this module one after the other."""
    image = served("bookworm")
    hosts = sorted((session_bare("bookworm", image=image.name) for _ in range(3)), key=lambda one: one.name)
    own = new_project(tmp_path_factory.mktemp("fleet") / "project", state)
    original(own)
    inventory(own, hosts)
    ship(own)
    yield own, hosts


def inventory(project: Project, hosts: list[StagingHost], **changes: Any) -> None:
    project.inventory({one: {"apps": hello(health=HEALTH, **changes)} for one in hosts})


def marked(hosts: list[StagingHost], bad: StagingHost | None) -> None:
    for one in hosts:
        sh(one, f"{'touch' if one is bad else 'rm -f'} /srv/hello/shared/bad")


def let_go(hosts: list[StagingHost]) -> None:
    """End the builds that wait, and those to come."""
    for one in hosts:
        sh(one, "touch /srv/hello/shared/go")


def hold(hosts: list[StagingHost]) -> None:
    """Let builds wait again."""
    for one in hosts:
        sh(one, "rm -f /srv/hello/shared/go")


def ends(done: Run) -> dict[str, str]:
    """How it ended by host."""
    return {event["host"]: event["outcome"] for event in done.events if event["event"] == "finished"}


def sent(done: Run) -> dict[str, int]:
    """Bytes that went to each host."""
    return {event["host"]: event["sent"] for event in done.events if event["event"] == "finished"}


def test_all_hosts_serve_one_id_after_a_release_and_after_a_rollback(
    fleet: tuple[Project, list[StagingHost]],
) -> None:
    project, hosts = fleet
    before = {serving(one) for one in hosts}
    assert len(before) == 1
    edit(project, "# another")
    inventory(project, hosts, migrate=[COUNTED])
    with quick(hosts[0]), quick(hosts[2]):
        ship(project, "--batch", "1")
    assert len({serving(one) for one in hosts} - before) == 1
    counts = [
        sh(one, "cat /srv/hello/shared/migrations 2>/dev/null; true").count("one more") for one in hosts
    ]
    assert counts == [1, 0, 0], "migrations run once for the fleet, on its first host"
    ship(project, task="rollback")
    assert {serving(one) for one in hosts} == before
    inventory(project, hosts)
    for one in hosts:
        tidy(one)


def test_where_one_host_fails_all_go_back(fleet: tuple[Project, list[StagingHost]]) -> None:
    project, hosts = fleet
    before = {serving(one) for one in hosts}
    edit(project, BAD_THERE, at="start")
    marked(hosts, hosts[1])
    with quick(hosts[0]), quick(hosts[1]):
        done = broken(project, "--json")
    assert ends(done) == {hosts[0].name: "reverted", hosts[1].name: "failed", hosts[2].name: "reverted"}
    assert {serving(one) for one in hosts} == before
    assert "RuntimeError: not here" in done.out
    states = listed(project, "--host", hosts[1].name)
    assert next(iter(states.values())) == "failed"
    for one in hosts:
        tidy(one)


def test_with_batches_hosts_after_the_failed_one_are_never_switched(
    fleet: tuple[Project, list[StagingHost]],
) -> None:
    project, hosts = fleet
    before = {serving(one) for one in hosts}
    edit(project, BAD_THERE + "  # again", at="start")
    marked(hosts, hosts[1])
    done = broken(project, "--json", "--batch", "25%")
    assert ends(done) == {hosts[0].name: "reverted", hosts[1].name: "failed", hosts[2].name: "staged"}
    assert {serving(one) for one in hosts} == before


def test_keep_going_and_max_fail_leave_what_was_switched(fleet: tuple[Project, list[StagingHost]]) -> None:
    project, hosts = fleet
    for words in (["--keep-going"], ["--max-fail", "1", "--batch", "1"]):
        before = serving(hosts[1])
        edit(project, f"{BAD_THERE}  # {words}", at="start")
        marked(hosts, hosts[1])
        broken(project, *words)
        assert serving(hosts[1]) == before
        assert serving(hosts[0]) == serving(hosts[2]) != before
        marked(hosts, None)
        if words == ["--keep-going"]:
            ship(project, "--batch", "1")
            assert len({serving(one) for one in hosts}) == 1
    # and now two releases serve: a rollback finds the one they share
    ship(project, task="rollback")
    assert len({serving(one) for one in hosts}) == 1


def test_max_fail_leaves_out_a_host_that_is_dead_and_a_rerun_brings_it_to_what_the_others_have(
    fleet: tuple[Project, list[StagingHost]],
) -> None:
    project, hosts = fleet
    dead, *others = hosts
    before = serving(dead)
    inventory(project, hosts, migrate=["echo one more >> /srv/hello/shared/while-dead"])
    mend(project)
    staging.kill(dead.name)
    try:
        with quick(others[0]), quick(others[1]):
            nothing = broken(project, "--json", code=4)
            assert {serving(one) for one in others} == {before}, "a dead host is one too many by default"
            done = broken(project, "--json", "--max-fail", "1", "--batch", "1", code=4)
            (released,) = {serving(one) for one in others}
            back = broken(project, "--json", "--max-fail", "1", task="rollback", code=4)
            assert {serving(one) for one in others} == {before}
            forth = broken(project, "--json", "--max-fail", "1", code=4)
            assert {serving(one) for one in others} == {released}
    finally:
        staging.start(dead.name)
    assert ends(nothing) == {dead.name: "failed", others[0].name: "skipped", others[1].name: "skipped"}
    for run in (done, back, forth):
        assert ends(run) == {dead.name: "failed", others[0].name: "changed", others[1].name: "changed"}
    until(lambda: answers(dead))
    assert serving(dead) == before != released
    again = ship(project, "--json")
    assert ends(again) == {dead.name: "changed", others[0].name: "unchanged", others[1].name: "unchanged"}
    assert {serving(one) for one in hosts} == {released}
    counts = [
        sh(one, "cat /srv/hello/shared/while-dead 2>/dev/null; true").count("one more") for one in hosts
    ]
    assert counts == [0, 1, 0], "the first host that was left migrated, and nobody did so again"
    inventory(project, hosts)
    for one in hosts:
        tidy(one)


def test_max_fail_leaves_out_a_host_that_cannot_build(fleet: tuple[Project, list[StagingHost]]) -> None:
    project, hosts = fleet
    before = {serving(one) for one in hosts}
    inventory(project, hosts, build=["! test -e /srv/hello/shared/bad"])
    marked(hosts, hosts[1])
    mend(project)
    assert ends(broken(project, "--json")) == {
        hosts[0].name: "staged",
        hosts[1].name: "failed",
        hosts[2].name: "staged",
    }
    assert {serving(one) for one in hosts} == before
    done = broken(project, "--json", "--max-fail", "1")
    assert ends(done) == {hosts[0].name: "changed", hosts[1].name: "failed", hosts[2].name: "changed"}
    assert {serving(hosts[1])} == before
    marked(hosts, None)
    ship(project)
    assert len({serving(one) for one in hosts} - before) == 1
    inventory(project, hosts)
    for one in hosts:
        tidy(one)


def test_a_rerun_sends_nothing_again(fleet: tuple[Project, list[StagingHost]]) -> None:
    project, hosts = fleet
    big = project.folder / "site/static/big.bin"
    big.write_bytes(random.Random(1).randbytes(400_000))
    edit(project, BAD_THERE + "  # big", at="start")
    marked(hosts, hosts[1])
    first = broken(project, "--json")
    begun = next(iter(listed(project, "--host", hosts[1].name)))
    marked(hosts, None)
    again = ship(project, "--json")
    assert {serving(one) for one in hosts} == {begun}, "it goes on under the id it was begun with"
    assert all(number > 400_000 for number in sent(first).values())
    assert all(number < 200_000 for number in sent(again).values()), (sent(first), sent(again))
    assert len({serving(one) for one in hosts}) == 1
    mend(project)
    third = ship(project, "--json")
    assert all(number < 200_000 for number in sent(third).values()), "an unchanged file costs no bytes"
    big.unlink()


def test_of_two_runs_one_wins_and_the_other_says_who_and_gives_all_back(
    fleet: tuple[Project, list[StagingHost]],
) -> None:
    project, hosts = fleet
    inventory(project, hosts, build=[WAITS])
    hold(hosts)
    mend(project)
    until(
        lambda: not any(held(one) for one in hosts)
    )  # a session that has ended may take a moment to be gone
    first = project.start("release", "--host", hosts[1].name)
    try:
        until(lambda: held(hosts[1]))
        second = broken(project, "--json", code=5)
        failure = next(
            event for event in second.events if event["event"] == "finished" and event.get("failure")
        )
        assert "release holds the host since 20" in failure["failure"]["message"]
        assert "Nothing was changed on any host." in second.out
        until(lambda: not held(hosts[0]) and not held(hosts[2]))
    finally:
        let_go(hosts)
        out, err = first.communicate(timeout=240)
    assert first.returncode == 0, out + err


def test_a_run_that_waits_comes_after(fleet: tuple[Project, list[StagingHost]]) -> None:
    project, hosts = fleet
    inventory(project, hosts, build=[WAITS])
    hold(hosts)
    mend(project)
    until(
        lambda: not any(held(one) for one in hosts)
    )  # a session that has ended may take a moment to be gone
    first = project.start("release", "--host", hosts[1].name)
    until(lambda: held(hosts[1]))
    second = project.start("release", "--wait", "240", stderr=subprocess.STDOUT)
    assert "waiting for" in line_with(second, "waiting for")
    let_go(hosts)
    for one in (first, second):
        out, err = one.communicate(timeout=240)
        assert one.returncode == 0, f"{out}{err}"
    inventory(project, hosts)
    assert len({serving(one) for one in hosts}) == 1


def test_a_killed_run_holds_no_host(fleet: tuple[Project, list[StagingHost]]) -> None:
    project, hosts = fleet
    inventory(project, hosts, build=[WAITS])
    hold(hosts)
    mend(project)
    process = project.start("release")
    until(lambda: all(held(one) for one in hosts))
    process.kill()
    process.communicate()
    until(lambda: not any(held(one) for one in hosts), what="the lock outlives its owner")
    let_go(hosts)
    inventory(project, hosts)
    mend(project)
    ship(project)
    for one in hosts:
        tidy(one)


def test_a_run_that_fell_silent_loses_the_host_and_one_that_is_alive_does_not(
    fleet: tuple[Project, list[StagingHost]],
) -> None:
    project, hosts = fleet
    inventory(project, hosts, build=[WAITS])
    hold(hosts)
    mend(project)
    process = project.start("release")
    until(lambda: all("barehost-" in sh(one, APPLIES) for one in hosts), what="they do not build")
    process.send_signal(signal.SIGSTOP)  # a laptop that sleeps: nothing is closed, nothing is said
    let_go(hosts)
    until(lambda: not any(sh(one, APPLIES) for one in hosts), what="what was begun does not end by itself")
    inventory(project, hosts)
    mend(project)
    assert "holds the host since" in broken(project, code=5).out
    for one in hosts:
        until(lambda one=one: sh(one, SESSIONS) == "1 idle\n", what="a session still works")  # type: ignore[misc]
        sh(one, "find /run/barehost/sessions /var/lib/barehost/sessions -exec touch -d '4 minutes ago' {} +")
    ship(project)
    newest = {serving(one) for one in hosts}
    assert "taken over" in sh(hosts[0], "cat /var/log/barehost.log")
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=240)
    assert process.returncode not in (0, None), out + err
    assert {serving(one) for one in hosts} == newest


APPLIES = "systemctl list-units --plain --no-legend 'barehost-*'"
SESSIONS = """n=0
for one in /run/barehost/sessions/*; do
  read -r loop < "$one/loop" || continue
  n=$((n + 1)); children=$(cat "/proc/$loop/task/$loop/children") || exit
  [ -z "$children" ] || echo "$loop works: $children"
done 2>/dev/null
echo "$n idle"
"""
"""How many sessions the host has, and which of them has not yet answered what it was last asked."""


def held(host: StagingHost) -> bool:
    return "held" in sh(host, "flock -n /run/barehost/run true || echo held", ok=False)
