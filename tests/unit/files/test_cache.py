"""What is known of folders that nobody has touched: taken again only where it is still true, and ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.files import cache
from deploy.resources.tree import Tree
from deploy.resources.tree import source as trees


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/barehost/trees"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that was there long before, by a clock that is ahead."""
    monkeypatch.setattr(cache, "TICK", -1 << 62)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").write_text("one")
    return tmp_path / "source"


def manifest(source: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bool]:
    """The digest, and whether a file was read for it."""
    read = []
    inner = trees.sha256
    monkeypatch.setattr(trees, "sha256", lambda *words: read.append(words) or inner(*words))
    found = Tree("/srv/x", source).manifest
    monkeypatch.setattr(trees, "sha256", inner)
    return found, bool(read)


def test_a_folder_that_nobody_has_touched_is_not_read_again(
    kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, read = manifest(source, monkeypatch)
    assert read
    assert manifest(source, monkeypatch) == (first, False)


@pytest.mark.parametrize("touch", ["content", "name", "more", "same size and time"])
def test_one_that_was_touched_is(
    touch: str, kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = source / "a"
    first, _ = manifest(source, monkeypatch)
    if touch == "content":
        file.write_text("other")
    elif touch == "name":
        file.rename(source / "b")
    elif touch == "more":
        (source / "b").symlink_to("a")
    else:
        before = file.stat()
        file.write_text("two")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    second, read = manifest(source, monkeypatch)
    assert read
    assert second != first


def test_what_was_changed_a_moment_ago_is_not_kept(
    kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "TICK", 1 << 62)
    manifest(source, monkeypatch)
    assert list(kept.iterdir()) == []


def test_a_folder_that_others_may_write_to_is_not_believed(
    kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest(source, monkeypatch)
    kept.chmod(0o777)
    assert cache.folder("trees") is None
    assert manifest(source, monkeypatch)[1]


def test_only_so_many_are_kept(kept: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 2)
    for mode in (0o600, 0o640, 0o644):
        _ = Tree("/srv/x", source, mode=mode).manifest
    assert len(list(kept.iterdir())) == 2
