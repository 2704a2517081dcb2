"""A site's certificate from an authority that speaks ACME: ordered, renewed and shown to visitors. Never fails a run.

The order stands on the host: deploy/host/certificates.sh, which a timer runs as well. Whether one is due, and whether
one that failed may be tried again, is said by the host; a run shows what it says, and orders once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from deploy.errors import CertificateError, InputError, LookError
from deploy.resource import Change, Concern, Phase, Resource, State, Step, Value
from deploy.shell import Command, Script, join, program, sh

PROGRAM = "/usr/local/lib/barehost/certificates"
"""The script on the host."""

SECONDS = 900
"""How long an order may take: four tries of an authority that refuses a nonce, 180 s each, and waiting for another."""

_LOOK = Script(program("certificate-look"))


@dataclass(frozen=True)
class Certificate(Resource):
    """The certificate of ``app`` is for these names, from this directory, has a third of its life left and is served.

    names: the first is what a handshake asks for. line: what the host's list says of it, see certificates.sh, by its
    digest: while an order for the same has failed and is not to be repeated yet, nothing differs and a concern says so.
    """

    phase: ClassVar[Phase] = Phase.PROOF
    family: ClassVar[str] = "certificate"

    app: str
    names: tuple[str, ...]
    directory: str
    key_type: str
    port: int
    digest: str

    def __post_init__(self) -> None:
        for word in (self.app, *self.names):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", word):
                raise InputError(f"no certificate is for {word!r}")

    @property
    def id(self) -> str:
        return f"certificate:{self.app}"

    def expected(self) -> State | None:
        return {
            "names": " ".join(sorted(self.names)),
            "directory": self.directory,
            "key type": self.key_type,
            "due": False,
            "served": True,
        }

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh(
                "certificate @{app} @{port} @{name} @{digest}",
                app=one.app,
                port=one.port,
                name=one.names[0],
                digest=one.digest,
            )
            for one in resources
        )
        return join([_LOOK, *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        blocks = {}
        for block in f"\n{output.decode(errors='replace')}".split("\nsite=")[1:]:
            name, *lines = block.splitlines()
            blocks[name] = dict(line.split("=", 1) for line in lines if "=" in line)
        if missing := [one.app for one in resources if one.app not in blocks]:
            raise LookError(f"the host did not tell about the certificate of {missing[0]}; look again")
        return {one.id: one._state(blocks[one.app]) for one in resources}

    def _state(self, told: dict[str, str]) -> State | None:
        about: dict[str, Value] = {
            key: told[key] for key in ("names", "directory", "key type", "issuer") if key in told
        }
        state: dict[str, Value] = {
            **about,
            "due": told["due"] == "yes" or told.get("issued") == "no",
            "served": told["served"] == "yes",
            "days left": int(told["days left"]) if "issuer" in told else None,
            "problem": told.get("problem"),
            "until": told.get("until"),
        }
        if "waiting" in told:  # nothing is to be done now, whatever differs
            return {**state, **(self.expected() or {})}
        return None if not about and not state["problem"] else state

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            app = change.resource.app
            verb, label = "order", f"a certificate for {app}"
            if change.keys == ("served",):
                verb, label = "deploy", f"show visitors the certificate of {app}"
            yield Command(
                label,
                sh("sh @{program} @{verb} @{app}", program=PROGRAM, verb=verb, app=app),
                timeout=SECONDS,
            )

    def concerns(self, state: State | None) -> Iterable[Concern]:
        if state and state.get("problem"):
            days = state.get("days left")
            stands = (
                f"the one it has is good for {days} days"
                if isinstance(days, int) and days >= 0
                else "it is served without one, over HTTP"
            )
            yield Concern(
                f"{self.app} has no new certificate: {state['problem']}. Until then {stands}; the host tries again by"
                f" itself after {state['until']}, and a change of names, directory or key_type is tried at once. Its"
                f" log: /var/lib/barehost/tls/{self.app}/log",
                CertificateError.exit_code,
            )
