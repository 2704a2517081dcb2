"""Activations: what a host says of one, what is done about it, and what is sent."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.engine.converge import Wishes, converge
from deploy.engine.events import Diff, Event, Planned
from deploy.errors import LookError
from deploy.inventory.hosts import Host
from deploy.release import Activation, Question
from deploy.resource import Change, Command, Upload
from deploy.shell import keyed
from tests.unit.fakes import local
from tests.unit.fakes.fake import FakeHost

ONE = Activation(
    app="hello",
    release="r2",
    venv="v2",
    env=b'KEY="hunter2"\n',
    files=(("gunicorn.conf.py", "workers = 2"),),
    units=(("hello@.service", "[Service]"), ("hello-mail@.service", "[Unit]")),
    www=(("static", "static"), ("a/b", "web/dist")),
    named=(("files", "static/robots.txt"),),
    question=Question("hello.example.com", "/", 200, 30, 80, "http"),
    drain=30,
    keep=5,
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def told(**changed: str) -> bytes:
    """What a host prints that runs it; a key set to nothing is left out."""
    lines = {
        "current": "2",
        "release": "r2",
        "venv": "v2",
        "env": keyed(ONE.env),
        "file": f"gunicorn.conf.py {sha256('workers = 2')}",
        "unit": f"hello@.service {sha256('[Service]')}",
        "proven": "2026-11-23T14:15:02Z",
        "active": "active",
        "libraries": "as they lie on the disk",
        "enabled": "enabled",
        "stray": "",
    } | changed
    more = ["www static -> static", "www a/b -> web/dist", f"unit hello-mail@.service {sha256('[Unit]')}"]
    return "\n".join(
        ["hello", *(f"{key} {value}" for key, value in lines.items() if value != "-"), *more, "\0"]
    ).encode()


def change(output: bytes, one: Activation = ONE) -> Change[Activation]:
    return Change(one, Activation.parse([one], output)[one.id], one.expected())


WHOLE = ["prepare an activation of", "start", "health of", "switch to", "prove through Nginx"]
WHOLE += ["drain and stop the old instance of", "prune"]


@pytest.mark.parametrize(
    ("changed", "keys", "labels"),
    [
        ({}, (), []),
        ({"release": "r1"}, ("release",), WHOLE),
        ({"venv": "v1"}, ("venv",), WHOLE),
        ({"env": "0"}, ("environment",), WHOLE),
        ({"file": "gunicorn.conf.py 0"}, ("configuration",), WHOLE),
        ({"file": "-"}, ("configuration",), WHOLE),
        ({"unit": "hello@.service 0"}, ("unit",), WHOLE),
        ({"active": "failed"}, ("active",), ["start", "health of", "prove through Nginx"]),
        ({"enabled": "disabled"}, ("enabled",), ["start", "health of", "prove through Nginx"]),
        ({"proven": "-"}, ("proven",), ["prove through Nginx"]),
        ({"stray": "hello@1.service"}, ("left over",), ["stop what an unfinished switch left of"]),
        (
            {"stray": "hello@1.service", "release": "r1"},
            ("left over", "release"),
            ["stop what an unfinished switch left of", *WHOLE],
        ),
    ],
)
def test_what_a_host_tells_and_what_is_done(
    changed: dict[str, str], keys: tuple[str, ...], labels: list[str]
):
    found = change(told(**changed))
    assert found.keys == keys
    steps = list(Activation.steps([found])) if found else []
    assert [step.label for step in steps if isinstance(step, Command)] == [
        f"{label} hello r2" for label in labels
    ]
    assert any(isinstance(step, Upload) for step in steps) == ("prune" in labels)


MANY = replace(
    ONE,
    jobs=(("hello-clear@.service", "[Service]"),),
    timers=(("hello-clear.timer", "[Timer]"),),
    alone=("hello-mail@.service", "hello-clear.timer"),
    settle=3,
    stopping=600,
)
WITH = f"\nunit hello-clear@.service {sha256('[Service]')}\nunit hello-clear.timer {sha256('[Timer]')}"
UP = "hello@2.service hello-mail@2.service hello-clear.timer"


def with_processes(**changed: str) -> Change[Activation]:
    return change(told(**{"stray": WITH, "up": UP, "down": "", **changed}), MANY)


@pytest.mark.parametrize(
    ("changed", "keys", "labels"),
    [
        ({}, (), []),
        ({"down": "hello-mail@2.service"}, ("down",), ["start the processes of"]),
        ({"proven": "-"}, ("proven",), ["prove through Nginx", "start the processes of"]),
        ({"release": "r1"}, ("release",), [*WHOLE[:5], "start the processes of", *WHOLE[5:]]),
        ({"stray": ""}, ("unit",), [*WHOLE[:5], "start the processes of", *WHOLE[5:]]),
    ],
)
def test_processes_start_once_the_web_process_is_proven_and_before_the_old_one_ends(
    changed: dict[str, str], keys: tuple[str, ...], labels: list[str]
):
    found = with_processes(**changed)
    assert found.keys == keys
    steps = [step for step in Activation.steps([found]) if isinstance(step, Command)] if found else []
    assert [step.label.removesuffix(" hello r2") for step in steps] == labels
    assert [step.label for step in steps if step.proves] == [
        step.label for step in steps if step.label.startswith("start the processes")
    ]
    assert all(step.timeout > 2 * MANY.stopping for step in steps)


@pytest.mark.parametrize(
    ("up", "missing"),
    [
        (UP, []),
        ("hello@1.service hello-mail@1.service hello-clear.timer", []),
        ("hello@2.service", ["hello-mail@.service", "hello-clear.timer"]),
        ("hello@2.service hello-mail@2.service", ["hello-clear.timer"]),
    ],
)
def test_what_may_run_on_one_host_alone_and_does_not_run_here_yet(up: str, missing: list[str]):
    assert MANY.only_here(with_processes(up=up)) == missing
    assert MANY.only_here(Change(MANY, None, MANY.expected())) == ["hello-mail@.service", "hello-clear.timer"]


@pytest.mark.parametrize(
    ("output", "state"),
    [
        (b"hello\ncurrent \nstray \n\0", None),
        (b"hello\ncurrent \nstray hello@1.service\n\0", {"left over": "hello@1.service"}),
    ],
)
def test_a_site_that_does_not_serve_yet(output: bytes, state: Any):
    found = change(output)
    assert found.actual == state
    labels = [step.label for step in Activation.steps([found]) if isinstance(step, Command)]
    assert labels[-len(WHOLE) :] == [f"{label} hello r2" for label in WHOLE]


@pytest.mark.parametrize("output", [b"", b"hello\ncurrent 2\nrelease r2\n", b"other\ncurrent \nstray \n\0"])
def test_a_site_that_the_host_did_not_tell_about_is_an_error(output: bytes):
    with pytest.raises(LookError, match="did not tell what runs of hello"):
        Activation.parse([ONE], output)


def test_a_restart_is_an_activation_that_differs_in_nothing_else():
    again = replace(ONE, renewed="run-7")
    assert change(told(), again).keys == ("renewed",)
    assert not change(told(renewed="run-7"), again)


def test_what_is_sent_of_an_activation():
    (upload,) = [step for step in Activation.steps([change(told(release="r1"))]) if isinstance(step, Upload)]
    with tarfile.open(fileobj=io.BytesIO(b"".join(upload.pack()))) as tar:
        members = {one.name: (one.mode if one.isfile() else one.linkname) for one in tar}
        data = tar.extractfile("env")
        assert data is not None
        assert data.read() == ONE.env
    assert members == {
        "about": 0o640,
        "env": 0o600,
        "server/gunicorn.conf.py": 0o640,
        "units/hello@.service": 0o644,
        "units/hello-mail@.service": 0o644,
        "release": "/srv/hello/releases/r2",
        "venv": "/srv/hello/venvs/v2",
        "www/static": "/srv/hello/releases/r2/static",
        "www/a/b": "/srv/hello/releases/r2/web/dist",
    }


def test_an_activation_shows_no_environment():
    steps = list(Activation.steps([change(told(release="r1"))]))
    assert "hunter2" not in repr([ONE, ONE.expected(), steps])
    assert not any("hunter2" in step.script for step in steps if isinstance(step, Command))


def test_waiting_steps_have_the_time_they_may_take():
    slow = replace(ONE, drain=900)
    steps = [
        step for step in Activation.steps([Change(slow, None, slow.expected())]) if isinstance(step, Command)
    ]
    assert all(step.timeout > 900 for step in steps)


def test_a_hosts_own_look_at_a_site_it_has_not(tmp_path: Path):
    quiet = replace(ONE, app="barehost-none")
    done = local.run(Activation.probe([quiet]))
    assert (done.returncode, Activation.parse([quiet], done.stdout)) == (0, {quiet.id: None})


def test_with_diff_the_server_s_configuration_is_shown_line_by_line() -> None:
    config = "/srv/hello/current/server/gunicorn.conf.py"
    before = {**(ONE.expected() or {}), "configuration": "of before"}
    host = FakeHost({ONE.id: before}, files={config: b"workers = 1"})
    events: list[Event] = []
    wishes = Wishes("me", check=True, diffs=True)
    converge(Host("web1"), [lambda host, facts: iter([ONE])], host, wishes, events.append)
    (planned,) = (one for one in events if isinstance(one, Planned))
    assert planned.diffs == (Diff(config, "workers = 1", "workers = 2"),)
