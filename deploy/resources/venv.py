"""A Python environment, built once at its final path from what this side read. Never as root, never changed.

Its name holds :func:`key`: other requirements or another Python are another environment beside it. A marker,
written last, says that it is whole; without it the next run builds it again from nothing. What somebody
changes inside afterwards is not looked at.

Measured on Debian 12 and 13 (Flask + Gunicorn, empty caches):
- ``python3 -m venv`` takes 2.5 s, for it installs pip; ``--without-pip`` takes 0.03 s. pip then runs from the
  wheel that python3-pip-whl (part of python3-venv) brings: unpacked (0.17 s) it needs 0.9 s, as a zip 1.4 s.
- uv needs 0.5 s, but 2.4 s and 38 MB to get onto the host, and a second configuration of indexes and
  certificates (it trusts the system's certificates only with a setting). An environment is built when requirements
  change, so pip wins until the third one. Nothing but the build script would change.

Packages are foreign code, from setup.py of a source distribution to a .pth file: they run as an account of its own,
in a unit that may write to the new environment and its own cache alone, until all its processes have ended; then
everything belongs to root, who runs nothing out of it, then or later. pip sees the host's own /etc/pip.conf and the
proxy, certificate and PIP_* lines of /etc/environment; the first must be readable by everybody to have an effect.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.files.archive import Member, digest_of, stream
from deploy.render.systemd import literal
from deploy.requirements import Requirements
from deploy.requirements.headers import HINTS
from deploy.requirements.pip import logical
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.shell import Command, Script, embedded, join, program, sh

BUILDER = "_barehost"
"""The account that builds; made when it is missing, has no home, no shell and no files of its own."""

CACHES = "/var/cache/barehost/pip"
"""On the host: one folder of pip's for the environments of one folder, so that no site installs what another built."""

MARKER = ".barehost"

PIP = program("pip")
NETWORK = program("network")
"""Scripts for whoever else runs pip on a host: where it is, and how it gets out."""

_LAYOUT = "2"
"""Part of every key: raise it when the build script makes other environments from the same requirements."""


def key(requirements: Requirements, python: str, wheels: Path | None = None) -> str:
    """The name of the environment that these make; ``python`` is the host's version as 3.11."""
    needs = requirements
    parts = [_LAYOUT, python]
    for words in (needs.names, needs.lines, needs.locked, needs.direct, needs.apart):
        parts += [*words, ""]
    for name, text in needs.files:  # as pip reads them: a comment makes no other environment
        parts += [name, *(line for _, line in logical(text)), ""]
    parts += [part for name, _, digest in needs.archives for part in (name, digest)]
    parts += [part for name, _, digest in _wheels(wheels) for part in (name, digest)]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Venv(Resource):
    """The environment at ``path``, which ends in its :func:`key`.

    version: of the host's Python, as 3.11; python: the program to build with, a name or a path on the host.
    wheels: a folder on this side that holds everything needed; then no index is asked. None: the host's index.
    """

    path: str
    requirements: Requirements
    version: str
    python: str = "python3"
    wheels: Path | None = None

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "venv"

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or posixpath.normpath(self.path) != self.path or "\0" in self.path:
            raise InputError(f"the path of a venv must be absolute and normalised: {self.path!r}")
        if re.search(r"[\s'\"#]", self.path):
            raise InputError(
                f"the path of a venv stands in the first line of its scripts, so no blanks: {self.path!r}"
            )
        if not re.fullmatch(r"3\.\d+", self.version):
            raise InputError(f"not a version of Python: {self.version!r} (such as 3.11)")

    @property
    def id(self) -> str:
        return f"path:{self.path}"

    @property
    def key(self) -> str:
        """What it is made of, see :func:`key`."""
        return key(self.requirements, self.version, self.wheels)

    def expected(self) -> State | None:
        return {"complete": True, "key": self.key, "python": self.version}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """Reads the marker and follows bin/python; starts no Python."""
        return sh(_PROBE, paths=[one.path for one in resources])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        """``python`` is empty when bin/python leads nowhere, as after an upgrade of the distribution."""
        answers = output.decode(errors="surrogateescape").split("\n")
        if len(answers) != len(resources) + 1 or answers[-1]:
            raise LookError("the look at the Python environments ended early; try again")
        return {one.id: _state(answer) for one, answer in zip(resources, answers[:-1], strict=True)}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            yield from _build(change.resource)


def _state(answer: str) -> State | None:
    if answer == "absent":
        return None
    made, python = answer.split(" ")
    return {
        "complete": made != "-",
        "key": made if made != "-" else "",
        "python": python.removeprefix("python") if re.fullmatch(r"python3\.\d+", python) else "",
    }


def _build(venv: Venv) -> Iterator[Step]:
    wheels = _wheels(venv.wheels)
    upload = f"venv-{hashlib.sha256(venv.path.encode(errors='surrogateescape')).hexdigest()[:16]}"
    members = _members(venv, wheels)
    size = sum(member.source.stat().st_size if member.source else len(member.data) for member in members)
    yield Upload(upload, lambda: stream(members), len(members), size)
    cache = cache_of(posixpath.dirname(venv.path))
    fill = sh(
        _FILL,
        path=venv.path,
        python=venv.python,
        version=venv.version,
        cache=cache,
        offline=["--no-index", "--find-links=../wheels"] if wheels else [],
        pip=Script(PIP),
        rounds=_rounds(venv.requirements),
        hints=[word for hint in HINTS for word in hint],
    )
    yield Command(
        f"build {venv.path}",
        sh(
            _BUILD,
            path=venv.path,
            parent=posixpath.dirname(venv.path),
            python=venv.python,
            version=venv.version,
            builder=BUILDER,
            cache=cache,
            upload=upload,
            marker=MARKER,
            key=venv.key,
            own=_OWN,
            network=Script(NETWORK),
            fill=literal(fill),
        ),
        timeout=1800,
    )


def _rounds(needs: Requirements) -> Script:
    """Each call of pip. A lock is whole, so nothing is added to it; what serves changes nothing that is there."""
    rounds = []
    if needs.locked:
        rounds.append(sh("install --no-deps --require-hashes -r ../locked.txt"))
    if needs.direct:
        rounds.append(sh("install --no-deps -r ../direct.txt"))
    if needs.lines or needs.names:
        names = ["../own.txt", *(f"./{name}" for name in needs.names)]
        rounds.append(sh("install @{files}", files=[word for name in names for word in ("-r", name)]))
    if needs.apart:
        rounds.append(sh("held > ../held.txt\ninstall -c ../held.txt -r ../apart.txt"))
    return join(rounds)


def cache_of(parent: str) -> str:
    """Where a host keeps pip's cache for the environments in the folder ``parent``."""
    return f"{CACHES}/{hashlib.sha256(os.fsencode(parent)).hexdigest()[:16]}"


def _members(venv: Venv, wheels: Iterable[tuple[str, Path, str]]) -> list[Member]:
    needs = venv.requirements
    lists = {"own": needs.lines, "locked": needs.locked, "direct": needs.direct, "apart": needs.apart}
    members = [
        Member(f"{name}.txt", data="".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
        for name, lines in lists.items()
        if lines or name == "own"
    ]
    members += [
        Member(f"source/{name}", data=text.encode(errors="surrogateescape")) for name, text in needs.files
    ]
    members += [Member(f"source/{name}", source=file, sha256=digest) for name, file, digest in needs.archives]
    members += [Member(f"wheels/{name}", source=file, sha256=digest) for name, file, digest in wheels]
    return members


def _wheels(folder: Path | None) -> list[tuple[str, Path, str]]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise InputError(f"the folder of wheels is not there: {folder}")
    found = [one for one in sorted(folder.iterdir()) if one.name.endswith((".whl", ".tar.gz", ".zip"))]
    if not found:
        raise InputError(f"the folder of wheels holds none: {folder} (fill it with pip download -d)")
    return [(one.name, one, digest_of(one)) for one in found]


_PROBE = program("venv-look")

_BUILD = program("venv-build")

_FILL = program("venv-fill")

_OWN = embedded("own")
