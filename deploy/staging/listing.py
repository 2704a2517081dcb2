"""Files that tell of the staging hosts: Ansible inventory, known_hosts, ssh_config. Connects to nobody."""

from __future__ import annotations

from typing import Any

import yaml

from deploy.staging.machine import replace
from deploy.staging.record import Record, Space


def write(space: Space) -> None:
    """Write hosts.yml, known_hosts and ssh_config for the project's hosts as they stand; none for no host."""
    hosts = [record for record in space.hosts() if record.made]
    names = ("hosts.yml", "known_hosts", "ssh_config")
    if not hosts or not space.state.exists():
        for name in names:
            (space.state / name).unlink(missing_ok=True)
        return
    for name, text in zip(names, (inventory(hosts), known_hosts(hosts), ssh_config(hosts)), strict=True):
        replace(space.state / name, text, 0o600)


def inventory(hosts: list[Record]) -> str:
    """The group `staging` in Ansible's YAML layout."""
    entries = {record.name: _variables(record) for record in hosts}
    text = yaml.safe_dump({"staging": {"hosts": entries}}, sort_keys=False)
    return f"# Written by staging; changes are lost at the next up or down.\n{text}"


def _variables(record: Record) -> dict[str, Any]:
    space = record.space
    variables: dict[str, Any] = {
        "ansible_host": record.address,
        "ansible_port": record.port,
        "ansible_user": record.user,
        "ansible_ssh_private_key_file": str(space.private_key),
        "ansible_become": record.user != "root",
        "barehost_known_hosts": str(space.known_hosts),
    }
    if record.sudo_password is not None:
        variables["ansible_become_password"] = record.sudo_password
    if jump := _jump(record):
        variables["ansible_ssh_common_args"] = f"-o ProxyJump={jump.user}@{jump.address}:{jump.port}"
    return variables


def _jump(record: Record) -> Record | None:
    return record.space.host(record.behind) if record.behind else None


def known_hosts(hosts: list[Record]) -> str:
    """Each host's ed25519 key under its address; with another port than 22 as `[address]:port`."""
    lines = []
    for record in hosts:
        kind, key = (
            (record.folder / "identity/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()[:2]
        )
        place = record.address if record.port == 22 else f"[{record.address}]:{record.port}"
        lines.append(f"{place} {kind} {key}\n")
    return "".join(lines)


def ssh_config(hosts: list[Record]) -> str:
    """For OpenSSH: `ssh -F <state>/ssh_config web1`."""
    blocks = []
    for record in hosts:
        space = record.space
        lines = [
            f"Host {record.name}",
            f"HostName {record.address}",
            f"Port {record.port}",
            f"User {record.user}",
            f'IdentityFile "{space.private_key}"',
            "IdentitiesOnly yes",
            f'UserKnownHostsFile "{space.known_hosts}"',
            "StrictHostKeyChecking yes",
        ]
        if jump := _jump(record):
            lines.append(f"ProxyJump {jump.name}")
        blocks.append("\n  ".join(lines) + "\n")
    return "\n".join(blocks)
