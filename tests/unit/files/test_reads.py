"""What a run reads is noted, by whoever it is read; a later run can tell whether it would read the same."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.files import reads
from deploy.resources.tree import Tree


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with something in it that lies there since a while."""
    for name in ("inventory/hosts.yml", "roles/own.py", "site/a.css", "site/deep/b.css", "site/.git/HEAD"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    time.sleep(2 * reads.TICK / 1e9)
    return tmp_path


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    reads._notes = None


def read(project: Path) -> None:
    """What a run might read, in the ways in which Python can."""
    (project / "inventory/hosts.yml").read_text()
    sorted((project / "inventory").iterdir())
    with open(project / "roles/own.py", "rb") as file:  # noqa: PTH123
        file.read()
    reads.watch(project / "host_vars")
    assert Tree("/srv/site", project / "site").manifest


def seal(project: Path, reading: Callable[[Path], object] = read) -> dict[str, Any] | None:
    notes = reads.note(project / "state")
    reading(project)
    sealed = notes.sealed()
    return None if sealed is None else json.loads(json.dumps(sealed))


def holds(sealed: dict[str, Any] | None) -> bool:
    assert sealed is not None
    return reads.hold(sealed) and reads.trees_hold(sealed)


def test_what_was_not_touched_holds(project: Path) -> None:
    assert holds(seal(project))


def test_what_was_written_again_with_the_same_content_holds(project: Path) -> None:
    sealed = seal(project)
    (project / "inventory/hosts.yml").write_text("inventory/hosts.yml")
    (project / "inventory").touch()
    assert holds(sealed)


def test_what_a_run_itself_keeps_is_no_input(project: Path) -> None:
    (project / "state").mkdir()
    (project / "state/facts").write_text("1")
    sealed = seal(project, lambda folder: (folder / "state/facts").read_text())
    (project / "state/facts").write_text("2")
    assert holds(sealed)


def test_a_folder_of_version_control_in_a_source_is_no_input(project: Path) -> None:
    sealed = seal(project)
    (project / "site/.git/HEAD").write_text("another")
    assert holds(sealed)


def same_size_and_time(project: Path) -> None:
    file = project / "site/a.css"
    before = file.stat()
    file.write_text("other/a.c")
    os.truncate(file, before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file's content": lambda one: (one / "inventory/hosts.yml").write_text("inventory/h0sts.yml"),
    "a file that is gone": lambda one: (one / "inventory/hosts.yml").unlink(),
    "a new file beside it": lambda one: (one / "inventory/more.yml").write_text(""),
    "a role": lambda one: (one / "roles/own.py").write_text("another"),
    "variables where there were none": lambda one: (one / "host_vars").mkdir(),
    "a file of a source": lambda one: (one / "site/deep/b.css").write_text("site/deep/c.css"),
    "a file of a source, its time put back": same_size_and_time,
    "a mode": lambda one: (one / "site/a.css").chmod(0o755),
    "a new file in a source": lambda one: (one / "site/deep/new").write_text(""),
    "a file gone from a source": lambda one: (one / "site/deep/b.css").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_seen(project: Path, change: Callable[[Path], object]) -> None:
    sealed = seal(project)
    change(project)
    assert not holds(sealed)


def test_another_environment_is_seen_but_not_another_terminal(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = seal(project)
    monkeypatch.setenv("TERM_SESSION_ID", "another")
    assert holds(sealed)
    monkeypatch.setenv("DATABASE", "another")
    assert not holds(sealed)


def test_a_file_that_was_missed_and_appears_is_seen(project: Path) -> None:
    def look(folder: Path) -> None:
        with pytest.raises(FileNotFoundError):
            (folder / "vault").read_text()

    sealed = seal(project, look)
    assert holds(sealed)
    (project / "vault").write_text("open")
    assert not holds(sealed)


def test_code_that_is_imported_counts_by_its_source(project: Path) -> None:
    cached = project / "roles/__pycache__/own.cpython-311.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"compiled")
    sealed = seal(project, lambda _: cached.read_bytes())
    (project / "roles/own.py").write_text("another")
    assert not holds(sealed)


def change_while_reading(project: Path) -> None:
    (project / "inventory/hosts.yml").read_text()
    (project / "inventory/hosts.yml").write_text("another")


def read_what_is_new(project: Path) -> None:
    (project / "new").write_text("1")
    (project / "new").read_text()


def run_something(project: Path) -> None:
    subprocess.run(["true"], check=True)


def ask_the_network(project: Path) -> None:
    with socket.socket() as one, pytest.raises(OSError):
        one.connect(("127.0.0.1", 9))


@pytest.mark.parametrize("reading", [change_while_reading, read_what_is_new, run_something, ask_the_network])
def test_what_no_later_run_could_tell_is_not_remembered(
    project: Path, reading: Callable[[Path], None]
) -> None:
    assert seal(project, reading) is None


def test_what_is_read_aside_is_no_input(project: Path) -> None:
    def look(folder: Path) -> None:
        with reads.aside():
            (folder / "inventory/hosts.yml").read_text()
            run_something(folder)

    sealed = seal(project, look)
    assert sealed is not None
    assert sealed["files"] == {}


def test_thousands_of_files_read_one_by_one_are_not_remembered(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "MOST", 1)
    assert seal(project) is None
