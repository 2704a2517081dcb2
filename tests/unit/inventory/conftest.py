"""A project we stand in, whose inventory a test writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from deploy.inventory.inventory import Inventory

Write = Callable[..., Inventory]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files into a project we stand in and loads its inventory; a site lies in site/."""
    monkeypatch.chdir(tmp_path)
    for name in ("BAREHOST_INVENTORY", "BAREHOST_STATE", "NO_SUCH"):
        monkeypatch.delenv(name, raising=False)
    for name in ("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tasks.py").touch()
    (tmp_path / "site").mkdir()

    def load(hosts: str, **files: str) -> Inventory:
        texts = {"inventory/hosts.yml": hosts} | {
            name.replace("__", "/") + ".yml": text for name, text in files.items()
        }
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return Inventory.load()

    return load
