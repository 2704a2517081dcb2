"""The only place where a string becomes shell: quoting, commands, secrets. Pure; runs nothing."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

from msgspec import Struct

from deploy.errors import InputError

_key: list[str] = []

_PLACE = re.compile(r"@\{(\w+)\}")

_travels: ContextVar[bool] = ContextVar("travels", default=False)


@contextmanager
def secrets_travel() -> Iterator[None]:
    """Within it, and in this thread alone, a :class:`Secret` can be pickled.

    It stands around bytes that leave over a channel that nobody else reads: an encrypted one, or a pipe.
    """
    before = _travels.set(True)
    try:
        yield
    finally:
        _travels.reset(before)


class Secret:
    """A value that is compared but never shown: prints as ``***`` everywhere.

    Equality and hash go through a keyed digest, so that neither a traceback nor a dictionary of states
    carries the value. :meth:`reveal` is the one way to it, called where it is written to a host. To pickle it
    is a TypeError unless it is meant, see :func:`secrets_travel`; a copy of it is itself.

    Most commands need no secret at all: one made by :meth:`later` is read when it is first revealed.
    """

    __slots__ = ("_about", "_read", "_value")

    def __init__(self, value: str) -> None:
        self._value: str | None = value
        self._read: Callable[[bool], str] | None = None
        self._about = ""

    @classmethod
    def later(cls, read: Callable[[bool], str], about: str) -> Self:
        """A secret that is read when it is needed.

        read: gives the value; its argument says whether a person may be asked for it. Raises InputError when it
        cannot be had. about: tells it from others as long as it is not read.
        """
        secret = cls("")
        secret._value, secret._read, secret._about = None, read, about
        return secret

    def reveal(self) -> str:
        """The value itself; call it only where the bytes leave for the host.

        Raises InputError when it cannot be had: a variable that is not set, a file that is not there.
        """
        return self._get(ask=True)

    def known(self) -> str | None:
        """The value where it can be had without asking anybody, for those that hide it; None where not."""
        try:
            return self._get(ask=False)
        except InputError:
            return None

    def _get(self, *, ask: bool) -> str:
        if self._value is None:
            assert self._read is not None
            self._value = self._read(ask)
            for heard in _hearing:
                heard(self)
        return self._value

    def digest(self) -> str:
        """Keyed digest, stable within this process only."""
        value = self.known()
        return keyed((f"unread {self._about}" if value is None else value).encode(errors="surrogateescape"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.digest(), other.digest())

    def __hash__(self) -> int:
        return hash(self.digest())

    def __reduce__(self) -> tuple[Callable[[str], Secret], tuple[str]]:
        if not _travels.get():
            raise TypeError("a Secret is pickled only where that is meant: within shell.secrets_travel()")
        try:
            return Secret, (self.reveal(),)
        except InputError as error:
            return unavailable, (str(error),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)


def unavailable(sentence: str) -> Secret:
    """A secret that cannot be had: whoever needs it gets the sentence as an InputError."""

    def read(ask: bool) -> str:
        raise InputError(sentence)

    return Secret.later(read, sentence)


_hearing: list[Callable[[Secret], None]] = []


def hear(act: Callable[[Secret], None]) -> None:
    """From now on ``act`` is called with each secret that is read later than it was made, before anybody has it."""
    _hearing.append(act)


KEYED = "keyed:"
"""How a state's value begins that stands for secret bytes; it tells nothing, and is shown as ``***``."""


def key() -> str:
    """Keys the digests of secrets; a random one of this process."""
    if not _key:
        _key.append(os.urandom(16).hex())
    return _key[0]


def keyed(data: bytes) -> str:
    """The digest by which secret bytes are compared; a host makes the same of ``{ printf %s KEY; cat file; }``."""
    return KEYED + hashlib.sha256(key().encode() + data).hexdigest()


class Script(str):
    """Shell text whose data is already quoted. Made by :func:`sh` and :func:`join`, never by an f-string."""

    __slots__ = ()


def quote(value: str | os.PathLike[str]) -> Script:
    """One shell word that means exactly ``value``, whatever it holds; a NUL byte is a ValueError."""
    text = os.fspath(value)
    if "\0" in text:
        raise ValueError(f"a NUL byte cannot be part of a command or a path: {text!r}")
    return Script(shlex.quote(text))


def sh(template: str, /, **values: Script | str | int | os.PathLike[str] | Iterable[str]) -> Script:
    """``template`` with every ``@{name}`` replaced by its quoted value.

    A :class:`Script` goes in as it is, a list becomes its words side by side (an empty list: nothing).
    A name the template does not use, or one it misses, is a KeyError: both are typing mistakes.
    """
    used = set(_PLACE.findall(template))
    if used != values.keys():
        raise KeyError(f"template and values differ in {sorted(used ^ values.keys())}")

    def word(match: re.Match[str]) -> str:
        value = values[match[1]]
        if isinstance(value, Script):
            return value
        if isinstance(value, int):
            return str(value)
        if isinstance(value, str | os.PathLike):
            return quote(value)
        return " ".join(quote(one) for one in value)

    return Script(_PLACE.sub(word, template))


HOST = Path(__file__).parent / "host"
"""What runs on hosts: sh and Python, a file each."""


def program(name: str) -> str:
    """The text of ``deploy/host/<name>.sh``, whose ``@{…}`` are filled in by :func:`sh`."""
    return (HOST / f"{name}.sh").read_text(encoding="utf-8")


def embedded(name: str) -> Script:
    """The text of ``deploy/host/<name>.py``, which stands in a step as it is: the system's Python reads it there."""
    return Script((HOST / f"{name}.py").read_text(encoding="utf-8"))


def join(parts: Iterable[Script], separator: str = "\n") -> Script:
    """Scripts one after another; anything that is not a Script is a TypeError."""
    parts = list(parts)
    for part in parts:
        if not isinstance(part, Script):
            raise TypeError(f"not a Script, quote it first: {part!r}")
    return Script(separator.join(parts))


def words(argv: Iterable[str | os.PathLike[str]]) -> Script:
    """An argument vector as one command line."""
    return Script(" ".join(quote(one) for one in argv))


class Command(Struct, frozen=True):
    """One step that runs something on a host, as root, in ``/``, with /dev/null on stdin.

    label: what a person reads while it runs ("install nginx").
    script: what runs; no secret ever stands in it (argv is visible to everybody on a host).
    timeout: seconds until the host ends it (SIGTERM, ten seconds later SIGKILL).
    proves: it shows that all its scope brings works; what fails in the scope after it takes nothing back.
    """

    label: str
    script: Script
    timeout: int = 600
    proves: bool = False


def assignments(values: Mapping[str, Any]) -> Script:
    """``NAME='value'`` lines for a script's own variables; names must be plain identifiers."""
    for name in values:
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"not a shell variable name: {name!r}")
    return join([Script(f"{name}={quote(str(value))}") for name, value in values.items()])
