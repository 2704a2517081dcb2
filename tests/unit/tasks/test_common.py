"""What every task shares: its exit code, a password asked once, the state folder, an answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import BarehostError, HostError, InputError
from deploy.tasks import common
from deploy.tasks.common import password_once, task
from tests.unit.fakes.face import Face


class Broken(BarehostError):
    """An error with an exit code of its own."""

    exit_code = 77


@pytest.mark.parametrize(("ending", "code"), [(Broken("no good"), 77), (5, 5), (0, 0), (None, 0)])
def test_how_a_task_ends_is_the_exit_code(ending: Any, code: int, capsys: pytest.CaptureFixture[str]):
    @task()
    def ends(context: object) -> Any:
        if isinstance(ending, Exception):
            raise ending
        return ending

    from invoke import Context, Exit

    if code:
        with pytest.raises(Exit) as caught:
            ends(Context())
        assert caught.value.code == code
    else:
        ends(Context())
    assert capsys.readouterr().err == ("error: no good\n" if code == 77 else "")


def test_the_password_is_asked_once_for_all_hosts(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return "hunter2"

    monkeypatch.setattr("getpass.getpass", getpass)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ask = password_once()
    assert [ask("sudo on web1").reveal(), ask("sudo on web2").reveal()] == ["hunter2", "hunter2"]
    assert asked == ["sudo on web1: "]


def test_without_a_terminal_a_missing_password_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(HostError, match=r"sudo on web1: none given .* ansible_become_password"):
        password_once()("sudo on web1")


def test_the_state_folder_lies_in_the_project_wherever_one_stands_in_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "tasks.py").touch()
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    assert common.project() == project
    assert common.state() == project / ".barehost"
    monkeypatch.setenv("BAREHOST_STATE", "elsewhere")
    assert common.state() == project / "deep" / "elsewhere"


def test_an_answer_that_ends_instead_of_coming_is_one_sentence(
    hosts: Path, invoke: Face, monkeypatch: pytest.MonkeyPatch
):
    def ended(*_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    monkeypatch.setattr("getpass.getpass", ended)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(InputError, match="not answered"):
        common.answer("Are these the keys? ")
    with pytest.raises(HostError, match="not answered"):
        password_once()("sudo password of ada on web1")
