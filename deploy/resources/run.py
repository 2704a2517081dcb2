"""A command that runs until what it was for is there. Never runs without a way to see that it did.

What it did is seen by ``creates`` (a path is there) or ``unless`` (a command succeeds). ``unless`` runs in every
look, so it must change nothing and be quick: that is its author's promise, nobody can check it.

The user is changed by setpriv, not by runuser or su: those open a PAM session, which logs two lines and costs
10 ms a call, and setpriv can do it on every Debian since 11.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.shell import Command, Script, Secret, join, program, quote, sh

LOOK_SECONDS = 20
"""How long an ``unless`` may take; a look is asked for in every run, so longer is an error."""


@dataclass(frozen=True)
class Run(Resource):
    """A shell command of a role's author, by a name that a person reads while it runs.

    command, unless: text for ``sh -e``, trusted as the role is; data goes into it by :func:`deploy.shell.sh`.
    creates: an absolute path that is there afterwards. Exactly one of ``creates`` and ``unless`` is given.
    user: who runs both; None: root. cwd: where; environment: pairs, visible to root on the host, so no secrets.
    timeout: seconds. stdin: what the command, but not ``unless``, reads on its standard input; it is in no argument, no
    environment and no file that anybody but root can read. None: it reads nothing.
    """

    name: str
    command: str
    creates: str | None = None
    unless: str | None = None
    user: str | None = None
    cwd: str = "/"
    environment: tuple[tuple[str, str], ...] = ()
    timeout: int = 600
    stdin: Secret | None = field(default=None, repr=False)

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "run"

    def __post_init__(self) -> None:
        if (self.creates is None) == (self.unless is None):
            raise InputError(
                f"Run {self.name!r} needs either creates= or unless=: how else is it seen to be done?"
            )
        for what, path in (("cwd", self.cwd), ("creates", self.creates or "/")):
            if not path.startswith("/") or "\0" in path:
                raise InputError(f"{what} of Run {self.name!r} must be an absolute path: {path!r}")
        for name, value in self.environment:
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or "\0" in value:
                raise InputError(f"not an environment variable of Run {self.name!r}: {name!r}")
        if self.user is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", self.user):
            raise InputError(f"not a user for Run {self.name!r}: {self.user!r}")
        if "\0" in self.command + (self.unless or ""):
            raise InputError(f"a NUL byte cannot be part of the command of Run {self.name!r}")

    @property
    def id(self) -> str:
        return f"run:{self.name}"

    def expected(self) -> State | None:
        return {"done": True}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """Answers with a word each; an ``unless`` that fails, for whatever reason, means "not done yet"."""
        return join([_LOOK, *(_look(one) for one in resources)])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        """Raises LookError for an ``unless`` that took too long: that is neither yes nor no."""
        answers = output.decode(errors="replace").split()
        if len(answers) != len(resources):
            raise LookError("the look at what was run ended early; try again")
        states: dict[str, State | None] = {}
        for one, answer in zip(resources, answers, strict=True):
            if answer == "slow":
                raise LookError(
                    f"unless= of Run {one.name!r} took more than {LOOK_SECONDS} s: make it a quick question"
                )
            states[one.id] = {"done": True} if answer == "done" else None
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            inside = _inside(one, one.command)
            if one.stdin is not None:
                upload = f"run-{hashlib.sha256(one.name.encode()).hexdigest()[:16]}"
                given = one.stdin.reveal().encode(errors="surrogateescape")
                yield Upload(upload, partial(iter, (given,)), 1, len(given))
                inside = sh('@{inside} < "$UPLOAD"/@{upload}', inside=inside, upload=upload)
            yield Command(one.name, sh("@{inside} || exit", inside=inside), one.timeout)


def _look(run: Run) -> Script:
    if run.creates is not None:
        return sh("answer test -e @{path} -o -L @{path}", path=run.creates)
    limited = sh(
        "timeout @{seconds} sh -c @{script}",
        seconds=LOOK_SECONDS,
        script=quote(_inside(run, run.unless or "")),
    )
    return sh("answer @{limited}", limited=limited)


def _inside(run: Run, text: str) -> Script:
    """``text`` run by sh -e as the user, there, with the environment; one compound command."""
    words = [f"{name}={value}" for name, value in run.environment]
    if run.user is None:
        return sh(
            "{ cd @{cwd} && env -- @{words} sh -e -c @{text}; }", cwd=run.cwd, words=words, text=quote(text)
        )
    return sh(
        '{ cd @{cwd} && setpriv --reuid @{user} --regid "$(id -g -- @{user})" --init-groups --reset-env -- '
        "env -- @{words} sh -e -c @{text}; }",
        cwd=run.cwd,
        user=run.user,
        words=words,
        text=quote(text),
    )


_LOOK = Script(program("run-look"))
