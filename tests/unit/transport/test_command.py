"""The command line that begins a session or a terminal, and the environment that it has there."""

from __future__ import annotations

import subprocess

from deploy.shell import Script
from deploy.transport import command


def test_a_command_on_a_terminal_begins_with_an_environment_of_its_own() -> None:
    line = command.on_terminal(Script('env; echo "it\'s"'), "xterm", sudo=False)
    hostile = {"POSIXLY_CORRECT": "1", "LD_PRELOAD": "/no.so", "PATH": "/no"}
    done = subprocess.run(["/bin/sh", "-c", line], env=hostile, capture_output=True, text=True, check=False)
    assert sorted(one for one in done.stdout.splitlines() if not one.startswith("PWD=")) == sorted(
        ["HOME=/root", "LC_ALL=C", f"PATH={command.PATH}", "TERM=xterm", "it's"]
    )
