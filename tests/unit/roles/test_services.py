"""The roles of services: what a site's keys become, before and after the packages are there, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deploy.engine.declare import declared
from deploy.errors import InputError
from deploy.facts import Facts
from deploy.resource import Deferred, Fact, Phase, Resource
from deploy.resources.package import Package
from deploy.resources.path import File
from deploy.resources.postgres import PostgresDatabase, PostgresRole
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from deploy.roles import roles_of
from deploy.roles.postgresql import clusters, memory
from deploy.schema.model import Frozen
from deploy.site.release import Delivery
from tests.unit.fakes.sample import KNOWN, delivery, host, site

THERE = replace(
    KNOWN, own={**KNOWN.own, "postgresql": ",15:5432,15", "postgresql-extensions": "citext,pg_trgm,"}
)


def said(
    folder: Path, facts: Facts = THERE, brought: Delivery | None = None, **keys: Any
) -> dict[str, Resource]:
    one = host(folder, site(folder, **keys))
    roles = roles_of(one, delivery(one) if brought is None else brought, only=("services",))
    return {resource.id: resource for resource in declared(roles, one, facts)}


def test_a_site_without_services_says_nothing(tmp_path: Path) -> None:
    assert said(tmp_path) == {}


def test_a_database_is_its_servers_role_and_database_before_anything_is_built(tmp_path: Path) -> None:
    found = said(tmp_path, database={"extensions": ["citext"], "name": "store"})
    assert found["role:hello"] == PostgresRole("hello")
    assert found["database:store"] == PostgresDatabase("store", owner="hello", extensions=("citext",))
    for id in ("role:hello", "database:store"):
        assert (found[id].when, found[id].scope) == (Phase.SERVICES, "hello")
    conf = found["path:/etc/postgresql/15/main/conf.d/60-barehost.conf"]
    unit = found["unit:postgresql@15-main.service"]
    assert isinstance(unit, Unit)
    assert unit.restart_on == (conf,)
    assert {one.when for one in (conf, unit)} == {Phase.SERVICES}


def test_before_the_package_is_there_the_database_waits_for_it(tmp_path: Path) -> None:
    for own in ({}, {"postgresql": ",none"}):
        found = said(tmp_path, replace(KNOWN, own=own), database="postgresql")
        assert found["package:postgresql"] == Package("postgresql", masks=("postgresql.service",))
        assert [one.until for one in found.values() if isinstance(one, Deferred)] == ["package:postgresql"]


@pytest.mark.parametrize(
    ("told", "version"),
    [
        (",none", None),
        (",15:5432,15", 15),
        (",15:5433,17:5432,15,17", 17),  # upgraded; the old cluster was kept aside
        (",15:5432,17:5433,15,17", 15),
        (",16:5433,16", 16),
    ],
)
def test_the_cluster_that_serves_is_the_one_on_the_usual_port(told: str, version: int | None) -> None:
    assert clusters(replace(KNOWN, own={"postgresql": told})).version == version


@pytest.mark.parametrize("told", [",15:5432,17:5433,15,17", ",15:5432,17"])
def test_a_new_major_is_refused_with_the_command_that_upgrades(tmp_path: Path, told: str) -> None:
    newer = replace(THERE, own={"postgresql": told})
    with pytest.raises(InputError, match="pg_upgradecluster 15 main"):
        said(tmp_path, newer, database="postgresql")
    assert said(tmp_path, newer) == {}, "who has no database here is not held up"


def test_a_site_on_several_hosts_has_no_database_on_each(tmp_path: Path) -> None:
    app = site(tmp_path, database="postgresql")
    others = tuple(dataclasses.replace(host(tmp_path, app), name=name) for name in ("web1", "web2"))
    one = dataclasses.replace(host(tmp_path, app), sharing=Frozen({"hello": others}))
    with pytest.raises(InputError, match="web2 has the site as well"):
        declared(roles_of(one, delivery(one), only=("services",)), one, THERE)
    alone = dataclasses.replace(one, sharing=Frozen({"hello": others[:1]}))
    assert declared(roles_of(alone, delivery(alone), only=("services",)), alone, THERE)


def test_a_release_looks_at_services_and_installs_none(tmp_path: Path) -> None:
    found = said(tmp_path, brought=Delivery(services=False), database="postgresql", redis="cache")
    assert found
    assert all(one.when is Phase.SERVICES or isinstance(one, Fact) for one in found.values())


def test_an_extension_that_no_package_can_bring_is_refused_and_one_that_may_come_is_waited_for(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=r"no extension 'citxt'.*did you mean 'citext'"):
        said(tmp_path, database={"extensions": ["citxt"]})
    found = said(tmp_path, database={"extensions": ["postgis"]}, packages=["postgresql-15-postgis-3"])
    (waits,) = [one for one in found.values() if isinstance(one, Deferred)]
    assert "postgresql-15-postgis-3" in waits.until


def test_a_locale_is_made_where_it_is_missing(tmp_path: Path) -> None:
    found = said(tmp_path, database={"locale": "de_DE.UTF-8"})
    made = found["run:make the locale de_DE.UTF-8"]
    assert isinstance(made, Run)
    assert made.when is Phase.SERVICES
    assert "locales" in {one.name for one in found.values() if isinstance(one, Package)}
    plain = said(tmp_path, database="postgresql")
    assert not any(isinstance(one, Run) for one in plain.values())


def test_each_purpose_is_a_server_of_its_own_on_a_socket_alone(tmp_path: Path) -> None:
    found = said(tmp_path, redis={"cache": "96m", "queue": "auto"})
    for purpose in ("cache", "queue"):
        conf = found[f"path:/etc/barehost/redis-hello-{purpose}.conf"]
        assert isinstance(conf, File)
        assert "port 0\n" in conf.text
        assert f"unixsocket /run/redis-hello-{purpose}/redis.sock\nunixsocketperm 700\n" in conf.text
        assert conf.when is Phase.SERVICES
        assert isinstance(found[f"unit:redis-server@hello-{purpose}.service"], Unit)
        own = found[f"path:/etc/systemd/system/redis-server@hello-{purpose}.service.d/barehost.conf"]
        assert isinstance(own, File)
        assert "User=hello\n" in own.text
    cache = found["path:/etc/barehost/redis-hello-cache.conf"]
    queue = found["path:/etc/barehost/redis-hello-queue.conf"]
    assert isinstance(cache, File) and isinstance(queue, File)
    assert "maxmemory 96mb\nmaxmemory-policy allkeys-lru\n" in cache.text
    assert "maxmemory-policy noeviction\n" in queue.text
    assert "appendonly yes\n" in queue.text


def test_valkey_is_refused_where_debian_has_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="debian 12 has no Valkey"):
        said(tmp_path, redis={"kind": "valkey", "cache": "auto"})
    trixie = replace(THERE, version="13", codename="trixie")
    assert "package:valkey-server" in said(tmp_path, trixie, redis={"kind": "valkey", "cache": "auto"})


def test_memory_goes_by_the_host_and_a_little_more_or_less_changes_nothing() -> None:
    assert memory(replace(KNOWN, memory=4000)) == memory(replace(KNOWN, memory=3900))
    assert memory(replace(KNOWN, memory=64 << 10))["shared"] == 8 << 10
    assert all(value > 0 for value in memory(replace(KNOWN, memory=None)).values())
