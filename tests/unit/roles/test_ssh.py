"""What of the ssh server is said by the inventory, and refused before it keeps somebody out."""

from __future__ import annotations

from typing import Any

from deploy.facts import Facts
from deploy.inventory.edge import Ssh
from deploy.inventory.hosts import Host
from deploy.resources.path import File
from deploy.roles.ssh import ssh
from deploy.schema.model import build


def text(**values: Any) -> str:
    file, unit = ssh(Host("web1", ssh=build(Ssh, values)), Facts())
    assert isinstance(file, File) and file.locks_out and unit.locks_out
    return file.text


def test_a_host_that_says_nothing_keeps_its_own() -> None:
    assert list(ssh(Host("web1"), Facts())) == []


def test_only_what_is_said_is_written() -> None:
    assert text(port=2222).splitlines()[1:] == ["Port 2222"]
    lines = text(password_login=False, root_login=True, allow_users=["deploy", "ada"]).splitlines()[1:]
    assert lines == [
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "AllowUsers deploy ada",
    ]
