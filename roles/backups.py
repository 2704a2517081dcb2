"""Backups of the sites of a host: the program that makes them, its timers, and what is wrong with the newest. Pure.

What a backup is, and how one is restored: docs/services.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.release import Migrated
from deploy.release.backups import FOLDER, PROGRAM, STATE, config
from deploy.release.shared import RECORDS
from deploy.resource import Check, Fact, Phase, Remark, Resource
from deploy.resources.package import Package
from deploy.resources.path import Directory, File
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from deploy.shell import HOST, sh
from deploy.site.app import App
from deploy.site.backup import To, calendar
from deploy.site.services import database_name

TEXT = HOST / "backup.py"

DUMP_SECONDS = 6 * 3600
"""How long a backup before a migration may take; the program gives up one that writes nothing for ten minutes."""

SERVICE = """# Written by Barehost: the next run replaces what is edited here. Why: docs/services.md.
[Unit]
Description={what} of {site}
After=postgresql.service

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {program} {verb} {config}
TimeoutStartSec=infinity
Nice=10
IOSchedulingClass=idle
PrivateTmp=yes
"""

TIMER = """# Written by Barehost: the next run replaces what is edited here. Why: docs/services.md.
[Unit]
Description={what} of {site}, by the clock

[Timer]
OnCalendar={event}
Persistent=true
RandomizedDelaySec=120

[Install]
WantedBy=timers.target
"""


def backups(host: Host, facts: Facts) -> Iterator[Resource]:
    """What every site with ``backup:`` takes."""
    sites = [app for app in host.apps if app.state == "present" and app.backup is not None]
    if not sites:
        return
    yield Package("python3")
    yield Directory(FOLDER, mode=0o700)
    yield File(PROGRAM, TEXT.read_bytes(), when=Phase.SERVICES)
    for app in sites:
        yield from of_site(app, facts)


def of_site(app: App, facts: Facts) -> Iterator[Resource]:
    """A site's configuration, its units and timers, and a remark where the newest backup is no good."""
    assert app.backup is not None
    backup, scope = app.backup, app.name
    if backup.to is not None:
        yield from place(app, backup.to)
    yield File(config(app.name), as_json(app), mode=0o600, secret=True, when=Phase.SERVICES, scope=scope)
    for what, verb, event in (("Backup", "run", backup.at), ("Drill", "drill", backup.drill)):
        name = f"barehost-{what.lower()}-{app.name}"
        values = {
            "what": what,
            "site": app.name,
            "program": PROGRAM,
            "verb": verb,
            "config": config(app.name),
        }
        service, timer = (f"/etc/systemd/system/{name}.{end}" for end in ("service", "timer"))
        yield File(service, SERVICE.format(**values), when=Phase.SERVICES, scope=scope)
        if event == "never":
            yield Unit(f"{name}.timer", running=False, enabled=False, when=Phase.SERVICES, scope=scope)
            continue
        known = Check(
            f"when the {what.lower()} of {app.name} is due",
            sh("systemd-analyze calendar -- @{event} >/dev/null", event=calendar(event)),
        )
        yield (
            clock := File(
                timer,
                TIMER.format(event=calendar(event), what=what, site=app.name),
                check=known,
                when=Phase.SERVICES,
                scope=scope,
            )
        )
        yield Unit(f"{name}.timer", restart_on=(clock,), when=Phase.SERVICES, scope=scope)
    yield due(app)
    if wrong := facts.own.get(f"backup-{app.name}"):
        yield Remark(f"{app.name}: {wrong}", scope=scope)


def place(app: App, to: To) -> Iterator[Resource]:
    """What the host needs to reach where backups lie besides."""
    if to.restic:
        yield Package("restic", scope=app.name)
        yield Package("ca-certificates", scope=app.name)
        yield Directory("/var/cache/barehost/restic", mode=0o700)
    if to.ssh:
        yield Package("openssh-client", scope=app.name)
        base, where = config(app.name).removesuffix(".json"), to.as_json()
        named = where["host"] if where["port"] == 22 else f"[{where['host']}]:{where['port']}"
        key = app.backup_secrets["SSH_KEY"].reveal().strip() + "\n"
        yield File(f"{base}.key", key, mode=0o600, secret=True, when=Phase.SERVICES, scope=app.name)
        yield File(f"{base}.known_hosts", f"{named} {to.host_key}\n", when=Phase.SERVICES, scope=app.name)


def as_json(app: App) -> str:
    """What the program should know of the site; with the secrets of where backups lie."""
    assert app.backup is not None
    database = app.database
    about = {
        "site": app.name,
        "user": app.user,
        "shared": app.shared,
        "folder": f"{FOLDER}/{app.name}",
        "keep": app.backup.keep,
        "hours": app.backup.max_age,
        "to": app.backup.to.as_json() if app.backup.to else None,
        "environment": {
            name: secret.reveal() for name, secret in app.backup_secrets.items() if name != "SSH_KEY"
        },
        "database": None
        if database is None
        else {
            "name": database_name(app),
            "extensions": list(database.extensions),
            "encoding": database.encoding,
            "locale": database.locale,
        },
    }
    return json.dumps(about, indent=1, sort_keys=True) + "\n"


def due(app: App) -> Fact:
    """What is wrong with the backups of the site, by the host's own clock; nothing where all is well."""
    return Fact(
        f"backup-{app.name}",
        sh(
            "until= wrong=\n"
            "if [ -f @{standing} ]; then { read -r until; read -r wrong; } < @{standing}; fi\n"
            '[ -z "$wrong" ] || echo "$wrong"\n'
            'if [ -z "$wrong" ] && [ -n "$until" ] && [ "$(date +%s)" -gt "$until" ]; then\n'
            "  echo @{old}\n"
            "fi",
            standing=f"{STATE}/{app.name}/standing",
            old="the newest backup is too old: journalctl -u barehost-backup-" + app.name,
        ),
    )


def before_migrating(app: App, migration: Migrated) -> Run:
    """A backup that is whole before the migrations of a release begin; none where they are done already."""
    release = migration.release
    mark = f"{STATE}/{app.name}/before-{release}"
    return Run(
        f"backup of {app.name} before it is migrated to {release}",
        sh(
            "rm -f -- @{older}*\nexec /usr/bin/python3 -I @{program} run @{config} @{mark}",
            older=f"{STATE}/{app.name}/before-",
            program=PROGRAM,
            config=config(app.name),
            mark=mark,
        ),
        unless=sh(
            "[ -e @{mark} ] || grep -qx @{done} @{record}",
            mark=mark,
            done=f"{migration.word} {migration.mark}",
            record=f"{RECORDS}/{app.name}/{release}",
        ),
        timeout=DUMP_SECONDS,
        scope=app.name,
    )
