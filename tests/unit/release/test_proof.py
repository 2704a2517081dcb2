"""With which files a site was last proven is state on its host."""

from __future__ import annotations

import pytest

from deploy.errors import LookError
from deploy.release import Proof, Question
from deploy.resource import Change
from deploy.shell import Command
from tests.unit.fakes import local

ONE = Proof(
    "barehost-none",
    "d1",
    (("files", "robots.txt"),),
    Question("hello.example.com", "/healthz", 200, 30, 80, "http"),
    scope="hello",
)


def test_a_site_that_was_never_proven_is_asked() -> None:
    assert local.look(ONE)[ONE.id] is None
    (step,) = Proof.steps([Change(ONE, None, ONE.expected())])
    assert isinstance(step, Command)
    assert step.proves
    assert "/healthz" in step.script


@pytest.mark.parametrize(("answer", "keys"), [(b"d1\n", ()), (b"d0\n", ("configuration",))])
def test_other_files_than_it_was_proven_with_ask_again(answer: bytes, keys: tuple[str, ...]) -> None:
    assert Change(ONE, Proof.parse([ONE], answer)[ONE.id], ONE.expected()).keys == keys


def test_an_answer_that_was_cut_off_is_an_error() -> None:
    with pytest.raises(LookError, match="look again"):
        Proof.parse([ONE], b"")
