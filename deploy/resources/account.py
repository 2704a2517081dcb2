"""Users and groups of a host, from its own files: adds what is declared, never takes a membership away.

Membership is additive because packages and administrators add their own; what we did not declare we leave.
Never sets a password and never touches a home folder: a Directory says who owns it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.shell import Command, Script, join, program, sh

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_NO_FIELD = re.compile(r"[:\n\0]")


@dataclass(frozen=True)
class Group(Resource):
    """A group by name; ``system`` only matters when it is made (a number below 1000)."""

    name: str
    state: Literal["present", "absent"] = "present"
    system: bool = True

    phase: ClassVar[Phase] = Phase.ACCOUNTS
    family: ClassVar[str] = "group"

    def __post_init__(self) -> None:
        _check_name("group", self.name)

    @property
    def id(self) -> str:
        return f"group:{self.name}"

    def expected(self) -> State | None:
        return {"present": True} if self.state == "present" else None

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """One getent; its exit code 2 only says that some are unknown, which is an answer."""
        names = sorted({one.name for one in resources})
        return sh(_GETENT + "look group @{names}", names=names)

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        """``gid`` is reported beside what is compared."""
        found = {row[0]: row for row in _rows(output)["group"]}
        states: dict[str, State | None] = {}
        for one in resources:
            row = found.get(one.name)
            states[one.id] = None if row is None else {"present": True, "gid": int(row[2])}
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            if change.expected is None:
                yield Command(f"remove group {one.name}", sh(_DELETE_GROUP, name=one.name), timeout=60)
            else:
                system = sh("--system" if one.system else "")
                yield Command(
                    f"add group {one.name}", sh(_ADD_GROUP, name=one.name, system=system), timeout=60
                )


@dataclass(frozen=True)
class User(Resource):
    """A user by name.

    group: its first group; one of its own name, which None means too, is made with it.
    home: where it says it lives, nothing is made there; groups: further ones it must be in, all others stay.
    """

    name: str
    state: Literal["present", "absent"] = "present"
    group: str | None = None
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    system: bool = True
    groups: tuple[str, ...] = ()

    phase: ClassVar[Phase] = Phase.ACCOUNTS
    family: ClassVar[str] = "user"

    def __post_init__(self) -> None:
        _check_name("user", self.name)
        for group in (self.first_group, *self.groups):
            _check_name("group", group)
        for what, path in (("home", self.home), ("shell", self.shell)):
            if not path.startswith("/") or _NO_FIELD.search(path):
                raise InputError(
                    f"the {what} of user {self.name} must be an absolute path without a colon: {path!r}"
                )

    @property
    def id(self) -> str:
        return f"user:{self.name}"

    @property
    def first_group(self) -> str:
        """The name of the group that its files get."""
        return self.group or self.name

    def expected(self) -> State | None:
        if self.state == "absent":
            return None
        return {
            "group": self.first_group,
            "home": self.home,
            "shell": self.shell,
            "groups": " ".join(sorted(set(self.groups))),
        }

    def without(self, lost: Collection[str]) -> Self:
        """A group that could not be brought about is none that the user can be in."""
        return replace(self, groups=tuple(one for one in self.groups if f"group:{one}" not in lost))

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """One getent for the users, one for all groups that any of them names."""
        return sh(
            _GETENT + "look passwd @{users}\nlook group @{groups}",
            users=sorted({one.name for one in resources}),
            groups=sorted({group for one in resources for group in (one.first_group, *one.groups)}),
        )

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        """``groups``: the declared ones it is in; a first group other than declared reads as its number."""
        rows = _rows(output)
        users = {row[0]: row for row in rows["passwd"]}
        names = {row[2]: row[0] for row in rows["group"]}
        members = {row[0]: set(row[3].split(",")) for row in rows["group"]}
        states: dict[str, State | None] = {}
        for one in resources:
            row = users.get(one.name)
            if row is None:
                states[one.id] = None
                continue
            group = names.get(row[3], row[3])
            within = {name for name in one.groups if one.name in members.get(name, ()) or name == group}
            states[one.id] = {
                "uid": int(row[2]),
                "group": group,
                "home": row[5],
                "shell": row[6],
                "groups": " ".join(sorted(within)),
            }
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            if change.expected is None:
                yield Command(f"remove user {one.name}", sh(_DELETE_USER, name=one.name), timeout=60)
                continue
            _refuse_person(change)
            yield Command(
                f"{'add' if change.actual is None else 'change'} user {one.name}",
                join([_ensure(one), *_extra(one)]),
                timeout=60,
            )


def _refuse_person(change: Change[User]) -> None:
    """A system account never takes over what a person logs in with: uids from 1000 on are people's on Debian."""
    one, actual = change.resource, change.actual or {}
    if (
        one.system
        and int(actual.get("uid") or 0) in range(1000, 60000)
        and {"home", "shell"} & set(change.keys)
    ):
        raise InputError(
            f"the account {one.name} (uid {actual['uid']}, home {actual['home']}) is a person's on this host; "
            "choose another name"
        )


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"not a {kind} name: {name!r} (a letter or _ first, then letters, digits, . _ -, 32 at most)"
        )


def _rows(output: bytes) -> dict[str, list[list[str]]]:
    """Lines of getent by database; raises LookError unless every database was asked to its end."""
    rows: dict[str, list[list[str]]] = {"passwd": [], "group": []}
    current, ended = "", True
    for line in output.decode(errors="replace").splitlines():
        word, _, rest = line.partition(" ")
        if word == "look":
            current, ended = rest, False
        elif word == "end":
            ended = True
        else:
            rows[current].append(line.split(":"))
    if not current or not ended:
        raise LookError("getent ended before it had printed all accounts; try again")
    return rows


def _ensure(user: User) -> Script:
    own = sh(_ADD_GROUP, name=user.name, system=sh("--system" if user.system else ""))
    make = sh(
        _ENSURE_USER,
        name=user.name,
        group=user.first_group,
        home=user.home,
        shell=user.shell,
        system=sh("--system" if user.system else ""),
    )
    return join([own, make] if user.first_group == user.name else [make])


def _extra(user: User) -> list[Script]:
    if not user.groups:
        return []
    return [
        sh(
            "usermod --append --groups @{groups} -- @{name}",
            groups=",".join(sorted(set(user.groups))),
            name=user.name,
        )
    ]


_GETENT = program("account-look")
_ADD_GROUP = "getent group @{name} >/dev/null || groupadd @{system} -- @{name} || exit"
_DELETE_GROUP = "! getent group @{name} >/dev/null || groupdel -- @{name}"
_DELETE_USER = "! getent passwd @{name} >/dev/null || userdel -- @{name}"
_ENSURE_USER = program("user")
