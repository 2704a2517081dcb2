"""What may reach the host: ssh, the ports of its sites, what the inventory adds, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deploy.facts import Facts
from deploy.inventory.edge import FirewallRules, Opening
from deploy.inventory.hosts import Host
from deploy.resource import Fact, Resource
from deploy.resources.firewall import Firewall
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Template
from deploy.resources.unit import Unit
from deploy.shell import sh

SSHD = Fact(
    "sshd",
    sh(
        "[ ! -x /usr/sbin/sshd ] || /usr/sbin/sshd -T 2>/dev/null | sed -n 's/^port //p' | sort -n | tr '\\n' ' '"
    ),
)
"""The ports that the host's sshd listens on, such as ``22``; nothing where it has none."""

TABLE = "barehost"
RULES = "/etc/barehost/firewall.nft"
UNIT = "barehost-firewall.service"


def firewall(host: Host, facts: Facts) -> Iterator[Resource]:
    """One table of ours; nothing at all where the inventory says nothing of a firewall."""
    rules = host.firewall
    if rules is None:
        return
    unit = f"/etc/systemd/system/{UNIT}"
    if rules.state == "absent":
        yield File(RULES, state="absent", guarded=True)
        yield Firewall(TABLE, RULES, None)
        yield Unit(UNIT, running=False, enabled=False)
        return
    yield Package("nftables")
    yield SSHD
    yield Directory("/etc/barehost")
    yield Template(unit, "firewall.service.j2", host=host)
    text = written(host, facts, rules)
    yield File(RULES, text, guarded=True)
    yield Firewall(TABLE, RULES, text)
    yield Unit(UNIT, guarded=True)


def written(host: Host, facts: Facts, rules: FirewallRules) -> str:
    """The file that nft reads: the table as a whole, in one transaction of the kernel's."""
    there = [int(port) for port in facts.own.get("sshd", "").split()] or [host.port or 22]
    wanted = host.ssh.port if host.ssh else None
    # the port before stays open until sshd listens on the other; then it is closed, whoever still names it
    ssh = there if wanted is None else [wanted] if wanted in there else sorted({*there, wanted})
    named = [one for one in rules.allow if one.port == "ssh"]
    lines = [line for one in named or [Opening(port="ssh")] for line in _accept(one, ssh)]
    lines += [f"tcp dport {_set(open_ports(host))} accept"] if open_ports(host) else []
    if quic := [app.tls.port for app in host.apps if app.state == "present" and app.tls and app.http3]:
        lines.append(f"udp dport {_set(quic)} accept")
    lines += [line for one in rules.allow if one.port != "ssh" for line in _accept(one, [])]
    limit = rules.ssh_rate
    sets, limited = "", ""
    for version, kind in (("ip", "ipv4_addr"), ("ip6", "ipv6_addr")) if limit else ():
        kept = "size 65535\n    flags dynamic,timeout\n    timeout 1m"
        sets += f"  set {version}_ssh {{\n    type {kind}\n    {kept}\n  }}\n"
        limited += (
            f"    tcp dport {_set(ssh)} ct state new update @{version}_ssh"
            f" {{ {version} saddr limit rate over {limit}/minute burst {limit} packets }} drop\n"
        )
    accepted = "".join(f"    {line}\n" for line in lines)
    return f"""# Written by Barehost from the inventory's firewall: the next run replaces what is edited here.
# One table, and no other is touched: first it is there, then it goes, then it is made anew, all at once.
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
{sets}  chain input {{
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    ct state invalid drop
    iif lo accept
    meta l4proto {{ 1, 58 }} accept  # ICMP, and ICMPv6: a minimal host has no /etc/protocols that knows the names
    ip6 saddr fe80::/10 udp dport 546 accept
{limited}{accepted}  }}
}}
"""


def open_ports(host: Host) -> list[int]:
    """What the sites of the host listen on."""
    present = [app for app in host.apps if app.state == "present"]
    return sorted({port for app in present for port in (*app.listen, *([app.tls.port] if app.tls else []))})


def _accept(one: Opening, ssh: Sequence[int]) -> Iterator[str]:
    """A rule for everybody, or one for each family of addresses that it is open to."""
    ports = f"{one.protocol} dport {{ {one.ports} }}" if one.ports else f"tcp dport {_set(ssh)}"
    if not one.source:
        yield f"{ports} accept"
        return
    for version, networks in (
        ("ip", [net for net in one.source if ":" not in net]),
        ("ip6", [net for net in one.source if ":" in net]),
    ):
        if networks:
            yield f"{version} saddr {{ {', '.join(networks)} }} {ports} accept"


def _set(ports: Sequence[int]) -> str:
    return f"{{ {', '.join(map(str, ports))} }}"
