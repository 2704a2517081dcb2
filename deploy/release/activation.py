"""Activations: how a site moves to another release, environment or configuration without a lost request. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from msgspec import Struct

from deploy.errors import LookError
from deploy.files.archive import Member, stream
from deploy.release.shared import NUMBERS, PACKAGES, RECORDS, UNITS
from deploy.resource import Change, Phase, Resource, State, Step, Text, Upload
from deploy.shell import Command, Script, embedded, key, keyed, program, sh

ASK = embedded("ask")

STOPPING_SECONDS = 300
"""How long a step may wait for an old instance beyond its own graceful timeout."""

STOPPED_SECONDS = 30
"""How much longer than it may take one that is stopped is waited for: systemd kills it at the end of its time."""

MENDED = {"active", "enabled", "proven", "left over", "down"}
"""What is mended on the activation that serves; anything else that differs takes a new one."""


class Question(Struct, frozen=True):
    """How a release shows that it serves: what is asked, of whom, and the answer that counts.

    name: the host name in the request. path, status, timeout (seconds): the site's own health settings.
    port: where Nginx listens; scheme: ``http`` or ``https``. doors: every other way that visitors come in through
    Nginx, each as ``http:PORT:NAME``, ``https:PORT:NAME``, ``redirect:PORT:NAME`` where it leads to https, ``either:…``
    where it does one of these, or ``moved:…`` and (over TLS) ``smoved:…`` where it leads to the first name.
    """

    name: str
    path: str
    status: int
    timeout: int
    port: int
    scheme: str
    doors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Activation(Resource):
    """The site ``app`` runs ``release`` on ``venv`` with this environment and configuration, and traffic goes there.

    env: the environment file, compared by a keyed digest and never shown; None: the one that the release ran with
    last, where its activation is still there, else that of the one that serves, so that going back needs no secret.
    files: what the server reads, name → text. units: what systemd runs, ``hello@.service`` → text; the activation's
    number is ``%i`` there and stands behind the @ of its name. All of it belongs to this activation alone, until it is
    pruned: whatever the next one is, this one starts, stops and boots as it did. The first is the web process, which
    starts before the switch; the others start once that is proven, and the release counts when they are up.
    jobs: units that timers start, ``hello-clear@.service`` → text; they start by themselves neither here nor at boot.
    timers: ``hello-clear.timer`` and the service that it triggers → text, one of each for a site, whatever serves.
    alone: names of units and timers of which one runs, on one host: an old one stops before a new one starts.
    settle: seconds that processes must stay up to count as started. stopping: seconds that one of ``alone`` may take
    to end. www: URL folder → folder in the release. named: key of the inventory → file in the release, which Nginx
    serves; without it nothing is switched.
    drain: seconds that requests of the old instance may still take after the switch.
    keep: healthy releases that stay on the host.
    renewed: id of a run that asks for a new activation whatever serves; empty: none does.
    advice: what to do where it fails, if that is something else than to mend the cause and run again.
    """

    phase: ClassVar[Phase] = Phase.SWITCH
    family: ClassVar[str] = "activation"

    app: str
    release: str
    venv: str
    env: bytes | None = field(repr=False)
    files: tuple[tuple[str, str], ...] = field(repr=False)
    units: tuple[tuple[str, str], ...] = field(repr=False)
    www: tuple[tuple[str, str], ...]
    named: tuple[tuple[str, str], ...]
    question: Question
    drain: int
    keep: int
    jobs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    alone: tuple[str, ...] = ()
    settle: int = 0
    stopping: int = 0
    renewed: str = ""
    advice: str | None = None

    @property
    def id(self) -> str:
        return f"activation:{self.app}"

    def expected(self) -> State | None:
        optional = {"renewed": self.renewed} if self.renewed else {}
        if self.env is not None:
            optional["environment"] = keyed(self.env)
        return optional | {
            "release": self.release,
            "venv": self.venv,
            "configuration": _digest(_sums(self.files)),
            "static folders": self._www,
            "unit": _digest(_sums((*self.units, *self.jobs, *self.timers))),
            "active": "active",
            "libraries": "as they lie on the disk",
            "enabled": True,
            "proven": True,
            "down": "",
            "left over": "",
        }

    @property
    def _all_units(self) -> tuple[tuple[str, str, str], ...]:
        """Folder, name and text of every file that systemd reads."""
        kinds = ("units", self.units), ("jobs", self.jobs), ("timers", self.timers)
        return tuple((folder, name, text) for folder, files in kinds for name, text in files)

    def only_here(self, change: Change[Self]) -> Collection[str]:
        """Those of ``alone`` that do not run here yet, though they are to."""
        running = str((change.actual or {}).get("up") or "").split()
        bases = {one.partition("@")[0] + "@.service" if "@" in one else one for one in running}
        return [one for one in self.alone if one not in bases]

    def advises(self) -> str | None:
        return self.advice

    def beside(self, change: Change[Self]) -> Script | None:
        """The instance that serves, which goes on while the new one starts."""
        if change.actual is None or set(change.keys) <= MENDED:
            return None
        return sh(MEMORY + "memory @{app}\n", app=self.app)

    def untouched(self, change: Change[Self]) -> str | None:
        return None if change.actual is None else "Nothing was switched: the release before serves on."

    def content(self) -> Iterable[Text]:
        current = f"/srv/{self.app}/current"
        for name, text in self.files:
            yield Text(f"{current}/server/{name}", "configuration", text.encode())
        for folder, name, text in self._all_units:
            yield Text(f"{current}/{folder}/{name}", "unit", text.encode())

    @property
    def _www(self) -> str:
        return "\n".join(f"{url} -> {folder}" for url, folder in sorted(self.www))

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        names = [one.app for one in resources]
        return sh(_LOOK + 'for app in @{names}; do look "$app" || exit; done\n', names=names, key=key())

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        found: dict[str, State | None] = {}
        for record in output.decode(errors="surrogateescape").split("\0")[:-1]:
            name, *lines = record.split("\n")
            found[f"activation:{name}"] = _state(lines)
        for one in resources:
            if one.id not in found:
                raise LookError(f"the host did not tell what runs of {one.id.partition(':')[2]}; look again")
        return found

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            yield from change.resource._steps(change)

    def _steps(self, change: Change[Self]) -> Iterator[Step]:
        differs = set(change.keys)
        if change.actual is not None and "left over" in differs:
            left = str(change.actual["left over"]).split()
            yield self._command("stop what an unfinished switch left of", _LEFT_OVER, left=left)
        if change.actual is not None and differs <= MENDED:
            if differs & {"active", "enabled"}:
                yield self._command("start", _CURRENT + _AGAIN + _START)
                yield self._command("health of", _CURRENT + _HEALTH)
            if differs != {"left over"}:
                yield from self._proof(_CURRENT, web=not differs <= {"down", "left over"})
            return
        yield Upload(
            f"activation-{self.app}",
            self._pack,
            len(self.www) + len(self.files) + len(self._all_units) + 4,
            len(self.env or b"")
            + sum(len(text) for _, text in self.files)
            + sum(len(text) for _, _, text in self._all_units),
        )
        yield self._command("prepare an activation of", _PREPARE)
        yield self._command("start", _NEW + _START)
        yield self._command("health of", _NEW + _HEALTH)
        yield self._command("switch to", _NEW + _SWITCH)
        yield from self._proof(_NEW)
        yield self._command("drain and stop the old instance of", _NEW + _DRAIN)
        yield self._command("prune", _NEW + _PRUNE)

    def _proof(self, which: str, *, web: bool = True) -> Iterator[Command]:
        """Only where the processes are up as well has the activation come about; without any it is one step."""
        if self.settle and web:
            yield self._command("prove through Nginx", which + _PROVE)
        if self.settle:
            yield self._command("start the processes of", which + _PROCESSES + _HEALTHY, proves=True)
        else:
            yield self._command("prove through Nginx", which + _PROVE + _TIMERS + _HEALTHY, proves=True)

    def _command(self, label: str, text: str, left: Sequence[str] = (), *, proves: bool = False) -> Command:
        values: dict[str, Script | str | int | Sequence[str]] = {
            "app": self.app,
            "release": self.release,
            "venv": self.venv,
            "folders": [word for url, folder in self.www for word in (f"/{url}/", folder)],
            "named": [word for pair in self.named for word in pair],
            "left": left,
            "ask": ASK,
            "name": self.question.name,
            "path": self.question.path,
            "status": self.question.status,
            "timeout": self.question.timeout,
            "port": self.question.port,
            "scheme": self.question.scheme,
            "doors": self.question.doors,
            "drain": self.drain,
            "keep": self.keep,
            "records": RECORDS,
            "numbers": NUMBERS,
            "renewed": self.renewed,
            "alone": [one for one in self.alone if "@" in one],
            "settle": self.settle,
            "stopping": self.stopping + STOPPED_SECONDS,
        }
        whole = _PRELUDE + text
        used = {key: value for key, value in values.items() if f"@{{{key}}}" in whole}
        seconds = max(self.question.timeout, self.drain) + self.settle + 2 * self.stopping + STOPPING_SECONDS
        return Command(f"{label} {self.app} {self.release}", sh(whole, **used), seconds, proves)

    def _pack(self) -> Iterator[bytes]:
        """The activation's own files and links; its number is given by the host."""
        code = f"/srv/{self.app}/releases/{self.release}"
        about = f"BAREHOST_RELEASE={self.release}\nBAREHOST_PACKAGES={code}/{PACKAGES}\n"
        yield from stream(
            [
                *([] if self.env is None else [Member("env", mode=0o600, data=self.env)]),
                Member("about", mode=0o640, data=about.encode()),
                *(Member(f"server/{name}", mode=0o640, data=text.encode()) for name, text in self.files),
                *(
                    Member(f"{folder}/{name}", mode=0o644, data=text.encode())
                    for folder, name, text in self._all_units
                ),
                Member("release", "l", target=code),
                Member("venv", "l", target=f"/srv/{self.app}/venvs/{self.venv}"),
                *(Member(f"www/{url}", "l", target=f"{code}/{folder}") for url, folder in self.www),
            ]
        )


def _state(lines: Sequence[str]) -> State | None:
    told: dict[str, str] = {}
    many: dict[str, list[str]] = {"www": [], "file": [], "unit": []}
    for line in lines:
        key, _, value = line.partition(" ")
        if key in many:
            many[key].append(value)
        else:
            told[key] = value
    if not told.get("current"):
        return None if not told.get("stray") else {"left over": told["stray"]}
    return {
        "release": told.get("release", ""),
        "venv": told.get("venv", ""),
        "environment": told.get("env", ""),
        "configuration": _digest(many["file"]),
        "static folders": "\n".join(sorted(many["www"])),
        "renewed": told.get("renewed", ""),
        "unit": _digest(many["unit"]),
        "active": told.get("active", ""),
        "libraries": told.get("libraries", "as they lie on the disk"),
        "up": told.get("up", ""),
        "down": told.get("down", ""),
        "enabled": told.get("enabled") == "enabled",
        "proven": "proven" in told,
        "left over": told.get("stray", ""),
    }


def _sums(files: Iterable[tuple[str, str]]) -> list[str]:
    """What a host says of files that are as they should be: name and SHA-256."""
    return [f"{name} {hashlib.sha256(text.encode()).hexdigest()}" for name, text in files]


def _digest(sums: Iterable[str]) -> str:
    """One value for all of them."""
    return hashlib.sha256("\n".join(sorted(sums)).encode()).hexdigest()


_LOOK = program("activation-look")

MEMORY = program("activation-memory")

_PRELUDE = program("activation")

_NEW = 'read -r n < "$RUN/$app.n" && of "$n" || exit\n'

_CURRENT = 'n=$(readlink "$root/current") && n=${n##*/} && of "$n" || exit\n'

_AGAIN = 'enabled "$n" || exit\nsystemctl reset-failed "$unit" 2>/dev/null\n'

_PREPARE = UNITS + program("activation-prepare")

_START = program("activation-start")

_HEALTH = program("activation-health")

_SWITCH = program("activation-switch")

_PROVE = program("activation-go-back") + program("activation-prove")

_TIMERS = program("activation-timers")

_PROCESSES = UNITS + program("activation-go-back") + program("activation-processes") + _TIMERS

_HEALTHY = program("activation-healthy")

_DRAIN = program("activation-drain")

_LEFT_OVER = program("activation-go-back") + program("activation-left-over")

_PRUNE = program("activation-prune")
