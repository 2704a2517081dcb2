"""The folder of a site before its first release: what another tool deployed there is refused, not replaced. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from deploy.errors import LookError
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.shell import Command, Script, join, program, sh


@dataclass(frozen=True)
class Place(Resource):
    """``/srv/<app>`` is free for Barehost's releases, or holds nothing but them.

    What somebody else put where they will lie (Capistrano's ``current`` and ``releases``, say) fails the site before
    anything of it changes.
    """

    phase: ClassVar[Phase] = Phase.SOURCES
    family: ClassVar[str] = "place"

    app: str

    @property
    def path(self) -> str:
        """The site's folder."""
        return f"/srv/{self.app}"

    @property
    def id(self) -> str:
        return f"place:{self.app}"

    def expected(self) -> State | None:
        return {"of others": ""}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (sh("place @{root}", root=one.path) for one in resources)
        return join([Script(_PLACE), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").splitlines()
        if len(answers) != len(resources):
            raise LookError("the host did not tell what lies where its sites will; look again")
        return {one.id: {"of others": answer} for one, answer in zip(resources, answers, strict=True)}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one, found = change.resource, (change.actual or {}).get("of others")
            sentence = (
                f"{one.path} holds what Barehost did not put there ({found}), and a release would replace it: "
                "move it out of the way, or give the site another name in the inventory"
            )
            yield Command(f"look at {one.path}", sh("echo @{sentence}; exit 1", sentence=sentence))


_PLACE = program("place-look")
