"""Another repository that apt takes packages from: its key pinned, its index there before any package is asked for.

A source that apt cannot use (a wrong key, a host that does not answer, a suite that is not there) is taken back in the
same step: with it, every later ``apt-get update`` of the host would fail.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.resources.package import LOCKS
from deploy.shell import Command, Script, join, program, sh

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_WORD = re.compile(r"[!-~]+")

FETCHED = "/var/lib/barehost/sources"
"""On the host: one file a source, with the digest of what its index was fetched by."""


@dataclass(frozen=True)
class AptSource(Resource):
    """A repository, written in apt's deb822 form to ``/etc/apt/sources.list.d/<name>.sources``.

    uri: where it is, as ``https://packages.example.com/debian``. suites: such as ``bookworm``, or one that ends in
    ``/`` for a repository without components. components: such as ``main``. key: the armoured public key that signs it,
    as text; no other key is believed. architectures: such as ``amd64``; none: those of the host.
    Raises InputError for values that apt would read otherwise.
    """

    name: str
    uri: str = ""
    suites: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    key: str = field(default="", repr=False)
    architectures: tuple[str, ...] = ()
    state: Literal["present", "absent"] = "present"

    phase: ClassVar[Phase] = Phase.SOURCES
    family: ClassVar[str] = "source"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"not a name for a source of packages: {self.name!r} (lower case letters, digits, . _ -)"
            )
        if self.state == "absent":
            return
        for word in (self.uri, *self.suites, *self.components, *self.architectures):
            if not _WORD.fullmatch(word):
                raise InputError(f"source {self.name}: {word!r} is not one word without spaces")
        if ":" not in self.uri:
            raise InputError(
                f"source {self.name}: its uri is like https://packages.example.com/debian, not {self.uri!r}"
            )
        flat = [suite for suite in self.suites if suite.endswith("/")]
        if not self.suites or bool(flat) == bool(self.components):
            raise InputError(
                f"source {self.name} needs suites with components, or one suite that ends in / and no component"
            )
        if not self.key.isascii() or not self.key.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
            raise InputError(
                f"source {self.name}: its key is the armoured public key that signs the repository, as text that "
                "begins with -----BEGIN PGP PUBLIC KEY BLOCK-----; gpg --armor --export writes it"
            )

    @property
    def id(self) -> str:
        return f"source:{self.name}"

    @property
    def file(self) -> str:
        """Where it is written to."""
        return f"/etc/apt/sources.list.d/{self.name}.sources"

    @property
    def keyring(self) -> str:
        """Where its key lies."""
        return f"/etc/apt/keyrings/{self.name}.asc"

    @property
    def text(self) -> str:
        """The file, in deb822 form."""
        fields = {
            "Types": "deb",
            "URIs": self.uri,
            "Suites": " ".join(self.suites),
            "Components": " ".join(self.components),
            "Architectures": " ".join(self.architectures),
            "Signed-By": self.keyring,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)

    def expected(self) -> State | None:
        if self.state == "absent":
            return None
        digests = {"source": _digest(self.text), "key": _digest(self.key)}
        return {**digests, "fetched": _digest("".join(digests.values()))}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """One line each: the digests of its two files, and by what its index was last fetched."""
        asked = (
            sh(
                "source @{file} @{keyring} @{fetched}",
                file=one.file,
                keyring=one.keyring,
                fetched=f"{FETCHED}/{one.name}",
            )
            for one in resources
        )
        return join([_LOOK, *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        lines = output.decode(errors="replace").splitlines()
        if len(lines) != len(resources):
            raise LookError("the look at the sources of packages ended early; try again")
        found: dict[str, State | None] = {}
        for one, line in zip(resources, lines, strict=True):
            source, key, fetched = line.split(" ")
            there = {"source": source, "key": key, "fetched": fetched}
            found[one.id] = None if set(there.values()) == {"-"} else there
        return found

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            paths = {"file": one.file, "keyring": one.keyring, "fetched": f"{FETCHED}/{one.name}"}
            if change.expected is None:
                yield Command(
                    f"remove the package source {one.name}",
                    sh("rm -f -- @{file} @{keyring} @{fetched}", **paths),
                )
                continue
            values = {
                "text": one.text,
                "key": one.key,
                "digest": str(change.expected["fetched"]),
                "name": one.name,
            }
            yield Command(
                f"fetch the index of {one.name}",
                join([Script(_FAIL + LOCKS), sh(_FETCH, **paths, **values)]),
                900,
            )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_FAIL = "fail() { printf '%s\\n' \"$1\" >&2; exit 1; }\n"

_LOOK = Script(program("apt-source-look"))

_FETCH = program("apt-source")
