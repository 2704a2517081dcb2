"""Security updates: when the host reboots, and that a site is restarted by nobody but a switch."""

from __future__ import annotations

from typing import Any

from deploy.facts import Facts
from deploy.inventory.edge import Updates
from deploy.inventory.hosts import Host
from deploy.resources.path import File
from deploy.roles.updates import NEEDRESTART, PERIODIC, updates
from deploy.schema.model import build
from deploy.site.app import App

SITE = {"name": "my-shop", "source": ".", "wsgi": "shop:app", "server_names": ["shop.example.com"]}


def files(**values: Any) -> dict[str, str]:
    host = Host("web1", apps=(build(App, SITE),), updates=build(Updates, values))
    return {one.path: one.text for one in updates(host, Facts()) if isinstance(one, File)}


def test_a_host_that_says_nothing_is_left_alone() -> None:
    assert list(updates(Host("web1"), Facts())) == []


def test_it_reboots_only_where_it_may() -> None:
    assert 'Automatic-Reboot "false"' in files()[PERIODIC]
    asked = files(reboot=True, window="03:15")[PERIODIC]
    assert 'Automatic-Reboot "true"' in asked and 'Reboot-Time "03:15"' in asked


def test_the_units_of_sites_are_left_to_their_switches() -> None:
    assert r"^my\-shop(-[a-z0-9-]+)?@" in files()[NEEDRESTART]


def test_without_updates_none_is_installed() -> None:
    assert files(state="absent") == {PERIODIC: 'APT::Periodic::Unattended-Upgrade "0";\n'}
