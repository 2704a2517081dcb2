"""What staging asks of this machine: tools, locks, folders. Runs argument vectors, never a shell line.

Refuses, with one sentence, a machine that cannot boot a host (not Linux, not root, a missing tool).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import StagingError

LIBRARY = Path("/var/lib/barehost")
"""Overlays and records of every checkout on this machine, one folder a checkout."""
CACHE = Path("/var/cache/barehost")
"""Base images, shared by every checkout."""
PROJECT = "[0-9a-f]" * 8
"""What the name of a project's folder in LIBRARY looks like, as a glob; others may keep things there too."""
LOCKS = Path("/run/barehost")

INSTEAD = (
    "; to use hosts of your own instead, name any machine you reach over SSH in inventory/hosts.yml"
    " (ansible_host, ansible_user)"
)
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh-keygen": "openssh-client",
    "setsid": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
}
"""Command to the Debian package that brings it."""
_mine = threading.local()
"""The descriptors of the locks that this thread holds, the outermost first."""
PATIENCE = 600.0
"""Seconds for what only frees this machine: one that is busy takes its time, and what stays would stay for good."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require() -> None:
    """Return only when this machine can boot staging hosts.

    Raises StagingError with the first thing that is missing and what to do about it.
    """
    if sys.platform != "linux":
        raise StagingError(f"staging hosts need Linux, this is {sys.platform}{INSTEAD}")
    if os.geteuid() != 0:
        raise StagingError(f"staging hosts need root: run the same command with sudo{INSTEAD}")
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool, path=PATH) is None}
    if missing:
        packages = " ".join(sorted(missing))
        raise StagingError(f"staging hosts need more tools: apt-get install {packages}{INSTEAD}")
    if not _knows_overlay():
        raise StagingError(f"staging hosts need overlay mounts, which this kernel does not know{INSTEAD}")


def _knows_overlay() -> bool:
    def known() -> bool:
        return "\toverlay\n" in Path("/proc/filesystems").read_text(encoding="utf-8")

    if not known() and shutil.which("modprobe", path=PATH):
        run(["modprobe", "overlay"], check=False)
    return known()


def run(
    argv: list[str],
    *,
    stdin: str = "",
    check: bool = True,
    timeout: float = 60,
    environment: Mapping[str, str] | None = None,
    only_looks: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, with its output kept.

    timeout: seconds. environment: set on top of this process's own. only_looks: it changes nothing on this
    machine; any other command holds the locks that this thread holds, so that when we are killed nobody
    takes them before the command has ended.
    Raises StagingError with the last lines that it printed when it fails (and `check`) or takes too long.
    """
    known = {**os.environ, "PATH": PATH, "LC_ALL": "C", **(environment or {})}
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            env=known,
            pass_fds=() if only_looks else tuple(_held()),
        )
    except subprocess.TimeoutExpired as late:
        raise StagingError(f"{argv[0]} took longer than {timeout:.0f} s: {' '.join(argv)}") from late
    except FileNotFoundError as absent:
        raise StagingError(f"{argv[0]} is not installed on this machine{INSTEAD}") from absent
    if check and done.returncode != 0:
        message = " / ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise StagingError(f"{' '.join(argv)} failed on this machine ({done.returncode}): {message}")
    return done


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, but nothing that is mounted there; one that is not there is fine.

    Raises StagingError with what stays.
    """
    run(["rm", "-rf", "--one-file-system", str(folder)], timeout=PATIENCE)


def wait(ready: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """Ask until the answer is yes; False when `seconds` went by first."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


@contextmanager
def locked(name: str, seconds: float = 300) -> Iterator[None]:
    """Hold one machine-wide lock, against other processes and other threads alike; its file goes afterwards.

    seconds: how long to wait for another holder before StagingError.
    """
    LOCKS.mkdir(mode=0o755, exist_ok=True)
    path = LOCKS / f"{name}.lock"

    def taken() -> bool:
        if (descriptor := _try_lock(path)) is None:
            return False
        _held().append(descriptor)
        return True

    if not wait(taken, seconds):
        raise StagingError(f"another run has held {path} for {seconds:.0f} s; wait for it or end it")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(_held().pop())


def _held() -> list[int]:
    if not hasattr(_mine, "descriptors"):
        _mine.descriptors = []
    descriptors: list[int] = _mine.descriptors
    return descriptors


def _try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock; None while another holds it, or removed the file as we took it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.close(descriptor)
    return None


def project_folder(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (None: the current one) that holds a tasks.py.

    Raises StagingError when there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "tasks.py").is_file():
            return folder
    raise StagingError(
        f"no tasks.py in {start} or above it: run this inside a project, or set BAREHOST_STATE"
    )


def state_folder() -> Path:
    """Where this project keeps what its staging hosts need: `staging` in `$BAREHOST_STATE` or `.barehost`."""
    chosen = os.environ.get("BAREHOST_STATE")
    folder = Path(chosen).resolve() if chosen else project_folder() / ".barehost"
    return folder / "staging"


def digest(text: str, length: int = 8) -> str:
    """A short name for a longer one: hexadecimal, the same on every machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Put a whole file in place at once; a link there is replaced, never followed. Equal: nothing to do."""
    if path.is_file() and not path.is_symlink() and path.read_text(encoding="utf-8") == text:
        path.chmod(mode)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.chmod(mode)
    beside.replace(path)
