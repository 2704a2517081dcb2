"""What `invoke test` runs, in order: style, types, import direction, tests. Runs other programs, judges nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from deploy import report
from deploy.errors import InputError

COVERED = 90
"""Percent of deploy/ and roles/ that the unit tests must run; pyproject.toml says what is left out, and why."""

WORKERS = 2
"""Processes that run tests, most of which wait for other programs; a staging host takes about a core to boot."""

NO_TESTS = 5
"""pytest's exit code when no test matches."""


@dataclass(frozen=True)
class Section:
    """One part of the checks. name: what ``--only`` calls it. tests: whether ``-k`` means something to it."""

    name: str
    about: str
    argv: tuple[str, ...]
    tests: bool = False


def run(checkout: Path, only: str = "", expression: str = "") -> int:
    """Run every section, or ``only`` one of them; returns the first exit code that is not zero.

    expression: pytest's ``-k``; then only tests run, and coverage is not asked for. Raises InputError for a
    section that there is none of, and for a tool that is not installed.
    """
    chosen = _chosen(list(sections(expression)), only, expression)
    codes = [_run(checkout, section) for section in chosen]
    if expression and set(codes) != {NO_TESTS}:
        codes = [0 if code == NO_TESTS else code for code in codes]
    failed = [section.name for section, code in zip(chosen, codes, strict=True) if code]
    report.say(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed")
    return next((code for code in codes if code), 0)


def sections(expression: str = "") -> Iterator[Section]:
    """All sections; quick ones first, so that a slip shows before the hosts boot."""
    match = ("-k", expression) if expression else ()
    cover = () if expression else ("--cov", "--cov-report=term", f"--cov-fail-under={COVERED}")
    yield Section("style", "ruff check", ("ruff", "check"))
    yield Section("format", "ruff format", ("ruff", "format", "--check", "--quiet"))
    yield Section("types", "mypy, strict", ("mypy",))
    yield Section("imports", "import direction", ("lint-imports",))
    workers = ("-n", str(WORKERS), "--dist", "worksteal")
    yield Section("unit", "tests without a host", ("pytest", "tests/unit", *workers, *cover, *match), True)
    yield Section(
        "integration", "tests on staging hosts", ("pytest", "tests/integration", *workers, *match), True
    )


def _chosen(known: list[Section], only: str, expression: str) -> list[Section]:
    if only and only not in [section.name for section in known]:
        raise InputError(
            f"there is no section {only!r} to test; --only takes {', '.join(section.name for section in known)}"
        )
    return [one for one in known if (not only or one.name == only) and (one.tests or not expression)]


def _run(checkout: Path, section: Section) -> int:
    """Run one section in the checkout, its output as it comes; returns its exit code."""
    program, *words = section.argv
    tool = Path(sys.executable).with_name(program)
    if not tool.is_file():
        raise InputError(f"{program} is not installed here; run make test, or pip install -e '.[test,dev]'")
    report.say(f"\n== {section.name}: {section.about} ==")
    began = monotonic()
    # what tests start would compile everything anew where an environment keeps no bytecode
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = subprocess.run(
        [str(tool), *words], cwd=checkout, stdin=subprocess.DEVNULL, env=kept, check=False
    ).returncode
    report.say(
        f"-- {section.name}: {'passed' if code == 0 else f'exit code {code}'}, {monotonic() - began:.1f} s"
    )
    return code
