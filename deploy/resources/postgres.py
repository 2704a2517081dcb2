"""PostgreSQL's roles and databases on the host's own server, asked as its administrator over the unix socket.

Nothing is interpolated into SQL: names travel as psql's variables and are quoted by the server's format(). Nothing is
ever dropped. A server that does not run says nothing of what it holds: that is known after its unit, and the steps
bring about what is missing either way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Phase, Resource, State, Step, Upload, Value
from deploy.resources import scram
from deploy.shell import Command, Script, Secret, join, program, sh

SEPARATOR = "\x1f"
"""Between the names of a list that psql gets as one variable; no name may hold it."""

STOPPED = "known after its server runs"
LONGEST = 63
"""Bytes of a name that PostgreSQL keeps; it would cut a longer one, and find another."""


_ASK = Script(program("postgres"))


@dataclass(frozen=True)
class Object(Resource):
    """What roles and databases share: one probe for all of a host, and what a stopped server means.

    name: as PostgreSQL keeps it, whatever it holds but control characters.
    """

    phase: ClassVar[Phase] = Phase.SERVICES
    family: ClassVar[str] = "postgres"
    kind: ClassVar[str]

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, f"a PostgreSQL {self.kind}")

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"

    def hinders(self, change: Change[Self]) -> str | None:
        if change.actual is None:
            return f"PostgreSQL has no {self.kind} {self.name}"
        return "PostgreSQL does not run" if change.actual.get("server") == STOPPED else None

    @classmethod
    def probe(cls, resources: Sequence[Object]) -> Script:
        databases = [one for one in resources if isinstance(one, PostgresDatabase)]
        asked = sh(
            program("postgres-look"),
            roles=SEPARATOR.join(one.name for one in resources if isinstance(one, PostgresRole)),
            databases=SEPARATOR.join(one.name for one in databases),
            extended=[one.name for one in databases if one.extensions],
        )
        return join([_ASK, asked])

    @classmethod
    def parse(cls, resources: Sequence[Object], output: bytes) -> dict[str, State | None]:
        try:
            rows = [json.loads(line) for line in output.decode(errors="surrogateescape").splitlines()]
        except ValueError as error:
            raise LookError(f"PostgreSQL's answer cannot be read: {error}") from error
        server = next((row["server"] for row in rows if "server" in row), "running")
        if server != "running":
            return {one.id: None if server == "absent" else {"server": STOPPED} for one in resources}
        return {one.id: one.state(rows) for one in resources}

    def state(self, rows: Sequence[Mapping[str, Any]]) -> State | None:
        """What the server holds of this one, from the rows of its answer; None: nothing."""
        raise AssertionError("said by the kinds themselves")

    def row(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """The row about this one."""
        return next((row for row in rows if row.get(self.kind) == self.name), None)


@dataclass(frozen=True)
class PostgresRole(Object):
    """A role that may log in and nothing else: no administrator of databases, roles or replication.

    password: None: it has none, and whoever comes in as it is the account of its name (peer authentication).
    """

    kind: ClassVar[str] = "role"

    password: Secret | None = field(default=None, repr=False)

    def expected(self) -> State | None:
        return {
            "server": "running",
            "may log in": True,
            "privileges": "",
            "limits": "",
            "password": "none" if self.password is None else "as given",
        }

    def state(self, rows: Sequence[Mapping[str, Any]]) -> State | None:
        if (row := self.row(rows)) is None:
            return None
        special = ("superuser", "createdb", "createrole", "replication", "bypassrls")
        limits = [f"{row['limit']} connections"] if row["limit"] != -1 else []
        limits += [f"until {row['until']}"] if row["until"] not in (None, "infinity") else []
        return {
            "server": "running",
            "may log in": row["login"],
            "privileges": ", ".join(name for name in special if row[name]),
            "limits": ", ".join(limits),
            "password": self._password(row["verifier"]),
        }

    def _password(self, kept: str | None) -> str:
        if kept is None:
            return "none"
        if self.password is None:
            return "one is set"
        known = self.password.known()
        return "as given" if known is not None and scram.matches(known, kept) else "another"

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for number, change in enumerate(changes):
            one = change.resource
            upload = ""
            if one.password is not None:
                upload = f"postgres-role-{number}-{one.scope}"
                kept = f"\\set verifier '{scram.verifier(one.password.reveal())}'\n".encode()
                yield Upload(upload, partial(iter, (kept,)), 1, len(kept))
            script = sh(program("postgres-role"), name=one.name, password=upload)
            yield Command(f"PostgreSQL role {one.name}", join([_ASK, script]), 120)


@dataclass(frozen=True)
class PostgresDatabase(Object):
    """A database that belongs to ``owner``, and that no other role may connect to but administrators.

    encoding, locale: of a new one, which is made from template0; one that has others is an error, since they cannot be
    changed. extensions: those that it has at least; who may be trusted with them is the administrator's decision.
    """

    kind: ClassVar[str] = "database"

    owner: str
    encoding: str = "UTF8"
    locale: str = "C.UTF-8"
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name(self.owner, "a PostgreSQL role")
        for extension in self.extensions:
            check_name(extension, "a PostgreSQL extension")
        for what in (self.encoding, self.locale):
            if not re.fullmatch(r"[A-Za-z0-9_.@-]+", what):
                raise InputError(f"not an encoding or a locale of PostgreSQL: {what!r}")

    def expected(self) -> State | None:
        return {
            "server": "running",
            "owner": self.owner,
            "encoding": self.encoding,
            "locale": self.locale,
            "open to all roles": False,
            "takes connections": True,
            **{f"extension {name}": True for name in self.extensions},
        }

    def state(self, rows: Sequence[Mapping[str, Any]]) -> State | None:
        if (row := self.row(rows)) is None:
            return None
        locales = list(dict.fromkeys((row["collate"], row["ctype"])))
        same = all(_plain(one) == _plain(self.locale) for one in locales)
        state: dict[str, Value] = {
            "server": "running",
            "owner": row["owner"],
            "encoding": row["encoding"],
            "locale": self.locale if same else ", ".join(locales),
            "open to all roles": row["open"],
            "takes connections": row["connections"],
        }
        has = {one["extension"] for one in rows if one.get("of") == self.name}
        return state | {f"extension {name}": name in has for name in self.extensions}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one, actual = change.resource, change.actual or {}
            label = f"PostgreSQL database {one.name}"
            fixed = [key for key in ("encoding", "locale") if key in actual and key in change.keys]
            if fixed:
                sentence = (
                    f"the database {one.name} has the {fixed[0]} {actual[fixed[0]]}, not "
                    f"{(one.expected() or {})[fixed[0]]}, and PostgreSQL cannot change that: say so in the inventory, "
                    f"or rename it with ALTER DATABASE and restore a backup into the new one"
                )
                yield Command(label, sh("echo @{sentence}; exit 1", sentence=sentence), 10)
                continue
            script = sh(
                program("postgres-database"),
                name=one.name,
                owner=one.owner,
                encoding=one.encoding,
                locale=one.locale,
                extensions=SEPARATOR.join(one.extensions),
            )
            yield Command(label, join([_ASK, script]), 300)


def check_name(name: str, what: str) -> None:
    """Raise InputError for what PostgreSQL would cut, or what cannot travel."""
    size = len(name.encode(errors="surrogateescape"))
    if not 0 < size <= LONGEST or re.search(r"[\x00-\x1f\x7f]", name):
        raise InputError(
            f"the name of {what} has 1 to {LONGEST} bytes and no control characters, unlike {name!r}"
        )


def _plain(locale: str) -> str:
    """A locale's name as libc compares it: C.UTF-8 and C.utf8 are the same."""
    return locale.lower().replace("-", "")
