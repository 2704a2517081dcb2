"""Inventories in INI form: mistakes by line. That they are read as Ansible reads them, tests/conformance shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.inventory.inventory import Inventory
from tests.unit.inventory.conftest import Write


def test_groups_variables_and_group_vars_are_there(write: Write, tmp_path: Path):
    write("all: {hosts: {}}", inventory__group_vars__web="x: from a file")
    (tmp_path / "inventory/hosts.yml").rename(tmp_path / "kept")
    (tmp_path / "inventory/hosts").write_text(
        "[web]\nshop[1:2] ansible_host=192.0.2.1 ansible_port=2222 # the shop\n"
        "[eu:children]\nweb\n[eu:vars]\ny=[1, 2]\n"
    )
    host = Inventory.load().host("shop1")
    assert (host.address, host.port, host.groups) == ("192.0.2.1", 2222, ("eu", "web"))
    assert (host.vars["x"], host.vars["y"]) == ("from a file", (1, 2))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[web]\nalpha x\n", 2),
        ("[web]\nalpha x='\n", 2),
        ("[web]\n\nalpha:\n", 3),
        ("[web servers]\nalpha\n", 1),
        ("[web:hosts2]\nalpha\n", 1),
        ("[web]\nalpha\n[eu:children]\nweb db\n", 4),
        ("[web]\nalpha\n[eu:children]\nweb\ndb\n", 5),
        ("[web]\nalpha\n[db:vars]\nx=1\n", 3),
        ("[web]\nalpha\n[web:vars]\nno equals sign\n", 4),
        ("[web]\nalpha[3:1]\n", 2),
        ("web:\n  hosts:\n", 1),
    ],
)
def test_a_mistake_is_named_by_its_line(write: Write, tmp_path: Path, text: str, line: int):
    write("all: {hosts: {}}")
    (tmp_path / "prod.ini").write_text(text)
    with pytest.raises(InputError, match=rf"^prod.ini:{line}:1: ") as caught:
        Inventory.load(Path("prod.ini"))
    assert "\n" not in str(caught.value)


def test_a_number_in_another_spelling_is_no_secret(write: Write, tmp_path: Path):
    write("all: {hosts: {}}")
    (tmp_path / "prod.ini").write_text("[web]\nalpha ansible_become_password=1_000 pin=0012\n")
    inventory = Inventory.load(Path("prod.ini"))
    with pytest.raises(InputError, match="quote it"):
        inventory.host("alpha")
    assert inventory.variables("alpha")["pin"] == "0012", "Ansible takes it for text"


@pytest.mark.parametrize(
    "name", ["README", "LICENSE", "hosts.yml.example", "nginx.conf", "vars.j2", "Makefile", "deploy.sh"]
)
def test_a_stray_file_in_a_folder_is_a_warning(write: Write, tmp_path: Path, name: str):
    write("web: {hosts: {alpha: }}")
    (tmp_path / "inventory" / name).write_text("web:\n  hosts: {beta: }\nRead this first.\n")
    inventory = Inventory.load()
    assert inventory.names == ("alpha",)
    assert [warning for warning in inventory.warnings if f"inventory/{name}" in warning]


@pytest.mark.parametrize("name", ["hosts.toml", "ec2.sh", "broken.ini", "broken.yml"])
def test_a_file_that_ansible_would_read_is_not_passed_over(write: Write, tmp_path: Path, name: str):
    write("web: {hosts: {alpha: }}")
    path = tmp_path / "inventory" / name
    path.write_text("#!/bin/sh\n[web\n")
    path.chmod(0o755)
    with pytest.raises(InputError, match=name):
        Inventory.load()


def test_folders_in_a_folder_are_read_but_those_of_variables(write: Write, tmp_path: Path):
    inventory = write(
        "web: {hosts: {alpha: }}",
        inventory__eu__west__more="web: {hosts: {beta: }}",
        inventory__eu__group_vars__web="[no variables of a source]",
    )
    assert set(inventory.names) == {"alpha", "beta"}
    (tmp_path / "inventory/eu/around").symlink_to("..")
    with pytest.raises(InputError, match="contains itself"):
        Inventory.load()


def test_two_spellings_of_one_variable_are_refused_with_both(write: Write):
    inventory = write(
        "web: {hosts: {a: {ansible_host: 192.0.2.1}}}",
        inventory__group_vars__web="ansible_ssh_host: 192.0.2.2",
    )
    with pytest.raises(InputError) as caught:
        inventory.host("a")
    assert "ansible_host" in str(caught.value)
    assert "ansible_ssh_host" in str(caught.value)
    assert "group_vars/web.yml:1" in str(caught.value)
