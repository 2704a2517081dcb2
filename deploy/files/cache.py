"""The user's cache folder, and digests of folders that nobody has touched since. Losing it costs time alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deploy.files.folders import Stamp

TICK = 50_000_000
"""ns: what was changed so shortly before it was read could change again without another time (a kernel's clock
stands still for 1 to 10 ms)."""

MOST = 200
"""Folders whose digest is kept; the oldest go."""


def folder(*names: str) -> Path | None:
    """A folder below ``~/.cache/barehost``; None where somebody else could write to it: sudo that keeps HOME, say."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "barehost")
    found = cache.joinpath(*names)
    try:
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        around = [one.stat() for one in (found, *found.parents) if one.is_relative_to(cache)]
    except OSError:
        return None
    ours = all(one.st_uid == os.geteuid() and not one.st_mode & 0o022 for one in around)
    return found if ours else None


def digest(what: str, stamp: Stamp, began: int, make: Callable[[], str]) -> str:
    """What ``make`` says of a folder, or what it returned when the folder had the same ``stamp``.

    what: names the folder and all else that ``make`` goes by. began: when the walk that made the stamp did, in ns.
    """
    place = folder("trees")
    if place is None:
        return make()
    file = place / hashlib.sha256(what.encode(errors="surrogateescape")).hexdigest()
    known = stamp.hexdigest()
    with suppress(OSError, ValueError):
        before, _, found = file.read_text(encoding="utf-8").partition(" ")
        if before == known and found:
            return found
    found = make()
    if began - stamp.newest > TICK:
        new = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):  # a full disk
            new.write_text(f"{known} {found}", encoding="utf-8")
            new.replace(file)
            for old in sorted(place.iterdir(), key=lambda one: one.stat().st_mtime)[:-MOST]:
                old.unlink()
    return found
