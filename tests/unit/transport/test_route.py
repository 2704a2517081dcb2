"""The way to a host: the inventory, then ssh_config, and jump hosts in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import HostError
from deploy.inventory.hosts import Host
from deploy.transport import route


def config(**hosts: Mapping[str, Any]) -> Callable[[str], Mapping[str, Any]]:
    """ssh_config by name; a name without an entry stands for itself."""
    return lambda name: {"hostname": name, **hosts.get(name, {})}


def test_without_anything_said_it_is_port_22_and_the_usual_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    (hop,) = route.route(Host(name="shop", address="shop"), config())
    assert (hop.address, hop.port, hop.user, hop.keys, hop.agent, hop.usual) == (
        "shop",
        22,
        "me",
        (),
        True,
        True,
    )
    assert hop.pin == "shop"
    assert hop.timeout == 10


def test_ssh_config_fills_in_and_the_inventory_wins() -> None:
    said = {
        "hostname": "10.0.0.5",
        "port": "2222",
        "user": "deploy",
        "identityfile": ["/keys/shop"],
        "identitiesonly": "yes",
        "connecttimeout": "3",
        "userknownhostsfile": "/keys/known /keys/more",
    }
    (hop,) = route.route(Host(name="shop", address="shop"), config(shop=said))
    assert (hop.address, hop.port, hop.user, hop.keys) == ("10.0.0.5", 2222, "deploy", (Path("/keys/shop"),))
    assert (hop.agent, hop.usual, hop.timeout, hop.pin) == (False, False, 3, "[10.0.0.5]:2222")
    assert hop.known_hosts[1:3] == (Path("/keys/known"), Path("/keys/more"))
    host = Host(
        name="shop", address="shop", port=23, user="root", key=Path("/mine"), known_hosts=Path("/pins")
    )
    (hop,) = route.route(host, config(shop=said))
    assert (hop.port, hop.user, hop.keys[0], hop.known_hosts[1]) == (23, "root", Path("/mine"), Path("/pins"))


def test_jump_hosts_come_in_order_each_with_its_own_settings() -> None:
    host = Host(name="shop", address="shop", user="root", jump=("ann@gate:2222", "inner"), key=Path("/mine"))
    hops = route.route(host, config(gate={"hostname": "1.2.3.4", "user": "ignored"}, inner={"user": "bob"}))
    assert [str(hop) for hop in hops] == ["ann@1.2.3.4:2222", "bob@inner", "root@shop"]
    assert [hop.keys for hop in hops] == [(Path("/mine"),)] * 3
    assert [hop.usual for hop in hops] == [True, True, False]


def test_proxyjump_of_ssh_config_is_followed_and_the_inventory_can_say_none() -> None:
    said = config(shop={"proxyjump": "a,b", "user": "u"}, a={"proxyjump": "first", "user": "u"})
    hops = route.route(Host(name="shop", address="shop"), said)
    assert [hop.address for hop in hops] == ["first", "a", "b", "shop"]
    assert [hop.address for hop in route.route(Host(name="shop", address="shop", jump=()), said)] == ["shop"]


def test_a_proxycommand_belongs_to_the_first_hop_only() -> None:
    said = config(shop={"proxycommand": "nc shop 22"}, gate={"proxycommand": "nc gate 22"})
    assert [hop.command for hop in route.route(Host(name="s", address="shop"), said)] == ["nc shop 22"]
    hops = route.route(Host(name="s", address="shop", jump=("gate",)), said)
    assert [hop.command for hop in hops] == ["nc gate 22", None]


@pytest.mark.parametrize(
    ("jump", "sentence"), [("a b", r"is not \[user@\]host"), ("loop", "is reached through itself")]
)
def test_jump_hosts_that_lead_nowhere_are_an_error(jump: str, sentence: str) -> None:
    with pytest.raises(HostError, match=sentence):
        route.route(Host(name="shop", address="shop", jump=(jump,)), config(loop={"proxyjump": "loop"}))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gate", (None, "gate", None)),
        ("ann@gate:2222", ("ann", "gate", 2222)),
        ("ssh://ann@gate:2222", ("ann", "gate", 2222)),
        ("[::1]:22", (None, "::1", 22)),
    ],
)
def test_a_jump_host_is_user_host_port(text: str, parts: tuple[str | None, str, int | None]) -> None:
    assert route.split(text) == parts


@pytest.mark.parametrize("text", ["", "a b", "a@b@gate", "gate:port", "::1"])
def test_what_is_no_jump_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"not \[user@\]host"):
        route.split(text)


def test_included_files_stand_where_they_are_included(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("Host a\n  Port 1")
    (tmp_path / "two").write_text("User root")
    text = "Include one\nPort 3\nHost b\n  Include=two\n  Port 2"
    assert [line.strip() for line in route.expand(text, tmp_path).splitlines()] == [
        "Host a",
        "Port 1",
        "Host *",
        "Port 3",
        "Host b",
        "User root",
        "Host b",
        "Port 2",
    ]
