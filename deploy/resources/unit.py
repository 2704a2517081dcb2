"""A systemd unit: enabled, running, and running what its files say now. Loaded configuration is state here."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Check, Phase, Resource, State, Step
from deploy.resources.path import File, Link, Pathlike
from deploy.shell import Command, Script, join, sh

RECORDS = "/var/lib/barehost/loaded"
"""One file a unit: the InvocationID it was proven in, then ``digest id`` of every input it had loaded."""

BRING = Path(__file__).parents[1] / "host" / "unit-bring.sh"
HUP = Script("hup")
"""Reloads by a signal: the function of that name in unit-bring.sh."""

PROOF_SECONDS = 15
"""How long a start, reload or restart may take to show what it loaded before it counts as failed."""


@dataclass(frozen=True)
class Unit(Resource):
    """A service (or socket, timer) that runs, starts at boot, and has loaded its inputs as they are expected.

    reload_on, restart_on: files and links whose content the service reads; when what it has loaded differs,
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
    reload_on: tuple[Pathlike, ...] = ()
    restart_on: tuple[Pathlike, ...] = ()
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

    @property
    def id(self) -> str:
        return f"unit:{self.name}"

    @property
    def watched(self) -> tuple[Pathlike, ...]:
        """The inputs, whatever is done when they change."""
        return (*self.reload_on, *self.restart_on)

    @property
    def inputs(self) -> dict[str, str]:
        """Digest by id of everything the running service should have loaded."""
        return {one.id: loaded_digest(one) for one in self.watched}

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
        if not any(one.id in lost for one in self.watched):
            return self
        return replace(
            self,
            reload_on=tuple(one for one in self.reload_on if one.id not in lost),
            restart_on=tuple(one for one in self.restart_on if one.id not in lost),
        )

    def after_undo(self, paths: Collection[str]) -> Script | None:
        """Where it may have loaded one of them, it loads what lies there now; what it was proven with is forgotten."""
        if not any(one.path in paths for one in self.watched):
            return None
        return sh(
            "rm -f -- @{record}\nsystemctl try-reload-or-restart -- @{name}",
            record=f"{RECORDS}/{self.name}",
            name=self.name,
        )

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh("unit @{name} @{inputs}", name=one.name, inputs=[path.path for path in one.watched])
            for one in resources
        )
        return sh(
            'systemctl show --no-pager -p @{properties} -- @{names} > "$SCRATCH/units" || exit\n'
            "@{function}\n"
            '{ @{asked}\n} 3< "$SCRATCH/units"\n',
            properties="LoadState,ActiveState,UnitFileState,NeedDaemonReload,InvocationID,ActiveEnterTimestamp",
            names=[one.name for one in resources],
            function=_UNIT,
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
        for key, value in shown:
            if key == "Loaded":
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
        restarting = {one.id for one in self.restart_on}
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
                BRING.read_text(encoding="utf-8"),
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
                lines=[f"{digest} {id}" for id, digest in self.inputs.items()],
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


def loaded_digest(resource: Pathlike) -> str:
    """By what a loaded input is compared: its content, or that it is a link, or that it is gone."""
    if isinstance(resource, File):
        return resource.digest if resource.state == "present" else "absent"
    if isinstance(resource, Link):
        return (
            hashlib.sha256(resource.target.encode()).hexdigest() if resource.state == "present" else "absent"
        )
    raise InputError(f"a unit can watch files and links, not {resource.id}")


_UNIT = sh(
    # Prints one unit's block of fd 3, then "Loaded=digest id" for what its running process has loaded: as the
    # record says where it is of this invocation; else (a reboot, a restart by hand) each input that lies on the disk
    # since before the process began. A second counts as older: systemd tells whole seconds. What is missing was
    # so before if nothing in its folder has changed since.
    r"""unit() {
  name=$1; shift; invocation=; since=; recorded=
  printf 'Unit=%s\n' "$name"
  while IFS= read -r line <&3 && [ -n "$line" ]; do
    printf '%s\n' "$line"
    case $line in
      InvocationID=*) invocation=${line#*=} ;;
      ActiveEnterTimestamp=*) since=${line#*=} ;;
    esac
  done
  if [ -f @{records}/"$name" ]; then
    { read -r recorded
      if [ "$recorded" = "$invocation" ]; then
        while IFS= read -r line; do printf 'Loaded=%s\n' "$line"; done
        return
      fi
    } < @{records}/"$name"
  fi
  { [ $# -gt 0 ] && [ -n "$since" ]; } || return 0
  for path; do
    place=$path
    [ -e "$path" ] || [ -L "$path" ] || place=${path%/*}
    [ -z "$(find "$place" -maxdepth 0 -newerct "$since" 2>/dev/null)" ] || continue
    if [ -L "$path" ]; then sum=$(readlink -n -- "$path" | sha256sum) || return
    elif [ -f "$path" ]; then sum=$(sha256sum < "$path") || return
    else sum='absent '
    fi
    printf 'Loaded=%s path:%s\n' "${sum%% *}" "$path"
  done
}""",
    records=RECORDS,
)

_ENABLED = {"enabled-runtime": "enabled", "static": "enabled", "linked": "disabled", "": "disabled"}
