"""Which tests a changed file has, by its name."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

from deploy.tasks import mirror

CHECKOUT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("deploy/resources/path.py", "tests/unit/resources/test_path.py"),
        ("deploy/shell.py", "tests/unit/test_shell.py"),
        ("deploy/report/__init__.py", "tests/unit/report/test_report.py"),
        ("deploy/resources/tree/__init__.py", "tests/unit/resources/test_tree.py"),
        ("roles/nginx.py", "tests/unit/roles/test_nginx.py"),
        ("bench/series.py", "tests/unit/bench/test_series.py"),
    ],
)
def test_a_test_is_found_by_the_name_of_its_module(path: str, test: str):
    assert mirror.own(path, CHECKOUT) == [test]


def test_a_module_may_have_several_tests_of_its_name(tmp_path: Path):
    for name in ("test_rollout.py", "test_rollout_sites.py", "test_run.py"):
        (tmp_path / "tests/unit/fleet").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests/unit/fleet" / name).touch()
    found = mirror.own("deploy/fleet/rollout.py", tmp_path)
    assert found == ["tests/unit/fleet/test_rollout.py", "tests/unit/fleet/test_rollout_sites.py"]


def modules() -> list[str]:
    """Every module with a function or a class in it."""
    files = [file for room in ("deploy", "roles", "bench") for file in (CHECKOUT / room).rglob("*.py")]
    names = {str(file.relative_to(CHECKOUT)): file for file in files}
    aside = (
        "deploy/host/",
        "deploy/scaffold/",
        "deploy/roles/",
        "deploy/testinfra/",
        "deploy/templates/",
        "bench/peers/",
    )
    return sorted(
        name
        for name, file in names.items()
        if not name.startswith(aside)
        and any(
            isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(ast.parse(file.read_text()))
        )
    )


def test_every_module_has_its_test_or_a_place_in_the_list():
    untested = [name for name in modules() if not mirror.own(name, CHECKOUT) and not mirror.elsewhere(name)]
    assert untested == [], "give each a test of its name, or a row in ELSEWHERE of deploy/tasks/mirror.py"


def test_the_list_has_no_row_too_many():
    missing = [name for name in modules() if not mirror.own(name, CHECKOUT)]
    for pattern, test in mirror.ELSEWHERE.items():
        assert any(fnmatch(name, pattern) for name in missing), f"all of {pattern} have tests of their own"
        assert (CHECKOUT / test).exists(), test


OF_A_FOLDER = (
    "tests/unit/host/*",  # the scripts and programs of deploy/host
    "tests/unit/templates/*",  # what the templates become
    "tests/unit/test_architecture.py",
    "tests/unit/test_docs.py",
    "tests/unit/engine/test_words.py",
    "tests/unit/requirements/test_locks.py",
    "tests/unit/resources/test_contract.py",
    "tests/unit/roles/test_own_roles.py",
    "tests/unit/shortcut/test_without.py",
    "tests/unit/tasks/test_tasks.py",
)
"""Tests that are about more than a module, or about what is none."""


def test_every_test_has_the_name_of_a_module():
    named = {test for name in modules() for test in mirror.own(name, CHECKOUT)}
    tests = [str(file.relative_to(CHECKOUT)) for file in (CHECKOUT / "tests/unit").rglob("test_*.py")]
    others = [test for test in tests if test not in named]
    assert [test for test in others if not any(fnmatch(test, known) for known in OF_A_FOLDER)] == []
    for known in OF_A_FOLDER:
        assert any(fnmatch(test, known) for test in others), f"{known} is in the list for nothing"


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("deploy/resources/path.py", ["tests/unit/resources/test_path.py"]),
        ("tests/unit/resources/test_path.py", ["tests/unit/resources/test_path.py"]),
        ("templates/nginx.conf.j2", ["tests/unit/templates"]),
        ("deploy/host/loop.sh", ["tests/unit/host"]),
        ("deploy/engine/follow.py", ["tests/unit/engine/test_remote.py"]),
        ("deploy/transport/login.py", []),  # on real hosts alone
        ("docs/ssh.md", ["tests/unit/test_docs.py"]),
        ("README.md", ["tests/unit/test_docs.py"]),
        ("setup.cfg", []),
        ("tests/unit/resources/test_gone.py", []),
    ],
)
def test_what_is_run_for_a_changed_file(path: str, tests: list[str]):
    assert mirror.tests_of(path, CHECKOUT) == tests
    assert all((CHECKOUT / test).exists() for test in tests)


def test_a_shared_fake_has_the_tests_that_use_it():
    found = mirror.tests_of("tests/unit/fakes/sandbox.py", CHECKOUT)
    assert {"tests/unit/engine/test_apply.py", "tests/unit/engine/test_remote.py"} <= set(found)
    assert "tests/unit/test_shell.py" not in found
