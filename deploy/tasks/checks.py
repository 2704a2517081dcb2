"""What `invoke test` runs, in order: style, types, import direction, tests. Runs other programs, judges nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from deploy import report
from deploy.errors import InputError
from deploy.tasks import mirror

COVERED = 90
"""Percent of deploy/ and roles/ that the unit tests must run; pyproject.toml says what is left out, and why."""

WORKERS = 2
"""Processes that run tests, most of which wait for other programs; a staging host takes about a core to boot."""

NO_TESTS = 5
"""pytest's exit code when no test matches."""

LOOPS = 2
"""Loops that keep processors busy under --busy: as many as a small CI machine has processors."""

LOOP = 'while kill -0 "$1" 2>/dev/null; do :; done'
"""Keeps a processor busy as long as the process that is its first argument lives, whatever ends that."""


@dataclass(frozen=True)
class Section:
    """One part of the checks. name: what ``--only`` calls it. tests: whether ``-k`` means something to it."""

    name: str
    about: str
    argv: tuple[str, ...]
    tests: bool = False


def run(
    checkout: Path,
    only: str = "",
    expression: str = "",
    *,
    quick: bool = False,
    busy: bool = False,
    times: int = 1,
) -> int:
    """Run every section, or ``only`` one of them; returns the first exit code that is not zero.

    expression: pytest's ``-k``; then only tests run, and coverage is not asked for. quick: only what belongs to the
    files that have changed. busy: beside loops that take all the processor time they get. times: how often, up to
    the first failure. Raises InputError for a section that there is none of, and for a tool that is not installed.
    """
    if times < 1 or (quick and (only or expression or busy or times > 1)):
        raise InputError("--times takes a number from 1 on, and --quick goes with no other option")
    chosen = list(of_changes(checkout)) if quick else _chosen(list(sections(expression)), only, expression)
    with loops(LOOPS if busy else 0):
        for number in range(times):
            if times > 1:
                report.say(f"\n=== {number + 1} of {times} ===")
            if code := _run_all(checkout, chosen, expression):
                return code
    return 0


def _run_all(checkout: Path, chosen: list[Section], expression: str) -> int:
    codes = [_run(checkout, section) for section in chosen]
    if expression and set(codes) != {NO_TESTS}:
        codes = [0 if code == NO_TESTS else code for code in codes]
    failed = [section.name for section, code in zip(chosen, codes, strict=True) if code]
    report.say(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed")
    return next((code for code in codes if code), 0)


@contextmanager
def loops(count: int) -> Iterator[None]:
    """While this many loops keep the machine busy; they end with this process, however it ends."""
    running = [subprocess.Popen(["sh", "-c", LOOP, "sh", str(os.getpid())]) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def of_changes(checkout: Path) -> Iterator[Section]:
    """What belongs to the files that have changed: style, types, import direction, the tests that mirror them."""
    files = mirror.changed(checkout)
    python = [name for name in files if name.endswith(".py") and (checkout / name).exists()]
    if python:
        yield Section("style", "ruff check", ("ruff", "check", "--force-exclude", *python))
        yield Section(
            "format", "ruff format", ("ruff", "format", "--check", "--quiet", "--force-exclude", *python)
        )
        yield Section("types", "mypy, strict, what it has not seen yet", ("mypy",))
        yield Section("imports", "import direction", ("lint-imports", "--no-logo"))
    tests = sorted({test for name in files for test in mirror.tests_of(name, checkout)})
    if untested := [name for name in python if mirror.mirrored(name) and not mirror.tests_of(name, checkout)]:
        report.say(f"no unit test is about: {', '.join(untested)}")
    if booting := [name for name in files if name.startswith(("tests/integration/", "tests/power/"))]:
        report.say(f"not run, since they boot hosts: {', '.join(booting)}")
    if tests:
        yield Section("unit", f"tests of {len(files)} changed files", ("pytest", *tests), True)
    elif not python:
        report.say("nothing has changed that a quick test would be about")


def sections(expression: str = "") -> Iterator[Section]:
    """All sections; quick ones first, so that a slip shows before the hosts boot."""
    match = ("-k", expression) if expression else ()
    cover = () if expression else ("--cov", "--cov-report=term", f"--cov-fail-under={COVERED}")
    yield Section("style", "ruff check", ("ruff", "check"))
    yield Section("format", "ruff format", ("ruff", "format", "--check", "--quiet"))
    yield Section("types", "mypy, strict", ("mypy",))
    yield Section("imports", "import direction", ("lint-imports", "--no-logo"))
    workers = ("-n", str(WORKERS), "--dist", "worksteal")
    yield Section("unit", "tests without a host", ("pytest", "tests/unit", *workers, *cover, *match), True)
    yield Section(
        "conformance", "inventories read as Ansible reads them", ("pytest", "tests/conformance", *match), True
    )
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
