"""Every inventory of cases.json is read as `ansible-inventory --list` reads it, or refused for a reason that is named.

Needs ansible-core (the extra `conformance`). cases.json: by name, the files (path → text), the links (path → target)
and the sources that -i names; each is the smallest form of something that real inventories hold.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError
from deploy.inventory.inventory import Inventory
from deploy.schema.marked import Vaulted

HERE = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))

REFUSED = {
    "dup_keys": "the first of two values is lost",
    "dup_group": "the first of two groups of one name is lost",
    "dup_in_vars": "the first of two values is lost",
    "two_ext": "only one of two files for a group is read",
    "file_and_dir": "only one of a file and a folder for a group is read",
    "children_string": "a list of groups may hide what a mapping would say",
    "unknown_key": "what a group cannot have is a slip of the keyboard",
    "dir_junk_yml": "the hosts of a YAML file with a mistake would be lost",
    "dir_junk_vars": "the hosts of a YAML file with a mistake would be lost",
    "dir_requirements": "the hosts of a YAML file with a mistake would be lost",
    "dash": "a group's name with a space cannot be chosen in a pattern",
    "under_host": "a host's name that is not one on a command line",
    "comma_host": "a host's name with a comma cannot be chosen in a pattern",
    "set": "no order, and nothing that a plain value says",
    "omap": "a list of pairs is nothing that a plain value says",
    "toml": "not read; an error, so that no host is lost",
}
"""Cases that we refuse and Ansible reads, each with the reason."""

MORE = {"numeric_host": "Ansible refuses the whole file for one host that is called by a number"}
"""Cases that we read, and of which Ansible reads less."""


def laid_out(case: Mapping[str, Any], folder: Path) -> None:
    folder.mkdir()
    (folder / "tasks.py").touch()
    for name, text in case["files"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    for name, target in case.get("links", {}).items():
        (folder / name).symlink_to(target)
    (folder / "sources").write_text(json.dumps(case["sources"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases laid out, and beside each what Ansible makes of it."""
    pytest.importorskip("ansible", reason="ansible-core is not installed: pip install -e '.[conformance]'")
    base = tmp_path_factory.mktemp("conformance")
    (base / "ansible.cfg").write_text("[defaults]\n")
    cases = base / "cases"
    cases.mkdir()
    for name, case in CASES.items():
        laid_out(case, cases / name)
    settings = {"ANSIBLE_CONFIG": str(base / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "HOME": str(base)}
    subprocess.run(
        [sys.executable, str(HERE / "ansible_lists.py"), str(cases)],
        env={key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE")} | settings,
        check=True,
        timeout=300,
    )
    return cases


@pytest.mark.parametrize("name", CASES)
def test_an_inventory_is_read_as_ansible_reads_it(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / name)
    monkeypatch.delenv("BAREHOST_INVENTORY", raising=False)
    monkeypatch.delenv("BAREHOST_STATE", raising=False)
    answer = json.loads((folder / name / "ansible.json").read_text())
    try:
        ours = seen_by_us(*CASES[name]["sources"])
    except InputError as error:
        if answer["list"] is not None and hosts_of(answer["list"]):
            assert name in REFUSED, f"refused, and Ansible reads it: {error}"
        return
    assert name not in REFUSED
    assert answer["list"] is not None, f"read, and Ansible refuses it: {answer['stderr']}"
    theirs = seen_by_ansible(answer["list"])
    assert (ours != theirs) is (name in MORE), f"{ours} is not {theirs}"


def seen_by_us(*sources: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Hosts with their variables, and groups with all their hosts; Ansible lists no empty ones."""
    inventory = Inventory.load(*map(Path, sources))
    hosts = {name: plain(dict(inventory.variables(name))) for name in inventory.names}
    return hosts, {name: sorted(found) for name, found in inventory.groups.items() if found}


def seen_by_ansible(listed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    groups = {name: sorted(members(listed, name)) for name in listed if name != "_meta"}
    names = hosts_of(listed)
    groups["all"] = sorted(names)
    hosts = {name: plain(listed["_meta"]["hostvars"].get(name, {})) for name in names}
    return hosts, {name: found for name, found in groups.items() if found}


def hosts_of(listed: Mapping[str, Any]) -> set[str]:
    return members(listed, "all") | set(listed["_meta"]["hostvars"])


def members(listed: Mapping[str, Any], group: str) -> set[str]:
    body = listed.get(group, {})
    return set(body.get("hosts", ())).union(*(members(listed, child) for child in body.get("children", ())))


def plain(value: Any) -> Any:
    """A value as JSON knows it: what Ansible prints, and what we read, in the same types."""
    if isinstance(value, Vaulted):
        return {"__ansible_vault": str(value)}
    if isinstance(value, Mapping):
        unsafe = value.get("__ansible_unsafe")
        return {str(key): plain(one) for key, one in value.items()} if unsafe is None else unsafe
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, str) else value
