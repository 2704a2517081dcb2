"""Of the host's ssh server what the inventory says, before whatever its own files say. Pure; changed under guard."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Check, Resource
from deploy.resources.path import File
from deploy.resources.unit import Unit
from deploy.shell import sh

FILE = "/etc/ssh/sshd_config.d/00-barehost.conf"
"""Read before the others there: of several values sshd takes the first."""

CHECK = Check("sshd -t", sh("mkdir -p /run/sshd && /usr/sbin/sshd -t"))


def ssh(host: Host, facts: Facts) -> Iterator[Resource]:
    """One file that sshd includes; nothing where the inventory says nothing of ssh."""
    wanted = host.ssh
    if wanted is None:
        return
    lines = ["# Written by Barehost from the inventory's ssh: the next run replaces what is edited here."]
    if wanted.port is not None:
        lines.append(f"Port {wanted.port}")
    if wanted.password_login is not None:
        word = "yes" if wanted.password_login else "no"
        lines += [f"PasswordAuthentication {word}", f"KbdInteractiveAuthentication {word}"]
    if wanted.root_login is not None:
        lines.append(f"PermitRootLogin {'prohibit-password' if wanted.root_login else 'no'}")
    if wanted.allow_users:
        lines.append(f"AllowUsers {' '.join(wanted.allow_users)}")
    file = File(FILE, "".join(f"{line}\n" for line in lines), check=CHECK)
    yield file
    yield Unit("ssh.service", reload_on=(file,))
