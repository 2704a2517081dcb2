"""A site that is no longer wanted: its instances stop and its folders go. Pure: never connects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from deploy.errors import LookError
from deploy.release.shared import NUMBERS, PROVEN, RECORDS, UNITS
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.resources.venv import cache_of
from deploy.shell import Command, Script, join, program, sh

ENDING_SECONDS = 300
"""How long a site's processes are waited for that finish what they have begun, before the site goes."""


@dataclass(frozen=True)
class Leaving(Resource):
    """The site ``app`` is not wanted here: its instances stop, its code, venvs and activations go.

    purge: its shared data, its databases and its account go as well; without it they stay, and a later
    ``state: present`` finds them. Backups stay in any case.
    """

    phase: ClassVar[Phase] = Phase.LEAVE
    family: ClassVar[str] = "leaving"

    app: str
    purge: bool = False

    @property
    def id(self) -> str:
        return f"site:{self.app}"

    def expected(self) -> State | None:
        return None

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = [
            sh("left @{app} @{purge}", app=one.app, purge="purge" if one.purge else "keep")
            for one in resources
        ]
        return join([Script(_LEFT), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        told = dict(line.split(" ", 1) for line in output.decode(errors="replace").splitlines())
        if missing := [one.id for one in resources if one.id.partition(":")[2] not in told]:
            raise LookError(f"the host did not tell what is left of {missing[0]}; look again")
        states: dict[str, State | None] = {}
        for one in resources:
            left = told[one.id.partition(":")[2]]
            states[one.id] = {"left": left} if left else None
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            text = _LEAVE + _SERVICES + (_PURGE if one.purge else "")
            values: dict[str, str | int] = {"numbers": NUMBERS} if one.purge else {}
            values |= {
                "app": one.app,
                "records": RECORDS,
                "proven": PROVEN,
                "patience": ENDING_SECONDS,
                "cache": cache_of(f"/srv/{one.app}/venvs"),
            }
            yield Command(f"remove the site {one.app}", sh(text, **values))


_LEFT = program("leaving-look")

_LEAVE = UNITS + program("leaving")

_SERVICES = program("leaving-services")

_PURGE = program("postgres") + program("leaving-purge-services") + program("leaving-purge")
