"""Kernel settings: raised, never lowered, left where they cannot be set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError, LookError
from deploy.resources.sysctl import Sysctl
from tests.unit.fakes import local


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("w 128", {"value": 128, "settable": True, "to be raised": True}),
        ("w 4096", {"value": 4096, "settable": True, "to be raised": False}),
        ("w 65535", {"value": 65535, "settable": True, "to be raised": False}),
        ("r 128", {"value": 128, "settable": False, "to be raised": False}),
        ("r -", None),
    ],
)
def test_a_kernel_setting_is_raised_never_lowered_and_left_where_it_cannot_be_set(
    line: str, state: Any
) -> None:
    one = Sysctl("net.core.somaxconn", at_least=4096)
    output = f"/proc/sys/net/core/somaxconn {line}\n".encode()
    assert Sysctl.parse([one], output) == {one.id: state}


def test_a_kernel_setting_of_this_machine_reads_as_the_number_it_is() -> None:
    one = Sysctl("net.core.somaxconn", at_least=1)
    real = int(Path("/proc/sys/net/core/somaxconn").read_text())
    state = local.look(one)[one.id]
    assert state is not None
    assert (state["value"], state["to be raised"]) == (real, False)


@pytest.mark.parametrize("output", [b"", b"/proc/sys/net/core/somaxconn w banana\n"])
def test_a_look_that_tells_no_number_is_an_error(output: bytes) -> None:
    with pytest.raises(LookError):
        Sysctl.parse([Sysctl("net.core.somaxconn", at_least=1)], output)


def test_a_kernel_setting_that_this_kernel_lacks_reads_as_absent() -> None:
    one = Sysctl("net.core.no_such_thing", at_least=1)
    assert local.look(one) == {one.id: None}


@pytest.mark.parametrize("name", ["somaxconn", "net.core/../x", "net.core.$(id)", "net..core", ""])
def test_only_names_of_kernel_settings_are_taken(name: str) -> None:
    with pytest.raises(InputError):
        Sysctl(name, at_least=1)
