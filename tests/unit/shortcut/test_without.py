"""The product without deploy/shortcut/: a copy of it that lacks the folder still does all that it did."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.errors import HostError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, where the folder is taken out."""
    copy = tmp_path_factory.mktemp("without")
    leave = shutil.ignore_patterns("__pycache__", "shortcut", "integration", "power")
    for folder in ("deploy", "roles", "templates", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=leave)
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def python(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(copy), "HOME": str(copy)}
    return subprocess.run(
        [sys.executable, *words], cwd=copy, capture_output=True, text=True, env=environment, check=False
    )


def test_the_engine_and_the_fleet_pass_their_tests_without_it(without: Path) -> None:
    done = python(
        without, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/engine", "tests/unit/fleet"
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_run_connects_to_each_host_when_it_is_its_turn(without: Path) -> None:
    """The task's whole way to a host, up to the connection that nobody answers."""
    (without / "tasks.py").write_text("from deploy.tasks import namespace\n")
    (without / "inventory.yml").write_text(
        "all: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 1, roles: [base]}}}\n"
    )
    done = python(without, "-m", "invoke", "plan", "--inventory", "inventory.yml")
    assert done.returncode == HostError.exit_code, done.stdout + done.stderr
    assert "web1" in done.stdout + done.stderr
