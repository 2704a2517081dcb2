"""The bench's own staging hosts: made, frozen, cloned, counted, and gone at the end. Runs no peer."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.contenders import Target
from deploy import staging
from deploy.staging import StagingHost

BOOTING = 4
"""Hosts booted at once: a boot keeps a core busy for about a second."""


@dataclass(frozen=True)
class Traffic:
    """What went over port 22 of hosts, both ways and with TCP's own: packets that open a connection, bytes; and
    the sessions (commands and subsystems) that sshd began."""

    connections: int = 0
    sent: int = 0
    received: int = 0
    sessions: int = 0

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.connections - other.connections,
            self.sent - other.sent,
            self.received - other.received,
            self.sessions - other.sessions,
        )

    def __add__(self, other: Traffic) -> Traffic:
        return self - (Traffic() - other)


def up(names: Sequence[str], image: str | None = None) -> list[Target]:
    """Boot hosts side by side, each ready to be counted."""
    with ThreadPoolExecutor(BOOTING) as pool:
        return list(pool.map(lambda name: _up(name, image), names))


def _up(name: str, image: str | None) -> Target:
    host = staging.up(name, image=image)
    _count(host)
    return Target(name, host.address)


def again(host: Target) -> None:
    """Bare once more, or as its image was."""
    _count(staging.reset(host.name))


def freeze(host: Target, image: str) -> None:
    """Keep what the host holds as an image to boot others from; the host is gone."""
    staging.freeze(host.name, image)


def clear() -> None:
    """Take down every host of the bench and delete its images."""
    hosts = [host.name for host in staging.hosts()]
    with ThreadPoolExecutor(BOOTING) as pool:
        list(pool.map(staging.down, hosts))
    for image in staging.images():
        staging.thaw(image.name)


def down(hosts: Sequence[Target]) -> None:
    """Take these down."""
    with ThreadPoolExecutor(BOOTING) as pool:
        list(pool.map(lambda host: staging.down(host.name), hosts))


def inside(host: Target, script: str) -> str:
    """What a shell on the host says, reached without SSH; a failure is the bench's own error."""
    done = staging.inside(host.name, "sh", "-c", script, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{host.name}: {script}: {done.stderr.strip()}")
    return done.stdout


def _count(host: StagingHost) -> None:
    """Make sshd log each session, and the kernel count what goes over port 22."""
    target = Target(host.name, host.address)
    inside(target, "echo 'LogLevel VERBOSE' > /etc/ssh/sshd_config.d/00-bench.conf && systemctl reload ssh")
    for rule in (
        "INPUT -p tcp --dport 22 --syn",
        "INPUT -p tcp --dport 22",
        "OUTPUT -p tcp --sport 22",
    ):
        _iptables(host, "-A", *rule.split())


def traffic(hosts: Sequence[Target]) -> Traffic:
    """The counts of these hosts since they were booted, added up."""
    running = {host.name: host for host in staging.running()}
    with ThreadPoolExecutor(BOOTING) as pool:
        return sum(pool.map(lambda host: _traffic(host, running[host.name]), hosts), Traffic())


def _traffic(target: Target, host: StagingHost) -> Traffic:
    log = inside(target, "journalctl --no-pager -o cat -t sshd | grep -c '^Starting session' || :")
    return counted(_iptables(host, "-L", "-vxn"), int(log))


def counted(table: str, sessions: int) -> Traffic:
    """What `iptables -L -vxn` says of the three rules of :func:`_count`."""
    opened, inwards, outwards = re.findall(r"^\s*(\d+)\s+(\d+)\s.*tcp", table, re.MULTILINE)
    return Traffic(int(opened[0]), int(inwards[1]), int(outwards[1]), sessions)


def _iptables(host: StagingHost, *words: str) -> str:
    return subprocess.run(
        ["nsenter", f"--net=/proc/{host.pid}/ns/net", "iptables", *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
