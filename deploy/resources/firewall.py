"""One nftables table of ours, as its file says and as the kernel has it. Touches no other table.

What the kernel has is compared by what nft lists of it: a record on the host says which listing the file led to, so a
rule added or removed by hand is a difference. Elements of sets (who asked too often) are none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Check, Phase, Resource, State, Step
from deploy.shell import Command, Script, program, sh

RECORDS = "/var/lib/barehost/firewall"
"""By table: the digest of the file that was loaded, and of the listing that it led to."""


@dataclass(frozen=True)
class Firewall(Resource):
    """The kernel's table ``name`` (family inet) is what the file at ``path`` says; it is guarded by itself.

    rules: the file's text, None: there is no such table. The file itself is a resource of its own.
    """

    phase: ClassVar[Phase] = Phase.UNITS
    family: ClassVar[str] = "firewall"

    name: str
    path: str
    rules: str | None = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", self.name):
            raise InputError(f"not the name of a table: {self.name!r}")

    @property
    def id(self) -> str:
        return f"firewall:{self.name}"

    @property
    def locks_out(self) -> bool:
        return True

    def expected(self) -> State | None:
        if self.rules is None:
            return None
        return {"rules": hashlib.sha256(self.rules.encode()).hexdigest()}

    def checks(self) -> Iterable[Check]:
        if self.rules is not None:
            yield Check("nft -c", sh("nft -c -f @{path}", path=self.path))

    def kept(self) -> tuple[Script, Script] | None:
        about = {"name": self.name, "records": RECORDS}
        return sh(program("firewall-keep"), **about), sh(program("firewall-back"), **about)

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        return sh(program("firewall-look"), names=[one.name for one in resources], records=RECORDS)

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        told = dict(
            line.split(" ", 1) for line in output.decode(errors="replace").splitlines() if " " in line
        )
        states: dict[str, State | None] = {}
        for one in resources:
            if one.name not in told:
                raise LookError(
                    f"the host did not tell about the table {one.name} of its firewall; look again"
                )
            states[one.id] = None if told[one.name] == "absent" else {"rules": told[one.name]}
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            if one.rules is None:
                script = sh(
                    "nft delete table inet @{name} && rm -f @{records}/@{name}",
                    name=one.name,
                    records=RECORDS,
                )
                yield Command(f"remove the firewall {one.name}", script, 30)
            else:
                script = sh(program("firewall-load"), name=one.name, path=one.path, records=RECORDS)
                yield Command(f"load the firewall {one.name}", script, 30)
