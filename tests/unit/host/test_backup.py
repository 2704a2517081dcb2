"""What a backup's program does with files: packed, checked, unpacked; SQLite; archives that lead elsewhere."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.shell import HOST

PROGRAM = HOST / "backup.py"


def run(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM), *words],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )


def packed(folder: Path) -> bytes:
    done = run("pack", str(folder))
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def unpacked(archive: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    folder.mkdir()
    return run("unpack", str(folder), given=archive)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("backup", PROGRAM)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A site's data: files, a link, a file with two names, a database in the middle of its life, a cache."""
    folder = tmp_path / "shared"
    (folder / "media/deep").mkdir(parents=True)
    (folder / "media/deep/a b.txt").write_text("text")
    (folder / "media/deep/a b.txt").chmod(0o640)
    (folder / "media/link").symlink_to("/etc/passwd")
    os.link(folder / "media/deep/a b.txt", folder / "media/second")
    (folder / ".cache").mkdir()
    (folder / ".cache/pip").write_text("not worth keeping")
    os.mkfifo(folder / "media/pipe")
    database = sqlite3.connect(folder / "site.db")
    database.execute("PRAGMA journal_mode=wal")
    database.execute("CREATE TABLE visit (id)")
    database.executemany("INSERT INTO visit VALUES (?)", [(n,) for n in range(1000)])
    database.commit()
    assert (folder / "site.db-wal").exists()  # as long as it is open, what was written last is there alone
    yield folder
    database.close()


def test_what_was_packed_comes_back_as_it_was(shared: Path, tmp_path: Path) -> None:
    archive = packed(shared)
    there = tmp_path / "back"
    done = unpacked(archive, there)
    assert done.returncode == 0, done.stderr.decode()
    assert (there / "media/deep/a b.txt").read_text() == "text"
    assert stat.S_IMODE((there / "media/deep/a b.txt").stat().st_mode) == 0o640
    assert (there / "media/second").read_text() == "text"
    assert (there / "media/link").readlink() == Path("/etc/passwd")
    assert not (there / ".cache").exists()
    assert not (there / "site.db-wal").exists()
    assert sqlite3.connect(there / "site.db").execute("SELECT count(*) FROM visit").fetchone() == (1000,)


def test_a_check_reads_all_and_counts_it(shared: Path) -> None:
    archive = packed(shared)
    told = json.loads(run("check", given=archive).stdout)
    assert told["sqlite"] == ["site.db"]
    assert told["files"] == 6
    for cut in (archive[: len(archive) // 2], archive[:-4], archive[:-12] + b"x" * 12):
        assert run("check", given=cut).returncode != 0


def test_a_damaged_database_is_no_backup(shared: Path) -> None:
    database = sqlite3.connect(shared / "old.db")
    database.execute("CREATE TABLE visit (id, text)")
    database.executemany("INSERT INTO visit VALUES (?, ?)", [(n, "x" * 500) for n in range(500)])
    database.commit()
    database.close()
    whole = (shared / "old.db").read_bytes()
    (shared / "old.db").write_bytes(whole[:20000] + b"\xff" * 40000 + whole[60000:])
    assert run("pack", str(shared)).returncode != 0


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize(
    "members",
    [
        [member("../out")],
        [member("/tmp/barehost-out")],
        [member("a/../../out")],
        [member("in", tarfile.SYMTYPE, ".."), member("in/out")],
        [member("in", tarfile.SYMTYPE, "/tmp"), member("in/barehost-out")],
        [member("hard", tarfile.LNKTYPE, "../outside")],
        [member("device", tarfile.CHRTYPE)],
    ],
)
def test_an_archive_never_writes_outside_of_its_folder(
    tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    (tmp_path / "outside").write_text("as it was")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for one in members:
            tar.addfile(one)
    assert unpacked(out.getvalue(), tmp_path / "back").returncode != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "outside"]
    assert (tmp_path / "outside").stat().st_nlink == 1
    assert not Path("/tmp/barehost-out").exists()


def test_a_file_that_shrinks_while_it_is_read_does_not_spoil_the_archive(module: Any) -> None:
    assert module.Exactly(io.BytesIO(b"abc"), 5).read() == b"abc\0\0"
    assert module.Exactly(io.BytesIO(b"abcdef"), 3).read(100) == b"abc"


def test_one_takes_the_place_of_another_which_is_kept(module: Any, tmp_path: Path) -> None:
    new, place, kept = (tmp_path / name for name in ("new", "place", "kept"))
    for folder in (new, place):
        folder.mkdir()
        (folder / "is").write_text(folder.name)
    module.exchange(str(new), str(place), str(kept))
    assert [(one / "is").read_text() for one in (place, kept)] == ["new", "place"]
    assert not new.exists()


# One site's


@pytest.fixture
def site(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "STATE", str(tmp_path / "state"))
    about = {
        "site": "shop",
        "user": "shop",
        "shared": str(tmp_path / "shared"),
        "folder": str(tmp_path / "backups"),
        "keep": 2,
        "hours": 26,
        "to": None,
        "environment": {},
        "database": None,
    }
    (tmp_path / "config").write_text(json.dumps(about))
    return module.Site(str(tmp_path / "config"))


def test_only_whole_backups_count_and_the_oldest_go(site: Any, tmp_path: Path) -> None:
    for name in ("20260101-000000", "20260102-000000", "20260103-000000", ".new-20260104-000000", "notes"):
        (tmp_path / "backups" / name).mkdir()
    site.prune()
    assert site.ids() == ["20260103-000000", "20260102-000000"]
    assert (tmp_path / "backups/notes").exists()


def test_what_is_wrong_is_said_until_it_is_mended(site: Any, module: Any, tmp_path: Path) -> None:
    now = int(module.time.time())
    assert site.wrong() is None, "nothing is late yet"
    os.utime(tmp_path / "config", (now - 30 * 3600, now - 30 * 3600))
    assert site.wrong() == "there has been no backup"
    good = {"id": "a", "at": now, "size": 1}
    site.remember(last={"ok": True, "at": now}, good=good)
    assert site.wrong() is None
    site.remember(last={"ok": False, "at": now, "error": "the disk is full"})
    assert "the disk is full" in site.wrong()
    site.remember(last={"ok": True, "at": now}, good=good | {"at": now - 27 * 3600})
    assert site.wrong().startswith("the newest backup is too old")
    site.remember(good=good, drill={"ok": False, "at": now, "error": "cut off"})
    assert "cut off" in site.wrong()
    site.remember(drill={"ok": True, "at": now}, restoring={"id": "a", "at": now})
    assert "invoke restore --to a" in site.wrong()
    until, said = (tmp_path / "state/shop/standing").read_text().splitlines()
    assert int(until) == now + 26 * 3600
    assert "cut short" in said


def test_a_program_that_says_nothing_is_given_up_and_leaves_no_file_open(
    site: Any, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT", 0.2)
    with pytest.raises(module.Failed, match="not a byte"):
        site.receive(["sleep", "60"], str(tmp_path / "out"), "the dump")
    with pytest.raises(module.Failed, match="broken"):
        site.receive(["sh", "-c", "echo half; echo broken >&2; exit 3"], str(tmp_path / "out"), "the dump")
    found = site.receive(["echo", "whole"], str(tmp_path / "out"), "the dump")
    assert found["size"] == 6
    assert module.digest_of(str(tmp_path / "out")) == found["sha256"]
