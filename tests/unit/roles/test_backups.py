"""The role of backups: what a host gets for them, what only root reads, and what is said where one is no good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from deploy.engine.declare import declared
from deploy.facts import Facts
from deploy.release import Migrated
from deploy.resource import Fact, Phase, Remark, Resource
from deploy.resources.path import File
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from deploy.roles import roles_of
from deploy.roles.backups import due
from tests.unit.fakes import local
from tests.unit.fakes.sample import KNOWN, delivery, host, said, site

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"


def found(folder: Path, facts: Facts = KNOWN, **keys: Any) -> dict[str, Resource]:
    one = host(folder, site(folder, **keys))
    roles = roles_of(one, delivery(one), only=("services",))
    return {resource.id: resource for resource in declared(roles, one, facts)}


def text(resource: Resource) -> str:
    assert isinstance(resource, File)
    return resource.text


def test_a_site_with_backups_has_a_program_two_timers_and_a_file_that_only_root_reads(tmp_path: Path) -> None:
    there = found(tmp_path, backup={"at": "03:15", "keep": 7}, database=None)
    config = there["path:/etc/barehost/backup-hello.json"]
    assert isinstance(config, File)
    assert (config.mode, config.secret) == (0o600, True)
    assert json.loads(config.text)["keep"] == 7
    timer = there["unit:barehost-backup-hello.timer"]
    assert isinstance(timer, Unit)
    assert "OnCalendar=*-*-* 03:15:00\n" in text(timer.restart_on[0])
    assert "Persistent=true" in text(timer.restart_on[0])
    assert "unit:barehost-drill-hello.timer" in there
    changing = [one for one in there.values() if isinstance(one, File | Unit)]
    assert {one.when for one in changing} == {Phase.SERVICES}, (
        "they are there before a migration asks for one"
    )


def test_no_drill_is_a_timer_that_does_not_run(tmp_path: Path) -> None:
    timer = found(tmp_path, backup={"drill": "never"})["unit:barehost-drill-hello.timer"]
    assert isinstance(timer, Unit)
    assert (timer.running, timer.enabled) == (False, False)


def test_a_place_elsewhere_brings_its_program_and_its_secrets_and_no_unit_holds_one(tmp_path: Path) -> None:
    restic = found(
        tmp_path, backup={"to": "restic:/mnt/r"}, backup_secrets={"RESTIC_PASSWORD": "correct horse"}
    )
    assert "package:restic" in restic
    assert "correct horse" in text(restic["path:/etc/barehost/backup-hello.json"])
    ssh = found(
        tmp_path,
        backup={"to": {"ssh": "ssh://keep@db1:2222/b", "host_key": KEY}},
        backup_secrets={"SSH_KEY": "correct horse"},
    )
    assert text(ssh["path:/etc/barehost/backup-hello.known_hosts"]) == f"[db1]:2222 {KEY}\n"
    assert text(ssh["path:/etc/barehost/backup-hello.key"]) == "correct horse\n"
    for one in (*restic.values(), *ssh.values()):
        if isinstance(one, File) and "correct horse" in one.text:
            assert (one.mode, one.secret) == (0o600, True)


def test_what_is_wrong_with_the_newest_is_a_remark(tmp_path: Path) -> None:
    own = {**KNOWN.own, "backup-hello": "the last backup failed: the disk is full"}
    remarks = [
        one.text
        for one in found(tmp_path, replace(KNOWN, own=own), backup=True).values()
        if isinstance(one, Remark)
    ]
    assert remarks == ["hello: the last backup failed: the disk is full"]


def test_the_host_itself_says_when_one_is_too_old(tmp_path: Path) -> None:
    fact = due(site(tmp_path, backup=True))
    standing = tmp_path / "standing"
    asked = Fact(
        fact.name, type(fact.ask)(fact.ask.replace("/var/lib/barehost/backups/hello/standing", str(standing)))
    )

    def told() -> object:
        return (local.look(asked)[asked.id] or {}).get("value")

    assert told() == ""
    standing.write_text("9999999999\n\n")
    assert told() == ""
    standing.write_text("1\n\n")
    assert "too old" in str(told())
    standing.write_text("9999999999\nthe last drill failed\n")
    assert told() == "the last drill failed"


def test_a_migration_is_preceded_by_a_backup_unless_the_inventory_says_otherwise(tmp_path: Path) -> None:
    for keys, wanted in (
        ({"backup": True}, True),
        ({"backup": {"before_migrate": False}}, False),
        ({}, False),
    ):
        resources = list(said(host(tmp_path, site(tmp_path, **keys)), KNOWN).values())
        backups = [
            one for one in resources if isinstance(one, Run) and one.name.startswith("backup of hello")
        ]
        assert bool(backups) is wanted
        (migration,) = [one for one in resources if isinstance(one, Migrated)]
        assert all(one.when < migration.when for one in backups)
