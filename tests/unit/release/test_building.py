"""Builds and migrations: whether they have run, what they do, whose environment they have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.errors import LookError
from deploy.release import Built, Migrated
from deploy.resource import Change, Command, Upload
from deploy.shell import Secret
from tests.unit.fakes import local

BUILT = Built(
    "hello", "r2", "v2", ("make it",), b"KEY=hunter2", (Secret("hunter2"),), static=(("/static/", "static"),)
)


MIGRATED = Migrated("hello", "r2", "v2", ("migrate it",), b"KEY=hunter2", (Secret("hunter2"),))


@pytest.mark.parametrize("one", [BUILT, MIGRATED])
def test_a_record_says_whether_the_commands_have_run(one: Any):
    kind = type(one)
    assert kind.parse([one], b"\n") == {one.id: None}
    assert kind.parse([one], one.mark.encode() + b"\n")[one.id] == one.expected()
    assert kind.parse([one], b"other\n")[one.id] != one.expected()
    with pytest.raises(LookError, match="did not tell how far"):
        kind.parse([one], b"")


def test_a_release_that_nobody_recorded_is_not_built():
    assert local.look(replace(BUILT, app="barehost-none"))[f"build:barehost-none {BUILT.release}"] is None


def test_what_a_build_does():
    labels = [step.label for step in Built.steps([Change(BUILT, None, {})]) if isinstance(step, Command)]
    assert labels == ["record hello r2", "build hello r2", "static files of hello r2"]
    plain = replace(BUILT, commands=())
    labels = [step.label for step in Built.steps([Change(plain, None, {})]) if isinstance(step, Command)]
    assert labels == ["record hello r2", "static files of hello r2"]


@pytest.mark.parametrize("one", [BUILT, MIGRATED])
def test_the_environment_of_a_command_travels_beside_it(one: Any):
    steps = list(type(one).steps([Change(one, None, {})]))
    upload, masked = [step for step in steps if isinstance(step, Upload)]
    assert b"".join(upload.pack()) == b"KEY=hunter2"
    assert b"hunter2\0" in b"".join(masked.pack())
    assert "hunter2" not in repr(one) + repr(steps)
    assert not any("hunter2" in step.script for step in steps if isinstance(step, Command))


def test_other_commands_are_another_build():
    assert BUILT.mark != replace(BUILT, commands=("make it", "twice")).mark
    assert replace(BUILT, commands=("ab", "c")).mark != replace(BUILT, commands=("a", "bc")).mark


def test_who_built_it_makes_no_difference():
    assert replace(BUILT, by="bob@desk", commit="123") == BUILT
