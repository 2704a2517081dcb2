"""Who a host is: name, machine id, SSH host keys, account, resolver. Writes its root before it boots."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from deploy.staging.machine import replace, run
from deploy.staging.record import Record, Space

KEY_TYPES = ("ed25519", "ecdsa")
"""A host offers both and only the first is pinned, as it happens with real hosts."""
CGROUPS = """\
# Written by staging: nspawn mounts the hierarchies of cgroup v1 read-only, and container engines make cgroups in all.
[Unit]
Description=Let container engines make cgroups
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'findmnt -rno TARGET -t cgroup | while read -r at; do mount -o remount,bind,rw "$at" || exit; done'
"""


def project_key(space: Space) -> None:
    """Make the key that opens every staging host of this project, once."""
    if not space.private_key.exists():
        space.state.mkdir(parents=True, exist_ok=True)
        run(
            [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "barehost-staging",
                "-f",
                str(space.private_key),
            ]
        )


def imprint(record: Record) -> None:
    """Write the host's identity into its mounted root: the same one each time, made at the first."""
    folder, root = record.folder / "identity", record.root
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KEY_TYPES:
        key = folder / f"ssh_host_{kind}_key"
        if not key.with_suffix(".pub").exists():
            key.unlink(missing_ok=True)
            run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", record.name, "-f", str(key)])
        replace(root / "etc/ssh" / key.name, key.read_text(encoding="utf-8"), 0o600)
        replace(root / "etc/ssh" / f"{key.name}.pub", key.with_suffix(".pub").read_text(encoding="utf-8"))
    machine_id = folder / "machine-id"
    if not machine_id.exists():
        replace(machine_id, f"{uuid.uuid4().hex}\n")
    replace(root / "etc/machine-id", machine_id.read_text(encoding="utf-8"), 0o444)
    replace(root / "etc/hostname", f"{record.name}\n")
    replace(
        root / "etc/hosts",
        f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{record.address} {record.name}\n",
    )
    replace(root / "etc/resolv.conf", resolvers())
    replace(root / "etc/ssh/sshd_config.d/10-staging.conf", f"Port {record.port}\nUseDNS no\n")
    if record.containers:
        unit = root / "etc/systemd/system/staging-cgroups.service"
        replace(unit, CGROUPS)
        wants = root / "etc/systemd/system/sysinit.target.wants" / unit.name
        wants.parent.mkdir(exist_ok=True)
        wants.unlink(missing_ok=True)
        wants.symlink_to(f"../{unit.name}")
    _account(record)


def _account(record: Record) -> None:
    """Let the project's key in as the wanted user, who may become root: freely or with the password."""
    root, user = record.root, record.user
    public = record.space.private_key.with_suffix(".pub").read_text(encoding="utf-8")
    inside = ["chroot", str(root)]
    if user == "root":
        home, owner = root / "root", "root"
    else:
        home, owner = root / "home" / user, user
        if run([*inside, "id", user], check=False).returncode != 0:
            run([*inside, "useradd", "--create-home", "--shell", "/bin/bash", user])
        rule = "ALL" if record.sudo_password is not None else "NOPASSWD: ALL"
        replace(root / "etc/sudoers.d/10-staging", f"{user} ALL=(ALL:ALL) {rule}\n", 0o440)
        if record.sudo_password is not None:
            run([*inside, "chpasswd"], stdin=f"{user}:{record.sudo_password}\n")
        (root / "root/.ssh/authorized_keys").unlink(missing_ok=True)
    ssh = home / ".ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    replace(ssh / "authorized_keys", public, 0o600)
    run([*inside, "chown", "-R", f"{owner}:", f"/{ssh.relative_to(root)}"])


def resolvers() -> str:
    """This machine's name servers, as a resolv.conf for hosts that cannot reach its loopback."""
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        usable = [line for line in lines if not line.startswith(("nameserver 127.", "nameserver ::1"))]
        if any(line.startswith("nameserver") for line in usable):
            return "\n".join(usable) + "\n"
    return ""


def forget_overlay(record: Record) -> None:
    """Throw away what the host wrote; its root must not be mounted."""
    for name in ("upper", "work", "storage", "storage.new"):
        shutil.rmtree(record.folder / name, ignore_errors=True)
