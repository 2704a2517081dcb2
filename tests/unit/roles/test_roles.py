"""Roles are pure: what they say of a host and its facts, without one. What they write is test_templates.py's."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.release.shared import HASHED
from deploy.resources.path import Directory
from deploy.roles.static import shared, static
from deploy.site.app import App
from tests.unit.fakes.saying import app, said

BARE = Facts()


MACHINE = Facts(own={"nginx": "1.22.1"}, hostname="web1", cores=2, ipv6=True, clock="none")


@pytest.mark.parametrize("facts", [BARE, MACHINE], ids=["bare", "known"])
@pytest.mark.parametrize(
    "apps",
    [(), (app(),), (app(), app(name="shop", server_names=["s.example"])), (app(state="absent"),)],
    ids=["no site", "one", "two", "one that leaves"],
)
def test_all_roles_agree_on_any_host_known_or_not(apps: tuple[App, ...], facts: Facts) -> None:
    host = Host("web1", apps=apps)
    assert said(host, facts) == said(host, facts)
    assert all(hash(one) is not None for one in said(host, facts).values())


def test_a_site_writes_below_shared_only_and_only_nginx_reads_there() -> None:
    resources = said(Host("web1", apps=(app(media={"/media/": "a/b"}),)), MACHINE, static)
    owners = {
        one.path: (one.owner, one.group, f"{one.mode:o}")
        for one in resources.values()
        if isinstance(one, Directory)
    }
    assert owners == {
        "/srv/hello": ("root", "root", "755"),
        "/srv/hello/assets": ("root", "root", "755"),
        "/srv/hello/shared": ("hello", "hello", "750"),
        "/srv/hello/shared/a": ("hello", "hello", "750"),
        "/srv/hello/shared/a/b": ("hello", "hello", "750"),
    }


def test_folders_of_shared_data_come_parents_first() -> None:
    root = "/srv/hello/shared"
    assert shared(app(media={"/m/": "a/b", "/n/": "a"})) == [root, f"{root}/a", f"{root}/a/b"]


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("base.27e20196a850.css", True),
        ("main-3f2a9c1b.js", True),
        ("a.0123456789abcdef0123456789abcdef.min.js", True),
        ("app.0123456789ab.css.map", True),
        ("photo-20240131.jpg", False),
        ("old-deadbeef.css", False),
        ("jquery-3.7.1.js", False),
        ("defaced1.css", False),
        ("27e20196a850.css", False),
        ("dir.27e20196a850/style.css", False),
    ],
)
def test_only_a_hash_before_the_suffix_makes_a_name_unchanging(name: str, hashed: bool) -> None:
    assert bool(re.search(HASHED, f"/static/{name}")) == hashed


@pytest.mark.parametrize("name", ["app", "base", "nginx", "python", "static"])
def test_each_role_can_be_the_first_that_is_imported(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import deploy.roles.{name}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
