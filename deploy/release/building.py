"""What happens to a release between its code and its switch: build commands, static files, migrations. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Self

from deploy.errors import LookError
from deploy.release.shared import HASHED, PACKAGES, RECORDS
from deploy.render.spellings import spellings
from deploy.render.systemd import literal
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.resources.tree import left_to_the_build
from deploy.resources.venv import NETWORK, PIP
from deploy.shell import Command, Script, Secret, embedded, join, program, sh

BUILD_SECONDS = 1800
"""How long all build or migrate commands of a site may take together."""


@dataclass(frozen=True)
class Prepared(Resource):
    """What the build and the migration of a release share: commands of the site, and the record that they ran.

    env: the environment file they run with, secrets included; it travels as an upload. commands: one line each,
    run by ``/bin/sh -c`` as the site's own account in the release's folder, with its venv first in PATH and a HOME
    that is theirs alone. secrets: masked in what they print, before the host writes it down.
    """

    app: str
    release: str
    venv: str
    commands: tuple[str, ...]
    env: bytes = field(repr=False)
    secrets: tuple[Secret, ...] = field(default=(), repr=False)

    word: ClassVar[str]
    """What the record says when the commands have run."""

    @property
    def id(self) -> str:
        return f"{self.family}:{self.app} {self.release}"

    @property
    def mark(self) -> str:
        """What was run, as the record keeps it."""
        return hashlib.sha256("\0".join(self.commands).encode()).hexdigest()[:16]

    def expected(self) -> State | None:
        return {self.word: self.mark}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh("say @{app} @{release} @{word}", app=one.app, release=one.release, word=one.word)
            for one in resources
        )
        return join([sh(_LOOK, records=RECORDS), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="surrogateescape").splitlines()
        if len(answers) != len(resources):
            raise LookError("the host did not tell how far its releases are prepared; look again")
        return {
            one.id: {one.word: mark} if mark else None for one, mark in zip(resources, answers, strict=True)
        }

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            yield from change.resource._steps()

    def _steps(self) -> Iterator[Step]:
        raise AssertionError("each kind has a probe of its own")

    def _uploads(self) -> Iterator[Upload]:
        spelled = b"".join(
            one.encode(errors="surrogateescape") + b"\0"
            for secret in self.secrets
            for one in sorted(spellings(secret.reveal()))
        )
        for name, content in ((self._environment, self.env), (self._masked, spelled)):
            yield Upload(name, partial(_content, content), 1, len(content))

    @property
    def _environment(self) -> str:
        return f"{self.family}-{self.app}"

    @property
    def _masked(self) -> str:
        return f"{self.family}-{self.app}-secrets"

    def _run(
        self, commands: Sequence[tuple[str, str]], writable: Sequence[str], before: Sequence[Script] = ()
    ) -> Script:
        """All commands in order, shown by their labels; the first that fails ends the step with its exit code."""
        packages = f"/srv/{self.app}/releases/{self.release}/{PACKAGES}"
        steps = (
            sh(
                _RUN,
                app=self.app,
                release=self.release,
                number=number,
                upload=self._environment,
                secrets=self._masked,
                mask=_MASK,
                path=f"/srv/{self.app}/venvs/{self.venv}/bin:{packages}/bin:/usr/local/bin:/usr/bin:/bin",
                packages=packages,
                venv=f"/srv/{self.app}/venvs/{self.venv}",
                writable=[word for path in writable for word in ("-p", f"ReadWritePaths={path}")],
                label=label,
                literal=literal(command),
            )
            for number, (label, command) in enumerate(commands)
        )
        return join([sh(_HOME, app=self.app), *before, *steps])


@dataclass(frozen=True)
class Built(Prepared):
    """The release is ready to be started: its build commands ran, its static files have compressed siblings.

    The record of the release begins here: what it is made of, by whom, from which commit. Builds may add files
    to the release. The shipped ones are root's: a build cannot write into them, only put something else in their
    place, and that stays.

    projects: folders of the release that are packages of their own; version: theirs, where git would be asked for it.
    offline: what builds them is in the venv already.
    static: folders in the release that Nginx serves. keep_assets: days that hashed files of releases that are
    gone stay reachable. brotli: make .br siblings as well as .gz. by: who ships it. commit: empty outside git.
    """

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "build"
    word: ClassVar[str] = "built"

    projects: tuple[str, ...] = ()
    version: str = field(default="", compare=False)
    offline: bool = False
    static: tuple[tuple[str, str], ...] = ()
    keep_assets: int = 30
    brotli: bool = False
    by: str = field(default="", compare=False)
    commit: str = field(default="", compare=False)

    @property
    def mark(self) -> str:
        whole = (*self.commands, *(f"install {project}" for project in self.projects))
        return hashlib.sha256("\0".join(whole).encode()).hexdigest()[:16]

    def failed(self) -> Script | None:
        return join([self._begun(), sh(_FAILED, app=self.app, release=self.release, records=RECORDS)])

    def _begun(self) -> Script:
        values = {"app": self.app, "release": self.release, "records": RECORDS}
        return sh(_BEGIN, **values, venv=self.venv, by=self.by, commit=self.commit)

    def _steps(self) -> Iterator[Step]:
        values = {"app": self.app, "release": self.release, "records": RECORDS}
        yield Command(f"record {self.app} {self.release}", self._begun())
        if self.commands or self.projects:
            folder = f"/srv/{self.app}/releases/{self.release}"
            lend = sh(_LEND, app=self.app, release=self.release, own=_OWN)
            commands: list[tuple[str, str]] = [(one, one) for one in self.commands]
            if self.projects:
                commands.insert(0, (f"install {' '.join(self.projects)}", self._install()))
            run = self._run(commands, [folder, f"/srv/{self.app}/shared"], [Script(NETWORK), lend])
            yield from self._uploads()
            yield Command(f"build {self.app} {self.release}", run, BUILD_SECONDS)
        folders = [word for url, folder in self.static for word in (url, folder)]
        static = sh(
            _STATIC,
            **values,
            mark=self.mark,
            days=self.keep_assets,
            hashed=HASHED,
            own=_OWN,
            served=_SERVED,
            folders=folders,
            brotli="yes" if self.brotli else "no",
        )
        if self.commands or self.projects:
            static = join([left_to_the_build(f"/srv/{self.app}/releases/{self.release}"), static])
        yield Command(f"static files of {self.app} {self.release}", static, BUILD_SECONDS)

    def _install(self) -> Script:
        return sh(
            _INSTALL,
            venv=f"/srv/{self.app}/venvs/{self.venv}",
            projects=self.projects,
            version=self.version,
            pip=Script(PIP),
            flags=["--no-build-isolation", "--no-index"] if self.offline else [],
        )


@dataclass(frozen=True)
class Migrated(Prepared):
    """The site's migrate commands ran for this release, with its own venv and environment, before any switch.

    Declared on one host of the fleet only. Going back to an older release does not undo it.
    """

    phase: ClassVar[Phase] = Phase.MIGRATE
    family: ClassVar[str] = "migration"
    word: ClassVar[str] = "migrated"

    def failed(self) -> Script | None:
        return sh(_FAILED, app=self.app, release=self.release, records=RECORDS)

    def _steps(self) -> Iterator[Step]:
        yield from self._uploads()
        yield Command(
            f"migrate {self.app} {self.release}",
            join(
                [
                    self._run([(one, one) for one in self.commands], [f"/srv/{self.app}/shared"]),
                    sh(
                        "printf 'migrated %s\\n' @{mark} >> @{record}",
                        mark=self.mark,
                        record=f"{RECORDS}/{self.app}/{self.release}",
                    ),
                ]
            ),
            BUILD_SECONDS,
        )


def _content(content: bytes) -> Iterator[bytes]:
    yield content


_LOOK = program("release-record")

_BEGIN = program("release-begin")

_FAILED = program("release-failed")

_LEND = program("release-lend")

_RUN = program("release-run")

_INSTALL = program("release-install")

_HOME = program("release-home")

_MASK = str(embedded("mask"))

_STATIC = program("release-static")

_OWN = embedded("own")

_SERVED = embedded("served")
