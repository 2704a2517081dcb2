"""Which unit tests belong to which file: tests/unit mirrors deploy/, roles/ and bench/. Runs no test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from deploy.errors import InputError

UNIT = PurePosixPath("tests/unit")

WHOLE = {
    "templates": (UNIT / "templates",),
    "deploy/host": (UNIT / "host",),
    "docs": (UNIT / "test_docs.py",),
    "README.md": (UNIT / "test_docs.py",),
    "CONTRIBUTING.md": (UNIT / "test_docs.py",),
}
"""By folder or file: what has no module of its own, and the tests that read all of it."""


def mirrored(path: str) -> PurePosixPath | None:
    """Where the test of a module lies, whether it is there or not; None: the file is no module of ours.

    A package's ``__init__`` has the name of its folder.
    """
    one = PurePosixPath(path)
    if one.suffix != ".py" or one.parts[0] not in ("deploy", "roles", "bench"):
        return None
    folders = one.parent.parts[1:] if one.parts[0] == "deploy" else one.parent.parts
    name = one.parent.name if one.stem == "__init__" else one.stem
    return UNIT.joinpath(*folders, f"test_{name}.py")


def tests_of(path: str, checkout: Path) -> list[str]:
    """The tests to run when this file has changed, as pytest takes them; none where it has none of its own."""
    one = PurePosixPath(path)
    for folder, tests in WHOLE.items():
        if one == PurePosixPath(folder) or PurePosixPath(folder) in one.parents:
            return [str(test) for test in tests]
    if UNIT / "fakes" in one.parents:
        return sorted(
            str(file.relative_to(checkout))
            for file in (checkout / UNIT).rglob("test_*.py")
            if f"tests.unit.fakes.{one.stem}" in file.read_text(encoding="utf-8")
        )
    if UNIT in one.parents:
        return [path] if one.name.startswith("test_") and (checkout / one).exists() else []
    test = mirrored(path)
    return [str(test)] if test and (checkout / test).exists() else []


def changed(checkout: Path, base: str = "main") -> list[str]:
    """Files that differ from where this branch left ``base``, and those that git does not know yet.

    On ``base`` itself, or where there is no such branch: what differs from the last commit. Raises InputError
    where git cannot be asked.
    """
    since = _git(checkout, "merge-base", "HEAD", base) or ["HEAD"]
    differing = _git(checkout, "diff", "--name-only", since[0])
    if differing is None:
        raise InputError(f"git cannot say what has changed in {checkout}; run invoke test without --quick")
    return sorted({*differing, *(_git(checkout, "ls-files", "--others", "--exclude-standard") or [])})


def _git(checkout: Path, *words: str) -> list[str] | None:
    """The lines that git prints; None where it fails."""
    try:
        done = subprocess.run(
            ["git", "-c", "core.quotePath=false", *words],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def without(modules: Iterable[str], checkout: Path) -> list[str]:
    """Those of the modules that have no test of their own."""
    return [path for path in modules if (test := mirrored(path)) and not (checkout / test).exists()]
