"""A firewall as the inventory says it, and changes that would lock everybody out: the host goes back by itself."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Callable

import pytest
from booting import Boot, Clone
from sites import HELLO, Project, ask, leftovers, sh, until

from deploy import staging
from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
BACK = 40
"""Seconds within which a host lets people in again."""


def reached(host: StagingHost, port: int) -> str:
    """What a stranger finds at a port: ``open``, ``refused``, or ``silent`` where nothing answers."""
    try:
        socket.create_connection((host.address, port), 1.5).close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    return "open"


def listening(host: StagingHost, *ports: int) -> None:
    """Something behind each port that nobody has asked to be open."""
    for port in ports:
        listener = f"import socket,time;s=socket.create_server(('',{port}),backlog=9);time.sleep(9999)"
        sh(host, f'systemd-run -q --unit=listen-{port} /usr/bin/python3 -c "{listener}"')
        until(
            lambda port=port: sh(host, f"ss -Htln 'sport = {port}'").strip(), what=f"nobody listens on {port}"
        )


def rules(host: StagingHost) -> str:
    """Every table but ours."""
    return sh(host, "nft -s list ruleset | awk '/^table inet barehost/ {ours=1} !ours {print} /^}/ {ours=0}'")


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_stranger_finds_the_ports_that_were_asked_for_and_no_other(
    suite: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    listening(host, 8000, 9999)
    # a minimal host knows no names of protocols
    sh(
        host,
        "apt-get install -y -qq nftables >/dev/null 2>&1; nft add table ip other; rm -f /etc/protocols /etc/services",
    )
    before = rules(host)
    allowed = [8000, {"port": 9999, "source": ["192.0.2.0/24"]}, "53/udp"]
    project.serve(host, {"hello": HELLO}, firewall={"allow": allowed, "ssh_rate": 600})
    project.provision()
    assert {port: reached(host, port) for port in (22, 80, 443, 8000, 9999)} == {
        22: "open",
        80: "open",
        443: "silent",
        8000: "open",
        9999: "silent",
    }
    assert rules(host) == before
    assert leftovers(host) == "" and "guard" not in sh(host, "ls /var/lib/barehost")
    again = project.provision("--json").report()
    assert (again["outcome"], again["round_trips"]) == ("unchanged", 1)

    sh(host, "nft insert rule inet barehost input tcp dport 9999 accept")
    assert reached(host, 9999) == "open"
    plan = project.run("plan", "--json")
    assert plan.code == 2 and "firewall:barehost" in plan.out, plan.said
    unwell = project.run("status")
    assert unwell.code == 13 and "firewall" in unwell.out, unwell.said
    project.provision()
    assert project.run("status").code == 0
    assert reached(host, 9999) == "silent"
    sh(host, "systemctl restart nftables.service")  # flushes all; ours comes back with it
    until(lambda: reached(host, 9999) == "silent", what="who flushes all rules takes ours along")

    project.serve(host, {"hello": HELLO}, firewall={"allow": [8000]})
    shown = project.run("plan", "--diff")
    assert shown.code == 2 and "192.0.2.0/24" in shown.out, shown.said
    project.provision()
    project.serve(host, {"hello": HELLO}, firewall=False)
    project.provision()
    assert reached(host, 9999) == "open"
    project.settled()


LOCKOUTS: dict[str, str] = {
    "a firewall without ssh": """
    from deploy.resources.firewall import Firewall
    rules = '''table inet barehost
delete table inet barehost
table inet barehost {
  chain input { type filter hook input priority 0; policy drop; tcp dport %d accept; }
}
'''
    yield File('/etc/barehost/firewall.nft', rules, guarded=True)
    yield Firewall('barehost', '/etc/barehost/firewall.nft', rules)
""",
    "nobody may log in": """
    file = File('/etc/ssh/sshd_config.d/01-own.conf', 'AllowUsers nobody%d\\n')
    yield file
    yield Unit('ssh.service', reload_on=(file,))
""",
    "no keys any more": """
    file = File('/etc/ssh/sshd_config.d/01-own.conf', 'PubkeyAuthentication no\\nLoginGraceTime %d\\n')
    yield file
    yield Unit('ssh.service', reload_on=(file,))
""",
    "another address": """
    file = File('/etc/ssh/sshd_config.d/01-own.conf', 'ListenAddress 127.0.0.1:%d\\n')
    yield file
    yield Unit('ssh.service', reload_on=(file,))
""",
    "a login that ends at once": """
    file = File('/etc/ssh/sshd_config.d/01-own.conf', 'ForceCommand /bin/false %d\\n')
    yield file
    yield Unit('ssh.service', reload_on=(file,))
""",
}
"""Bodies of a role, with a number that makes each change another one."""


def locking(project: Project, host: StagingHost, body: str, number: int) -> None:
    project.role("locking", f"pass\n{body % number}")
    project.inventory({host: {"roles": ["base", "locking"]}})


@pytest.fixture
def guarded(served: Served, clone: Clone, project: Project) -> StagingHost:
    host = clone(served("bookworm"))
    sh(
        host,
        "apt-get install -y -qq nftables >/dev/null 2>&1; nft add table ip other; mkdir -p /etc/barehost",
    )
    project.inventory({host: {"roles": ["base"]}})
    project.provision()
    return host


def test_a_change_that_locks_everybody_out_goes_back_by_itself(
    guarded: StagingHost, project: Project, pytestconfig: pytest.Config
) -> None:
    chance = random.Random(20261130)
    tables = rules(guarded)
    count = pytestconfig.getoption("--lockouts")
    kinds = list(LOCKOUTS)
    chance.shuffle(kinds)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        locking(project, guarded, LOCKOUTS[kind], chance.randrange(1024, 30000))
        began = time.monotonic()
        done = project.fails(code=12)
        assert time.monotonic() - began < BACK + 20, f"{kind}: back after {time.monotonic() - began:.0f} s"
        assert "put the old state back" in done.said.replace("\n", " ") or done.said, kind
        assert project.run("plan").code == 2, f"{kind}: the plan does not say what is left to do"
        assert rules(guarded) == tables, kind
        assert leftovers(guarded) == "", kind
        assert "reverted" in sh(guarded, "tail -n 3 /var/log/barehost.log"), kind
    project.inventory({guarded: {"roles": ["base"]}})
    project.settled()


def armed(project: Project, host: StagingHost, kind: str) -> subprocess.Popen[str]:
    """A run whose change has just locked everybody out."""
    locking(project, host, LOCKOUTS[kind], 2345)
    process = project.start("provision")
    until(lambda: sh(host, "ls /var/lib/barehost/guard/held 2>/dev/null; true"), 60, "nothing was armed")
    return process


def test_killed_while_armed_the_host_goes_back_and_after_a_reboot_as_well(
    guarded: StagingHost, project: Project
) -> None:
    process = armed(project, guarded, "nobody may log in")
    process.kill()
    gone = "[ -e /var/lib/barehost/guard ] || echo gone"
    until(lambda: sh(guarded, gone).strip() == "gone", BACK, "the host did not go back by itself")
    assert project.run("plan").code == 2

    process = armed(project, guarded, "no keys any more")
    process.kill()
    guarded = staging.reboot(guarded.name)
    until(lambda: reached(guarded, 22) == "open", 60, "it did not come up")
    assert "01-own" not in sh(guarded, "ls /etc/ssh/sshd_config.d")
    assert "and the host went down" in sh(guarded, "cat /var/log/barehost.log")
    assert project.run("plan").code == 2


def test_a_changed_port_moves_the_run_and_a_change_that_lets_people_in_stays(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    ssh = {"port": 2222, "password_login": False}
    project.serve(host, {"hello": HELLO}, ssh=ssh, firewall=True)
    done = project.provision()
    assert "confirmed by a login" in sh(host, "cat /var/log/barehost.log"), done.said
    assert (reached(host, 2222), reached(host, 22), reached(host, 80)) == ("open", "silent", "open")
    project.settled()
    again = project.provision("--json").report()
    assert (again["outcome"], again["round_trips"]) == ("unchanged", 1)
    assert ask(host, "/healthz").status == 200


def test_sudo_that_would_be_lost_stays(bare: Boot, project: Project) -> None:
    host = bare("bookworm", user="deploy")
    body = """
    yield File('/etc/sudoers.d/zz-own', 'deploy ALL=(ALL) !ALL\\n# %d\\n', mode=0o440)
"""
    locking(project, host, body, 1)
    project.fails(code=12)
    assert "zz-own" not in sh(host, "ls /etc/sudoers.d")
    assert project.run("plan").code == 2
