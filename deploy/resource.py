"""The contract every kind of resource keeps: a frozen value that says what a host should hold. Never connects."""

from __future__ import annotations

import copy
import enum
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, Literal, Self, TypeVar

from msgspec import Struct

from deploy.errors import InputError, LookError
from deploy.shell import Command, Script, join, sh

Value = str | int | bool | None
State = Mapping[str, Value]
"""What a host holds of one resource: a flat dictionary of plain values. ``None`` instead of it: absent."""


class Unknown(Struct, frozen=True):
    """Instead of a state: it cannot be asked for before ``after``, the id of a unit, runs."""

    after: str


class Phase(enum.IntEnum):
    """The order in which changes take effect; within a phase it is the order of reading.

    Everything slow and additive comes before anything that takes effect, so that the files transaction,
    which ends when the units of FILES and UNITS are proven, is open for as short a time as possible.
    """

    SOURCES = 10  # where packages come from
    PACKAGES = 20  # one apt transaction
    ACCOUNTS = 30  # groups, users
    FOLDERS = 40  # directories that others need
    SERVICES = 45  # what builds and migrations depend on: databases, caches; a files transaction of its own
    BUILD = 50  # trees, venvs, a release's build, Run: new paths that nothing uses yet
    MIGRATE = 55  # once a release for the whole fleet, before anything takes effect
    FILES = 60  # configuration, one transaction
    UNITS = 70  # start, reload, restart, each proven
    SWITCH = 80  # activations: the site moves to a new release
    PROOF = 85  # what serves on answers through configuration that has changed
    LEAVE = 90  # what is no longer wanted goes, last


@dataclass(frozen=True)
class Blob:
    """Bytes that travel to a host once, named by their SHA-256.

    data: held in memory; or source: a file read in blocks when it is sent. Exactly one of them is set.
    """

    sha256: str
    size: int
    data: bytes | None = field(default=None, repr=False, compare=False)
    source: Path | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """A blob of bytes in memory."""
        return cls(hashlib.sha256(data).hexdigest(), len(data), data=data)


class Put(Struct, frozen=True):
    """Replace the file at ``path`` (absolute, normalised) with ``content``, as part of the files transaction."""

    path: str
    content: Blob
    owner: str
    group: str
    mode: int


class Symlink(Struct, frozen=True):
    """Make ``path`` a symbolic link to ``target``, as part of the files transaction."""

    path: str
    target: str


class Remove(Struct, frozen=True):
    """Remove the file or link at ``path``, as part of the files transaction."""

    path: str


class Check(Struct, frozen=True):
    """A command that must succeed on the whole candidate ``/etc`` before any staged file takes its place."""

    label: str
    script: Script


@dataclass(frozen=True)
class Upload:
    """Files that travel as one tar stream and lie in ``$UPLOAD/<name>`` while later steps run.

    pack: called while the stream is sent, yields the tar's bytes in blocks (never the whole in memory).
    files, size: what a person is shown; ``size`` in bytes, before any compression.
    unpack: ``tar`` or ``tgz``: it is unpacked as it comes, and ``$UPLOAD/<name>`` is a folder; the step that takes it
        from there checks what came. Empty: it is one file, checked on its way.
    """

    name: str
    pack: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)
    files: int
    size: int
    unpack: Literal["", "tar", "tgz"] = ""


class Concern(Struct, frozen=True):
    """What a person should know about the state of a host although nothing is to be done now.

    exit_code: what a run ends with that has nothing worse to tell; 0: it is well all the same.
    """

    text: str
    exit_code: int = 0


class Text(Struct, frozen=True):
    """The text behind one value of a state. path: the file that holds it on a host; a link is followed.

    key: the value of the state that differs where the text does. new: what it should be; None: not there.
    """

    path: str
    key: str
    new: bytes | None


Step = Command | Put | Symlink | Remove | Check | Upload


Kind = TypeVar("Kind", bound="Resource", covariant=True)


class Change(Struct, Generic[Kind], frozen=True):
    """One resource that is not as expected. ``actual`` None: absent on the host; ``expected`` None: to remove."""

    resource: Kind
    actual: State | None
    expected: State | None

    def __bool__(self) -> bool:
        return bool(self.keys) or (self.actual is None) != (self.expected is None)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the values that differ, sorted; all expected ones when the resource is absent."""
        expected, actual = self.expected or {}, self.actual or {}
        if self.expected is None:
            return tuple(sorted(actual))
        return tuple(sorted(key for key in expected if key not in actual or actual[key] != expected[key]))

    @property
    def action(self) -> str:
        """``create``, ``remove`` or ``change``; a probe that tells more of what is absent says so with ``absent``."""
        if self.actual is None or self.actual.get("absent"):
            return "create"
        return "remove" if self.expected is None else "change"


class When:
    """The phase that one resource takes effect in: its kind's, unless it was made with another; or that of the latest
    that it comes after.

    What comes after a file, and is none, is brought about right behind the files, while they can still go back.
    A descriptor, and so the default of a field: what nobody names is asked of the class each time.
    """

    def __get__(self, one: Resource | None, owner: type[Resource]) -> Phase:
        if one is None:
            return owner.phase
        named: Phase = one.__dict__.get("when", owner.phase)
        if owner.phase is Phase.FILES or not one.after:
            return named
        latest = max(named, *(other.when for other in one.after))
        return Phase.UNITS if latest is Phase.FILES else latest

    def __set__(self, one: Resource, value: Phase | When | None) -> None:
        if value is None or isinstance(value, When) or value in (one.phase, one.when):
            return
        if value is not Phase.SERVICES or not Phase.FOLDERS <= one.phase <= Phase.UNITS:
            raise InputError(
                f"a {type(one).__name__} takes effect in the phase {one.phase.name}; when= takes Phase.SERVICES for "
                "what builds and migrations need, and only of kinds from FOLDERS to UNITS"
            )
        one.__dict__["when"] = value


@dataclass(frozen=True)
class Resource(ABC):
    """What a host should hold. Subclasses are frozen, hashable dataclasses, and pure.

    Only the keys of ``expected()`` are compared: a probe may report more than a resource asks for.

    scope: the part of the host that fails together, such as one site of several. Where a step of a scope fails, the
    scope's further steps are left out and its files go back, and everything else goes on. Empty: the host itself,
    whose failure ends the run. A resource must not depend on one of another scope.
    guarded: a change of it could lock people out. It is made in an apply of its own, and the host puts the old state
    back by itself unless somebody logs in anew after it. For what has an old state: files, links, units, a firewall.
    after: what must be there before this one is brought about, where the phases alone do not say so.
    when: the phase it takes effect in: that of its kind, or ``Phase.SERVICES`` for what builds and migrations need;
    later where it comes after something later.
    """

    scope: str = field(default="", kw_only=True, compare=False, repr=False)
    after: tuple[Resource, ...] = field(default=(), kw_only=True, compare=False, repr=False)
    when: When = field(default=When(), kw_only=True, repr=False)
    guarded: bool = field(default=False, kw_only=True, compare=False, repr=False)

    phase: ClassVar[Phase]
    family: ClassVar[str]
    """Resources of one family are probed together, by one :meth:`probe` (File, Directory, Link: ``path``)."""

    @property
    @abstractmethod
    def id(self) -> str:
        """``kind:name``, unique on a host; paths share ``path:`` whatever lies there."""

    def follows(self) -> Iterable[str]:
        """Ids of what comes before this one, within a phase too."""
        return (one.id for one in self.after)

    @abstractmethod
    def expected(self) -> State | None:
        """What the host should hold; None when the resource should not be there."""

    @classmethod
    @abstractmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """POSIX sh that prints the state of all of them, in few processes, and changes nothing.

        It runs as root in ``/`` in a subshell of its own with ``LC_ALL=C``. A non-zero exit code means that
        looking failed. What it writes to stderr is shown with that failure.
        """

    @classmethod
    @abstractmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> Mapping[str, State | Unknown | None]:
        """What :meth:`probe` printed, as a state by id for every resource; None means absent.

        :class:`Unknown` where the service that would answer does not run: it is started, and the next look asks.
        Raises ``LookError`` when the output does not say: failing to look never reads as "absent".
        """

    @classmethod
    @abstractmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        """The steps that make all these changes of one class, in order; each idempotent on its own."""

    def in_scope(self, scope: str) -> Self:
        """The same resource as part of ``scope``."""
        made = copy.copy(self)
        object.__setattr__(made, "scope", scope)
        return made

    def following(self, after: tuple[Resource, ...]) -> Self:
        """The same resource, to be brought about after these."""
        made = copy.copy(self)
        object.__setattr__(made, "after", after)
        return made

    def without(self, lost: Collection[str]) -> Self:
        """What is still expected where the resources with these ids could not be brought about."""
        return self

    def after_undo(self, paths: Collection[str]) -> Script | None:
        """What the host does once the files at ``paths`` are what they were before this apply; None: nothing."""
        return None

    def only_here(self, change: Change[Self]) -> Collection[str]:
        """What must run on no other host when ``change`` is made, by its name there; empty: it does not matter."""
        return ()

    def content(self) -> Iterable[Text]:
        """What it says in text, for ``--diff``; nothing where there is none, or where it is secret."""
        return ()

    def beside(self, change: Change[Self]) -> Script | None:
        """Prints the bytes of memory of what goes on running beside what the change starts; None: nothing does.

        One number of what ends when the change is made, and a second of what may end later, where there is some.
        """
        return None

    def concerns(self, state: State | None) -> Iterable[Concern]:
        """What a person should know of this state, whether it is the expected one or not."""
        return ()

    def untouched(self, change: Change[Self]) -> str | None:
        """What is still true of a host where an apply failed before ``change`` was made; None: nothing of note."""
        return None

    def hinders(self, change: Change[Self]) -> str | None:
        """Why nothing that depends on this one can work as long as ``change`` is not made; None: it can."""
        return None

    def advises(self) -> str | None:
        """What a person is to do when a step of this one failed; None: mend the cause and run again."""
        return None

    @property
    def locks_out(self) -> bool:
        """Whether it is guarded: because its author says so, or by what it is."""
        return self.guarded

    def kept(self) -> tuple[Script, Script] | None:
        """Of what is guarded and no file: keeps its old state in ``$GUARD``, and puts that back."""
        return None

    def failed(self) -> Script | None:
        """What the host does when this was to be brought about and its scope, or the host, failed; None: nothing."""
        return None

    def checks(self) -> Iterable[Check]:
        """Checks to run on the candidate /etc when this resource, or one that it watches, changes."""
        return ()


@dataclass(frozen=True)
class Fact(Resource):
    """Something that a role wants to know of a host before it can say all; nothing is to be done about it.

    A role yields it each time, and finds the answer as ``facts.own[name]`` when it is asked again: in the same pass.
    ask: prints one line, or nothing where the host has no answer; then there is none.
    """

    phase: ClassVar[Phase] = Phase.SOURCES
    family: ClassVar[str] = "fact"

    name: str
    ask: Script

    @property
    def id(self) -> str:
        return f"fact:{self.name}"

    def expected(self) -> State | None:
        return {}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        return join(
            sh(
                "answer=$( @{ask}\n) || exit\nprintf '%s %s\\n' @{name} \"$answer\"",
                ask=one.ask,
                name=one.name,
            )
            for one in resources
        )

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        told = dict(
            line.split(" ", 1) for line in output.decode(errors="replace").splitlines() if " " in line
        )
        if missing := [one.name for one in resources if one.name not in told]:
            raise LookError(f"the host did not answer what a role asked of it ({missing[0]}); look again")
        return {one.id: {"value": told[one.name]} for one in resources}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        return iter(())


@dataclass(frozen=True)
class Unprobed(Resource):
    """What a role says that is no state of the host: it is shown, never looked at and never applied."""

    phase: ClassVar[Phase] = Phase.LEAVE

    def expected(self) -> State | None:
        return None

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        return Script(":")

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        return {one.id: None for one in resources}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        return iter(())


@dataclass(frozen=True)
class Deferred(Unprobed):
    """A resource that cannot be said yet: what it depends on is not known before ``until`` is there.

    It is shown in the plan as "known after …"; the next pass evaluates the roles again and yields the real
    resource in its place.
    """

    family: ClassVar[str] = "deferred"
    what: str = ""
    until: str = ""

    @property
    def id(self) -> str:
        return f"deferred:{self.what}"

    def expected(self) -> State | None:
        return {"known after": self.until}


@dataclass(frozen=True)
class Remark(Unprobed):
    """Something a person should know about the host that nothing is to be done about in this run."""

    family: ClassVar[str] = "remark"
    text: str = ""

    @property
    def id(self) -> str:
        return f"remark:{self.text}"
