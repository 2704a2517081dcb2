"""Which tests a changed file has, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.tasks import mirror

CHECKOUT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("deploy/resources/path.py", "tests/unit/resources/test_path.py"),
        ("deploy/shell.py", "tests/unit/test_shell.py"),
        ("deploy/fleet/__init__.py", "tests/unit/fleet/test_fleet.py"),
        ("roles/nginx.py", "tests/unit/roles/test_nginx.py"),
        ("bench/series.py", "tests/unit/bench/test_series.py"),
        ("tests/unit/test_shell.py", None),
        ("docs/ssh.md", None),
    ],
)
def test_a_test_is_found_by_the_name_of_its_module(path: str, test: str | None):
    found = mirror.mirrored(path)
    assert (found and str(found)) == test


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("deploy/resources/path.py", ["tests/unit/resources/test_path.py"]),
        ("tests/unit/resources/test_path.py", ["tests/unit/resources/test_path.py"]),
        ("templates/nginx.conf.j2", ["tests/unit/templates"]),
        ("deploy/host/loop.sh", ["tests/unit/host"]),
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
