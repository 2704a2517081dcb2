"""Security updates that the host installs by itself, and what must not be restarted behind our back. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Template
from deploy.resources.unit import Unit

PERIODIC = "/etc/apt/apt.conf.d/60barehost-updates"
NEEDRESTART = "/etc/needrestart/conf.d/barehost.conf"
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")


def updates(host: Host, facts: Facts) -> Iterator[Resource]:
    """unattended-upgrades with Debian's own choice of what is a security update; nothing where nothing is said."""
    wanted = host.updates
    if wanted is None:
        return
    if wanted.state == "absent":
        yield File(PERIODIC, 'APT::Periodic::Unattended-Upgrade "0";\n')
        return
    yield Package("unattended-upgrades")
    yield Template(PERIODIC, "updates.conf.j2", host=host, updates=wanted)
    yield Directory("/etc/needrestart/conf.d")
    yield Template(NEEDRESTART, "needrestart.conf.j2", host=host)
    yield from (Unit(timer) for timer in TIMERS)
