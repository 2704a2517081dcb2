"""A release that only the host holds is still what was shipped: seen before it is gone back to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from deploy.errors import ApplyError, LookError
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.resources.tree import LISTING, record_of
from deploy.shell import Script, join, sh


@dataclass(frozen=True)
class Intact(Resource):
    """The release's files are those that were shipped, by the host's own record of them.

    There is no source to mend them from, so what was edited or lost is an ApplyError before anything changes.
    """

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "release"

    app: str
    release: str

    @property
    def path(self) -> str:
        """Where the release's code lies."""
        return f"/srv/{self.app}/releases/{self.release}"

    @property
    def id(self) -> str:
        return f"path:{self.path}"

    def expected(self) -> State | None:
        return {"intact": True}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh("intact @{path} @{record}", path=one.path, record=record_of(one.path)) for one in resources
        )
        return join([Script(LISTING + _INTACT), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").split()
        if len(answers) != len(resources):
            raise LookError("the host did not tell whether its releases are what was shipped; look again")
        said: dict[str, State | None] = {
            "same": {"intact": True},
            "differs": {"intact": False},
            "unrecorded": {"intact": False, "recorded": False},
            "absent": None,
        }
        return {one.id: said[answer] for one, answer in zip(resources, answers, strict=True)}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            if change.actual is not None and change.actual.get("recorded") is False:
                raise ApplyError(
                    f"the host has lost its record of release {one.release} of {one.app} (in /var/lib/barehost), so "
                    "nobody can say whether its files are what was shipped; ship one with invoke release"
                )
            what = "is gone from" if change.actual is None else "was edited or lost files on"
            raise ApplyError(
                f"release {one.release} of {one.app} {what} the host, and only the host had it; "
                "ship one with invoke release"
            )
        yield from ()


_INTACT = r"""
# By what find tells; where that differs (a backup that was restored, say), by the hashes of all files.
intact() { # path record
  if [ ! -d "$1" ]; then echo absent; return; fi
  if [ ! -e "$2/listing" ]; then echo unrecorded; return; fi
  if (cd -- "$1" && listing own "$2" | cmp -s -- - "$2/listing"); then echo same; return; fi
  if (cd -- "$1" && sed -z 's/^.\{66\}//' -- "$2/sums" | xargs -0 -r sha256sum -z -- | sort -z | cmp -s -- - "$2/sums")
  then echo same; else echo differs; fi
}
"""
