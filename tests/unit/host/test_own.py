"""A folder is lent to an account and taken back by open handles: no link is followed, nothing else changes hands."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.shell import HOST
from tests.unit.fakes.sandbox import needs_root

pytestmark = needs_root

ACCOUNT = "daemon"


def own(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(HOST / "own.py"), *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release as it was shipped: a file in a folder."""
    (tmp_path / "release/pages").mkdir(parents=True)
    (tmp_path / "release/pages/shipped").write_text("x")
    (tmp_path / "names").write_bytes(b".\0./pages\0./pages/shipped\0")
    (tmp_path / "other").write_text("root's")
    return tmp_path / "release"


def lend(folder: Path) -> None:
    done = own("lend", str(folder), ACCOUNT, str(folder.parent / "names"))
    assert (done.returncode, done.stderr) == (0, "")


def back(folder: Path) -> str:
    """What it says when it refuses; empty when all is root's again."""
    done = own("back", str(folder), ACCOUNT, ACCOUNT)
    assert (done.returncode != 0) == bool(done.stderr)
    return done.stderr


def give(path: Path) -> None:
    """As if the account had made it."""
    about = pwd.getpwnam(ACCOUNT)
    os.chown(path, about.pw_uid, about.pw_gid, follow_symlinks=False)


def test_folders_and_what_was_not_shipped_are_lent(folder: Path) -> None:
    (folder / "pages/built").write_text("of an earlier build")
    lend(folder)
    owners = {path.name: path.owner() for path in (folder, *folder.rglob("*"))}
    assert owners == {"release": ACCOUNT, "pages": ACCOUNT, "built": ACCOUNT, "shipped": "root"}


def test_a_file_with_a_second_name_elsewhere_is_not_lent(folder: Path) -> None:
    os.link(folder.parent / "other", folder / "pages/other")
    lend(folder)
    assert (folder / "pages/other").owner() == "root"


def test_what_is_taken_back_is_roots_and_nobody_else_may_write_there(folder: Path) -> None:
    lend(folder)
    for name, mode in {"open": 0o666, "special": 0o6755, "private": 0o600}.items():
        (folder / name).touch()
        give(folder / name)
        (folder / name).chmod(mode)
    os.setxattr(folder, "system.posix_acl_default", ACL)
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder.parent / "other")
    for name in ("pipe", "link"):
        give(folder / name)
    (folder / "pages").chmod(0o1777)
    assert back(folder) == ""
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        assert (status.st_uid, path.lstat().st_gid) == (0, pwd.getpwnam(ACCOUNT).pw_gid), path
        assert path.is_symlink() or path.is_fifo() or status.st_mode & 0o7022 == 0, path
    assert os.listxattr(folder) == []
    assert (folder / "private").stat().st_mode & 0o777 == 0o600
    other = (folder.parent / "other").stat()
    assert (other.st_uid, other.st_gid) == (0, 0), "a link was followed"


ACL = bytes.fromhex(
    "0200000001000700ffffffff0200070001000000040005 00ffffffff10000700ffffffff20000500ffffffff".replace(
        " ", ""
    )
)
"""A default ACL by which the account with number 1 may write to whatever is made in the folder."""


def test_somebody_elses_file_is_refused_and_stays_theirs(folder: Path) -> None:
    other = folder.parent / "other"
    os.chown(other, pwd.getpwnam("bin").pw_uid, -1)
    lend(folder)
    os.link(other, folder / "theirs")
    assert "./theirs belongs to neither root nor daemon" in back(folder)
    assert other.owner() == "bin"


def test_what_was_shipped_does_not_change_at_all(folder: Path) -> None:
    before = (folder / "pages/shipped").stat()
    lend(folder)
    back(folder)
    assert (folder / "pages/shipped").stat().st_mtime_ns == before.st_mtime_ns
    first = (folder / "pages/shipped").stat().st_ctime_ns
    lend(folder)
    back(folder)
    assert (folder / "pages/shipped").stat().st_ctime_ns == first, "the next look would hash it again"


def test_a_folder_that_is_a_link_is_refused(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    assert "could not be taken back" in back(folder.parent / "link")


def test_a_tree_too_deep_to_be_walked_is_an_error_and_no_traceback(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    said = back(folder)
    subprocess.run(["rm", "-rf", folder / "d"], check=True)  # pytest could not
    assert "could not be taken back" in said
    assert "Traceback" not in said
