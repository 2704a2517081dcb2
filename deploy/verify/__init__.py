"""Checks of what a provisioned host must show: pytest and testinfra over our own connections. Changes no host.

The checks are ordinary pytest files in deploy/testinfra; those in tests/testinfra of the user's own project run
as well, and one with the name of one of ours takes its place. docs/verify.md says what they are given.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy import report
from deploy.errors import BarehostError, HostError, InputError
from deploy.shell import Secret
from deploy.verify.backend import SessionBackend
from deploy.verify.plugin import Checks
from deploy.verify.summary import Summary

if TYPE_CHECKING:
    from deploy.inventory.hosts import Host

OURS = Path(__file__).parents[1] / "testinfra"

WORKERS = 20
"""Hosts that are connected to at once; the checks themselves run one after another."""


def verify(
    hosts: Sequence[Host],
    *,
    password: Callable[[str], Secret] | None = None,
    verbose: int = 0,
    site: str = "",
) -> int:
    """Run every check against every host that can be reached; the exit code.

    0: all passed. 1: a check failed. 3: a file of checks cannot be loaded. 4: a host cannot be reached, and the
    others were checked. The worst of them, in the order 3, 4, 1. verbose: 1 lists each check, 2 shows a failed one's
    whole trace. site: the only one whose checks are run, without those of the hosts; empty: all are.
    """
    backends = [SessionBackend(host, password) for host in hosts]
    try:
        pool = ThreadPoolExecutor(max_workers=min(WORKERS, len(backends) or 1))
        try:
            problems = list(pool.map(_problem, backends))
        finally:  # after ^C nobody waits for a host that does not answer
            pool.shutdown(wait=False, cancel_futures=True)
        reached = [backend for backend, problem in zip(backends, problems, strict=True) if problem is None]
        summary = Summary(verbose=verbose)
        if reached:
            _pytest(files(hosts[0].project), hosts[0].project, Checks(reached, site), summary)
            summary.close()
    finally:
        for backend in backends:
            backend.close()
    unreached = [problem for problem in problems if problem is not None]
    for problem in unreached:
        report.error(problem)
    if summary.broken:
        return InputError.exit_code
    if unreached:
        return max(problem.exit_code for problem in unreached)
    return 1 if summary.failed else 0


def files(project: Path) -> list[Path]:
    """The files of checks: the project's own, and those of ours that it has none of the same name for."""
    own = project / "tests" / "testinfra"
    theirs = sorted(own.glob("test_*.py")) if own.is_dir() else []
    if own.resolve() == OURS.resolve():
        return theirs
    taken = {one.name for one in theirs}
    return [*(one for one in sorted(OURS.glob("test_*.py")) if one.name not in taken), *theirs]


def _problem(backend: SessionBackend) -> BarehostError | None:
    try:
        backend.connect()
    except HostError as error:
        return error
    return None


def _pytest(checks: Sequence[Path], project: Path, hosts: Checks, summary: Summary) -> None:
    """pytest in this process, as if it had no configuration: neither a file's, nor the environment's, nor plugins'."""
    options = ["-c", os.devnull, f"--rootdir={project}", f"--confcutdir={checks[-1].parent}"]
    options += ["--import-mode=importlib", "-p", "no:cacheprovider", "--strict-markers"]
    with _alone():
        code = pytest.main([*options, *map(str, checks)], plugins=[hosts, summary])
    if summary.broken:
        return
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise InputError("no check is for these hosts: none of them has a role that a check belongs to")
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise BarehostError(f"pytest ended with its exit code {int(code)} before every check was made")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Without what would steer pytest from outside, and without leaving compiled files beside the checks."""
    before, written = dict(os.environ), sys.dont_write_bytecode
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.dont_write_bytecode = written
