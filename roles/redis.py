"""Redis (or Valkey) for the sites of a host: one server a site and purpose, on a unix socket alone. Pure.

Why each setting is as it is: docs/services.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Phase, Resource
from deploy.resources.package import Package
from deploy.resources.path import File, Template
from deploy.resources.sysctl import Sysctl
from deploy.resources.unit import Unit
from deploy.site.app import App
from deploy.site.values import size

CONFIGURATIONS = "/etc/barehost"

SHARE = {"cache": 16, "queue": 8}
"""``auto``: the part of the host's memory that a server of each purpose may take, as one in so many."""

WITHOUT_VALKEY = {"debian": ("10", "11", "12"), "ubuntu": ("20.04", "22.04")}


def redis(host: Host, facts: Facts) -> Iterator[Resource]:
    """The servers of every site with ``redis:``."""
    sites = [app for app in host.apps if app.state == "present" and app.redis is not None]
    for app in sites:
        assert app.redis is not None
        if app.redis.kind == "valkey" and facts.version in WITHOUT_VALKEY.get(facts.os or "", ()):
            raise InputError(
                f"{host.name}: {app.name}: {facts.os} {facts.version} has no Valkey; "
                "write kind: redis, which speaks the same"
            )
        kind = app.redis.kind
        yield Package(f"{kind}-server", masks=(f"{kind}-server.service",))
        for purpose, memory in app.redis.purposes.items():
            yield from server(host, app, purpose, mib(memory, purpose, facts))
    if any(app.redis and app.redis.queue for app in sites):
        # saving the queue to the disk forks, and a kernel that counts memory twice refuses that
        yield Sysctl("vm.overcommit_memory", at_least=1)
        yield File("/etc/sysctl.d/61-barehost-redis.conf", "vm.overcommit_memory = 1\n")


def server(host: Host, app: App, purpose: str, memory: int) -> Iterator[Resource]:
    """One server: its data, its configuration, and the unit that Debian has for such instances.

    It runs as the site's account, not its package's: the socket and the data are the site's and nobody else's, neither
    another site's nor Nginx's, which is in the group of each site. Its configuration lies where it cannot write:
    Debian's /etc/redis is the package account's, which a server may be told to save its data to.
    """
    assert app.redis is not None
    kind, instance, scope = app.redis.kind, f"{app.name}-{purpose}", app.name
    yield (
        conf := Template(
            f"{CONFIGURATIONS}/{kind}-{instance}.conf",
            "redis.conf.j2",
            group=app.user,
            mode=0o640,
            scope=scope,
            when=Phase.SERVICES,
            host=host,
            socket=app.redis.socket(app.name, purpose),
            data=f"/var/lib/{kind}-{instance}",
            purpose=purpose,
            memory=memory,
        )
    )
    unit = f"{kind}-server@{instance}.service"
    yield (
        own := File(
            f"/etc/systemd/system/{unit}.d/barehost.conf",
            f"[Service]\nExecStart=\nExecStart=/usr/bin/{kind}-server {conf.path} --supervised systemd --daemonize no\n"
            f"User={app.user}\nGroup={app.user}\nUMask=0077\nRuntimeDirectoryMode=0700\n"
            f"StateDirectory={kind}-{instance}\nStateDirectoryMode=0700\n",
            scope=scope,
            when=Phase.SERVICES,
        )
    )
    yield Unit(unit, restart_on=(conf, own), scope=scope, when=Phase.SERVICES)


def mib(memory: str, purpose: str, facts: Facts) -> int:
    """How much a server may hold: as the inventory says, or a part of the host's memory, 32 MiB at least."""
    if memory != "auto":
        return max(1, size(memory) >> 20)
    whole = max(256, (facts.memory or 1024) // 256 * 256)
    return max(32, whole // SHARE[purpose])
