"""What a PostgreSQL's answer means, and what is sent to it. That a server understands it: tests/integration."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.errors import InputError, LookError
from deploy.resource import Change, State, Upload
from deploy.resources.postgres import STOPPED, PostgresDatabase, PostgresRole
from deploy.resources.scram import verifier
from deploy.shell import Command, Secret

ROLE = PostgresRole("shop")
SECRET = PostgresRole("shop", password=Secret("open sesame"))
DATABASE = PostgresDatabase("shop", owner="shop", extensions=("citext",))

ROLE_ROW: dict[str, Any] = {
    "role": "shop",
    "login": True,
    "superuser": False,
    "createdb": False,
    "createrole": False,
    "replication": False,
    "bypassrls": False,
    "verifier": None,
    "limit": -1,
    "until": None,
}
DATABASE_ROW: dict[str, Any] = {
    "database": "shop",
    "owner": "shop",
    "encoding": "UTF8",
    "collate": "C.UTF-8",
    "ctype": "C.utf8",
    "connections": True,
    "open": False,
}
EXTENSION_ROW = {"extension": "citext", "of": "shop"}


def told(one: PostgresRole | PostgresDatabase, *rows: dict[str, Any]) -> State | None:
    output = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return type(one).parse([one], output)[one.id]


def differs(one: PostgresRole | PostgresDatabase, *rows: dict[str, Any]) -> tuple[str, ...]:
    return Change(one, told(one, *rows), one.expected()).keys


def test_what_is_as_it_should_be_does_not_differ() -> None:
    assert differs(ROLE, ROLE_ROW) == ()
    assert differs(SECRET, ROLE_ROW | {"verifier": verifier("open sesame")}) == ()
    assert differs(DATABASE, DATABASE_ROW, EXTENSION_ROW) == ()


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"superuser": True}, "privileges"),
        ({"createrole": True}, "privileges"),
        ({"login": False}, "may log in"),
        ({"limit": 3}, "limits"),
        ({"until": "2020-01-01"}, "limits"),
        ({"verifier": verifier("by hand")}, "password"),
    ],
)
def test_a_role_that_somebody_changed_differs(row: dict[str, Any], key: str) -> None:
    assert differs(ROLE, ROLE_ROW | row) == (key,)


@pytest.mark.parametrize("kept", [None, verifier("another"), "md5" + "0" * 32])
def test_another_password_differs_and_no_state_holds_a_verifier(kept: str | None) -> None:
    assert differs(SECRET, ROLE_ROW | {"verifier": kept}) == ("password",)
    assert "$" not in str(told(SECRET, ROLE_ROW | {"verifier": kept}))


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"owner": "postgres"}, "owner"),
        ({"open": True}, "open to all roles"),
        ({"connections": False}, "takes connections"),
        ({"collate": "de_DE.UTF-8"}, "locale"),
    ],
)
def test_a_database_that_somebody_changed_differs(row: dict[str, Any], key: str) -> None:
    assert differs(DATABASE, DATABASE_ROW | row, EXTENSION_ROW) == (key,)
    assert differs(DATABASE, DATABASE_ROW) == ("extension citext",)


def test_a_stopped_server_is_neither_an_error_nor_an_absent_role() -> None:
    state = told(ROLE, {"server": "stopped"})
    assert state == {"server": STOPPED}
    assert ROLE.hinders(Change(ROLE, state, ROLE.expected())) == "PostgreSQL does not run"
    assert told(ROLE, {"server": "absent"}) is None
    assert told(ROLE) is None


def test_an_answer_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(LookError):
        PostgresRole.parse([ROLE], b"psql: error")


def test_a_password_travels_as_a_verifier_beside_the_script() -> None:
    upload, command = PostgresRole.steps([Change(SECRET, None, SECRET.expected())])
    assert isinstance(upload, Upload)
    assert isinstance(command, Command)
    sent = b"".join(upload.pack())
    assert b"SCRAM-SHA-256$4096" in sent
    assert b"sesame" not in sent + command.script.encode()
    assert upload.name in command.script


def test_an_encoding_that_cannot_be_changed_fails_by_itself() -> None:
    actual = told(DATABASE, DATABASE_ROW | {"encoding": "SQL_ASCII"}, EXTENSION_ROW)
    (step,) = PostgresDatabase.steps([Change(DATABASE, actual, DATABASE.expected())])
    assert isinstance(step, Command)
    assert step.script.startswith("echo ")
    assert "SQL_ASCII" in step.script


@pytest.mark.parametrize("name", ["", "x" * 64, "ü" * 32, "a\nb", "a\x1fb"])
def test_a_name_that_postgresql_would_cut_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        PostgresRole(name)
    with pytest.raises(InputError):
        PostgresDatabase("shop", owner=name)
