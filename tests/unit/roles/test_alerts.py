"""Whom a host tells: nobody unless asked for, and the addresses are secret."""

from __future__ import annotations

import pytest

from deploy.facts import Facts
from deploy.inventory.edge import Alerts
from deploy.inventory.hosts import Host
from deploy.resources.path import File
from deploy.roles.alerts import CONFIG, alerts
from deploy.schema.model import Faulty, build
from deploy.shell import Secret


def test_a_host_that_says_nothing_tells_nobody() -> None:
    assert list(alerts(Host("web1"), Facts())) == []


def test_addresses_are_for_root_alone() -> None:
    wanted = build(Alerts, {"webhook": Secret("https://hooks.example.com/T0"), "mail": Secret("mail ops")})
    files = {one.path: one for one in alerts(Host("web1", alerts=wanted), Facts()) if isinstance(one, File)}
    config = files[CONFIG]
    assert (config.secret, config.mode) == (True, 0o600)
    assert config.text == "webhook https://hooks.example.com/T0\nmail mail ops\n"


@pytest.mark.parametrize("values", [{}, {"webhook": Secret("ftp://x")}, {"ping": Secret("https://x y")}])
def test_what_could_tell_nobody_is_refused(values: dict[str, Secret]) -> None:
    with pytest.raises(Faulty):
        build(Alerts, values)
