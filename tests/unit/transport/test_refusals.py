"""How refusals are worded: one sentence for each way that SSH fails."""

from __future__ import annotations

import pytest

from deploy.transport import refusals
from deploy.transport.route import Hop

HOP = Hop("10.0.0.5", 22, "ann", (), True, True, "10.0.0.5", (), None, 10.0)


@pytest.mark.parametrize(
    ("output", "asked", "sentence"),
    [
        ("bash: line 1: sudo: command not found", False, "there is no sudo"),
        ("env: 'sudo': No such file or directory", False, "there is no sudo"),
        ("sh: 1: sudo: not found", False, "there is no sudo"),
        ("fish: Unknown command: sudo", False, "there is no sudo"),
        ("sudo: Command not found.", False, "there is no sudo"),
        ("ann is not in the sudoers file.", True, "ann may not use sudo"),
        ("Sorry, user ann may not run sudo on shop.", True, "ann may not use sudo"),
        ("Sorry, user ann is not allowed to execute '/bin/sh' as root", True, "ann may not use sudo"),
        ("sudo: sorry, you must have a tty to run sudo", False, "requiretty"),
        ("Sorry, try again.\nsudo: no password was provided", True, "did not accept the password of ann"),
        ("sudo: 1 incorrect password attempt", True, "did not accept the password of ann"),
        ("barehost: missing sha256sum", False, "the host has no sha256sum"),
        ("barehost: not root", False, "ann is not root there"),
        ("mkdir: cannot create directory\nbarehost: no folder", False, "no folder could be made"),
        ("bash: line 1: sh: command not found", False, "finds no sh"),
        ("This account is currently not available.", False, "has no login shell"),
        ("", False, "ended the session before it began without a word"),
        ("the moon is full", False, "it said 'the moon is full'"),
    ],
)
def test_what_the_far_side_said_at_the_start_becomes_one_sentence(
    output: str, asked: bool, sentence: str
) -> None:
    said = str(refusals.start("shop", "ann", output, sudo=True, asked=asked))
    assert said.startswith("shop: ")
    assert sentence in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("tee: a: No space left on device\nbarehost: broken a", "no space left on the host"),
        (
            "tar: new/x: Wrote only 5120 of 10240 bytes\nbarehost: cannot store a in /var/x",
            "no space left on the host in /var/x, nothing",
        ),
        (
            "tar: This does not look like a tar archive\nbarehost: cannot store a in /var/x",
            "a could not be stored in /var/x (This does not look like a tar archive), nothing was changed",
        ),
        (
            "head: error writing: No space left on device\nbarehost: cannot store a in /var/x",
            "no space left on the host in /var/x, nothing",
        ),
        ("barehost: broken tree.tar", "tree.tar did not arrive as it was sent"),
        ("barehost: unknown frame x", "the host ended the session: barehost: unknown frame x"),
    ],
)
def test_the_last_words_of_the_far_side_become_one_sentence(output: str, sentence: str) -> None:
    assert sentence in str(refusals.rejected("shop", output))


def test_a_login_that_failed_names_the_user_and_every_key() -> None:
    said = str(refusals.not_let_in("shop", HOP, ["/k/a", "b (agent)"], ["/k/c is encrypted"]))
    assert "did not let ann in" in said
    assert "/k/a, b (agent)" in said
    assert "/k/c is encrypted" in said
