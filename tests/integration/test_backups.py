"""Backups of a site on a real host: made, tried, restored, spoiled, killed; in every place where they may lie."""

from __future__ import annotations

from typing import Any

import pytest
from booting import Clone
from sites import Project, ask, sh
from stocking import Served, page, shop, sql, stocked

from deploy.staging import StagingHost

__all__ = ["stocked"]  # a fixture: pytest finds it by its name here

SHARED = "/srv/shop/shared"
MEDIA = {"/media/": "media"}
SQLITE = f"""import sqlite3
database = sqlite3.connect("{SHARED}/x.db")
"""
MAKE = SQLITE + "database.execute('CREATE TABLE visit (id)')\ndatabase.commit()\n"
READ = SQLITE + "print(database.execute('SELECT count(*) FROM visit').fetchone()[0])\n"


def rows(host: StagingHost, path: str = "/") -> int:
    """What the site says of its database."""
    return int(page(host, path).split()[0])


def python(host: StagingHost, program: str) -> str:
    return sh(host, f"python3 - <<'EOF'\n{program}EOF\n")


@pytest.fixture
def kept(stocked: Served, clone: Clone, project: Project, request: pytest.FixtureRequest) -> StagingHost:
    """A host whose site has backups: rows in its database, a file and a SQLite database in its shared folder."""
    host = clone(stocked(request.param))
    project.serve(host, shop(project, backup=True, media=MEDIA))
    project.provision()
    rows(host, "/add")
    python(host, MAKE)
    sh(host, f"cd {SHARED} && echo first > media/a.txt && chown shop: media/a.txt x.db")
    return host


on = pytest.mark.parametrize("kept", ["bookworm"], indirect=True)
on_trixie = pytest.mark.parametrize("kept", ["trixie"], indirect=True)


@on
def test_what_was_backed_up_is_restored_and_what_was_there_before_is_kept(
    kept: StagingHost, project: Project
) -> None:
    host = kept
    assert project.run("backup").code == 0
    assert rows(host, "/add") == 2
    sh(host, "echo second > /srv/shop/shared/media/a.txt; rm /srv/shop/shared/x.db")
    done = project.run("restore", "--host", host.name)
    assert done.code == 0, done.said
    assert rows(host) == 1
    assert ask(host, "/media/a.txt", name="shop.example.com").text == "first\n"
    assert python(host, READ) == "0\n"
    (before,) = sql(host, "SELECT datname FROM pg_database WHERE datname LIKE 'shop_before%'").split()
    assert sql(host, "SELECT count(*) FROM visit", before).strip() == "2"
    assert sh(host, "cat /srv/shop/shared.before-*/media/a.txt") == "second\n"
    project.settled()
    assert rows(host, "/add") == 2, "the site may write what was restored"
    assert project.run("restore", "--forget", "--host", host.name).code == 0
    assert "_before_" not in sql(host, "SELECT datname FROM pg_database")
    assert sh(host, "ls /srv/shop | grep -c before; true").strip() == "0"
    assert rows(host) == 2

    done = project.run("restore", "--host", host.name, "--to", "20200101-000000")
    assert "there is no backup 20200101-000000" in done.said
    assert rows(host) == 2, "nothing was stopped"


@on_trixie
def test_a_backup_that_is_no_good_is_seen_and_said_until_it_is_mended(
    kept: StagingHost, project: Project
) -> None:
    host, folder = kept, "/var/backups/barehost/shop"
    assert project.run("backup", "--drill").code == 1, "there is none yet"
    assert project.run("backup").code == 0
    assert project.run("backup", "--drill").code == 0
    assert project.run("status").code == 0

    sh(host, f"for dump in {folder}/*/database.dump; do truncate -s -20 $dump; done")
    drill = project.run("backup", "--drill")
    assert drill.code == 1 and "changed, or cut off" in drill.said, drill.said
    restored = project.run("restore", "--host", host.name)
    assert "changed, or cut off" in restored.said and rows(host) == 1
    status = project.run("status")
    assert status.code == 13 and "last drill failed" in status.said, status.said
    assert "last drill failed" in project.run("plan").said

    sh(
        host,
        f"mount -t tmpfs -o size=100k tmpfs {folder}; "
        f"head -c 3000000 /dev/urandom > {SHARED}/media/big; chmod 644 {SHARED}/media/big",
    )
    full = project.run("backup")
    assert full.code == 1 and "is full" in full.said, full.said
    assert sh(host, f"ls -A {folder}") == "", "no half of one is left"
    sh(host, f"umount {folder}; rm /srv/shop/shared/media/big")
    assert "is full" in project.run("status").said

    sh(host, "systemctl stop 'postgresql@*' postgresql.service")
    stopped = project.run("backup")
    assert stopped.code == 1 and "PostgreSQL" in stopped.said, stopped.said
    project.provision()
    assert project.run("backup").code == 0
    assert project.run("backup", "--drill").code == 0
    assert project.run("status").code == 0
    sh(
        host,
        "cd /var/lib/barehost/backups/shop; sed -i 1s/.*/1/ standing; "
        'sed -i \'s/"at": [0-9]*/"at": 1700000000/g\' state',
    )
    assert "too old" in project.run("status").said
    assert "too old" in project.run("plan").said


@on
def test_a_restore_that_is_killed_leaves_the_old_data_or_the_new(kept: StagingHost, project: Project) -> None:
    """At every moment of it: before, between and after the two renames; the same command then does it again."""
    host = kept
    assert project.run("backup").code == 0
    seen = set()
    for number, moment in enumerate(
        ("shared.restored", "_restored", "systemctl stop", "psql", "systemctl start")
    ):
        assert rows(host, "/add") == 2
        sh(host, f"echo later {number} > /srv/shop/shared/media/a.txt")
        killer = (
            "while ! pgrep -f 'backup.py restore' >/dev/null; do :; done; "
            f"for n in $(seq 2000); do ps -eo args | grep -v grep | grep -q -- '{moment}' && break; done; "
            "systemctl kill -s KILL barehost-restore-now-shop.service; true"
        )
        with project.start("restore", "--host", host.name) as process:
            sh(host, killer, timeout=120)
            process.communicate(timeout=120)
        count = sql(host, "SELECT count(*) FROM visit", "shop").strip()
        text = sh(host, "cat /srv/shop/shared/media/a.txt")
        assert count in ("1", "2") and text in ("first\n", f"later {number}\n")
        seen.add((count, text == "first\n"))
        done = project.run("restore", "--host", host.name)
        assert done.code == 0, done.said
        assert rows(host) == 1
        assert ask(host, "/media/a.txt", name="shop.example.com").text == "first\n"
        assert project.run("status").code == 0
    assert ("2", False) in seen


@on
def test_backups_lie_elsewhere_as_well_and_come_back_from_there(
    kept: StagingHost, project: Project, clone: Clone, stocked: Served
) -> None:
    host = kept
    sh(
        host,
        "mkdir -p /mnt/disk /srv/restic /srv/keep && useradd -m -d /srv/keep keep && chown keep /srv/keep",
    )
    sh(
        host,
        'su keep -c \'mkdir -p -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id && '
        "cp ~/.ssh/id.pub ~/.ssh/authorized_keys'",
    )
    project.environment |= {"KEY": sh(host, "cat /srv/keep/.ssh/id"), "PASSWORD": "correct horse"}
    known = " ".join(sh(host, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    places = {
        "/mnt/disk": {},
        "restic:/srv/restic": {"RESTIC_PASSWORD": {"env": "PASSWORD"}},
        "ssh": {"SSH_KEY": {"env": "KEY"}},
    }
    for to, secrets in places.items():
        where: Any = {"ssh": "ssh://keep@127.0.0.1/srv/keep/b", "host_key": known} if to == "ssh" else to
        backup = {"to": where, "keep": 2}
        project.serve(host, shop(project, backup=backup, backup_secrets=secrets, media=MEDIA))
        project.provision()
        for _ in range(3):
            done = project.run("backup")
            assert done.code == 0, done.said
        shown = project.run("backups", "--json").events
        assert len(shown) == 2, shown
        assert shown[0]["where"].startswith("host, ") and "host" not in shown[1]["where"], shown
        assert project.run("backup", "--drill").code == 0
        rows(host, "/add")
        sh(host, "rm -rf /var/backups/barehost/shop/2*")
        done = project.run("restore", "--host", host.name)
        assert done.code == 0, done.said
        assert rows(host) == 1
        assert "correct horse" not in sh(host, "journalctl --no-pager; cat /etc/systemd/system/*.service")

    project.environment["PASSWORD"] = "battery staple"
    wrong = {"RESTIC_PASSWORD": {"env": "PASSWORD"}}
    project.serve(
        host,
        shop(project, backup={"to": "restic:/srv/restic"}, backup_secrets=wrong, media=MEDIA),
    )
    project.provision()
    done = project.run("backup")
    assert done.code == 1 and "wrong password" in done.said, done.said
    project.serve(host, shop(project, backup={"to": "/mnt/none"}, media=MEDIA))
    project.provision()
    assert "is it mounted" in project.run("backup").said
    unreached = {"ssh": "ssh://keep@127.0.0.1:1/srv/keep/b", "host_key": known}
    project.serve(
        host,
        shop(
            project,
            backup={"to": unreached},
            backup_secrets={"SSH_KEY": {"env": "KEY"}},
            media=MEDIA,
        ),
    )
    project.provision()
    assert "Connection refused" in project.run("backup").said


@on_trixie
def test_a_migration_finds_a_backup_made_and_a_site_that_leaves_keeps_its_data_until_it_is_purged(
    kept: StagingHost, project: Project
) -> None:
    host = kept
    project.write("shop/more.py", "")
    assert project.run("release").code == 0
    (made,) = sh(host, "ls /var/backups/barehost/shop").split()
    assert sh(host, "cat /var/lib/barehost/backups/shop/before-*") == made
    project.settled()

    project.serve(host, {"shop": {"state": "absent"}})
    project.provision()
    assert "shop" in sql(host, "SELECT datname FROM pg_database")
    running = sh(
        host, "systemctl list-units --plain --no-legend '*shop*'; systemctl list-timers --no-legend '*shop*'"
    )
    assert "redis" not in running and "backup" not in running, running
    project.settled()
    project.provision("--purge")
    assert "shop" not in sql(host, "SELECT datname FROM pg_database; SELECT rolname FROM pg_roles")
    assert sh(host, "ls /var/backups/barehost/shop").split() == [made], "backups stay"
    assert sh(host, "ls -d /var/lib/redis-shop-* /etc/barehost/*shop* 2>/dev/null; true") == ""
