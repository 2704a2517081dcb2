"""The base of every host."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from deploy.roles.base import base, named
from tests.unit.fakes import local
from tests.unit.fakes.saying import said

BARE = Facts()


MACHINE = Facts(own={"nginx": "1.22.1"}, hostname="web1", cores=2, ipv6=True, clock="none")


def test_the_base_keeps_the_time_only_where_nobody_else_does() -> None:
    def packages(facts: Facts) -> set[str]:
        return {one for one in said(Host("web1"), facts, base) if one.startswith("package:")}

    timesyncd = {"package:systemd-timesyncd"}
    assert packages(Facts(clock="none")) >= timesyncd
    assert not packages(Facts(clock="chronyd")) & timesyncd
    assert not packages(Facts(clock="none", container="lxc")) & timesyncd
    assert not packages(BARE) & timesyncd


def test_journald_is_restarted_for_its_limits() -> None:
    journald = said(Host("web1"), MACHINE, base)["unit:systemd-journald.service"]
    assert isinstance(journald, Unit)
    assert [one.path for one in journald.restart_on] == ["/etc/systemd/journald.conf.d/60-barehost.conf"]


@pytest.mark.parametrize(
    ("hosts", "there"),
    [
        ("127.0.0.1 localhost\n10.0.0.5 web1\n", True),
        ("127.0.1.1\tweb1.example.com web1\n", True),
        ("::1 web1 # ours\n", True),
        ("127.0.0.1 localhost\n", False),
        ("# 10.0.0.5 web1\n", False),
        ("10.0.0.5 web10 xweb1 web1.example.com\n", False),
        ("10.0.0.5 db # web1\n", False),
    ],
)
def test_a_hosts_own_name_is_looked_for_as_a_whole_word(tmp_path: Path, hosts: str, there: bool) -> None:
    file = tmp_path / "hosts"
    file.write_text(hosts)
    run = named("web1")
    here = Run(
        run.name,
        run.command.replace("/etc/hosts", str(file)),
        unless=(run.unless or "").replace("/etc/hosts", str(file)),
    )
    assert (local.look(here)[here.id] is not None) == there
    local.settle(here, tmp_path)
    assert local.look(here)[here.id] == here.expected()
