"""A site answers through Nginx as its files have it: asked after each change of them, or they go back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from deploy.errors import LookError
from deploy.release.activation import ASK, Question
from deploy.release.shared import PROVEN
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.shell import Command, Script, join, program, sh

PROOF_SECONDS = 3
"""How long a site that serves may answer otherwise than expected, after Nginx has shown its new configuration."""


@dataclass(frozen=True)
class Proof(Resource):
    """The release of ``app`` that serves has answered through Nginx since these files are there.

    An activation proves itself. This is for what stands in front of it: a template that ``nginx -t`` accepts can
    refuse every visitor all the same. Where the answer is another, the step fails while the files can still go back.
    configuration: digest of the files, with which an answer is asked for. named: key of the inventory → file in the
    release that serves, which those files name.
    """

    phase: ClassVar[Phase] = Phase.PROOF
    family: ClassVar[str] = "proof"

    app: str
    configuration: str
    named: tuple[tuple[str, str], ...]
    question: Question

    @property
    def id(self) -> str:
        return f"proof:{self.app}"

    def expected(self) -> State | None:
        return {"configuration": self.configuration}

    def touches(self, change: Change[Self]) -> frozenset[str] | None:
        """Nothing but its own record."""
        return frozenset({self.family})

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (sh("proof @{file}", file=f"{PROVEN}/{one.app}") for one in resources)
        return join([Script(_LOOK), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").splitlines()
        if len(answers) != len(resources):
            raise LookError("the host did not tell with which files its sites are proven; look again")
        return {
            one.id: {"configuration": answer} if answer else None
            for one, answer in zip(resources, answers, strict=True)
        }

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            yield Command(
                f"prove {one.app} through Nginx",
                sh(
                    _PROVE,
                    app=one.app,
                    ask=Script(ASK),
                    name=one.question.name,
                    path=one.question.path,
                    status=one.question.status,
                    port=one.question.port,
                    scheme=one.question.scheme,
                    doors=one.question.doors,
                    named=[word for pair in one.named for word in pair],
                    seconds=PROOF_SECONDS,
                    configuration=one.configuration,
                    proven=PROVEN,
                ),
                timeout=60,
                proves=True,
            )


_LOOK = program("proof-look")

_PROVE = program("proof")
