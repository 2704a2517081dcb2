"""Which unit tests belong to which file: tests/unit mirrors deploy/, roles/ and bench/. Runs no test."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch
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


ELSEWHERE = {
    "deploy/engine/events.py": "tests/unit/report/test_jsonlines.py",  # values alone; here is who must know them all
    "deploy/engine/follow.py": "tests/unit/engine/test_remote.py",
    "deploy/engine/reach.py": "tests/unit/engine/test_remote.py",  # the interface that it implements
    "deploy/engine/room.py": "tests/unit/engine/test_converge.py",
    "deploy/engine/transaction.py": "tests/unit/engine/test_apply.py",
    "deploy/files/folders.py": "tests/unit/resources/test_tree.py",
    "deploy/fleet/dask.py": "tests/integration/test_cluster.py",  # needs a cluster
    "deploy/fleet/holding.py": "tests/unit/fleet/test_rollout.py",
    "deploy/fleet/members.py": "tests/unit/fleet/test_rollout.py",
    "deploy/inventory/*": "tests/unit/inventory/test_hosts.py",  # steps on the way from files to hosts
    "deploy/release/git.py": "tests/unit/release/test_source.py",
    "deploy/render/spellings.py": "tests/unit/report/test_mask.py",
    "deploy/report/standings.py": "tests/unit/fleet/test_status.py",
    "deploy/requirements/*": "tests/unit/requirements/test_locks.py",  # one table for the files of all tools
    "deploy/resource.py": "tests/unit/resources/test_contract.py",  # what every kind keeps
    "deploy/resources/arguments.py": "tests/unit/roles/test_own_roles.py",  # whose slips it names
    "deploy/resources/certificate.py": "tests/integration/test_certificates.py",  # needs an authority
    "deploy/resources/firewall.py": "tests/integration/test_guard.py",  # needs a kernel of its own
    "deploy/resources/tree/*": "tests/unit/resources/test_tree.py",
    "deploy/shortcut/*": "tests/unit/shortcut/test_fork.py",
    "deploy/site/release.py": "tests/unit/release/test_source.py",  # values alone; here they are made
    "deploy/site/*": "tests/unit/site/test_app.py",  # what the keys of a site accept
    "deploy/staging/*": "tests/integration/test_staging_hosts.py",  # boots hosts
    "deploy/tasks/*": "tests/unit/tasks/test_tasks.py",  # parse, call, print: what they call has its own tests
    "deploy/transport/*": "tests/integration/test_transport.py",  # talks SSH
    "deploy/verify/*": "tests/integration/test_verify.py",  # asks hosts
    "roles/auth.py": "tests/unit/templates/test_edge.py",  # a real Nginx reads what it writes
    "roles/certificates.py": "tests/integration/test_certificates.py",
    "roles/postgresql.py": "tests/unit/roles/test_services.py",  # said together
    "roles/redis.py": "tests/unit/roles/test_services.py",
    "roles/servers/*": "tests/unit/roles/servers/test_servers.py",  # one table for all servers
    "bench/*": "tests/unit/bench/test_series.py",  # measures real hosts; here with commands of a shell
}
"""Modules without a test of their own name, by pattern, the first that fits: which test is about them."""


def mirrored(path: str) -> list[PurePosixPath]:
    """Where tests of a module may lie, whether they are there or not; empty: the file is no module of ours.

    ``deploy/room/module.py`` has tests/unit/room/test_module.py, and test_module_*.py beside it. A package's
    ``__init__`` has the name of its folder, in that folder or beside it.
    """
    one = PurePosixPath(path)
    if one.suffix != ".py" or one.parts[0] not in ("deploy", "roles", "bench"):
        return []
    folder = UNIT.joinpath(*(one.parent.parts[1:] if one.parts[0] == "deploy" else one.parent.parts))
    if one.stem != "__init__":
        return [folder / f"test_{one.stem}.py", folder / f"test_{one.stem}_*.py"]
    return [folder / f"test_{one.parent.name}.py", folder.parent / f"test_{one.parent.name}.py"]


def own(path: str, checkout: Path) -> list[str]:
    """The tests that have a module's name."""
    found = [file for test in mirrored(path) for file in checkout.glob(str(test))]
    return sorted(str(file.relative_to(checkout)) for file in found)


def elsewhere(path: str) -> str | None:
    """The test that is about a module without one of its name; None: there is none."""
    return next((test for pattern, test in ELSEWHERE.items() if fnmatch(path, pattern)), None)


def tests_of(path: str, checkout: Path) -> list[str]:
    """The unit tests to run when this file has changed, as pytest takes them; none where there is none."""
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
    if not mirrored(path):
        return []
    other = elsewhere(path)
    return own(path, checkout) or ([other] if other and PurePosixPath(other).is_relative_to(UNIT) else [])


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
