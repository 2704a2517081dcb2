"""Who migrates: one host for each site and group that defines it, in one place for provision and release."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.fleet import migrations
from deploy.fleet.migrations import Appointed, Candidate, appoint, shared
from deploy.inventory.hosts import Host
from deploy.inventory.inventory import Inventory
from deploy.release.source import remember_migrating
from deploy.site.app import App
from deploy.site.release import Delivery, Release

INVENTORY = """
all:
  children:
    staging: {hosts: {s1: {}, s2: {}}}
    production: {hosts: {p1: {}, p2: {}}}
"""

SHOP = "apps: {shop: {source: site, wsgi: a:b, server_names: [shop.example], migrate: [x]}}\n"
URL = "apps: {shop: {env: {DATABASE_URL: %s}}}\n"


def hosts(folder: Path, **files: str) -> tuple[Host, ...]:
    """Two staging hosts and two of production; ``files``: their variables, as ``group_vars__all``."""
    (folder / "inventory").mkdir()
    (folder / "site").mkdir()
    (folder / "tasks.py").touch()
    (folder / "inventory/hosts.yml").write_text(INVENTORY)
    for name, text in files.items():
        path = folder / "inventory" / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Inventory.load(project=folder).select()


def migrators(chosen: tuple[Host, ...]) -> list[str]:
    return list(migrations.first(chosen).values())


def test_staging_and_production_with_databases_of_their_own_are_both_migrated_once(tmp_path: Path):
    chosen = hosts(
        tmp_path,
        group_vars__all=SHOP,
        group_vars__staging=URL % "postgresql:///staging",
        group_vars__production=URL % "postgresql:///live",
    )
    assert migrators(chosen) == ["s1", "p1"]
    assert migrators(chosen[1:]) == ["s2", "p1"], "the first of those that are chosen"


def test_each_group_that_defines_the_site_by_itself_is_migrated(tmp_path: Path):
    assert migrators(hosts(tmp_path, group_vars__staging=SHOP, group_vars__production=SHOP)) == ["s1", "p1"]


def test_one_definition_is_migrated_once_for_all(tmp_path: Path):
    assert migrators(hosts(tmp_path, group_vars__all=SHOP)) == ["s1"]


def test_a_key_of_one_host_alone_is_no_database_of_its_own(tmp_path: Path):
    chosen = hosts(tmp_path, group_vars__all=SHOP, host_vars__s2="apps: {shop: {workers: 9}}\n")
    assert migrators(chosen) == ["s1"]


def test_hosts_that_define_it_themselves_share_it_where_they_say_the_same(tmp_path: Path):
    other = SHOP.replace("migrate", "env: {DATABASE_URL: other}, migrate")
    chosen = hosts(tmp_path, host_vars__s1=SHOP, host_vars__s2=SHOP, host_vars__p1=other)
    assert migrators(chosen) == ["s1", "p1"]


def test_only_who_was_chosen_migrates(tmp_path: Path):
    chosen = hosts(tmp_path, group_vars__staging=SHOP, group_vars__production=SHOP)
    first = migrations.first(chosen)
    brought = [(one.name, sorted(migrations.only(one, Delivery(), first).migrates or ())) for one in chosen]
    assert brought == [("s1", ["shop"]), ("s2", []), ("p1", ["shop"]), ("p2", [])]


APP = App(name="shop", source="s", wsgi="a:b", server_names=("x",), migrate=("migrate",))
RELEASE = Release("r1", Path("s"))


def candidates(*able: bool) -> list[Candidate]:
    return [
        Candidate(Host(f"web{number}", apps=(APP,)), APP, RELEASE, one) for number, one in enumerate(able, 1)
    ]


@pytest.mark.parametrize(
    ("able", "earlier", "appointed"),
    [
        ((True, True), {}, Appointed("web1")),
        ((False, True), {}, Appointed("web2")),
        ((False, False), {}, Appointed(None)),
        ((True, True), {"web2": ()}, Appointed("web2")),
        ((True, False), {"web2": ("migrate",)}, Appointed(None)),
        ((True, False), {"web2": ()}, Appointed(None, "web2")),
        ((True, True), {"of another group": ()}, Appointed("web1")),
    ],
)
def test_who_began_goes_on_and_nobody_else_where_that_is_not_known(
    tmp_path: Path, able: tuple[bool, ...], earlier: dict[str, tuple[str, ...]], appointed: Appointed
):
    given = candidates(*able)
    for host, done in earlier.items():
        remember_migrating(APP, RELEASE, host, done, tmp_path)
    assert appoint(given, tmp_path) == appointed


def test_two_databases_of_one_site_are_remembered_side_by_side(tmp_path: Path):
    given = candidates(True, True)
    for host in ("web1", "web2"):
        remember_migrating(APP, RELEASE, host, ("migrate",), tmp_path)
    assert appoint(given[:1], tmp_path) == Appointed("web1")
    assert appoint(given[1:], tmp_path) == Appointed("web2")
    assert shared(given[0].host, APP) == shared(given[1].host, APP)
