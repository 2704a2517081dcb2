"""Addresses of hosts, and of those behind another."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from deploy.staging import network


def test_hosts_behind_another_get_addresses_that_are_not_on_the_bridge() -> None:
    whole = IPv4Network("10.213.0.0/20")
    cables = list(network.behind(whole))
    assert len(cables) == 512
    assert not any(cable.overlaps(network.lower(whole)) for cable in cables)
    assert all(IPv4Address(cable[2]) in whole for cable in cables)
