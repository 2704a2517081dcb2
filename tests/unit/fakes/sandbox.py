"""Runs an apply for real, on this machine's sh, in a mount namespace of its own: its folders lie in a test's folder.

Needs root, but no host: systemd's commands are stand-ins that write down how they were called.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from deploy.engine.apply import Program
from deploy.inventory.hosts import Host
from deploy.shell import Script
from deploy.transport import Reply
from tests.unit.fakes.local import unpacked

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own needs root")

NONCE = "abcd"

MOUNTS = r"""
mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/barehost && mount --bind "$BOX/lib" /var/lib/barehost &&
mount -t tmpfs tmpfs /run && mkdir /run/barehost && mount --bind "$BOX/run" /run/barehost &&
mount -t tmpfs tmpfs /var/log && : > /var/log/barehost.log && mount --bind "$BOX/log" /var/log/barehost.log &&
mount --bind "$BOX/bin" /usr/local/sbin || exit
[ ! -d "$BOX/etc" ] || mount --bind "$BOX/etc" /etc || exit
exec sh "$1"
"""

SYSTEMCTL = r"""#!/bin/sh
[ "$1" != show ] || exec cat "$BOX/pid"
echo "$@" >> "$BOX/systemctl"
[ ! -e "$BOX/systemctl-fails" ]
"""

SYSTEMD_RUN = r"""#!/bin/sh
for program; do :; done
sh "$program" & echo $! > "$BOX/pid"
"""

COUNTING = r"""#!/bin/sh
read -r n < "$BOX/count"; n=$((n + 1)); echo "$n" > "$BOX/count"
[ "$n" != "$KILL_AT" ] || kill -KILL 0
exec /usr/bin/${0##*/} "$@"
"""
"""Stands before each command that touches the disk; the one that is number KILL_AT kills the whole run first."""


@dataclass
class Sandbox:
    """A host's folders of ours, below ``box``; ``target`` is where a test's files lie, the same path for both."""

    box: Path

    def __post_init__(self) -> None:
        for name in ("lib/runs", "lib/loaded", "run", "bin", "target"):
            (self.box / name).mkdir(parents=True)
        for name in ("log", "systemctl", "pid"):
            (self.box / name).touch()
        self.install("systemctl", SYSTEMCTL)
        self.install("systemd-run", SYSTEMD_RUN)

    @property
    def target(self) -> Path:
        return self.box / "target"

    def install(self, name: str, text: str) -> None:
        (self.box / "bin" / name).write_text(text)
        (self.box / "bin" / name).chmod(0o755)

    def count_commands(self) -> None:
        """From now on each command that touches the disk is counted, and may be the last."""
        for name in ("mkdir", "install", "ln", "cp", "mv", "rm", "sync"):
            self.install(name, COUNTING)

    @property
    def counted(self) -> int:
        return int((self.box / "count").read_text())

    def unpack(self, program: Program) -> Path:
        """The run's folder, as the start of an apply lays it out."""
        folder = self.box / "lib" / "runs" / program.id
        (folder / "upload").mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(b"".join(program.bundle()))) as tar:
            tar.extractall(folder, filter="tar")
        (folder / "log").touch()
        return folder

    def run(self, program: Program, *, kill_at: int = 0) -> tuple[int, list[str]]:
        """Run the program to its end, or until it is killed; its exit code and the events of its log."""
        folder = self.unpack(program)
        (self.box / "count").write_text("0\n")
        done = self.sh(f"/var/lib/barehost/runs/{program.id}/program", KILL_AT=str(kill_at))
        log = (folder / "log").read_text()
        mark = f"\x1e{NONCE} "
        events = [line.removeprefix(mark) for line in log.split("\n") if line.startswith(mark)]
        assert not done.stderr, done.stderr.decode()
        return done.returncode, events

    def log_of(self, program: Program) -> str:
        return (self.box / "lib" / "runs" / program.id / "log").read_text()

    def sh(self, file: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run a script's file in the namespace."""
        return subprocess.run(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", MOUNTS, "sh", file],
            env={**os.environ, "BOX": str(self.box), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            start_new_session=True,
            check=False,
        )

    @property
    def left(self) -> list[str]:
        """What an apply keeps beside its targets and in its state while it is open: nothing once it is done."""
        beside = [str(path) for path in self.target.rglob(".barehost*")]
        return beside + [name for name in ("undo", "sweep", "kept") if (self.box / "lib" / name).exists()]


class SandboxSession:
    """A session whose host is a sandbox: every script runs there from a file, as a host runs it."""

    def __init__(self, box: Sandbox, host: Host) -> None:
        self.box, self.host = box, host
        self.round_trips = self.sent = self.received = 0
        for name in ("session", "scratch"):
            (box.box / name).mkdir()

    def run(self, script: Script, *, timeout: float, compress: bool = False) -> Reply:
        self.round_trips += 1
        (self.box.box / "script").write_text(script)
        done = self.box.sh(
            str(self.box.box / "script"),
            SESSION=str(self.box.box / "session"),
            SCRATCH=str(self.box.box / "scratch"),
            PATH="/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        return Reply(done.returncode, done.stdout, done.stderr)

    def put(
        self,
        name: str,
        blocks: Iterable[bytes],
        *,
        unpack: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        came = []
        for block in blocks:
            came.append(block)
            if progress is not None:
                progress(len(block))
        place = self.box.box / "session" / name
        if unpack:
            unpacked(b"".join(came), place)
        else:
            place.write_bytes(b"".join(came))

    def stream(
        self, script: Script, *, timeout: float | None = None, idle: float | None = None
    ) -> Generator[bytes, None, Reply]:
        reply = self.run(script, timeout=60)
        yield from (line + b"\n" for line in reply.stdout.split(b"\n")[:-1])
        return Reply(reply.rc, b"", reply.stderr)

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
