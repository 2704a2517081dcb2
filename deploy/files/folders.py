"""What lies below a folder of this machine, name by name. Reads no content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache


def walk(folder: str, exclude: Sequence[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every entry below ``folder`` with its path from there, folders before what they hold, names in order.

    exclude: shell patterns against each name, and against each path; what matches is left out with all below it.
    One that begins with ``/`` is for the whole path alone. Raises OSError for a folder that cannot be read.
    """
    excluded = _matching(tuple(one for one in exclude if one[0] != "/"))
    whole = tuple(one[1:] for one in exclude if one[0] == "/")
    apart = _matching(whole) if whole else None
    pending = [("", folder)]
    while pending:
        prefix, below = pending.pop()
        with os.scandir(below) as entries:
            inside = sorted(entries, key=lambda one: one.name)
        for one in inside:
            name = prefix + one.name
            if excluded(one.name) or (prefix and excluded(name)) or (apart and apart(name)):
                continue
            yield name, one
            if one.is_dir(follow_symlinks=False):
                pending.append((name + "/", one.path))


def anchored(path: str) -> str:
    """The pattern for exactly the entry at ``path``, wherever else its name turns up."""
    return "/" + re.sub(r"([*?[])", r"[\1]", path)


@lru_cache
def _matching(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """All patterns as one expression: for thousands of names, asking each in turn was most of a walk."""
    return re.compile("|".join(map(translate, patterns)) or r"(?!)").match


class Stamp:
    """A digest over names, sizes, times and inodes, in the order of a walk: equal where nothing was touched.

    newest: the latest change time met, in ns.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.newest = 0

    def add(self, name: str, status: os.stat_result) -> None:
        """Take one entry in. A folder counts by its name: what it holds follows."""
        if status.st_mode & 0o170000 == 0o040000:
            line = f"{name}\0{status.st_mode}\n"
        else:
            changed = status.st_ctime_ns
            if changed > self.newest:
                self.newest = changed
            line = (
                f"{name}\0{status.st_mode} {status.st_size} {status.st_mtime_ns} {changed} {status.st_ino}\n"
            )
        self._digest.update(line.encode(errors="surrogateescape"))

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def stamp(folder: str, exclude: Sequence[str]) -> str:
    """The :class:`Stamp` of everything below ``folder``; raises OSError."""
    found = Stamp()
    for name, entry in walk(folder, exclude):
        found.add(name, entry.stat(follow_symlinks=False))
    return found.hexdigest()
