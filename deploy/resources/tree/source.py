"""What the source of a tree holds on this machine: what is left out, where links lead, what cannot be sent."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.errors import InputError
from deploy.files.archive import sha256
from deploy.files.folders import walk
from deploy.resources.tree.compare import Entry

if TYPE_CHECKING:
    from deploy.resources.tree import Tree

EXCLUDE = (
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.py[co]",
    ".venv",
    "node_modules",
    ".barehost",
    ".DS_Store",
)
"""What a folder of code holds and no host needs; matched against each name and each path below the source."""


def found_below(
    tree: Tree, prefix: str, folder: str, above: tuple[str, ...]
) -> Iterator[tuple[str, str, os.stat_result]]:
    """What lies in ``folder``, with the content of shared links in their place; above: the links that led here."""
    for below, one in walk(folder, tree.exclude if not prefix else EXCLUDE):
        name, status = f"{prefix}{below}", one.stat(follow_symlinks=False)
        led = _shared(tree, one.path, bool(above)) if stat.S_ISLNK(status.st_mode) else None
        if led is None:
            yield name, one.path, status
        elif any(f"{place}/".startswith(f"{led}/") for place in (*above, os.path.realpath(folder))):
            raise InputError(
                f"{one.path} is a link to {led}, which holds the link itself: put a file in its place"
            )
        else:
            yield name, led, Path(led).stat()
            if Path(led).is_dir():
                yield from found_below(tree, f"{name}/", led, (*above, led))


def _shared(tree: Tree, path: str, through: bool) -> str | None:
    """Where the link at ``path`` leads to outside of the source and inside of ``within``; None: nowhere of that kind.

    through: the link was reached through another, so that what it leads to is not in the source anyway.
    """
    if tree.within is None:
        return None
    led = os.path.realpath(path)
    around, source = os.path.realpath(tree.within), os.path.realpath(tree.source)
    inside = f"{led}/".startswith(f"{source}/") and not through
    return led if Path(led).exists() and f"{led}/".startswith(f"{around}/") and not inside else None


def entry_of(tree: Tree, name: str, path: str, status: os.stat_result) -> Entry:
    if stat.S_ISLNK(status.st_mode):
        target = os.fspath(Path(path).readlink())
        within = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        source = os.path.realpath(tree.source)
        led = os.path.realpath(path)  # through other links too
        if (
            target.startswith("/")
            or within == ".."
            or within.startswith("../")
            or not f"{led}/".startswith(f"{source}/")
        ):
            raise InputError(
                f"{path} is a link to {target}, outside of {tree.source}: put a file in its place"
            )
        return Entry("l", 0o777, tree.owner, tree.group, target)
    if stat.S_ISDIR(status.st_mode):
        return Entry("d", tree.dir_mode, tree.owner, tree.group, "")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is neither a file, a folder nor a link: exclude it or remove it")
    if status.st_size in _POINTER_SIZES and _is_pointer(path):
        raise InputError(
            f"{path} is only the pointer of a file that Git LFS keeps elsewhere: install git-lfs here, and run "
            "git lfs pull in a folder of yours (a git URL is fetched anew)"
        )
    mode = tree.mode | (tree.mode >> 2 & 0o111 if status.st_mode & stat.S_IXUSR else 0)
    return Entry("f", mode, tree.owner, tree.group, sha256(Path(path), status))


_POINTER_SIZES = range(120, 200)
"""Bytes of a pointer: a version, a SHA-256 and a size. Only such files are looked into."""


def _is_pointer(path: str) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(43).startswith(b"version https://git-lfs.github.com/spec/")
