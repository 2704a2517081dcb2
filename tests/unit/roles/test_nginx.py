"""What Nginx's role says of a host and its sites."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Deferred, Resource
from deploy.resources.account import User
from deploy.resources.package import Package
from deploy.resources.path import File, Link
from deploy.resources.unit import Unit
from deploy.roles.nginx import fingerprint, nginx, ports
from deploy.site.app import App
from tests.unit.fakes.saying import app, said

BARE = Facts()


MACHINE = Facts(own={"nginx": "1.22.1"}, hostname="web1", cores=2, ipv6=True, clock="none")


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
