"""What `invoke test` runs: all sections, one, those of changed files, beside a busy machine; and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.tasks import checks

Install = Callable[..., None]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Stand-ins for the tools: each writes down its arguments and ends with the code that it was installed with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))

    def install(**codes: int) -> None:
        for name in ("ruff", "mypy", "lint-imports", "pytest"):
            code = codes.get(name.replace("-", "_"), 0)
            (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/ran\nexit {code}\n')
            (folder / name).chmod(0o755)

    return install


def ran(tmp_path: Path) -> list[str]:
    """The commands that were run, in order."""
    file = tmp_path / "ran"
    return file.read_text().splitlines() if file.exists() else []


def test_everything_runs_and_the_first_failure_is_the_exit_code(
    tools: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    tools(mypy=3, pytest=1)
    assert checks.run(tmp_path) == 3
    assert [line.split()[0] for line in ran(tmp_path)] == [
        "ruff",
        "ruff",
        "mypy",
        "lint-imports",
        "pytest",
        "pytest",
        "pytest",
    ]
    assert "failed: types, unit, conformance, integration" in capsys.readouterr().out


def test_all_well_is_zero(tools: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tools()
    assert checks.run(tmp_path) == 0
    assert capsys.readouterr().out.endswith("all checks passed\n")


def test_one_section_can_be_chosen(tools: Install, tmp_path: Path):
    tools()
    assert checks.run(tmp_path, only="unit") == 0
    assert [line.split()[:2] for line in ran(tmp_path)] == [["pytest", "tests/unit"]]
    with pytest.raises(InputError, match="there is no section 'units' to test; --only takes style, format"):
        checks.run(tmp_path, only="units")


def test_an_expression_runs_tests_alone_and_asks_for_no_coverage(tools: Install, tmp_path: Path):
    tools()
    assert checks.run(tmp_path, expression="jump") == 0
    assert all("-k jump" in line and "--cov" not in line for line in ran(tmp_path))
    assert len(ran(tmp_path)) == 3


def test_an_expression_that_matches_nothing_at_all_is_a_failure(tools: Install, tmp_path: Path):
    tools(pytest=5)
    assert checks.run(tmp_path, expression="nothing") == 5


def test_a_tool_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match="ruff is not installed here; run make test"):
        checks.run(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout on a branch of its own: one module with its test, one without, one document."""
    folder = tmp_path / "checkout"
    for name in (
        "deploy/room/tested.py",
        "deploy/room/alone.py",
        "tests/unit/room/test_tested.py",
        "docs/page.md",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    for words in ("init -q -b main", "add .", "commit -q -m first", "checkout -q -b mine"):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *words.split()], cwd=folder, check=True)
    return folder


def test_quick_runs_what_belongs_to_the_changed_files(
    tools: Install, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
):
    tools()
    (repository / "deploy/room/tested.py").write_text("x = 1\n")
    (repository / "deploy/room/alone.py").write_text("x = 1\n")
    (repository / "deploy/room/new.py").write_text("x = 1\n")
    assert checks.run(repository, quick=True) == 0
    assert ran(tmp_path) == [
        "ruff check --force-exclude deploy/room/alone.py deploy/room/new.py deploy/room/tested.py",
        "ruff format --check --quiet --force-exclude deploy/room/alone.py deploy/room/new.py deploy/room/tested.py",
        "mypy ",
        "lint-imports --no-logo",
        "pytest tests/unit/room/test_tested.py",
    ]
    assert "deploy/room/alone.py, deploy/room/new.py" in capsys.readouterr().out


def test_quick_counts_what_the_branch_has_committed(tools: Install, tmp_path: Path, repository: Path):
    tools(pytest=1)
    (repository / "deploy/room/tested.py").write_text("x = 1\n")
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-a", "-m", "second"],
        cwd=repository,
        check=True,
    )
    assert checks.run(repository, quick=True) == 1
    assert ran(tmp_path)[-1] == "pytest tests/unit/room/test_tested.py"


def test_quick_runs_nothing_where_nothing_has_changed(tools: Install, tmp_path: Path, repository: Path):
    tools()
    assert checks.run(repository, quick=True) == 0
    assert ran(tmp_path) == []


def test_quick_outside_of_git_is_one_sentence(tools: Install, tmp_path: Path):
    tools()
    with pytest.raises(InputError, match="git cannot say what has changed"):
        checks.run(tmp_path, quick=True)


@pytest.mark.parametrize("more", [{"only": "unit"}, {"expression": "x"}, {"busy": True}, {"times": 2}])
def test_quick_goes_alone(tools: Install, repository: Path, more: dict[str, object]):
    tools()
    with pytest.raises(InputError, match="--quick goes with no other option"):
        checks.run(repository, quick=True, **more)  # type: ignore[arg-type]


def test_so_many_times_in_a_row_up_to_the_first_failure(tools: Install, tmp_path: Path):
    tools()
    assert checks.run(tmp_path, only="types", times=3) == 0
    assert len(ran(tmp_path)) == 3
    tools(mypy=2)
    assert checks.run(tmp_path, only="types", times=3) == 2
    assert len(ran(tmp_path)) == 4
    with pytest.raises(InputError, match="--times"):
        checks.run(tmp_path, times=0)


def test_busy_loops_run_beside_the_sections_and_end_with_them(tmp_path: Path, tools: Install):
    tools()
    counts = 'ps -o pid= --ppid "$PPID" | wc -l'
    (tmp_path / "bin/mypy").write_text(f"#!/bin/sh\n{counts} >> {tmp_path}/counted\n")
    before = children()
    assert checks.run(tmp_path, only="types") == 0
    assert checks.run(tmp_path, only="types", busy=True) == 0
    alone, beside = map(int, (tmp_path / "counted").read_text().split())
    assert beside == alone + checks.LOOPS
    assert children() == before


def test_a_busy_loop_ends_with_the_process_it_belongs_to():
    with subprocess.Popen(["sleep", "600"]) as owner:
        loop = subprocess.Popen(["sh", "-c", checks.LOOP, "sh", str(owner.pid)])
        with pytest.raises(subprocess.TimeoutExpired):
            loop.wait(0.2)
        owner.kill()
    assert loop.wait(60) == 0


def children() -> int:
    """How many processes this one has started and not yet buried."""
    return len(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())
