"""A number of the kernel's that must not be too low, in the running kernel; a File says it for the next boot.

Never lowers one, and never pretends: in a container /proc/sys is read-only and the number is the machine's
below. There the state says ``settable: False`` beside the true value, and nothing is planned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.shell import Command, Script, program, sh

_NAME = re.compile(r"[a-z0-9_]+(?:\.[A-Za-z0-9_-]+)+")


@dataclass(frozen=True)
class Sysctl(Resource):
    """A kernel setting by the name sysctl knows, such as ``net.core.somaxconn``, that is ``at_least`` so much."""

    phase: ClassVar[Phase] = Phase.FOLDERS
    family: ClassVar[str] = "sysctl"

    name: str
    at_least: int

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"not the name of a kernel setting: {self.name!r} (such as net.core.somaxconn)")

    @property
    def id(self) -> str:
        return f"sysctl:{self.name}"

    @property
    def path(self) -> str:
        """Where the kernel shows it."""
        return "/proc/sys/" + self.name.replace(".", "/")

    def expected(self) -> State | None:
        return {"to be raised": False}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """A line each: the path, whether it can be written, the value; ``-`` where the kernel has no such setting."""
        return sh(_PROBE, paths=[one.path for one in resources])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        """``value`` and ``settable`` are reported beside what is compared."""
        lines = (line.split(" ") for line in output.decode(errors="replace").splitlines())
        found = {path: (access == "w", value) for path, access, value in lines}
        states: dict[str, State | None] = {}
        for one in resources:
            if one.path not in found:
                raise LookError(f"the look at {one.name} ended early")
            settable, value = found[one.path]
            if value == "-":
                states[one.id] = None
            elif not value.isdigit():
                raise LookError(f"{one.name} holds {value!r}; only whole numbers can be compared")
            else:
                low = int(value) < one.at_least
                states[one.id] = {"value": int(value), "settable": settable, "to be raised": low and settable}
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            yield Command(
                f"set {one.name} to {one.at_least}",
                sh("printf '%s\\n' @{value} > @{path}", value=one.at_least, path=one.path),
                timeout=30,
            )


_PROBE = program("sysctl-look")
