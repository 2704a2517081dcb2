"""Processes and timers of a site on a real host: they belong to an activation, and count before a release does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from booting import Clone
from releasing import HEALTH, broken, edit, hello, listed, quick, ship, tidy
from sites import CHECKOUT, HELLO, Project, ask, sh, until

from deploy import staging
from deploy.staging import Image, StagingHost

WORKER = """
import os, pathlib, signal, sys, time

name = sys.argv[1]
over = False


def stop(*_):
    global over
    over = True


signal.signal(signal.SIGTERM, stop)
log = pathlib.Path("/srv/hello/shared", name)
at = os.environ["BAREHOST_ACTIVATION"]


def say(what):
    with log.open("a") as file:
        file.write(f"{time.time():.3f} {what} {at} {os.environ.get('BAREHOST_NUMBER', '')}\\n")


say("up")
while not over:
    time.sleep(0.05)
    job = pathlib.Path("/srv/hello/shared", name + ".job")
    if job.exists():
        seconds = float(job.read_text())
        job.unlink()
        say("begins")
        time.sleep(seconds)
        say("done")
say("down")
sys.exit(int(os.environ.get("CODE", "0")))
"""

WORKERS: dict[str, Any] = {
    "worker": {"command": "python worker.py work", "count": 2, "stop": {"timeout": 300}, "env": {"CODE": 1}},
    "beat": {"command": "python worker.py beat", "hosts": "first"},
}

SAYS = 'echo "$(date +%s.%N) {} $BAREHOST_ACTIVATION $$" >> /srv/hello/shared/tick'
TICK: dict[str, Any] = {
    "schedule": "*-*-* *:*:0/1",
    "command": f"{SAYS.format('begins')}; sleep 1.5; {SAYS.format('ends')}",
}


def site(project: Project, host: StagingHost, **changes: Any) -> None:
    """The example site with a worker that runs twice and a scheduler that runs once."""
    (project.folder / "site/worker.py").write_text(WORKER)
    project.serve(host, hello(**{"health": HEALTH, "processes": WORKERS, **changes}))


def said(host: StagingHost, name: str) -> list[str]:
    """What a process wrote: ``1764500000.123 up 3 1`` and the like, in order."""
    return sh(host, f"cat /srv/hello/shared/{name} 2>/dev/null; true").splitlines()


def units(host: StagingHost) -> dict[str, str]:
    """The site's units that do something, and their states."""
    told = sh(host, "systemctl list-units --plain --no-legend --all 'hello@*' 'hello-*'")
    words = [line.split() for line in told.splitlines()]
    return {word[0]: word[2] for word in words if word[2] != "inactive"}


def running(n: int) -> dict[str, str]:
    names = "hello@", "hello-worker.1@", "hello-worker.2@", "hello-beat@"
    return {f"{name}{n}.service": "active" for name in names}


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_processes_are_released_with_their_site_and_stop_in_peace(
    served: Callable[[str], Image], clone: Clone, project: Project, suite: str
) -> None:
    host = clone(served(suite))
    site(project, host)
    ship(project)
    until(lambda: units(host) == running(2), what="the old web process is still there")
    project.settled()

    sh(host, "echo 4 > /srv/hello/shared/work.job")
    until(lambda: any("begins" in line for line in said(host, "work")), what="no worker took the job")
    edit(project, "# the next release")
    assert project.run("run", host.name, "--", "sh", "-c", "echo $BAREHOST_ACTIVATION").out.strip() == "2"
    with quick(host):
        ship(project)
    now = units(host)
    assert {unit: now[unit] for unit in running(3)} == running(3)
    assert {state for unit, state in now.items() if unit not in running(3)} <= {"deactivating"}
    project.settled()  # it still finishes its job, and that is no difference
    until(lambda: units(host) == running(3), what="what stopped is still there")
    assert any("done 2" in line for line in said(host, "work")), said(host, "work")
    beats = [line.split()[1:3] for line in said(host, "beat")]
    assert beats == [["up", "2"], ["down", "2"], ["up", "3"]], "two ran at once, or one never ended"
    project.settled()
    checked = project.run("verify")
    assert checked.code == 0, checked.said

    ship(project, "--process", "worker", task="restart")
    until(lambda: units(host) == running(3), what="not all run again")
    assert [line.split()[1:] for line in said(host, "work")][-1] == ["up", "3", "2"]
    assert broken(project, "--process", "no", task="restart", code=3).err.count("'no'") == 1
    sh(host, "systemctl stop hello-worker.1@3")
    assert "hello-worker.1 is down" in project.run("status").said
    assert project.run("verify").code == 1
    project.provision()
    assert units(host) == running(3)
    shown = project.run("logs", host.name, "--process", "worker").out
    assert shown.count("hello-worker") >= 3, shown
    assert "hello-beat" not in shown
    assert "hello-beat" in project.run("logs", host.name).out


def test_a_worker_that_cannot_start_fails_the_release_and_everything_goes_back(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    site(project, host)
    ship(project)
    before = listed(project)
    worker = project.folder / "site/worker.py"
    worker.write_text(f"{WORKER.replace('over = False', 'raise RuntimeError(sys.argv[1])', 1)}\n")
    with quick(host):
        done = broken(project)
    assert "RuntimeError: " in done.said, done.said
    assert '/worker.py", line ' in done.said, done.said
    until(lambda: units(host) == running(2), what="not as before")
    project.settled()
    states = listed(project)
    assert [state for release, state in states.items() if release not in before] == ["failed"]
    beats = [line.split()[1:3] for line in said(host, "beat")]
    assert beats == [["up", "2"], ["down", "2"], ["up", "2"]], "the old one was not started again"

    worker.write_text(WORKER)
    site(project, host, processes={"worker": {"command": "no-such-program", "hosts": "first"}})
    assert "no-such-program" in broken(project, task="provision").said
    until(lambda: units(host) == running(2), what="not as before")
    site(project, host)
    project.settled()
    tidy(host)


def test_stops_that_end_badly_leave_nothing_behind_and_lose_no_job(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    slow = {"worker": {"command": "python worker.py work", "stop": {"timeout": 2}, "env": {"CODE": 1}}}
    site(project, host, processes=slow)
    ship(project)
    one = "hello-worker@2.service"
    sh(host, "echo 600 > /srv/hello/shared/work.job")
    until(lambda: any("begins" in line for line in said(host, "work")), what="the job did not begin")
    edit(project, "# its job takes longer than it may")
    ship(project)
    until(lambda: one not in units(host), what="it was not ended at its timeout")
    project.settled()

    site(project, host, processes={"worker": {**slow["worker"], "stop": {"timeout": 600}}})
    edit(project, "# a release whose worker may take its time")
    ship(project)
    sh(host, "echo 12 > /srv/hello/shared/work.job")
    until(lambda: sum("begins" in line for line in said(host, "work")) == 2, what="the job did not begin")
    began = time.monotonic()
    for version in ("second", "third"):  # each while an older worker finishes its job
        edit(project, f"# the {version} release meanwhile")
        ship(project)
        project.settled()
    broken_worker = WORKER.replace("over = False", "raise RuntimeError", 1)
    (project.folder / "site/worker.py").write_text(broken_worker)
    broken(project)
    (project.folder / "site/worker.py").write_text(WORKER)
    until(lambda: any("done 4" in line for line in said(host, "work")), what="the job was lost")
    assert time.monotonic() - began < 600

    site(project, host, processes={})
    project.provision()
    project.settled()
    until(lambda: all(one.startswith("hello@") for one in units(host)), what="a process was left behind")
    project.serve(host, {"hello": {"state": "absent"}})
    project.provision("--purge")
    assert (
        sh(
            host,
            "ls -d /srv/hello /etc/systemd/system/*hello* /etc/systemd/system/*/*hello* 2>&1 | grep -v 'No such'; true",
        )
        == ""
    )
    assert units(host) == {}


def test_what_one_host_alone_runs_moves_only_once_it_has_ended_on_the_other(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    one, two = clone(served("bookworm")), clone(served("trixie"))
    (project.folder / "site/worker.py").write_text(WORKER)

    def order(*hosts: StagingHost) -> None:
        apps = hello(
            health=HEALTH, processes={"beat": WORKERS["beat"]}, timers={"tick": TICK | {"hosts": "first"}}
        )
        vars = {"apps": apps}
        project.write(
            "inventory/hosts.yml",
            yaml.safe_dump(
                {"all": {"children": {"web": {"hosts": {host.name: {} for host in hosts}, "vars": vars}}}},
                sort_keys=False,
            ),
        )
        project.hosts = [host.name for host in hosts]

    def runs(host: StagingHost) -> set[str]:
        return {unit.partition("@")[0] for unit in units(host)} & both

    both = {"hello-beat", "hello-tick.timer"}
    order(one, two)
    ship(project)
    assert (runs(one), runs(two)) == (both, set())
    order(two, one)
    ssh = sh(one, "systemctl list-units --plain --no-legend 'ssh*' | cut -d' ' -f1 | tr '\\n' ' '")
    sh(one, f"systemctl stop {ssh}")
    done = broken(project, "--host", two.name, task="provision", code=4)
    assert "hello-beat" in done.said, done.said
    assert (runs(one), runs(two)) == (both, set())
    sh(one, f"systemctl start {ssh}")
    project.provision("--host", two.name)
    assert (runs(one), runs(two)) == (set(), both)
    ended = float(said(one, "beat")[-1].split()[0])
    assert said(one, "beat")[-1].split()[1] == "down"
    assert ended < float(said(two, "beat")[0].split()[0]), "two ran at once"
    one = staging.reboot(one.name)
    assert runs(one) == set()
    project.provision()
    project.settled()
    assert (runs(one), runs(two)) == (set(), both)


def test_a_timer_runs_what_serves_never_twice_and_its_failure_is_seen(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    assert broken_schedule(project, host, "99:99") == 3
    assert broken_schedule(project, host, "nonsense") == 3
    site(project, host, processes={}, timers={"tick": TICK})
    project.provision()
    project.settled()
    until(lambda: len(ticks(host)) >= 2, what="it did not run")
    edit(project, "# another release")
    with quick(host):
        ship(project)
    until(lambda: {n for _, _, n in ticks(host)} >= {"2", "3"}, what="it did not go over to the new release")
    found = ticks(host)
    assert all(end >= begin for begin, end, _ in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found)), f"two ran at once: {found}"

    site(project, host, processes={}, timers={"tick": {**TICK, "command": "echo it is broken >&2; exit 7"}})
    project.provision()
    failed = "systemctl is-failed hello-tick.service"
    until(lambda: "failed" in sh(host, failed, ok=False), what="it did not fail")
    project.settled()  # that is for a person to mend, and no run of ours would
    sh(host, "systemctl stop hello-tick.timer")
    until(lambda: "failed" in sh(host, failed, ok=False), what="it did not fail again")
    done = project.run("status")
    assert "the timer hello-tick failed" in done.said, done.said
    assert "hello-tick.timer" in project.run("plan").said
    project.provision()
    project.settled()
    host = staging.reboot(host.name)
    until(
        lambda: sh(host, "systemctl is-active hello-tick.timer", ok=False).strip() == "active",
        what="no timer",
    )

    site(project, host, processes={})
    project.provision()
    project.settled()
    assert sh(host, "find /etc/systemd -name 'hello-tick*' -not -name '*@*'") == ""


def broken_schedule(project: Project, host: StagingHost, text: str) -> int:
    """The exit code of a plan with this schedule, which names it and leaves the host as it is."""
    site(project, host, processes={}, timers={"tick": {**TICK, "schedule": text}})
    done = project.run("plan")
    assert text in done.said, done.said
    assert "Traceback" not in done.said, done.said
    return done.code


def ticks(host: StagingHost) -> list[tuple[float, float, str]]:
    """Begin, end and activation of each run of the timer that is over."""
    runs: dict[str, list[str]] = {}
    for line in said(host, "tick"):
        when, _, n, pid = line.split()
        runs.setdefault(pid, []).append(when)
        runs[pid + "n"] = [n]
    return [(float(t[0]), float(t[1]), runs[p + "n"][0]) for p, t in runs.items() if len(t) == 2]


def test_the_example_hands_work_to_its_worker_and_its_timer_tidies(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    apps = yaml.safe_load((CHECKOUT / "examples/jobs/inventory.yml").read_text())["all"]["hosts"]["shop1"][
        "apps"
    ]
    apps["jobs"]["source"] = str(CHECKOUT / "examples/jobs")
    project.serve(host, {"hello": HELLO, **apps})
    project.provision()
    name = "jobs.example.com"
    asked = ask(host, "/", name=name, method="POST", body=b"word=hello", headers=FORM)
    assert asked.status == 302, asked.text
    until(lambda: "HELLO" in ask(host, "/", name=name).text, what="the worker did nothing")
    sh(host, "systemctl start jobs-tidy.service")
    assert "tidied" in project.run("logs", host.name, "--site", "jobs", "--process", "tidy").out
    project.settled()
    assert project.run("verify", "--site", "jobs").code == 0


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_procfile_names_the_processes_of_its_release(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    site(project, host)
    project.serve(host, hello(health=HEALTH))
    procfile = project.folder / "site/Procfile"
    procfile.write_text("web: gunicorn hello:app\nworker: python worker.py work\n")
    ship(project)
    until(lambda: set(units(host)) == {"hello@2.service", "hello-worker@2.service"}, what="not what it names")
    project.settled()
    procfile.write_text("web: gunicorn hello:app\nother: python worker.py other\n")
    project.settled()  # provision keeps to the release that serves
    ship(project)
    ship(project, task="rollback")
    until(lambda: set(units(host)) == {"hello@4.service", "hello-worker@4.service"}, what=str(units(host)))
