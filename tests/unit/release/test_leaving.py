"""A site that leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.errors import LookError
from deploy.release import Leaving
from deploy.resource import Change, Command
from tests.unit.fakes import local


def test_a_site_that_is_gone_needs_nothing():
    one = Leaving("barehost-none", purge=True)
    assert local.look(one)[one.id] is None
    assert not Change(one, None, one.expected())


def test_what_is_left_of_a_site_is_told_and_goes():
    one = Leaving("hello")
    state = Leaving.parse([one], b"hello current releases\n")[one.id]
    assert state == {"left": "current releases"}
    (step,) = Leaving.steps([Change(one, state, None)])
    (purge,) = Leaving.steps([Change(replace(one, purge=True), state, None)])
    assert isinstance(step, Command)
    assert isinstance(purge, Command)
    assert "userdel" not in step.script
    assert "userdel" in purge.script


@pytest.mark.parametrize("output", [b"", b"other \n"])
def test_a_site_that_was_not_told_of_is_not_gone(output: bytes):
    with pytest.raises(LookError, match="did not tell what is left of site:hello"):
        Leaving.parse([Leaving("hello")], output)
