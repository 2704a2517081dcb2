"""A site's own database and caches: up, its own, and closed to everybody else; its backups are not too old."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

from deploy.release.backups import PROGRAM, config
from deploy.site.app import App
from deploy.site.services import database_name

pytestmark = [pytest.mark.role("services")]

AS = "setpriv --reuid %s --regid %s --clear-groups --"


@pytest.mark.site_with("database")
def test_the_site_comes_into_its_own_database_and_owns_it(host: Host, site: App) -> None:
    asked = host.run(f"{AS} psql -XAtw -d %s -c %s", site.user, site.user, database_name(site), OWNER)
    assert asked.rc == 0, asked.stderr
    assert site.database is not None
    assert asked.stdout.strip() == f"{site.user}|{site.database.encoding}|f", (
        "owner, encoding, whether any role may connect"
    )


OWNER = (
    "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), has_database_privilege('public', oid, 'CONNECT')"
    " FROM pg_database WHERE datname = current_database()"
)


@pytest.mark.site_with("database")
def test_nginxs_account_does_not_come_into_the_database(host: Host, site: App) -> None:
    asked = host.run(
        f"{AS} psql -XAtw -d %s -U %s -c 'SELECT 1'", "www-data", "www-data", database_name(site), site.user
    )
    assert asked.rc != 0, "www-data came in"


@pytest.mark.site_with("redis")
def test_only_the_site_opens_its_caches(host: Host, site: App) -> None:
    assert site.redis is not None
    for purpose in site.redis.purposes:
        socket = site.redis.socket(site.name, purpose)
        client = f"{site.redis.kind}-cli -s %s ping"
        own = host.run(f"{AS} {client}", site.user, site.user, socket)
        assert own.stdout.strip() == "PONG", own.stdout + own.stderr
        other = host.run(f"{AS} {client}", "www-data", "www-data", socket)
        assert "PONG" not in other.stdout, f"www-data opens {socket}"


@pytest.mark.site_with("backup")
def test_its_backups_are_not_too_old_and_the_last_went_well(host: Host, site: App) -> None:
    told = json.loads(host.check_output("/usr/bin/python3 -I %s state %s", PROGRAM, config(site.name)))
    assert told["wrong"] is None, told["wrong"]
    timer = f"barehost-backup-{site.name}.timer"
    assert host.service(timer).is_running, f"{timer} does not run"
