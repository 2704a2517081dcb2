"""Runs probes and steps with this machine's sh, in folders of a test: what a host would do, without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.resource import Change, Resource, State, Step, Upload
from deploy.shell import Command, Script

PROLOGUE = (
    "export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 022; cd /\n"
)


def run(script: Script, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The script as a host runs it: sh, nothing on stdin, its output kept."""
    with TemporaryDirectory() as scratch:
        return subprocess.run(
            ["sh", "-c", PROLOGUE + script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "SCRATCH": scratch, **environment},
            timeout=60,
            check=False,
        )


def look(*resources: Resource) -> Mapping[str, State | None]:
    """The states of resources of one family, through their own probe and parser."""
    done = run(type(resources[0]).probe(resources))
    assert done.returncode == 0, done.stderr.decode()
    return type(resources[0]).parse(resources, done.stdout)


def change(resource: Resource) -> Change:
    """What a look says has to change."""
    return Change(resource, look(resource)[resource.id], resource.expected())


def apply(steps: list[Step], folder: Path) -> list[subprocess.CompletedProcess[bytes]]:
    """Runs Uploads and Commands in order; ``folder`` holds what was uploaded and the run's private files."""
    done = []
    uploads, private = folder / "upload", folder / "run"
    for made in (uploads, private):
        made.mkdir(parents=True, exist_ok=True)
    for step in steps:
        if isinstance(step, Upload) and step.unpack:
            unpacked(b"".join(step.pack()), uploads / step.name)
        elif isinstance(step, Upload):
            (uploads / step.name).write_bytes(b"".join(step.pack()))
        elif isinstance(step, Command):
            done.append(run(step.script, UPLOAD=str(uploads), RUN=str(private)))
        else:
            raise TypeError(f"only the engine takes a {type(step).__name__}")
    return done


def unpacked(archive: bytes, folder: Path) -> None:
    """An upload that is unpacked as it comes, as the far side of a session does it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="fully_trusted")


def settle(resource: Resource, folder: Path) -> list[Step]:
    """Look, apply, look again; asserts that it settled. Returns the steps it took."""
    steps = list(type(resource).steps([it])) if (it := change(resource)) else []
    for done in apply(steps, folder):
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    assert not change(resource), change(resource)
    return steps
