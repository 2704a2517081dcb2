"""Runs that fail, are killed or are cut off: what served goes on, the person is told, the next run mends it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from booting import Clone
from sites import CHECKOUT, HELLO, Project, answers, ask, leftovers, line_with, sh, until, visitors

from deploy import staging
from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
ROLES = ["base", "python", "nginx", "static", "app"]
ETC = "find /etc -type f -exec sha256sum {} + | sort -k 2"
"""Every file of /etc but the mark by which a reload is proven: the host's, it goes ahead of a site's refused file."""


@pytest.fixture
def host(served: Served, clone: Clone) -> StagingHost:
    """A host that serves the example site, as one run left it."""
    return clone(served("bookworm"))


@pytest.fixture
def shop(project: Project, host: StagingHost) -> Project:
    """The project that the host was provisioned from."""
    project.serve(host)
    return project


# What the host refuses


def test_an_invalid_candidate_never_takes_the_place_of_what_serves_and_every_run_says_so(
    host: StagingHost, shop: Project
) -> None:
    before = sh(host, ETC)
    broken = shop.write("templates/nginx-site.conf.j2", "server {\n    listen 80;\n    nonsense on;\n}\n")
    for _ in range(2):
        failed = shop.fails(code=7)
        assert "check: nginx -t failed" in failed.out
        assert 'unknown directive "nonsense" in /etc/nginx/conf.d/hello.conf:3' in failed.out
        assert "The candidate was refused before any file took its place" in failed.out
        changed = set(sh(host, ETC).splitlines()) ^ set(before.splitlines())
        assert not changed, changed
        assert leftovers(host) == ""
        assert ask(host).status == 200
    broken.unlink()
    shop.settled()


def test_a_port_that_another_program_holds_is_told_and_the_files_are_taken_back(
    host: StagingHost, shop: Project
) -> None:
    sh(host, "mkdir -p /var/empty")
    sh(host, "systemd-run -q --unit=squatter python3 -m http.server 8080 --directory /var/empty")
    until(lambda: answers(host, port=8080), what="nothing holds the port")
    before = sh(host, ETC)
    shop.serve(host, {"hello": {**HELLO, "listen": [80, 8080]}})
    failed = shop.fails(code=7)
    assert "reload nginx.service failed" in failed.out
    assert "0.0.0.0:8080 failed (98: Address already in use)" in failed.out
    assert "did not show its new configuration within 15 s" in failed.out
    assert "The files of this run were put back" in failed.out
    assert sh(host, ETC) == before
    assert leftovers(host) == ""
    assert ask(host).status == 200
    sh(host, "systemctl stop squatter")
    shop.provision()
    assert ask(host, port=8080).status == 200
    shop.settled()


def test_a_step_that_fails_after_a_file_changed_loses_no_reload(host: StagingHost, shop: Project) -> None:
    """The peers' worst habit: the file is written, the run fails before the reload, the rerun is green."""
    shop.serve(host, roles=["fragile", *ROLES], greeting="hello")
    shop.role(
        "fragile",
        "yield (unit := File('/etc/systemd/system/fragile.service', '[Service]\\nType=oneshot\\n"
        "RemainAfterExit=yes\\nExecStart=test -e /root/mended\\n[Install]\\nWantedBy=multi-user.target\\n'))\n"
        "    yield Unit('fragile.service', restart_on=(unit,))",
    )
    template = (CHECKOUT / "templates/nginx-site.conf.j2").read_text()
    more = template.replace(
        "    location / {", "    add_header X-Greeting {{ host.vars.greeting }};\n    location / {"
    )
    shop.write("templates/nginx-site.conf.j2", more)
    failed = shop.fails(code=7)
    assert "start fragile.service failed" in failed.out
    assert "X-Greeting" not in ask(host).headers
    assert leftovers(host) == ""
    sh(host, "touch /root/mended")
    shop.provision()
    assert ask(host).headers["X-Greeting"] == "hello"
    shop.settled()


def test_a_site_that_is_broken_never_gets_traffic(host: StagingHost, shop: Project) -> None:
    served = ask(host).text
    shop.serve(host, {"hello": {**HELLO, "health": {"path": "/nowhere", "timeout": 8}, "env": {"X": "1"}}})
    with visitors(host) as wrong:
        failed = shop.fails(code=7)
    assert wrong == []
    assert "health of hello" in failed.out
    assert "404" in failed.out
    assert ask(host).text == served
    assert sh(host, "ls /srv/hello/activations").split() == ["1"]
    assert "hello@2" not in sh(host, "systemctl list-units --all 'hello@*'")
    shop.serve(host)
    shop.settled()


def small(host: StagingHost, where: str, free: int) -> None:
    """Put a folder of the host on a disk of its own with ``free`` KiB to spare."""
    sh(
        host,
        f"systemctl stop 'hello@*' && cp -a {where} /root/moved && mount -t tmpfs -o mode=$(stat -c %a {where}) "
        f"tmpfs {where} && cp -a /root/moved/. {where}/ && "
        "systemctl start hello@$(basename $(readlink /srv/hello/current)) && "
        f"mount -o remount,size=$(($(du -sk {where} | cut -f1) + {free}))k {where}",
    )


def big(shop: Project, host: StagingHost, **more: Any) -> None:
    """A second site in the inventory: one file of 4 MB that does not compress."""
    shop.write("big/big.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'big']\n")
    (shop.folder / "big/ballast").write_bytes(os.urandom(4_000_000))
    site = {"source": "big", "wsgi": "big:app", "server_names": ["big.example.com"], **more}
    shop.serve(host, {"hello": HELLO, "big": site})


@pytest.mark.parametrize(
    ("where", "free", "code", "sentence"),
    [
        ("/srv", 300, 7, "MiB of disk below /srv and 0 MiB are free; nothing was changed"),
        ("/srv", 60_000, 7, "No space left on device"),
        ("/var/lib/barehost", 300, 4, "no space left on the host in /var/lib/barehost/sessions/"),
    ],
    ids=["before it begins", "in the middle", "while it is sent"],
)
def test_a_full_disk_leaves_the_old_site_serving_and_is_one_clear_block(
    host: StagingHost, shop: Project, where: str, free: int, code: int, sentence: str
) -> None:
    small(host, where, free)
    big(shop, host, build=["head -c 80000000 /dev/zero > filler"] if code == 7 else [])
    failed = shop.fails(code=code)
    assert sentence in failed.out
    assert failed.out.count("No space left") <= 2
    assert ask(host, "/healthz").text == "ok\n"
    assert not applying(host)
    sh(host, f"mount -o remount,size=500m {where}")
    shop.provision()
    assert ask(host, name="big.example.com").text == "big"
    shop.settled()


def test_a_site_leaves_though_the_disk_is_full(host: StagingHost, shop: Project) -> None:
    small(host, "/srv", 0)
    shop.serve(host, {"hello": {"state": "absent"}})
    shop.provision()
    assert sh(host, "ls /srv/hello").split() == ["shared"]


def test_a_lock_of_apt_is_waited_for_and_its_holder_named(host: StagingHost, shop: Project) -> None:
    shop.serve(host, {"hello": {**HELLO, "packages": ["tree"]}})
    sh(
        host,
        "systemd-run -q python3 -c 'import fcntl, os, time; "
        'f = open("/var/lib/dpkg/lock-frontend", "w"); fcntl.lockf(f, fcntl.LOCK_EX); open("/root/held", "w")\n'
        'while not os.path.exists("/root/go"): time.sleep(0.05)\'',
    )
    until((host.root / "root/held").exists)
    process = shop.start("provision", "-v", stderr=subprocess.STDOUT)
    waiting = line_with(process, "waiting for")
    assert "/usr/bin/python3 -c import fcntl" in waiting
    assert "which holds /var/lib/dpkg/lock-frontend" in waiting
    let_go(host)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    assert "tree" in sh(host, "command -v tree")


# Runs that are killed or cut off


def slow(shop: Project, host: StagingHost, number: int) -> None:
    """Let the next run wait in a step until :func:`let_go`, and write a file after it."""
    shop.role(
        "slow",
        "yield Run('a slow step', 'echo still at it; until test -e /root/go; do sleep 0.05; done; "
        f"touch /var/done-{number}', creates='/var/done-{number}')\n"
        f"    yield File('/etc/motd', 'number {number}\\n')",
    )
    shop.serve(host, roles=[*ROLES, "slow"])


def let_go(host: StagingHost) -> None:
    """End the slow step, and those to come."""
    sh(host, "touch /root/go")


def told(process: subprocess.Popen[str], kind: str) -> dict[str, Any]:
    """The next event of this kind that a run tells of, as soon as it does."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        event: dict[str, Any] = json.loads(line)
        if event["event"] == kind:
            return event
    raise AssertionError(f"the run ended before {kind}: {''.join(seen)}")


def started(shop: Project, kind: str) -> subprocess.Popen[str]:
    """A run that has just told of this event."""
    process = shop.start("provision", "--json")
    told(process, kind)
    return process


def killed(process: subprocess.Popen[str]) -> None:
    """End a run as a laptop does whose lid is closed for good."""
    process.kill()
    process.communicate()


def applying(host: StagingHost) -> bool:
    """Whether an apply runs on the host."""
    return "barehost-" in sh(host, "systemctl list-units --plain --no-legend 'barehost-*.service'")


def follows(host: StagingHost, shop: Project) -> None:
    """A run that finds another one under way says whose it is, follows it, and has nothing left to do."""
    process = started(shop, "connecting")
    assert told(process, "note")["text"].startswith("following the run that is under way: root@")
    let_go(host)
    ended = told(process, "finished")
    assert process.wait(240) == 0
    process.communicate()
    assert (ended["outcome"], ended["changed"]) == ("unchanged", [])
    assert sh(host, "cat /etc/motd") == "number 1\n"
    shop.settled()


@pytest.mark.parametrize(
    ("kind", "pause"),
    [
        ("connecting", 0.0),
        ("planned", 0.0),
        ("planned", 0.15),
        ("step_started", 0.0),
        ("step_finished", 0.05),
    ],
)
def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    host: StagingHost, shop: Project, kind: str, pause: float
) -> None:
    slow(shop, host, 1)
    let_go(host)
    process = started(shop, kind)
    time.sleep(pause)
    killed(process)
    shop.provision()
    assert sh(host, "cat /etc/motd") == "number 1\n"
    assert leftovers(host) == ""
    assert ask(host).status == 200
    shop.settled()


def test_a_run_whose_person_is_gone_goes_on_and_the_next_follows_it(host: StagingHost, shop: Project) -> None:
    slow(shop, host, 1)
    killed(started(shop, "step_started"))
    assert applying(host)
    follows(host, shop)


def test_of_two_runs_at_once_the_second_follows_the_first(host: StagingHost, shop: Project) -> None:
    slow(shop, host, 1)
    first = started(shop, "step_started")
    follows(host, shop)
    out, err = first.communicate(timeout=240)
    assert first.returncode == 0, out + err


CUT = (
    "for one in /proc/[0-9]*; do case $(tr '\\0' ' ' < $one/cmdline 2>/dev/null) in "
    "'sshd: root@'* | 'sshd-session: root@'*) kill -9 ${one#/proc/} ;; esac; done"
)
"""Ends the host's side of every connection."""


def cut(host: StagingHost, shop: Project) -> None:
    """A run whose connection goes in the middle of a step; it says what goes on without it."""
    process = started(shop, "step_started")
    sh(host, CUT)
    failure = told(process, "finished")["failure"]
    process.communicate(timeout=240)
    assert process.returncode == 4
    assert failure["message"].startswith(f"{host.name}: the connection")
    assert "goes on" in failure["message"]
    assert applying(host)


def test_an_apply_cut_from_its_connection_is_followed_by_the_next_run(
    host: StagingHost, shop: Project
) -> None:
    slow(shop, host, 1)
    cut(host, shop)
    follows(host, shop)


def test_an_apply_cut_from_its_connection_finishes_by_itself(host: StagingHost, shop: Project) -> None:
    slow(shop, host, 1)
    cut(host, shop)
    let_go(host)
    until(lambda: not applying(host))
    assert sh(host, "cat /etc/motd") == "number 1\n"
    shop.settled()


@contextmanager
def between_switch_and_commit(host: StagingHost, shop: Project) -> Iterator[None]:
    """The moment when new files lie in their places and are not yet proven: a unit takes long to start."""
    shop.role(
        "lazy",
        "yield (unit := File('/etc/systemd/system/lazy.service', '[Service]\\nType=oneshot\\n"
        'RemainAfterExit=yes\\nExecStart=sh -c "test -e /root/quick || sleep 60"\\n'
        "[Install]\\nWantedBy=multi-user.target\\n'))\n"
        "    yield Unit('lazy.service', restart_on=(unit,))",
    )
    shop.serve(host, {"hello": {**HELLO, "max_body": "11m"}}, roles=["lazy", *ROLES])
    process = shop.start("provision", "--json")
    try:
        until(lambda: "11m" in sh(host, "cat /etc/nginx/conf.d/hello.conf"))
        assert "undo" in sh(host, "ls /var/lib/barehost")
        yield
    finally:
        out, err = process.communicate(timeout=240)
    ended = json.loads(out.splitlines()[-1])["hosts"][0]
    assert ended["outcome"] == "failed", out + err


def next_run(host: StagingHost, shop: Project) -> dict[str, Any]:
    """What the next run's first plan says, after it has put everything right."""
    sh(host, "touch /root/quick")
    again = shop.provision("--json")
    planned = next(event for event in again.events if event["event"] == "planned")
    shop.settled()
    assert leftovers(host) == ""
    assert "11m" in sh(host, "nginx -T 2>/dev/null")
    assert ask(host).status == 200
    return planned


def test_an_apply_killed_before_its_files_were_proven_is_undone_first_by_the_next_run(
    host: StagingHost, shop: Project
) -> None:
    with visitors(host) as wrong:
        with between_switch_and_commit(host, shop):
            sh(host, "systemctl kill -s KILL 'barehost-*.service'")
        assert "11m" in sh(host, "cat /etc/nginx/conf.d/hello.conf")
        sh(host, "systemctl kill -s KILL lazy.service", ok=False)
        planned = next_run(host, shop)
    assert wrong == []
    assert planned["unfinished"] is not None


def test_a_host_that_dies_before_its_files_were_proven_serves_again_and_is_mended(
    host: StagingHost, shop: Project
) -> None:
    with between_switch_and_commit(host, shop):
        staging.kill(host.name)
    host = staging.start(host.name)
    until(lambda: answers(host))
    planned = next_run(host, shop)
    assert planned["unfinished"] is not None


@pytest.mark.parametrize(
    "step", ["prepare an activation", "switch to", "prove through Nginx", "drain and stop"]
)
def test_a_host_that_dies_in_the_middle_of_a_switch_serves_again(
    host: StagingHost, shop: Project, step: str
) -> None:
    shop.serve(host, {"hello": {**HELLO, "env": {"LOG_LEVEL": "debug"}}})
    process = shop.start("provision", "--json")
    while not told(process, "step_started")["label"].startswith(step):
        pass
    staging.kill(host.name)
    process.communicate(timeout=240)
    host = staging.start(host.name)
    until(lambda: answers(host), what="the site is not served after the crash")
    shop.provision()
    assert json.loads(ask(host, "/env").text)["LOG_LEVEL"] == "debug"
    until(lambda: len(sh(host, "systemctl list-units --plain --no-legend 'hello@*'").splitlines()) == 1)
    shop.settled()
