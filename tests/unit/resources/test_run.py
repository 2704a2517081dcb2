"""A command runs until what it was for is there: tried with this machine's sh."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.errors import InputError, LookError
from deploy.resource import Change
from deploy.resources import run as module
from deploy.resources.run import Run
from deploy.shell import Command, Secret, sh
from tests.unit.fakes import local


def test_it_runs_until_what_it_creates_is_there(tmp_path: Path) -> None:
    made = tmp_path / "it's made"
    script = sh("echo $GREETING > @{made}; pwd >> @{made}", made=made)
    run = Run("make it", script, str(made), cwd=str(tmp_path), environment=(("GREETING", "hello"),))
    assert local.look(run)[run.id] is None
    assert len(local.settle(run, tmp_path)) == 1
    assert made.read_text() == f"hello\n{tmp_path}\n"
    assert local.settle(run, tmp_path) == []


def test_a_question_made_by_sh_is_one_script(tmp_path: Path) -> None:
    question = sh("[ -e @{it} ]; true", it=tmp_path / "never made")
    assert local.look(run := Run("x", "true", unless=question))[run.id] is None


def test_a_dangling_link_counts_as_created(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert local.look(run := Run("x", "false", str(tmp_path / "link")))[run.id] == {"done": True}


def test_unless_is_asked_in_the_same_place_with_the_same_environment(tmp_path: Path) -> None:
    run = Run(
        "count",
        'printf %s "$WORDS" > file',
        unless='[ "$(cat file)" = "$WORDS" ]',
        cwd=str(tmp_path),
        environment=(("WORDS", "it's $(touch pwned)\n -n"),),
    )
    local.settle(run, tmp_path)
    assert (tmp_path / "file").read_text() == "it's $(touch pwned)\n -n"
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_user_runs_it_with_a_clean_environment(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    run = Run("who", "id -un > who; echo $HOME >> who", unless="[ -e who ]", user="nobody", cwd=str(tmp_path))
    local.settle(run, tmp_path)
    assert (tmp_path / "who").read_text().split() == ["nobody", "/nonexistent"]


@pytest.mark.parametrize("unless", ["false", "no-such-command", "exit 3", "cat /nonexistent | true; false"])
def test_an_unless_that_fails_means_not_done_yet(unless: str) -> None:
    assert local.look(run := Run("x", "true", unless=unless))[run.id] is None


def test_a_user_or_folder_that_is_not_there_yet_means_not_done_yet() -> None:
    missing = [
        Run("u", "true", unless="true", user="barehost-none"),
        Run("c", "true", unless="true", cwd="/no/folder"),
    ]
    assert set(local.look(*missing).values()) == {None}


def test_an_unless_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 1)
    with pytest.raises(LookError, match="'wait' took more than"):
        local.look(Run("wait", "true", unless="sleep 5"))


@pytest.mark.parametrize("output", [b"", b"done\n"])
def test_output_that_ends_early_is_an_error_and_not_absent(output: bytes) -> None:
    with pytest.raises(LookError, match="ended early"):
        Run.parse([Run("a", "true", "/a"), Run("b", "true", "/b")], output)


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("false; true", 1), ("no-such-command", 127)])
def test_a_command_that_fails_fails_the_step(tmp_path: Path, command: str, code: int) -> None:
    run = Run("x", command, "/no/such/path", timeout=5)
    (step,) = Run.steps([Change(run, None, run.expected())])
    assert isinstance(step, Command)
    assert step.timeout == 5
    assert [done.returncode for done in local.apply([step], tmp_path)] == [code]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "either creates= or unless="),
        ({"creates": "/x", "unless": "true"}, "either creates= or unless="),
        ({"creates": "x"}, "creates of Run 'r' must be an absolute path"),
        ({"creates": "/x", "cwd": "srv"}, "cwd of Run 'r' must be an absolute path"),
        ({"creates": "/x", "environment": (("A B", "x"),)}, "not an environment variable"),
        ({"creates": "/x", "environment": (("-u", "x"),)}, "not an environment variable"),
        ({"creates": "/x", "user": "-x"}, "not a user"),
        ({"unless": "a\0b"}, "NUL byte"),
    ],
)
def test_what_makes_no_sense_is_an_error(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Run("r", "true", **fields)  # type: ignore[arg-type]


def test_a_secret_on_stdin_is_in_no_script_and_reaches_the_command(tmp_path: Path) -> None:
    secret = "pass $(word) 'x'\n"
    run = Run(
        "keep it", sh("cat > @{to}", to=f"{tmp_path}/got"), creates=f"{tmp_path}/got", stdin=Secret(secret)
    )
    steps = local.settle(run, tmp_path / "host")
    assert (tmp_path / "got").read_text() == secret
    assert all("word" not in step.script for step in steps if isinstance(step, Command))
    assert "word" not in repr(run)
