"""What any host needs before it serves many people: a full queue, the right time, logs that end. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.package import Package
from deploy.resources.path import Directory, File
from deploy.resources.run import Run
from deploy.resources.sysctl import Sysctl
from deploy.resources.unit import Unit
from deploy.shell import sh

MARK = "# Written by Barehost: the next run replaces what is edited here. Why: docs/serving.md.\n"

QUEUE = 16384
"""Connections that may wait to be accepted, as Nginx and Gunicorn ask for; Linux caps what they get at 4096, and
of 8,000 requests at once most were answered 502 then."""


def base(host: Host, facts: Facts) -> Iterator[Resource]:
    """Kernel, clock, logs, and a name that resolves."""
    yield Sysctl("net.core.somaxconn", at_least=QUEUE)
    yield File("/etc/sysctl.d/60-barehost.conf", f"{MARK}net.core.somaxconn = {QUEUE}\n")

    if facts.clock == "none" and facts.container is None:
        yield Package("systemd-timesyncd")

    yield Package("logrotate")
    yield Directory("/etc/systemd/journald.conf.d")
    yield (
        journal := File(
            "/etc/systemd/journald.conf.d/60-barehost.conf", f"{MARK}[Journal]\nSystemMaxUse=500M\n"
        )
    )
    yield Unit("systemd-journald.service", restart_on=(journal,))

    if facts.hostname:
        yield named(facts.hostname)


def named(hostname: str) -> Run:
    """The host's own name in /etc/hosts: without it, each sudo waits on DNS, 5 s where that doesn't answer."""
    return Run(
        "name the host in /etc/hosts",
        sh("printf '127.0.1.1 %s\\n' @{hostname} >> /etc/hosts", hostname=hostname),
        unless=sh(
            "grep -Eq -- @{entry} /etc/hosts",
            entry=rf"^[0-9a-fA-F:][^#]*[[:space:]]{re.escape(hostname)}([[:space:]#]|$)",
        ),
    )
