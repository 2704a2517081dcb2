"""Staging hosts for the tests: booted under names of their own, gone afterwards whatever happened.

On a machine that cannot boot hosts these tests fail with one sentence; BAREHOST_NO_STAGING=1 leaves them out,
and pytest's summary says how many. With --keep-hosts hosts stay up after the run, as the last test left them, and
images stay for the next one; that takes down what is in its way, and all where the code that provisions has changed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from booting import Boot, Clone, Freeze, Prepare
from sites import Project, end_started, new_project, sh

from deploy import staging
from deploy.staging import Image, StagingHost
from deploy.staging.machine import digest, locked

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
KEPT = CHECKOUT / ".barehost/tests"
"""The state folder of runs that keep their hosts."""
PROVISIONS = ("deploy", "roles", "templates", "examples")
"""Folders that decide what an image holds."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--keep-hosts",
        action="store_true",
        help="leave staging hosts up after the run, to look at; images are taken again by the next run",
    )
    parser.addoption("--jobs", type=int, default=16, help="jobs of each queue in the test of workers")
    parser.addoption("--releases", type=int, default=3, help="releases while those jobs run")

    parser.addoption(
        "--lockouts",
        type=int,
        default=2,
        help="how many changes that lock everybody out are tried, 30 s each; 100 before a release",
    )


def pytest_configure(config: pytest.Config) -> None:
    if keeps(config) and (getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput")):
        raise pytest.UsageError("--keep-hosts goes without -n: one host has one name")


def keeps(config: pytest.Config) -> bool:
    """Whether hosts stay up after this run."""
    return bool(config.getoption("--keep-hosts"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Which hosts are still up, and how to get in and rid of them."""
    if not keeps(config):
        return
    terminalreporter.section("hosts that stay up")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAREHOST_STATE", str(KEPT))
        for host in staging.hosts():
            terminalreporter.line(f"{host.name}  {host.suite}  {host.address}  {host.state}")
    own = f"BAREHOST_STATE={KEPT.relative_to(CHECKOUT)} invoke"
    terminalreporter.line(f"a shell: {own} staging.ssh NAME    away with them: {own} staging.down")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what boots hosts, and leave it out where the environment says so."""
    booting = [item for item in items if HERE in item.path.parents]
    for item in booting:
        item.add_marker(pytest.mark.staging)
    if os.environ.get("BAREHOST_NO_STAGING") == "1" and booting:
        config.hook.pytest_deselected(items=booting)
        items[:] = [item for item in items if item not in booting]


@pytest.fixture(scope="session")
def worker() -> str:
    """A prefix for this worker's hosts: empty without xdist."""
    name = os.environ.get("PYTEST_XDIST_WORKER")
    return f"{name}-" if name else ""


@pytest.fixture(scope="session", autouse=True)
def state(
    tmp_path_factory: pytest.TempPathFactory, worker: str, pytestconfig: pytest.Config
) -> Iterator[Path]:
    """A state folder of this run's own, shared by its workers; the last of them leaves it empty."""
    if keeps(pytestconfig):
        yield from _kept()
        return
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if worker else base) / "state"
    mark = folder / "workers" / (worker or "one")
    mark.parent.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAREHOST_STATE", str(folder))
        with locked(digest(str(folder))):
            mark.touch()
        yield folder
        with locked(digest(str(folder))):
            mark.unlink()
            if not any(mark.parent.iterdir()):
                _leave_nothing()


def _kept() -> Iterator[Path]:
    """The folder with the hosts and images of the last run, where what provisions is as it was then; else an empty one.
    What commands of that run remembered of their hosts is gone in any case."""
    code, known = _code(), KEPT / "staging/code"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAREHOST_STATE", str(KEPT))
        if not known.exists() or known.read_text() != code:
            _leave_nothing()
        for one in KEPT.iterdir() if KEPT.exists() else ():
            if one.name != "staging":
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(code)
        yield KEPT


def _code() -> str:
    """A digest of all files that decide what an image holds."""
    files = sorted(
        file
        for folder in PROVISIONS
        for file in (CHECKOUT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
    told = hashlib.sha256()
    for file in files:
        told.update(f"{file.relative_to(CHECKOUT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return told.hexdigest()


def _leave_nothing() -> None:
    for record in staging.space().hosts():
        staging.down(record.name)
    for image in sorted(staging.images(), key=lambda image: len(image.layers), reverse=True):
        staging.thaw(image.name)


_numbers = itertools.count(1)


def _booting(worker: str, keep: bool) -> Iterator[Boot]:
    booted: list[str] = []

    def boot(suite: str = "bookworm", *, name: str | None = None, **options: object) -> StagingHost:
        chosen = name or f"{worker}host{next(_numbers)}"
        if keep and chosen not in booted:  # one that the last run has kept, or an earlier test of this one
            staging.down(chosen)
        booted.append(chosen)
        return staging.up(chosen, suite=suite, **options)  # type: ignore[arg-type]

    yield boot
    for name in reversed(booted if not keep else ()):
        staging.down(name)


@pytest.fixture
def bare(state: Path, worker: str, pytestconfig: pytest.Config) -> Iterator[Boot]:
    """`bare("trixie", port=2222)`: a fresh bare host, gone after the test."""
    yield from _booting(worker, keeps(pytestconfig))


@pytest.fixture(scope="session")
def session_bare(state: Path, worker: str, pytestconfig: pytest.Config) -> Iterator[Boot]:
    """As `bare`, for hosts that a whole session shares."""
    yield from _booting(worker, keeps(pytestconfig))


@pytest.fixture
def clone(bare: Boot) -> Clone:
    """`clone(image)`: a host booted from a frozen image in half a second, gone after the test."""
    return lambda image: bare(image.suite, image=image.name)


@pytest.fixture(scope="session")
def frozen(state: Path) -> Freeze:
    """`frozen("stack-bookworm", "bookworm", prepare)`: boot, prepare and freeze once a run; later calls, and
    other workers, get the same image.

    Give a fixture of your own session scope and let it call this:

        @pytest.fixture(scope="session")
        def served(frozen):
            return frozen("served", "bookworm", lambda host: provision(host))
    """

    def make(name: str, suite: str, prepare: Prepare, *, containers: bool = False) -> Image:
        with locked(f"frozen-{staging.space().key}-{name}", seconds=900):
            present = {image.name: image for image in staging.images()}
            if name in present:
                return present[name]
            host = staging.up(f"make-{name}", suite=suite, containers=containers)
            try:
                prepare(host)
                return staging.freeze(host.name, name)
            finally:
                staging.down(host.name)

    return make


@pytest.fixture(autouse=True)
def no_command_outlives_its_test() -> Iterator[None]:
    """A test that fails in the middle leaves no command that would hold a host against the next one."""
    yield
    end_started()


@pytest.fixture
def project(tmp_path: Path, state: Path) -> Project:
    """A user's project with the example site in it, and no inventory yet."""
    return new_project(tmp_path / "project", state)


ENGINES = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
cli=; apt-cache show docker-cli >/dev/null 2>&1 && cli=docker-cli
apt-get -qq install -y --no-install-recommends docker.io $cli docker-compose mmdebstrap python3 busybox-static \\
  >/dev/null 2>&1
tar -C / -c bin/busybox | docker import - busybox:1
"""


@pytest.fixture(scope="session")
def engines(frozen: Freeze) -> Callable[[str], Image]:
    """`engines("trixie")`: a host that has Docker, Compose, mmdebstrap and the container image busybox:1."""

    def image(suite: str) -> Image:
        def install(host: StagingHost) -> None:
            sh(host, ENGINES, timeout=400)

        return frozen(f"engines-{suite}", suite, install, containers=True)

    return image


@pytest.fixture(scope="session")
def served(frozen: Freeze, state: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Image]:
    """`served("trixie")`: the image of a host that the command line has provisioned with the example site."""

    def image(suite: str) -> Image:
        def provision(host: StagingHost) -> None:
            own = new_project(tmp_path_factory.mktemp("maker") / "project", state)
            own.serve(host)
            own.provision("--host", host.name)

        return frozen(f"served-{suite}", suite, provision)

    return image
