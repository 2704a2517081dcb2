"""Where the time of a run with nothing to do goes, beside what each part may take: `python bench/budget.py HOST`.

    python bench/budget.py web1              15 runs, a table of medians in milliseconds
    python bench/budget.py web1 --runs 30

Runs `invoke provision --host HOST` in the current project, whose host must have nothing to do. The moments are noted
inside the command itself, by wrapping the functions named below.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

PARTS = {
    "Python starts": ("", "", 20),
    "Invoke and the tasks are imported": ("deploy.tasks.common", "_told", 100),
    "the inventory is read and checked": ("deploy.tasks.common", "chosen.", 60),
    "the engine and the roles are imported": ("deploy.fleet.run", "run", 80),
    "the roles have said what should be": ("deploy.engine.look", "script.", 50),
    "the host has answered": ("deploy.engine.look", "parse", 60),
    "compared": ("deploy.fleet.run", "run.", 15),
    "shown and ended": ("", "end", 30),
}
"""Each part with the function whose call ends it (with a dot: whose return does), and the milliseconds it may take."""

Part = tuple[str, str, int]


def main() -> None:
    """Measure and print the table."""
    import argparse  # here, for what is measured starts with this file too
    import subprocess
    from statistics import median

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("host")
    parser.add_argument("--runs", type=int, default=15)
    chosen = parser.parse_args()
    command = [str(Path(sys.executable).with_name("invoke")), "provision", "--host", chosen.host]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # its caches are filled
    runs = [measured(chosen.host) for _ in range(chosen.runs)]
    print("| part | median ms | at most |\n|---|---|---|")
    total = 0
    for name, (*_, limit) in PARTS.items():
        print(f"| {name} | {median(run[name] for run in runs):.0f} | {limit} |")
        total += limit
    print(f"| together | {median(sum(run.values()) for run in runs):.0f} | {total} |")


def measured(host: str) -> dict[str, float]:
    """One run: milliseconds by part."""
    import subprocess

    reading, writing = os.pipe()
    began = time.monotonic()
    argv = [sys.executable, __file__, "run", str(writing), host]
    # without a timeout: a wait that has one looks only every now and then, up to 50 ms late
    subprocess.run(argv, pass_fds=[writing], stdout=subprocess.DEVNULL, check=True)
    ended = time.monotonic()
    os.close(writing)
    with os.fdopen(reading) as told:
        moments = {
            name: float(when) for name, when in (line.rsplit(" ", 1) for line in told.read().splitlines())
        }
    moments[list(PARTS)[-1]] = ended
    parts: dict[str, float] = {}
    for name in PARTS:
        parts[name] = 1000 * (moments[name] - began)
        began = moments[name]
    return parts


class Noting(importlib.abc.MetaPathFinder):
    """Wraps functions of modules when those are imported, so that nothing is imported earlier than it would be."""

    def __init__(self, parts: dict[str, Part], note: Callable[[str], None]) -> None:
        self.parts, self.note = parts, note

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        wanted = [(part, place[1]) for part, place in self.parts.items() if place[0] == name]
        if not wanted:
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader)
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for part, function in wanted:
                self.wrap(module, part, function)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def wrap(self, module: ModuleType, part: str, function: str) -> None:
        """Note the first call, or with a dot at its end the first return."""
        after = function.endswith(".")
        owner: Any = module
        *owners, name = function.rstrip(".").split(".")
        for one in owners:
            owner = getattr(owner, one)
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def noting(*arguments: Any, **options: Any) -> Any:
            if not after:
                self.note(part)
            result = inner(*arguments, **options)
            if after:
                self.note(part)
            return result

        setattr(owner, name, noting)


def run(writing: int, host: str) -> None:
    """Be `invoke provision --host HOST`, and write down the moments."""
    noted: set[str] = set()

    def note(part: str) -> None:
        if part not in noted:
            noted.add(part)
            os.write(writing, f"{part} {time.monotonic()}\n".encode())

    note(next(iter(PARTS)))
    sys.meta_path.insert(0, Noting(PARTS, note))
    sys.argv = [str(Path(sys.executable).with_name("invoke")), "provision", "--host", host]
    from invoke.main import program

    program.run()


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(int(sys.argv[2]), sys.argv[3])
    else:
        main()
