"""Roles are pure: what they say of a host and its facts, without one. What they write is test_templates.py's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.engine.declare import declared
from deploy.errors import InputError, LookError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.release.shared import HASHED
from deploy.resource import Deferred, Resource
from deploy.resources.account import User
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Link
from deploy.resources.run import Run
from deploy.resources.sysctl import Sysctl
from deploy.resources.unit import Unit
from deploy.roles import Role
from deploy.roles.base import base, named
from deploy.roles.nginx import fingerprint, nginx, ports
from deploy.roles.python import python
from deploy.roles.static import shared, static
from deploy.schema.model import build
from deploy.site.app import App
from tests.unit.fakes import local

BARE = Facts()
MACHINE = Facts(own={"nginx": "1.22.1"}, hostname="web1", cores=2, ipv6=True, clock="none")
ROLES: list[Role] = [base, python, nginx, static]


def app(**keys: Any) -> App:
    site = {
        "name": "hello",
        "source": ".",
        "wsgi": "hello:app",
        "server_names": ["hello.example.com"],
        "media": {"/media/": "media"},
    }
    return build(App, {**site, **keys})


def said(host: Host, facts: Facts, *roles: Role) -> dict[str, Resource]:
    return {one.id: one for one in declared(roles or ROLES, host, facts)}


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


# base


def test_the_base_keeps_the_time_only_where_nobody_else_does() -> None:
    def packages(facts: Facts) -> set[str]:
        return {one for one in said(Host("web1"), facts, base) if one.startswith("package:")}

    timesyncd = {"package:systemd-timesyncd"}
    assert packages(Facts(clock="none")) >= timesyncd
    assert not packages(Facts(clock="chronyd")) & timesyncd
    assert not packages(Facts(clock="none", container="lxc")) & timesyncd
    assert not packages(BARE) & timesyncd


def test_journald_is_restarted_for_its_limits() -> None:
    journald = said(Host("web1"), MACHINE, base)["unit:systemd-journald.service"]
    assert isinstance(journald, Unit)
    assert [one.path for one in journald.restart_on] == ["/etc/systemd/journald.conf.d/60-barehost.conf"]


@pytest.mark.parametrize(
    ("hosts", "there"),
    [
        ("127.0.0.1 localhost\n10.0.0.5 web1\n", True),
        ("127.0.1.1\tweb1.example.com web1\n", True),
        ("::1 web1 # ours\n", True),
        ("127.0.0.1 localhost\n", False),
        ("# 10.0.0.5 web1\n", False),
        ("10.0.0.5 web10 xweb1 web1.example.com\n", False),
        ("10.0.0.5 db # web1\n", False),
    ],
)
def test_a_hosts_own_name_is_looked_for_as_a_whole_word(tmp_path: Path, hosts: str, there: bool) -> None:
    file = tmp_path / "hosts"
    file.write_text(hosts)
    run = named("web1")
    here = Run(
        run.name,
        run.command.replace("/etc/hosts", str(file)),
        unless=(run.unless or "").replace("/etc/hosts", str(file)),
    )
    assert (local.look(here)[here.id] is not None) == there
    local.settle(here, tmp_path)
    assert local.look(here)[here.id] == here.expected()


# sysctl


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("w 128", {"value": 128, "settable": True, "to be raised": True}),
        ("w 4096", {"value": 4096, "settable": True, "to be raised": False}),
        ("w 65535", {"value": 65535, "settable": True, "to be raised": False}),
        ("r 128", {"value": 128, "settable": False, "to be raised": False}),
        ("r -", None),
    ],
)
def test_a_kernel_setting_is_raised_never_lowered_and_left_where_it_cannot_be_set(
    line: str, state: Any
) -> None:
    one = Sysctl("net.core.somaxconn", at_least=4096)
    output = f"/proc/sys/net/core/somaxconn {line}\n".encode()
    assert Sysctl.parse([one], output) == {one.id: state}


def test_a_kernel_setting_of_this_machine_reads_as_the_number_it_is() -> None:
    one = Sysctl("net.core.somaxconn", at_least=1)
    real = int(Path("/proc/sys/net/core/somaxconn").read_text())
    state = local.look(one)[one.id]
    assert state is not None
    assert (state["value"], state["to be raised"]) == (real, False)


@pytest.mark.parametrize("output", [b"", b"/proc/sys/net/core/somaxconn w banana\n"])
def test_a_look_that_tells_no_number_is_an_error(output: bytes) -> None:
    with pytest.raises(LookError):
        Sysctl.parse([Sysctl("net.core.somaxconn", at_least=1)], output)


def test_a_kernel_setting_that_this_kernel_lacks_reads_as_absent() -> None:
    one = Sysctl("net.core.no_such_thing", at_least=1)
    assert local.look(one) == {one.id: None}


@pytest.mark.parametrize("name", ["somaxconn", "net.core/../x", "net.core.$(id)", "net..core", ""])
def test_only_names_of_kernel_settings_are_taken(name: str) -> None:
    with pytest.raises(InputError):
        Sysctl(name, at_least=1)


# python


def test_a_site_gets_the_python_and_the_packages_it_names() -> None:
    host = Host(
        "web1", apps=(app(python="python3.12", packages=["libpq5"]), app(name="gone", state="absent"))
    )
    assert set(said(host, MACHINE, python)) == {
        f"package:{name}" for name in ("python3", "python3-venv", "python3.12", "python3.12-venv", "libpq5")
    }


# nginx


def test_nginx_may_enter_every_sites_group_and_no_default_page_is_ever_served() -> None:
    resources = said(Host("web1", apps=(app(), app(name="shop", server_names=["s.example"]))), MACHINE, nginx)
    user, package = resources["user:www-data"], resources["package:nginx"]
    assert isinstance(user, User)
    assert isinstance(package, Package)
    assert user.groups == ("hello", "shop")
    assert package.masks == ("nginx.service",)
    assert resources["path:/etc/nginx/sites-enabled/default"].expected() is None


def test_everything_nginx_reads_is_watched_and_one_digest_covers_it() -> None:
    resources = said(Host("web1", apps=(app(),)), MACHINE, nginx)
    unit = resources["unit:nginx.service"]
    assert isinstance(unit, Unit)
    written = {
        id
        for id, one in resources.items()
        if id.startswith("path:/etc/nginx/") and isinstance(one, File | Link)
    }
    assert {one.id for one in unit.reload_on} == written
    digests = {path: marked(resources, path) for path in ("00-host", "hello")}
    shared = [one for one in unit.reload_on if not one.scope and "barehost.d" not in one.id]
    assert digests["00-host"] == fingerprint(shared)  # type: ignore[arg-type]
    assert digests["hello"] == fingerprint([resources["path:/etc/nginx/conf.d/hello.conf"]])  # type: ignore[list-item]


def marked(resources: Mapping[str, Resource], name: str) -> str | None:
    """The digest in one of the files that Nginx answers with."""
    mark = resources[f"path:/etc/nginx/barehost.d/{name}.conf"]
    assert isinstance(mark, File)
    if mark.expected() is None:
        return None
    [digest] = re.findall(r"[0-9a-f]{64}", str(mark.body))
    return str(digest)


def test_the_digests_change_with_any_file_and_with_a_site_that_leaves() -> None:
    def digests(*apps: App) -> tuple[str | None, str | None]:
        resources = said(Host("web1", apps=apps), MACHINE, nginx)
        return marked(resources, "00-host"), marked(resources, "hello") if apps else None

    assert len({digests(), digests(app()), digests(app(max_body="11m"))}) == 3
    assert digests(app(state="absent"))[1] is None


def test_a_sites_digest_is_of_the_sites_scope() -> None:
    resources = said(Host("web1", apps=(app(),)), MACHINE, nginx)
    assert resources["path:/etc/nginx/barehost.d/hello.conf"].scope == "hello"


def test_a_site_that_left_is_not_configured_any_more() -> None:
    resources = said(Host("web1", apps=(app(state="absent"),)), MACHINE, nginx)
    assert resources["path:/etc/nginx/conf.d/hello.conf"].expected() is None
    assert "group:hello" not in resources


def test_tls_waits_for_the_version_of_nginx_and_plain_sites_do_not() -> None:
    secured = app(tls={"certificate": "/c", "key": "/k"})
    waiting = said(Host("web1", apps=(secured,)), BARE, nginx).values()
    assert [one.until for one in waiting if isinstance(one, Deferred)] == ["package:nginx"]
    assert not any(isinstance(one, Unit) for one in waiting)
    plain = said(Host("web1", apps=(app(),)), BARE, nginx).values()
    assert not any(isinstance(one, Deferred) for one in plain)


@pytest.mark.parametrize(
    ("apps", "expected"),
    [
        ((), [80]),
        ((app(listen=[8080]),), [8080]),
        ((app(listen=[81, 80]), app(name="b", listen=[81])), [80, 81]),
    ],
)
def test_each_port_is_opened_once(apps: tuple[App, ...], expected: list[int]) -> None:
    assert ports(apps) == expected


# static


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
