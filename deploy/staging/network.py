"""A private network of staging hosts: one bridge, a namespace and a cable a host, masqueraded to the outside.

Touches no address, route or rule that it did not add itself; the last host takes the bridge along.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import replace as changed
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from deploy.errors import StagingError
from deploy.staging.machine import locked, run
from deploy.staging.record import Record, records

BRIDGE = "barehost0"
CANDIDATES = [f"10.{second}.0.0/20" for second in range(213, 255)]
"""Private networks to choose from; the first that overlaps nothing on this machine is taken."""
NAMESPACES = Path("/run/netns")
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 8192
"""Each booted host takes about 8; the kernel's 128 are shared by all of them."""
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def lower(network: IPv4Network) -> IPv4Network:
    """The half whose hosts hang on the bridge."""
    return next(network.subnets())


def behind(network: IPv4Network) -> Iterable[IPv4Network]:
    """The cables of hosts behind another one: four addresses each, from the upper half."""
    return list(network.subnets())[1].subnets(new_prefix=30)


def gateway(record: Record) -> str:
    """Where the host sends what is not for its neighbours: the bridge, or the host it is behind."""
    if record.behind:
        return str(IPv4Address(record.address) - 1)
    return str(lower(IPv4Network(record.network))[1])


def attach(record: Record) -> Record:
    """Give the host a namespace, a cable, an address, on the bridge or behind its jump host; safe to repeat.

    Returns the record with the address it has now: the one it had, unless that was taken meanwhile.
    Raises StagingError when the jump host has no network, or no private network is free here.
    """
    with locked("network"):
        network = _bridge()
        record = _addressed(record, network)
        record.save()
        if (NAMESPACES / record.unique).exists():
            return record
        _cable(record, network)
    return record


def detach(record: Record) -> None:
    """Take away the host's namespace and cable, and the bridge with the last of them; safe to repeat."""
    with locked("network"):
        run(["ip", "netns", "delete", record.unique], check=False)
        run(["ip", "link", "delete", record.link], check=False)
        namespaces = {path.name for path in NAMESPACES.glob("barehost-*")}
        if not namespaces:
            _remove_bridge()


def _addressed(record: Record, network: IPv4Network) -> Record:
    taken = {other.address for other in records() if other.unique != record.unique}
    if record.behind:
        candidates = (str(cable[2]) for cable in behind(network))
    else:
        candidates = (str(address) for address in list(lower(network).hosts())[1:])
    usable = record.network == str(network) and record.address and record.address not in taken
    address = record.address if usable else next((one for one in candidates if one not in taken), None)
    if address is None:
        raise StagingError(f"no free address left in {network}: take some staging hosts down")
    return changed(record, address=address, network=str(network))


def _cable(record: Record, network: IPv4Network) -> None:
    """Lay the cable; whatever an interrupted attempt left is removed first, a failed one removes itself."""
    run(["ip", "link", "delete", record.link], check=False)
    namespace = record.unique
    run(["ip", "netns", "add", namespace])
    try:
        # the hardware address follows the address, so that a neighbour's cache is right for its next owner
        octets = "".join(f":{octet:02x}" for octet in IPv4Address(record.address).packed)
        length = 30 if record.behind else lower(network).prefixlen
        outer = _behind_cable(record) if record.behind else _bridge_cable(record)
        _batch(outer)
        inner = f"""link set lo up
            link set eth0 address 02:62{octets}
            link set eth0 up
            address add {record.address}/{length} dev eth0
            route add default via {gateway(record)}"""
        _batch(inner, namespace)
    except StagingError:
        run(["ip", "netns", "delete", namespace], check=False)
        raise


def _bridge_cable(record: Record) -> str:
    return f"""link add {record.link} type veth peer name eth0 netns {record.unique}
        link set {record.link} master {BRIDGE}
        link set {record.link} up"""


def _behind_cable(record: Record) -> str:
    """Lay the cable from the jump host, which forwards and masquerades; this machine has no route."""
    jump = record.space.host(record.behind or "")
    if jump is None or not (NAMESPACES / jump.unique).exists():
        raise StagingError(
            f"{record.name} is to be behind {record.behind}, which is not up: bring that up first"
        )
    inside = ["ip", "netns", "exec", jump.unique]
    run([*inside, "sysctl", "-qw", "net.ipv4.ip_forward=1"])
    _rule(inside, "nat", "POSTROUTING", ["-o", "eth0", "-j", "MASQUERADE"])
    _batch(
        f"""link add {record.link} type veth peer name eth0 netns {record.unique}
        address add {gateway(record)}/30 dev {record.link}
        link set {record.link} up""",
        jump.unique,
    )
    return ""


def _bridge() -> IPv4Network:
    """The network of the bridge, made or completed where something of it is missing."""
    present = _addresses().get(BRIDGE)
    network = _network_of(present[0]) if present else _free_network()
    if not present:
        run(["ip", "link", "delete", BRIDGE], check=False)
        _batch(
            f"""link add {BRIDGE} type bridge
            link set {BRIDGE} up
            address add {lower(network)[1]}/{lower(network).prefixlen} dev {BRIDGE}"""
        )
    _batch(f"route replace unreachable {network}")
    for table, chain, rule in _rules(network):
        _rule([], table, chain, rule)
    if FORWARD.read_text(encoding="utf-8").strip() != "1":
        FORWARD.write_text("1", encoding="utf-8")
    if int(INOTIFY.read_text(encoding="utf-8")) < INOTIFY_INSTANCES:
        INOTIFY.write_text(str(INOTIFY_INSTANCES), encoding="utf-8")
    return network


def _network_of(interface: str) -> IPv4Network:
    return IPv4Network(str(ipaddress.ip_interface(interface).network.supernet(new_prefix=20)))


def _remove_bridge() -> None:
    for interface in _addresses().get(BRIDGE, []):
        network = _network_of(interface)
        for table, chain, rule in _rules(network):
            while run(["iptables", "-w", "-t", table, "-D", chain, *rule], check=False).returncode == 0:
                continue
        run(["ip", "route", "delete", "unreachable", str(network)], check=False)
    run(["ip", "link", "delete", BRIDGE], check=False)


def _rules(network: IPv4Network) -> list[tuple[str, str, list[str]]]:
    return [
        ("nat", "POSTROUTING", ["-s", str(network), "!", "-d", str(network), "-j", "MASQUERADE"]),
        ("filter", "FORWARD", ["-i", BRIDGE, "-j", "ACCEPT"]),
        ("filter", "FORWARD", ["-o", BRIDGE, "-j", "ACCEPT"]),
    ]


def _rule(prefix: list[str], table: str, chain: str, rule: list[str]) -> None:
    """Put one rule in front, unless it is there."""
    iptables = [*prefix, "iptables", "-w", "-t", table]
    if run([*iptables, "-C", chain, *rule], check=False).returncode != 0:
        run([*iptables, "-I", chain, *rule])


def _free_network() -> IPv4Network:
    here = [ipaddress.ip_interface(one).network for ones in _addresses().values() for one in ones]
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout or "[]")
    destinations = [route.get("dst", "default") for route in routes]
    here += [ipaddress.ip_network(one, strict=False) for one in destinations if one != "default"]
    for candidate in map(IPv4Network, CANDIDATES):
        if not any(candidate.overlaps(one) for one in here if isinstance(one, IPv4Network)):
            return candidate
    raise StagingError(
        "no private network is free on this machine for staging hosts: all of 10.213-254 is in use"
    )


def _addresses() -> dict[str, list[str]]:
    """IPv4 addresses with their prefix lengths, by interface; an interface without one has an empty list."""
    shown = json.loads(run(["ip", "-json", "address"]).stdout or "[]")
    return {
        one["ifname"]: [f"{a['local']}/{a['prefixlen']}" for a in one["addr_info"] if a["family"] == "inet"]
        for one in shown
        if one
    }


def _batch(lines: str, namespace: str | None = None) -> None:
    """Several `ip` commands in one process, in this machine's network or in a host's."""
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], stdin=lines + "\n")
