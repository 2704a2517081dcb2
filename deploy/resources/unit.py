"""A systemd unit: enabled, running, and running what its files say now. Loaded configuration is state here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Check, Phase, Resource, State, Step
from deploy.resources.path import File, Link
from deploy.shell import Command, Script, join, key, program, sh

RECORDS = "/var/lib/barehost/loaded"
"""One file a unit: the InvocationID it was proven in, then ``digest id`` of every input it had loaded."""

KEY = "/var/lib/barehost/key"
"""The host's own key, which only root reads: what was loaded of a secret is kept as a digest that says nothing to
whoever reads a backup of the records, and does not change from run to run as the key on the wire does."""

BRING = program("unit-bring")
HUP = Script("hup")
"""Reloads by a signal: the function of that name in unit-bring.sh."""

PROOF_SECONDS = 15
"""How long a start, reload or restart may take to show what it loaded before it counts as failed."""


@dataclass(frozen=True)
class Unit(Resource):
    """A service (or socket, timer) that runs, starts at boot, and has loaded its inputs as they are expected.

    reload_on, restart_on: what the service reads, a file or a link by its content, any other resource by what is
    expected of it, and a path that only lies there (a certificate, say) as text; when what it has loaded differs,
    it is reloaded or restarted (restart wins). That is compared as state: a record on the host says what the
    running invocation has loaded, so a reload lost to a crash is seen by the next look.
    checks: run on the candidate /etc before any of these files takes its place.
    proof: exits 0 once the service shows what it should have loaded; asked until :data:`PROOF_SECONDS`. None: being
    active counts. After a SIGHUP it finds the children that the main process had in ``$before``.
    log: a file it complains to besides the journal; what it wrote there during a start, reload or restart that
    failed is shown. hup: it is reloaded by SIGHUP to its main process: a third of the time, where its own reload
    command only repeats what ``checks_on`` and ``proof`` say better.
    """

    phase: ClassVar[Phase] = Phase.UNITS
    family: ClassVar[str] = "unit"

    name: str
    running: bool = True
    enabled: bool = True
    reload_on: tuple[Resource | str, ...] = ()
    restart_on: tuple[Resource | str, ...] = ()
    checks_on: tuple[Check, ...] = ()
    proof: Script | None = None
    hup: bool = False
    log: str | None = None

    def __post_init__(self) -> None:
        if (
            "." not in self.name
            or "/" in self.name
            or self.name.startswith("-")
            or not self.name.isprintable()
        ):
            raise InputError(f"a unit's name has its type, as in nginx.service, unlike {self.name!r}")
        if "@." in self.name:
            raise InputError(f"{self.name} is a template for units and runs nothing; name an instance of it")
        for name, paths in (("reload_on", self.reload_on), ("restart_on", self.restart_on)):
            if isinstance(paths, str):
                raise InputError(f"Unit({name}=...): expected a tuple, found text; write ({paths!r},)")
        for one in self.watched:
            if isinstance(one, str):
                File(one)  # a path on a host, or an error that says so

    @property
    def id(self) -> str:
        return f"unit:{self.name}"

    @property
    def watched(self) -> tuple[Resource | str, ...]:
        """The inputs, whatever is done when they change."""
        return (*self.reload_on, *self.restart_on)

    @property
    def locks_out(self) -> bool:
        return self.guarded or any(isinstance(one, Resource) and one.locks_out for one in self.watched)

    @property
    def inputs(self) -> dict[str, str]:
        """Digest by id of everything the running service should have loaded."""
        return {id_of(one): loaded_digest(one) for one in self.watched}

    def follows(self) -> Iterable[str]:
        return (*super().follows(), *map(id_of, self.watched))

    def expected(self) -> State | None:
        state: dict[str, str | int | bool | None] = {
            "active": "active" if self.running else "inactive",
            "enabled": "enabled" if self.enabled else "disabled",
            "needs daemon-reload": False,
        }
        if self.running:
            state |= {f"loaded {id}": digest for id, digest in self.inputs.items()}
        return state

    def checks(self) -> Iterable[Check]:
        return self.checks_on

    def hinders(self, change: Change[Self]) -> str | None:
        active = (change.actual or {}).get("active", "not there")
        return f"{self.name} is {active}" if self.running and active != "active" else None

    def without(self, lost: Collection[str]) -> Self:
        """A file that could not be brought about is not one that the service should have loaded."""
        if not any(id_of(one) in lost for one in self.watched):
            return self
        return replace(
            self,
            reload_on=tuple(one for one in self.reload_on if id_of(one) not in lost),
            restart_on=tuple(one for one in self.restart_on if id_of(one) not in lost),
        )

    def after_undo(self, paths: Collection[str]) -> Script | None:
        """Where it may have loaded one of them, it loads what lies there now; what it was proven with is forgotten."""
        if not any(path_of(one) in paths for one in self.watched):
            return None
        return sh(
            "rm -f -- @{record}\nsystemctl try-reload-or-restart -- @{name}",
            record=f"{RECORDS}/{self.name}",
            name=self.name,
        )

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh("unit @{name} @{inputs}", name=one.name, inputs=[_asked(input) for input in one.watched])
            for one in resources
        )
        return sh(
            'systemctl show --no-pager -p @{properties} -- @{names} > "$SCRATCH/units" || exit\n'
            "@{function}\n"
            '{ @{asked}\n} 3< "$SCRATCH/units"\n',
            properties="LoadState,ActiveState,UnitFileState,NeedDaemonReload,InvocationID,ActiveEnterTimestamp",
            names=[one.name for one in resources],
            function=sh(_UNIT, key=key()),
            asked=join(asked),
        )

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        shown: dict[str, list[tuple[str, str]]] = {}
        for block in f"\n{output.decode(errors='surrogateescape')}".split("\nUnit=")[1:]:
            name, *lines = block.split("\n")
            shown[name] = [(key, value) for key, _, value in (line.partition("=") for line in lines)]
        return {one.id: one._state(shown.get(one.name, [])) for one in resources}

    def _state(self, shown: list[tuple[str, str]]) -> State | None:
        told = dict(shown)
        if "LoadState" not in told:
            raise LookError(f"systemd did not tell about {self.name}")
        if told["LoadState"] == "not-found":
            return None if self.running or self.enabled else {**(self.expected() or {})}
        state: dict[str, str | int | bool | None] = {
            "active": "inactive"
            if told["ActiveState"] == "failed" and not self.running
            else told["ActiveState"],
            "enabled": _ENABLED.get(told["UnitFileState"], told["UnitFileState"]),
            "needs daemon-reload": told["NeedDaemonReload"] == "yes",
        }
        for name, value in shown:
            if name == "Loaded":
                digest, _, id = value.partition(" ")
                state[f"loaded {id}"] = digest
        return state

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        if any((change.actual or {}).get("needs daemon-reload") for change in changes):
            yield Command("systemctl daemon-reload", Script("systemctl daemon-reload"), timeout=60)
        for change in changes:
            yield from change.resource._steps(change)

    def _steps(self, change: Change[Self]) -> Iterator[Step]:
        actual = change.actual or {}
        if actual.get("enabled") in ("masked", "masked-runtime"):
            yield Command(
                f"unmask {self.name}",
                sh("systemctl unmask -- @{name} && systemctl unmask --runtime -- @{name}", name=self.name),
                60,
            )
        if not self.running:
            if actual.get("active") not in (None, "inactive"):
                yield Command(
                    f"stop {self.name}",
                    sh(
                        "systemctl stop -- @{name} && rm -f -- @{record}",
                        name=self.name,
                        record=f"{RECORDS}/{self.name}",
                    ),
                )
        else:
            if (verb := self._verb(change)) is not None:
                yield self._bring(verb)
        wanted, there = ("enable" if self.enabled else "disable"), self.expected() or {}
        if actual.get("enabled") != there["enabled"] and actual.get("enabled") not in (
            "static",
            "generated",
            "indirect",
        ):
            yield Command(
                f"{wanted} {self.name}",
                sh("systemctl @{verb} -q -- @{name}", verb=wanted, name=self.name),
                60,
            )

    def _verb(self, change: Change[Self]) -> str | None:
        """What brings the service to what it should have loaded: start, restart, reload, or None when it has it."""
        actual = change.actual or {}
        if actual.get("active") != "active":
            return "start"
        stale = [key.removeprefix("loaded ") for key in change.keys if key.startswith("loaded ")]
        rewritten = bool(actual.get("needs daemon-reload"))
        restarting = {id_of(one) for one in self.restart_on}
        if (
            any(id in restarting for id in stale)
            or (stale and not self.reload_on)
            or (rewritten and self.restart_on)
        ):
            return "restart"
        return "reload" if stale else None

    def _bring(self, verb: str) -> Command:
        """Start, reload or restart; wait for the proof; only then record what is loaded."""
        return Command(
            f"{verb} {self.name}",
            sh(
                BRING,
                record=f"{RECORDS}/{self.name}",
                records=RECORDS,
                name=self.name,
                log=self.log or "/dev/null",
                bring=(bring := self._command(verb)),
                meanwhile=Script("ask & asking=$!" if bring == HUP else ":"),
                seconds=PROOF_SECONDS,
                proof=self.proof or Script(":"),
                refused=f"the {verb} of {self.name} failed",
                failed=f"{self.name} did not show its new configuration within {PROOF_SECONDS} s of the {verb}",
                lines=[f"{loaded_digest(one)} {id_of(one)}" for one in self.watched if not _kept(one)],
                kept=[path_of(one) or "" for one in self.watched if _kept(one)],
                key=KEY,
            ),
            timeout=180,
        )

    def _command(self, verb: str) -> Script:
        if verb == "reload":
            return HUP if self.hup else sh("systemctl reload -- @{name}", name=self.name)
        return sh(  # what failed five times in ten seconds is not started again unless that is forgotten
            "{ systemctl reset-failed -- @{name} 2>/dev/null; systemctl @{verb} -- @{name}; }",
            name=self.name,
            verb=verb,
        )


def id_of(watched: Resource | str) -> str:
    """How an input is called in states and in the record."""
    return f"path:{watched}" if isinstance(watched, str) else watched.id


def path_of(watched: Resource | str) -> str | None:
    """Where an input lies; None for one that is no single file or link."""
    if isinstance(watched, File | Link):
        return watched.path
    return watched if isinstance(watched, str) else None


SAME = "same"
"""The value of an input that only the host compares, where it is what was loaded."""


def loaded_digest(watched: Resource | str) -> str:
    """By what a loaded input is compared: content, where a link leads, that it is gone, or what is expected of it."""
    if isinstance(watched, str):
        return SAME
    if isinstance(watched, File):
        return watched.digest if watched.state == "present" else "absent"
    if isinstance(watched, Link):
        return hashlib.sha256(watched.target.encode()).hexdigest() if watched.state == "present" else "absent"
    return "state:" + hashlib.sha256(json.dumps(watched.expected(), sort_keys=True).encode()).hexdigest()


def _kept(watched: Resource | str) -> bool:
    """Whether the host keeps a digest of its own of what was loaded: of a secret, and of what only lies there."""
    return isinstance(watched, str) or (
        isinstance(watched, File) and watched.secret and watched.state == "present"
    )


def _asked(watched: Resource | str) -> str:
    """An input as the probe takes it: in which way it is compared, and where it lies."""
    if (path := path_of(watched)) is None:
        return f"other:{id_of(watched)}"
    if not _kept(watched):
        return f"open:{path}"
    return f"lies:{path}" if isinstance(watched, str) else f"secret:{path}"


_UNIT = sh(program("unit-look"), records=RECORDS, secrets=KEY, key=Script("@{key}"))

_ENABLED = {"enabled-runtime": "enabled", "static": "enabled", "linked": "disabled", "": "disabled"}
