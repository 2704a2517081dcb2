"""Activations: how a site moves to another release, environment or configuration without a lost request. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from msgspec import Struct

from deploy.errors import LookError
from deploy.files.archive import Member, stream
from deploy.release.shared import HOST, RECORDS, UNITS, program
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.shell import Command, Script, key, keyed, sh

ASK = (HOST / "ask.py").read_text()

STOPPING_SECONDS = 300
"""How long a step may wait for an old instance beyond its own graceful timeout."""

MENDED = {"active", "enabled", "proven", "left over"}
"""What is mended on the activation that serves; anything else that differs takes a new one."""


class Question(Struct, frozen=True):
    """How a release shows that it serves: what is asked, of whom, and the answer that counts.

    name: the host name in the request. path, status, timeout (seconds): the site's own health settings.
    port: where Nginx listens; scheme: ``http`` or ``https``.
    """

    name: str
    path: str
    status: int
    timeout: int
    port: int
    scheme: str


@dataclass(frozen=True)
class Activation(Resource):
    """The site ``app`` runs ``release`` on ``venv`` with this environment and configuration, and traffic goes there.

    env: the environment file, compared by a keyed digest and never shown. config: Gunicorn's configuration.
    unit: digest of the template unit that instances start from. www: URL folder → folder in the release.
    drain: seconds that requests of the old instance may still take after the switch.
    keep: healthy releases that stay on the host.
    renewed: id of a run that asks for a new activation whatever serves; empty: none does.
    """

    phase: ClassVar[Phase] = Phase.SWITCH
    family: ClassVar[str] = "activation"

    app: str
    release: str
    venv: str
    env: bytes = field(repr=False)
    config: str = field(repr=False)
    unit: str
    www: tuple[tuple[str, str], ...]
    question: Question
    drain: int
    keep: int
    renewed: str = ""

    @property
    def id(self) -> str:
        return f"activation:{self.app}"

    def expected(self) -> State | None:
        return ({"renewed": self.renewed} if self.renewed else {}) | {
            "release": self.release,
            "venv": self.venv,
            "environment": keyed(self.env),
            "configuration": hashlib.sha256(self.config.encode()).hexdigest(),
            "static folders": self._www,
            "unit": self.unit,
            "active": "active",
            "enabled": True,
            "proven": True,
            "left over": "",
        }

    def beside(self, change: Change) -> Script | None:
        """The instance that serves, which goes on while the new one starts."""
        if change.actual is None or set(change.keys) <= MENDED:
            return None
        return sh(MEMORY + "memory @{app}\n", app=self.app)

    @property
    def _www(self) -> str:
        return "\n".join(f"{url} -> {folder}" for url, folder in sorted(self.www))

    @classmethod
    def probe(cls, resources: Sequence[Resource]) -> Script:
        names = [one.app for one in resources if isinstance(one, Activation)]
        return sh(_LOOK + 'for app in @{names}; do look "$app" || exit; done\n', names=names, key=key())

    @classmethod
    def parse(cls, resources: Sequence[Resource], output: bytes) -> dict[str, State | None]:
        found: dict[str, State | None] = {}
        for record in output.decode(errors="surrogateescape").split("\0")[:-1]:
            name, *lines = record.split("\n")
            found[f"activation:{name}"] = _state(lines)
        for one in resources:
            if one.id not in found:
                raise LookError(f"the host did not tell what runs of {one.id.partition(':')[2]}; look again")
        return found

    @classmethod
    def steps(cls, changes: Sequence[Change]) -> Iterator[Step]:
        for change in changes:
            assert isinstance(change.resource, Activation)
            yield from change.resource._steps(change)

    def _steps(self, change: Change) -> Iterator[Step]:
        differs = set(change.keys)
        if change.actual is not None and "left over" in differs:
            yield self._command("stop what an unfinished switch left of", _LEFT_OVER)
        if change.actual is not None and differs <= MENDED:
            if differs & {"active", "enabled"}:
                yield self._command("start", _CURRENT + _AGAIN + _START)
                yield self._command("health of", _CURRENT + _HEALTH)
            if differs != {"left over"}:
                yield self._command("prove through Nginx", _CURRENT + _PROVE)
            return
        yield Upload(
            f"activation-{self.app}", self._pack, len(self.www) + 2, len(self.env) + len(self.config)
        )
        yield self._command("prepare an activation of", _PREPARE)
        yield self._command("start", _NEW + _START)
        yield self._command("health of", _NEW + _HEALTH)
        yield self._command("switch to", _NEW + _SWITCH)
        yield self._command("prove through Nginx", _NEW + _PROVE)
        yield self._command("drain and stop the old instance of", _NEW + _DRAIN)
        yield self._command("prune", _NEW + _PRUNE)

    def _command(self, label: str, text: str) -> Command:
        values: dict[str, Script | str | int] = {
            "app": self.app,
            "release": self.release,
            "venv": self.venv,
            "unit": self.unit,
            "ask": Script(ASK),
            "name": self.question.name,
            "path": self.question.path,
            "status": self.question.status,
            "timeout": self.question.timeout,
            "port": self.question.port,
            "scheme": self.question.scheme,
            "drain": self.drain,
            "keep": self.keep,
            "records": RECORDS,
            "renewed": self.renewed,
        }
        whole = _PRELUDE + text
        used = {key: value for key, value in values.items() if f"@{{{key}}}" in whole}
        seconds = max(self.question.timeout, self.drain) + STOPPING_SECONDS
        return Command(f"{label} {self.app} {self.release}", sh(whole, **used), seconds)

    def _pack(self) -> Iterator[bytes]:
        """The activation's own files and links; its number is given by the host."""
        code = f"/srv/{self.app}/releases/{self.release}"
        yield from stream(
            [
                Member("env", mode=0o600, data=self.env),
                Member("about", mode=0o640, data=f"BAREHOST_RELEASE={self.release}\n".encode()),
                Member("gunicorn.conf.py", mode=0o640, data=self.config.encode()),
                Member("release", "l", target=code),
                Member("venv", "l", target=f"/srv/{self.app}/venvs/{self.venv}"),
                *(Member(f"www/{url}", "l", target=f"{code}/{folder}") for url, folder in self.www),
            ]
        )


def _state(lines: Sequence[str]) -> State | None:
    told: dict[str, str] = {}
    www = []
    for line in lines:
        key, _, value = line.partition(" ")
        if key == "www":
            www.append(value)
        else:
            told[key] = value
    if not told.get("current"):
        return None if not told.get("stray") else {"left over": told["stray"]}
    return {
        "release": told.get("release", ""),
        "venv": told.get("venv", ""),
        "environment": told.get("env", ""),
        "configuration": told.get("config", ""),
        "static folders": "\n".join(sorted(www)),
        "renewed": told.get("renewed", ""),
        "unit": told.get("unit", ""),
        "active": told.get("active", ""),
        "enabled": told.get("enabled") == "enabled",
        "proven": "proven" in told,
        "left over": told.get("stray", ""),
    }


_LOOK = program("activation-look")

MEMORY = program("activation-memory")

_PRELUDE = program("activation")

_NEW = 'read -r n < "$RUN/$app.n" && of "$n" || exit\n'

_CURRENT = 'n=$(readlink "$root/current") && n=${n##*/} && of "$n" || exit\n'

_AGAIN = 'enabled "$unit" || exit\nsystemctl reset-failed "$unit" 2>/dev/null\n'

_PREPARE = program("activation-prepare")

_START = program("activation-start")

_HEALTH = program("activation-health")

_SWITCH = program("activation-switch")

_PROVE = program("activation-prove")

_DRAIN = program("activation-drain")

_LEFT_OVER = UNITS + program("activation-left-over")

_PRUNE = program("activation-prune")
