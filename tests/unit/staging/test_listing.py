"""The inventory that staging writes."""

from __future__ import annotations

from pathlib import Path

import yaml

from deploy.staging import listing
from tests.unit.fakes.records import record


def test_the_inventory_says_how_to_log_in_and_become_root(tmp_path: Path) -> None:
    plain = record(tmp_path, "web1")
    guarded = record(tmp_path, "web2", user="admin", sudo_password="a: 'b'", port=2222)
    hosts = yaml.safe_load(listing.inventory([plain, guarded]))["staging"]["hosts"]
    assert hosts["web1"] == {
        "ansible_host": "10.213.0.2",
        "ansible_port": 22,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(tmp_path / "id_ed25519"),
        "ansible_become": False,
        "barehost_known_hosts": str(tmp_path / "known_hosts"),
    }
    assert hosts["web2"]["ansible_become_password"] == "a: 'b'"
    assert (hosts["web2"]["ansible_become"], hosts["web2"]["ansible_port"]) == (True, 2222)
