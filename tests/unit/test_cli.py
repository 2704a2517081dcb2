"""The command barehost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_the_console_script_knows_its_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from importlib.metadata import version

    from deploy import cli

    monkeypatch.setattr(sys, "argv", ["barehost", "--version"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out == f"Barehost {version('barehost')}\n"


@pytest.mark.parametrize("when", ["invoke", "deploy.tasks", "deploy.tasks.release"])
def test_an_interrupt_in_the_first_moments_is_no_traceback(project: Path, when: str):
    script = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {when!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from deploy.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
