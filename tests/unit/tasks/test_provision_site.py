"""provision --site: one site and what all share, with a release for that one alone."""

from __future__ import annotations

import pytest

from deploy.errors import InputError
from deploy.inventory.hosts import Host
from deploy.site.app import App
from deploy.tasks.common import with_site
from deploy.tasks.provision import prepared


def host(name: str, *sites: str) -> Host:
    apps = (App(name=site, source=".", wsgi="a:b", server_names=(site,)) for site in sites)
    return Host(name, apps=tuple(apps))


HOSTS = (host("web1", "shop", "blog"), host("web2", "blog"))


def test_only_hosts_that_have_the_site_take_part():
    assert [one.name for one in with_site(HOSTS, "shop")] == ["web1"]
    assert with_site(HOSTS, "") == HOSTS


def test_a_site_that_nobody_has_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"none of the chosen hosts has a site 'shpo'.*'shop'"):
        with_site(HOSTS, "shpo")


def test_only_its_source_is_read_and_only_it_gets_a_release():
    missing = App(name="blog", source="nowhere/at/all", wsgi="a:b", server_names=("blog",))
    both = Host("web1", apps=(*host("x", "shop").apps, missing))
    assert list(prepared([both], site="shop")["web1"].releases) == ["shop"]
    with pytest.raises(InputError, match="nowhere"):
        prepared([both])
