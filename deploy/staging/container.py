"""Booting and ending one host: its overlay, its systemd-nspawn, and what runs in it.

Finds processes by what they are (their root folder, their network namespace), never by a remembered pid.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from deploy.errors import StagingError
from deploy.staging.machine import PATIENCE, run, wait
from deploy.staging.network import NAMESPACES
from deploy.staging.record import Record

SUPERVISE = """
while :; do
    ( while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@" )
    [ $? -eq 133 ] || exit 0
done
"""
"""Starts the host in its cgroups, and again when it asked for a reboot: systemd-nspawn exits with 133 then."""
SYSTEMD = Path("/run/systemd/system")
"""Exists where this machine's own first process is systemd."""
NOTES = Path("/run/systemd/nspawn")
ENGINES = (Path("/var/lib/docker"), Path("/var/lib/containers"))
"""Where Docker and Podman keep images."""
START_SECONDS = 10.0
BOOT_SECONDS = 90.0
STOP_SECONDS = 30.0


def mount(record: Record) -> None:
    """Mount the host's overlay; safe to repeat."""
    for folder in (record.upper, record.folder / "work", record.root):
        folder.mkdir(parents=True, exist_ok=True)
    if record.root.is_mount():
        return
    layers = ":".join(record.layers)
    if record.containers:
        _storage(record)
    options = f"lowerdir={layers},upperdir={record.upper},workdir={record.folder / 'work'}"
    run(["mount", "-t", "overlay", "barehost", "-o", options, str(record.root)])


def _storage(record: Record) -> None:
    """Folders for the images of container engines; a clone begins with those that its image was frozen with."""
    if record.storage.exists():
        return
    copy = record.storage.with_name("storage.new")
    if record.image and record.space.image(record.image).containers:
        frozen = record.space.folder / "images" / record.image / "storage"
        run(["cp", "-a", "--reflink=auto", "-T", str(frozen), str(copy)], timeout=PATIENCE)
    for inside in ENGINES:
        (copy / inside.name).mkdir(mode=0o711, parents=True, exist_ok=True)
    copy.rename(record.storage)


def unmount(record: Record) -> None:
    """Unmount everything at or below the host's root; safe to repeat."""
    if record.root.is_mount():
        root = record.root.stat()
        (NOTES / "locks" / f"inode-{root.st_dev}:{root.st_ino}").unlink(missing_ok=True)
    _unmount_below(record.root)


def _unmount_below(folder: Path) -> None:
    points = [
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    ]
    for point in reversed([point for point in points if Path(point).is_relative_to(folder)]):
        if run(["umount", point], check=False, timeout=PATIENCE).returncode != 0:
            run(["umount", "--lazy", point], timeout=PATIENCE)


def _remove_notes(record: Record) -> None:
    """Remove what a killed systemd-nspawn leaves in /run; newer ones refuse to start while it is there."""
    for folder in NOTES.glob(f"*/{record.unique}"):
        _unmount_below(folder)
        folder.rmdir()


def start(record: Record) -> None:
    """Start the host's systemd, detached from this process; returns at once."""
    nspawn = [
        # /proc/sys/net is the host's own and may be written; the rest of /proc/sys is this machine's
        "env",
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
        "systemd-nspawn",
        "--quiet",
        f"--directory={record.root}",
        f"--machine={record.unique}",
        f"--hostname={record.name}",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--settings=no",
        "--link-journal=no",
        "--timezone=off",
        "--resolv-conf=off",
        "--capability=CAP_NET_ADMIN",
        f"--network-namespace-path={NAMESPACES / record.unique}",
    ]
    if record.containers:
        # engines keep keys and load programs for devices, which nspawn forbids; nothing else is opened to them
        nspawn.append("--system-call-filter=@keyring bpf")
        nspawn += [f"--bind={record.storage / inside.name}:{inside}" for inside in ENGINES]
    if Path("/sys/fs/cgroup/systemd").is_dir():
        # systemd 256 and later refuses cgroup v1 unless its own command line says this
        nspawn.append("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
    if SYSTEMD.is_dir():
        _start_unit(record, nspawn)
    else:
        _start_process(record, nspawn)


def _start_unit(record: Record, nspawn: list[str]) -> None:
    """As a transient unit: systemd gives the host its cgroup and starts it again for a reboot."""
    properties = [
        "Delegate=yes",
        "KillMode=mixed",
        "RestartForceExitStatus=133",
        "SuccessExitStatus=133",
        f"StandardOutput=append:{record.log}",
        "StandardError=inherit",
    ]
    options = [f"--property={one}" for one in properties]
    run(["systemd-run", "--collect", "--quiet", f"--unit={record.unique}", *options, *nspawn])


def _start_process(record: Record, nspawn: list[str]) -> None:
    """As a process of its own session, in cgroups of its own, for a machine without systemd."""
    groups = _groups(record)
    for group in groups:
        group.mkdir(exist_ok=True)
    with record.log.open("ab") as log:
        subprocess.run(
            ["setsid", "--fork", "sh", "-c", SUPERVISE, "sh", *map(str, groups), "--", *nspawn],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
            timeout=20,
        )


def _groups(record: Record) -> list[Path]:
    """The host's own cgroup in each hierarchy that systemd uses, for a machine without systemd.

    Hosts that shared one would see each other's services: stopping ssh on one would wait for all.
    """
    cgroups = Path("/sys/fs/cgroup")
    roots = [cgroups, cgroups / "unified", cgroups / "systemd"]
    return [root / record.unique for root in roots if (root / "cgroup.procs").exists()]


def supervisor(record: Record) -> int | None:
    """The pid of the host's systemd-nspawn; None when it does not run."""
    running = (pid for pid, words in _around(record) if words[0].endswith(b"systemd-nspawn"))
    return next(running, None)


def _around(record: Record) -> Iterator[tuple[int, list[bytes]]]:
    """The host's systemd-nspawn, what is about to become it, and what starts it again: pids and arguments."""
    wanted = f"--directory={record.root}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        words = _words(process)
        if wanted in words:
            yield int(process.name), words


def _words(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended while we looked
        return [b""]


def init(record: Record) -> int | None:
    """The pid, seen from here, of the host's own process 1; None while there is none."""
    for pid in _inside(record):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:  # it ended while we looked
            continue
        if re.search(r"^NSpid:\s+\d+\s+1$", status, re.MULTILINE):
            return pid
    return None


def _inside(record: Record) -> list[int]:
    """Every process in the host's network namespace."""
    if not (NAMESPACES / record.unique).exists():
        return []
    return [int(pid) for pid in run(["ip", "netns", "pids", record.unique], check=False).stdout.split()]


def end(record: Record) -> None:
    """SIGKILL to the host and all that runs in it, as if it had crashed; safe to repeat.

    The host outlives its systemd-nspawn, so both are ended: by namespace and cgroup, and by root folder. One
    that is still being started, by a run that was killed, is ended too.
    """

    def left() -> set[int]:
        around = {pid for pid, _ in _around(record)}
        return around.union(_inside(record), *map(_members, _groups(record)))

    def gone() -> bool:
        pids = left()
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        return not pids

    if not wait(gone, PATIENCE):
        raise StagingError(f"staging host {record.name} does not end: processes {sorted(left())} are left")
    if SYSTEMD.is_dir():
        run(["systemctl", "stop", record.unique], check=False, timeout=PATIENCE)
    for group in _groups(record):
        _remove_group(group)
    _remove_notes(record)


def _members(group: Path) -> set[int]:
    """Every process in a cgroup or below it; those that ended are still there until they are reaped."""
    members: set[int] = set()
    for listing in group.rglob("cgroup.procs"):
        try:
            members.update(map(int, listing.read_text(encoding="utf-8").split()))
        except OSError:  # the cgroup went while we looked
            continue
    return members - {0}


def _remove_group(group: Path) -> None:
    folders = sorted(group.rglob("*/"), key=lambda path: len(path.parts), reverse=True)
    for folder in [*folders, group]:
        if not wait(lambda folder=folder: _removed(folder), PATIENCE):  # type: ignore[misc]
            raise StagingError(f"{folder} cannot be removed: a process is still in it")


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # a process in it is still on its way out
        return False
    return True


def shut_down(record: Record) -> None:
    """Ask the host to power off in order, wait, then make sure that nothing of it is left."""
    if (pid := supervisor(record)) is not None:
        _signal(pid, signal.SIGTERM)
        wait(lambda: supervisor(record) is None, STOP_SECONDS)
    end(record)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def enter(
    record: Record, argv: list[str], *, stdin: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside the host without SSH, as root, behind everybody's back.

    Raises StagingError when the host does not run; the command's own failure is in the result.
    """
    pid = init(record)
    if pid is None:
        raise StagingError(f"staging host {record.name} does not run: start it first")
    return run(
        ["nsenter", f"--target={pid}", "--all", "--root", "--wd", *argv],
        stdin=stdin,
        timeout=timeout,
        check=False,
        only_looks=True,
    )


def booted(record: Record) -> str:
    """Wait until SSH answers with the host's own key and systemd has finished booting.

    Returns "running", or "degraded (unit, ...)" with what failed.
    Raises StagingError with the end of the console when the host ends or the time is up.
    """
    pinned = (record.folder / "identity/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()[1]
    jump = record.space.host(record.behind) if record.behind else None
    where = ["ip", "netns", "exec", jump.unique] if jump else []
    scan = [*where, "ssh-keyscan", "-T", "2", "-t", "ed25519", "-p", str(record.port), record.address]

    def answers() -> bool:
        if supervisor(record) is None and init(record) is None:
            raise StagingError(f"staging host {record.name} ended while it booted: {_last_words(record)}")
        return pinned in run(scan, check=False, only_looks=True).stdout

    wait(lambda: supervisor(record) is not None, START_SECONDS)
    if not wait(answers, BOOT_SECONDS):
        raise StagingError(
            f"staging host {record.name} did not answer on {record.address}:{record.port} within"
            f" {BOOT_SECONDS:.0f} s: {_last_words(record)}"
        )
    state = enter(record, ["systemctl", "is-system-running", "--wait"], timeout=BOOT_SECONDS).stdout.strip()
    if state == "degraded":
        failed = enter(record, ["systemctl", "--failed", "--plain", "--no-legend"]).stdout.splitlines()
        return f"degraded ({', '.join(line.split()[0] for line in failed)})"
    return state


def _last_words(record: Record) -> str:
    text = record.log.read_text(encoding="utf-8", errors="replace") if record.log.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:]) or "its console is empty"
