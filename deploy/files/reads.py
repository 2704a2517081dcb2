"""What a run reads of this machine, noted as it reads, so that a later run can tell that it would read the same.

Whatever is opened or listed counts, whoever does it, a role of the user's too: Python's own audit events tell. What
tells nothing afterwards (a process, a socket) makes a run that cannot be remembered. Sends nothing, keeps no content.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.files import folders

MOST = 2000
"""Files that a run may read one by one and still be remembered; looking at each again would be no gain."""

TICK = 50_000_000
"""ns: what was changed so shortly before it was read could change again without another time (a kernel's clock
stands still for 1 to 10 ms)."""

OURS = os.path.realpath(os.path.dirname(os.path.dirname(__file__)))
_CODE = ("__pycache__", "*.pyc")

_SESSION = frozenset(
    """
    _ SHLVL PWD OLDPWD COLUMNS LINES TERM COLORTERM TERM_PROGRAM TERM_PROGRAM_VERSION TERM_SESSION_ID WINDOWID
    SSH_AUTH_SOCK SSH_AGENT_PID SSH_CLIENT SSH_CONNECTION SSH_TTY TMUX TMUX_PANE STY WINDOW DISPLAY WAYLAND_DISPLAY
    XDG_SESSION_ID DBUS_SESSION_BUS_ADDRESS INVOCATION_ID JOURNAL_STREAM
    """.split()  # noqa: SIM905 (thirty quoted names would be no easier to read)
)
"""Variables that say where somebody sits, not what a host should be; all others count."""

_TELLING = {
    "subprocess.Popen": "it runs a program",
    "os.system": "it runs a program",
    "os.posix_spawn": "it runs a program",
    "os.exec": "it runs a program",
    "socket.connect": "it asks the network",
    "socket.getaddrinfo": "it asks the network",
    "socket.sendto": "it asks the network",
}


class _Thread(threading.local):
    aside = 0
    """How many :func:`aside` this thread is within."""


_thread = _Thread()
_notes: Notes | None = None


@dataclass
class Notes:
    """What was read so far. skip: folders whose files are never inputs. refusal: why this run is not remembered."""

    skip: tuple[str, ...]
    files: dict[str, tuple[Any, int]] = field(default_factory=dict)
    folders: dict[str, tuple[Any, int]] = field(default_factory=dict)
    watched: set[str] = field(default_factory=set)
    trees: dict[tuple[str, tuple[str, ...]], tuple[str, int, int]] = field(default_factory=dict)
    refusal: str | None = None

    def opened(self, path: str) -> None:
        if path not in self.files:
            self.files[path] = (_stat(path), time.time_ns())
            if len(self.files) > MOST:
                self.refusal = f"it reads more than {MOST} files"

    def listed(self, path: str) -> None:
        self.folders.setdefault(path, (_stat(path), time.time_ns()))

    def sealed(self) -> dict[str, Any] | None:
        """Everything as plain values for :func:`hold`; None where a later run could not tell.

        Content is hashed now, and only where nothing was touched since it was read.
        """
        if self.refusal is not None:
            return None
        files: dict[str, Any] = {}
        for path, (status, when) in self.files.items():
            if _unsettled(path, status, when):
                return None
            files[path] = status and [*status, _content(path)]
        listed: dict[str, Any] = {}
        for path, (status, when) in self.folders.items():
            if _unsettled(path, status, when):
                return None
            listed[path] = status and [*status, _names(path)]
        for _, newest, when in self.trees.values():
            if when - newest < TICK:
                return None
        trees = [[source, list(exclude), stamp] for (source, exclude), (stamp, *_) in self.trees.items()]
        watched = {path: _below(path) for path in sorted(self.watched)}
        return _circumstances() | {"files": files, "folders": listed, "watched": watched, "trees": trees}


def note(*skip: Path) -> Notes:
    """From now on, in this process, everything that is read is noted. skip: folders that are no input."""
    global _notes
    home = [sys.prefix, sys.base_prefix, OURS, *map(os.path.realpath, (f"{OURS}/roles", f"{OURS}/templates"))]
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "barehost")
    places = [*home, cache, "/proc", "/sys", "/dev", *map(str, skip)]
    if _notes is None:
        sys.addaudithook(_heard)
    _notes = Notes(tuple(f"{one}/" for one in places))
    return _notes


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit event, in the thread that causes it. Whatever goes wrong here would break the caller."""
    notes = _notes
    if notes is None or _thread.aside:
        return
    if event == "open":
        path, mode, flags = arguments
        writes = set(mode) & set("wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR)
        if not writes and (known := _path(path)) and not known.startswith(notes.skip):
            notes.opened(known)
    elif event in ("os.listdir", "os.scandir"):
        importing = "importlib" in sys._getframe(1).f_code.co_filename  # it looks for modules and packages
        known = None if importing else _path(arguments[0] or ".")
        if known and not f"{known}/".startswith(notes.skip):
            notes.listed(known)
    elif event in _TELLING:
        notes.refusal = notes.refusal or _TELLING[event]


def _path(given: Any) -> str | None:
    """The file that counts: of compiled code, its source; None for what has no name."""
    if isinstance(given, int) or not isinstance(given, str | bytes | os.PathLike):
        return None
    path = os.path.abspath(os.fsdecode(given))
    head, cached, name = path.rpartition("/__pycache__/")
    return f"{head}/{name.split('.')[0]}.py" if cached and name.endswith(".pyc") else path


@contextmanager
def aside() -> Iterator[None]:
    """Within it, and in this thread alone, nothing is noted: how a host is reached says nothing of what it holds."""
    _thread.aside += 1
    try:
        yield
    finally:
        _thread.aside -= 1


def refuse(why: str) -> None:
    """This run is not to be remembered, since it depends on what no file here tells."""
    if _notes is not None:
        _notes.refusal = _notes.refusal or why


def watch(folder: Path) -> None:
    """A file that appears below this folder would count, though none may be there yet."""
    if _notes is not None:
        _notes.watched.add(os.path.abspath(folder))


def tree(source: Path, exclude: Sequence[str], stamp: folders.Stamp, began: int) -> None:
    """A whole folder was read, from ``began`` (ns) on."""
    if _notes is not None:
        key = os.path.abspath(source), tuple(exclude)
        known = _notes.trees.setdefault(key, (stamp.hexdigest(), stamp.newest, began))
        if known[0] != stamp.hexdigest():
            refuse("a folder changed while it was read")


def hold(sealed: Mapping[str, Any]) -> bool:
    """Whether a run would read now what it read then, whole folders (:func:`trees_hold`) left out."""
    with aside():
        here = _circumstances()
        return (
            all(sealed.get(key) == value for key, value in here.items())
            and all(_is_still(path, told, _content) for path, told in sealed["files"].items())
            and all(_is_still(path, told, _names) for path, told in sealed["folders"].items())
            and all(_below(path) == told for path, told in sealed["watched"].items())
        )


def trees_hold(sealed: Mapping[str, Any]) -> bool:
    """Whether nothing was touched in the whole folders that were read."""
    with aside(), suppress(OSError):
        return all(folders.stamp(source, exclude) == told for source, exclude, told in sealed["trees"])
    return False


def _circumstances() -> dict[str, Any]:
    """What counts without being read as an input: this library, Python and its packages, the environment, the user."""
    environment = sorted(pair for pair in os.environ.items() if pair[0] not in _SESSION)
    packages = [one for one in sys.path if one.endswith(("site-packages", "dist-packages"))]
    parts = [folders.stamp(os.path.realpath(f"{OURS}{one}"), _CODE) for one in ("", "/roles", "/templates")]
    return {
        "python": [sys.version, sys.executable, os.geteuid()],
        "packages": [[one, _stat(one)] for one in packages],
        "library": parts,
        "environment": hashlib.sha256(repr(environment).encode(errors="surrogateescape")).hexdigest(),
    }


def _stat(path: str) -> list[int] | None:
    """None: nothing is there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _unsettled(path: str, status: list[int] | None, when: int) -> bool:
    """Whether it may have changed since it was read, without a time that says so."""
    return _stat(path) != status or (status is not None and when - status[2] < TICK)


def _is_still(path: str, told: Sequence[Any] | None, content: Any) -> bool:
    """Untouched, or touched and the same."""
    status = _stat(path)
    if status is None or told is None:
        return status is told
    return status == told[:4] or content(path) == told[4]


def _content(path: str) -> str | None:
    with suppress(OSError), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _names(path: str) -> str | None:
    with suppress(OSError):
        return hashlib.sha256(
            "\0".join(sorted(os.listdir(path))).encode(errors="surrogateescape")
        ).hexdigest()
    return None


def _below(path: str) -> str | None:
    """A digest of every name below; None: there is no such folder."""
    with suppress(OSError):
        names = [name for name, _ in folders.walk(path, _CODE)]
        return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()
    return None
