"""The command line: bare words, empty values, slips that are named or answered with what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.tasks import namespace
from deploy.tasks.common import bare_words
from tests.unit.fakes.face import Face


@pytest.mark.parametrize(
    "words",
    [
        ("hosts.list", "--host", ""),
        ("hosts.list", "--host="),
        ("hosts.list", "--host", " , "),
        ("hosts.list", "--host"),
        ("hosts.list", "--host", "--group", "all"),
        ("hosts.list", "--host", "web1", "--host"),
        ("hosts.list", "--group", ""),
        ("hosts.list", "--inventory", ""),
        ("hosts.list", ""),
        ("hosts.list", "web1", ""),
        ("logs", "--site", ""),
        ("rollback", "--to", ""),
        ("release", "--batch="),
        ("staging.down", ""),
        ("status", "hosts.list", "--host", ""),
    ],
    ids=" ".join,
)
def test_an_option_that_is_given_empty_chooses_nothing(hosts: Path, invoke: Face, words: tuple[str, ...]):
    """As `--host "$UNSET"` in a script: every host would be the most dangerous reading of it."""
    code, out, err = invoke(*words)
    assert (code, "web" in out) == (InputError.exit_code, False)
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_what_follows_two_dashes_may_be_empty(hosts: Path, invoke: Face):
    _, _, err = invoke("run", "--", "echo", "--host", "")
    assert "none of the chosen hosts has any site" in err


def test_an_empty_variable_does_not_choose_the_usual_inventory(
    hosts: Path, invoke: Face, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BAREHOST_INVENTORY", "")
    code, out, _ = invoke("hosts.list")
    assert (code, out) == (InputError.exit_code, "")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["staging.up", "a", "b"], ["a", "b"]),
        (["staging.up"], []),
        (["staging.up", "a", "--suite", "trixie"], ["a"]),
        (["staging.up", "a", "provision", "--host", "a"], ["a"]),
        (["plan", "staging.up", "a", "b", "hosts.list"], ["a", "b"]),
        (["staging.down", "a"], []),
        (["staging.up", "a", "--suite", "trixie", "--python", "b"], ["a", "b"]),
        (["staging.up", "--suite=trixie", "a", "--", "b"], ["a"]),
        (["staging.up", "--sweet", "a"], []),
        ([], []),
    ],
)
def test_bare_words_stand_anywhere_after_the_task(argv: list[str], words: list[str]):
    known = {"--suite": True, "--python": False, "--host": True}
    assert bare_words(argv, "up", known, namespace.task_names) == words


def test_hosts_may_be_bare_words_before_and_after_options(hosts: Path, invoke: Face):
    one = invoke("hosts.list", "web1")
    assert invoke("hosts.list", "--inventory", "inventory", "web1") == one
    assert invoke("hosts.list", "--inventory=inventory", "web1", "web2")[1].count("web2") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("provison",), "provision"),
        (("staging.upp",), "staging.up"),
        (("plan", "--hots", "web1"), "--host"),
        (("plan", "web1", "--inventry=x"), "--inventory"),
        (("plan", "--check", "web1"), "--check"),
        (("release", "web1", "--max-fail", "x"), "--max-fail"),
        (("history", "-n", "x"), "-n"),
        (("maintenance",), "state"),
        (("init", "shop"), "shop"),
        (("--hist",), "--hist"),
    ],
)
def test_a_slip_is_one_sentence_that_names_it_or_what_was_meant(
    hosts: Path, invoke: Face, words: tuple[str, ...], says: str
):
    code, out, err = invoke(*words)
    assert (code, out) == (3, ""), err
    assert says in err
    assert err.count("\n") == 1
