"""What a site runs besides its web process, as an inventory or a Procfile names it: processes and timers. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from deploy.errors import InputError
from deploy.schema.marked import describe
from deploy.schema.model import After, Before, Faulty, Frozen, Key, Model, build
from deploy.site.schedule import EXPECTS, schedule
from deploy.site.values import EnvName, EnvValue, Line, Seconds, Whole

SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH")

_NAME = re.compile(r"(?!.*-\Z)[a-z][a-z0-9-]{0,30}")


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            "expected a name of 1 to 31 lower-case letters, digits and '-' that starts with a letter and does not end "
            f"with '-', found {describe(value)}"
        )
    return value


def _one_command(text: str) -> str:
    """One command, the unit's main process: of several in one line, systemd would stop the shell alone."""
    try:
        words = list(shlex.shlex(text, posix=True, punctuation_chars="();|&"))
    except ValueError as error:
        raise ValueError(f"expected a command, found {describe(text)}: {error}") from None
    if "\n" in text or any(word and set(word) <= set("();|&") for word in words):
        raise ValueError(
            f"expected one command, without ; & | ( or a line break, found {describe(text)}; put several into a script"
        )
    return text


def _signal(value: Any) -> Any:
    text = value.upper().removeprefix("SIG") if isinstance(value, str) else value
    if text not in SIGNALS:
        raise ValueError(f"expected one of the signals {', '.join(SIGNALS)}, found {describe(value)}")
    return text


class Stop(Model, frozen=True, kw_only=True):
    """How a process is stopped so that it finishes what it has begun."""

    signal: Annotated[
        Annotated[str, Before(_signal)],
        Key("the signal to its main process on which it ends warmly", "a signal like TERM, INT or QUIT"),
    ] = "TERM"
    timeout: Annotated[
        Seconds,
        Key(
            "seconds that its longest job may take; what still runs then is killed",
            "a whole number from 1 to 86400",
        ),
    ] = 90


Where = Literal["all", "first"]
Environment = Annotated[Mapping[EnvName, EnvValue], After(Frozen)]


class Process(Model, frozen=True, kw_only=True):
    """A process that runs beside the site's web process: a worker, a scheduler."""

    command: Annotated[
        Annotated[Line, After(_one_command)],
        Key("what runs, in the release's folder, with its venv and environment", "one command"),
    ]
    count: Annotated[
        Whole, Key("how many of it run on a host", "a whole number from 1 to 64"), Meta(ge=1, le=64)
    ] = 1
    stop: Annotated[Stop, Key("how it ends", "a mapping with signal and timeout")] = Stop()
    hosts: Annotated[
        Where,
        Key("first: only the first host of the group, and never two at any moment", "all or first"),
    ] = "all"
    env: Annotated[
        Environment, Key("environment of its own, before the site's", "a mapping of names to text")
    ] = Frozen()
    settle: Annotated[
        Seconds,
        Key(
            "seconds that it must stay up before a release counts as healthy",
            "a whole number from 1 to 86400",
        ),
    ] = 3

    def check(self, written: Any) -> None:
        """Keys that make sense only together."""
        if self.hosts == "first" and self.count > 1:
            raise ValueError(f"hosts: first means one at any moment, found count: {self.count} beside it")


class Timer(Model, frozen=True, kw_only=True):
    """A command that runs by the clock, in the release that serves at that moment."""

    schedule: Annotated[
        Annotated[str, Before(schedule)],
        Key("when, in the host's time zone", EXPECTS),
    ]
    command: Annotated[Line, Key("what runs, as by a shell", "a command")]
    hosts: Annotated[Where, Key("first: only on the first host of the group", "all or first")] = "all"
    env: Annotated[
        Environment, Key("environment of its own, before the site's", "a mapping of names to text")
    ] = Frozen()
    timeout: Annotated[
        Seconds,
        Key("seconds after which a run is ended and has failed", "a whole number from 1 to 86400"),
    ] = 86400


Name = Annotated[str, Before(_name)]
Processes = Annotated[Mapping[Name, Process], After(Frozen)]
Timers = Annotated[Mapping[Name, Timer], After(Frozen)]


PROCFILE = "Procfile"
"""The file in a source that names processes where the inventory does not."""

SERVED = frozenset({"web", "release"})
"""Lines of a Procfile that are not for us: the web process is the site's server, and ``release`` is ``migrate:``."""


def from_procfile(text: str, where: str) -> Mapping[str, Process]:
    """The processes of a Procfile, each once, but those of :data:`SERVED`.

    where: what the file is called in the sentence of an InputError for a line that cannot be used.
    """
    found: dict[str, Process] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, command = line.partition(":")
        name = name.strip()
        if name in SERVED and colon:
            continue
        try:
            if not colon:
                raise ValueError(f"expected 'name: command', found {describe(line.strip())}")
            found[_name(name)] = build(Process, {"command": command.strip()})
        except (ValueError, Faulty) as error:
            raise InputError(
                f"{where}, line {number}: {error}; processes: in the inventory names them instead"
            ) from None
    return Frozen(found)
