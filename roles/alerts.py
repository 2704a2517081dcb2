"""The host tells somebody when it is not well: a timer that posts, mails or pings. Pure; nothing unless asked for."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Template
from deploy.resources.unit import Unit
from deploy.shell import embedded, program

CONFIG = "/etc/barehost/alerts"
HERE = "/usr/local/lib/barehost"
UNIT = "barehost-alerts"


def alerts(host: Host, facts: Facts) -> Iterator[Resource]:
    """What is looked at stands in deploy/host/alarms.sh, which ``invoke status`` runs as well."""
    wanted = host.alerts
    if wanted is None:
        return
    lines = [("webhook", wanted.webhook), ("ping", wanted.ping), ("mail", wanted.mail)]
    text = "".join(f"{kind} {value.reveal()}\n" for kind, value in lines if value is not None)
    yield Package("python3")
    yield Directory("/etc/barehost")
    yield Directory(HERE)
    yield File(CONFIG, text, mode=0o600, secret=True)
    yield File(f"{HERE}/alarms", program("alarms"), mode=0o755)
    yield File(f"{HERE}/alert.py", embedded("alert"))
    units = [
        Template(f"/etc/systemd/system/{UNIT}.{kind}", f"alerts.{kind}.j2", host=host)
        for kind in ("service", "timer")
    ]
    yield from units
    yield Unit(f"{UNIT}.timer", restart_on=(units[1],))
