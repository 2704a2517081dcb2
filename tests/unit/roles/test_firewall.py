"""The firewall's file: what it opens, to whom, and that nft reads what is written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.facts import Facts
from deploy.inventory.edge import FirewallRules, Ssh
from deploy.inventory.hosts import Host
from deploy.roles.firewall import firewall, written
from deploy.schema.model import Faulty, build
from deploy.site.app import App

SITE = {"name": "shop", "source": ".", "wsgi": "shop:app", "server_names": ["shop.example.com"]}
PAIR = {"certificate": "/c.pem", "key": "/k.pem"}
LISTENING = Facts(own={"sshd": "22 "})


def rules(facts: Facts = LISTENING, ssh: dict[str, Any] | None = None, **values: Any) -> str:
    host = Host(
        "web1",
        apps=(build(App, {**SITE, "tls": PAIR, "http3": True}),),
        firewall=build(FirewallRules, values),
        ssh=build(Ssh, ssh) if ssh else None,
    )
    assert host.firewall is not None
    return written(host, facts, host.firewall)


def test_a_host_that_says_nothing_has_no_firewall_of_ours() -> None:
    assert list(firewall(Host("web1"), LISTENING)) == []


def test_ssh_and_the_sites_are_open_without_being_named() -> None:
    text = rules()
    assert "tcp dport { 22 } accept" in text
    assert "tcp dport { 80, 443 } accept" in text
    assert "udp dport { 443 } accept" in text
    assert "policy drop" in text


def test_ssh_with_a_source_is_closed_to_everybody_else() -> None:
    text = rules(allow=[{"port": "ssh", "source": ["192.0.2.0/24", "2001:db8::/32"]}])
    assert "ip saddr { 192.0.2.0/24 } tcp dport { 22 } accept" in text
    assert "ip6 saddr { 2001:db8::/32 } tcp dport { 22 } accept" in text
    assert "\n    tcp dport { 22 } accept" not in text


def test_a_moving_port_is_open_beside_the_old_one_until_sshd_listens_there() -> None:
    assert "tcp dport { 22, 2222 } accept" in rules(ssh={"port": 2222})
    assert "tcp dport { 2222 } accept" in rules(Facts(own={"sshd": "22 2222 "}), ssh={"port": 2222})


@pytest.mark.parametrize(
    "port", ["22; drop", "0", 70000, "80-79", "80/icmp", True, "nonsense", "8000 accept", "１"]
)
def test_a_port_that_is_none_never_becomes_a_rule(port: Any) -> None:
    with pytest.raises(Faulty):
        build(FirewallRules, {"allow": [port]})


@pytest.mark.skipif(not shutil.which("nft"), reason="needs nft")
def test_nft_reads_what_is_written(tmp_path: Path) -> None:
    allowed = [
        8080,
        "8000-8010",
        "53/udp",
        "postgresql",
        {"port": "ssh", "source": ["192.0.2.7", "2001:db8::/32"]},
    ]
    file = tmp_path / "rules"
    file.write_text(rules(allow=allowed, ssh_rate=30))
    done = subprocess.run(
        ["unshare", "-n", "nft", "-c", "-f", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
