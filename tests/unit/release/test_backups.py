"""The scripts that ask the program of backups on a host."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from deploy.release.backups import PROGRAM, config, perform


@pytest.mark.parametrize("what", ["run", "drill", "restore", "forget"])
def test_what_changes_something_goes_on_without_its_connection(what: str) -> None:
    script = perform("shop", what)
    assert f"systemd-run -q --pipe --wait --collect --unit=barehost-{what}-now-shop.service" in script


@pytest.mark.parametrize("hostile", ["; reboot", "$(reboot)", "'", "../../etc"])
def test_an_id_that_is_none_stays_one_word(hostile: str) -> None:
    last = perform("shop", "list", hostile).splitlines()[-1]
    assert shlex.split(last) == [
        *["exec", "/usr/bin/python3", "-I"],
        PROGRAM,
        "list",
        config("shop"),
        hostile,
    ]


def test_a_host_that_was_never_provisioned_for_it_says_so() -> None:
    done = subprocess.run(
        ["sh", "-c", perform("barehost-none", "state")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "invoke provision" in done.stderr
