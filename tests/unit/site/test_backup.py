"""The keys of a site's backups: short forms, places, and what is refused before any host is contacted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.schema.model import Faulty, build
from deploy.site.app import App
from deploy.site.backup import Backup, calendar

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"


def app(**keys: Any) -> App:
    given = {
        "name": "shop",
        "source": "s",
        "wsgi": "a:b",
        "server_names": ["x.example.com"],
        "project": Path(),
    }
    return build(App, given | keys)


def test_true_is_a_backup_as_it_is_by_default() -> None:
    assert app(backup=True).backup == Backup()
    assert app(backup=False).backup is None


@pytest.mark.parametrize(
    ("to", "kind"),
    [
        ("/mnt/disk", {"kind": "folder", "folder": "/mnt/disk"}),
        (
            "restic:s3:https://s3.example.com/shop",
            {"kind": "restic", "repository": "s3:https://s3.example.com/shop"},
        ),
        (
            {"ssh": "ssh://keep@db1:2222/backups", "host_key": KEY},
            {"kind": "ssh", "host": "db1", "port": 2222, "user": "keep", "folder": "/backups"},
        ),
    ],
)
def test_a_place_is_what_the_hosts_program_understands(to: Any, kind: dict[str, Any]) -> None:
    secrets = {} if kind["kind"] == "folder" else {"RESTIC_PASSWORD": "x", "SSH_KEY": "y"}
    backup = app(backup={"to": to}, backup_secrets=secrets).backup
    assert backup is not None and backup.to is not None
    assert backup.to.as_json() == kind


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"backup": {"to": "ftp://x/y"}}, "expected an absolute folder"),
        ({"backup": {"to": "ssh://keep@db1/x"}, "backup_secrets": {"SSH_KEY": "x"}}, "host_key"),
        ({"backup": {"to": {"ssh": "ssh://db1/x", "host_key": KEY}}}, "ssh://user@host/folder"),
        ({"backup": {"to": {"folder": "/a", "restic": "b"}}}, "exactly one"),
        ({"backup": {"to": "restic:/mnt/r"}}, "RESTIC_PASSWORD under backup_secrets"),
        ({"backup": True, "backup_secrets": {"RESTIC_PASSWORD": "x"}}, "backup_secrets is for"),
        ({"backup": {"at": "half past; reboot\n"}}, "calendar event"),
        ({"backup": {"keep": 0}}, "from 1 to 1000"),
        ({"backup": {"when": "02:30"}}, "not known"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(Faulty, match=says):
        app(**keys)


def test_a_time_alone_is_each_day() -> None:
    assert calendar("02:30") == "*-*-* 02:30:00"
    assert calendar("Sun 04:30") == "Sun 04:30"
