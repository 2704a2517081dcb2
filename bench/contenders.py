"""Barehost and its peers: what each is called, and the command line of each act. Runs nothing.

The peers' own files are in bench/peers/. Every run starts without an open connection.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.job import Job

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Target:
    """A staging host as a command line needs it."""

    name: str
    address: str


@dataclass(frozen=True)
class Place:
    """What every command line needs to know. state: staging's folder; barehost, venv: the virtual environments of
    Barehost and of its peers; short: a folder for sockets, whose paths must be."""

    job: Job
    state: Path
    barehost: Path
    venv: Path
    collections: Path
    short: Path

    @property
    def ssh_config(self) -> Path:
        return self.state / "staging" / "ssh_config"

    def inventory(self, name: str) -> Path:
        """A folder for one peer's inventory of one case."""
        folder = self.job.work / "inventories" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@dataclass(frozen=True)
class Run:
    """One command. quiet: what its output has, and its output alone, when nothing was changed."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    quiet: str = ""


@dataclass(frozen=True)
class Act:
    """What a peer is to do: ``first`` on bare hosts, ``provision``, ``release``, or ``sync`` of ``folder``.

    body: Nginx's client_max_body_size, the one template variable.
    """

    what: str
    body: str = "10m"
    folder: Path | None = None


@dataclass(frozen=True)
class Said:
    """What a run says that it took itself, over all its hosts: round trips, and bytes both ways."""

    round_trips: int
    bytes: int


_COST = re.compile(r"(\d+) round trips? · ([\d.]+) (k?M?B)\b")
_UNIT = {"B": 1, "kB": 1000, "MB": 1_000_000}


def said(output: str) -> Said | None:
    """Read off what a run printed, a line a host; None for the peers, which do not say it."""
    found = _COST.findall(output)
    if not found:
        return None
    return Said(
        sum(int(trips) for trips, _, _ in found),
        round(sum(float(number) * _UNIT[unit] for _, number, unit in found)),
    )


Command = Callable[[Place, Sequence[Target], Act], Run]


@dataclass(frozen=True)
class Peer:
    """name: as on the command line. title: in the table. leaves: which hosts it can go on with, by their maker.

    compares: how it sees that a file of a folder is the same.
    """

    name: str
    title: str
    leaves: str
    compares: str
    command: Command


def barehost(place: Place, hosts: Sequence[Target], act: Act) -> Run:
    """`invoke provision` or `invoke release`, as a user types it."""
    if act.what == "sync":
        own: dict[str, object] = {"roles": ["assets"], "assets": str(act.folder)}
    else:
        own = {
            "roles": ["python", "nginx", "static", "app"],
            "apps": {
                "shop": {
                    "source": "site",
                    "wsgi": "shop:app",
                    "server_names": ["{{ ansible_host }}", "shop.example.com"],
                    "static": {"/static/": "static"},
                    "max_body": act.body,
                    "workers": 2,
                    "threads": 8,
                }
            },
        }
    staging = {"vars": {"barehost_staging": True}, "hosts": {host.name: own for host in hosts}}
    file = place.job.project / "inventory" / "hosts.yml"
    file.write_text(json.dumps({"all": {"children": {"staging": staging}}}, indent=1))  # JSON is YAML
    task = "release" if act.what == "release" else "provision"
    return Run(
        (
            str(place.barehost / "bin" / "invoke"),
            task,
            "--host",
            ",".join(host.name for host in hosts),
        ),
        place.job.project,
        {"BAREHOST_STATE": str(place.state)},
        quiet=r"^(?!.*\b\d+ changed)(?=.*(nothing to change|unchanged))",
    )


def script(place: Place, hosts: Sequence[Target], act: Act, *, uv: bool = False, tar: bool = False) -> Run:
    """The hand-written script."""
    folder = PEERS / "script"
    config = str(place.ssh_config)
    names = [host.name for host in hosts]
    if act.what == "sync":
        env = {"TAR": "1"} if tar else {}
        return Run((str(folder / "sync.sh"), config, str(act.folder), *names), folder, env, quiet="^$")
    env = {"MAX_BODY": act.body}
    env |= {"RELEASE": "1"} if act.what == "release" else {}
    env |= {"UV": str(place.venv / "bin" / "uv")} if uv else {}
    argv = (str(folder / "provision.sh"), config, str(place.job.site), *names)
    return Run(argv, folder, env, quiet="^(?!.*changed)")


def script_uv(place: Place, hosts: Sequence[Target], act: Act) -> Run:
    """The same, with uv for the venv."""
    return script(place, hosts, act, uv=True)


def tar(place: Place, hosts: Sequence[Target], act: Act) -> Run:
    """tar through ssh: the floor of a first push."""
    return script(place, hosts, act, tar=True)


def ansible(place: Place, hosts: Sequence[Target], act: Act, *, mitogen: bool = False) -> Run:
    """ansible-playbook with the plays of bench/peers/ansible."""
    folder = PEERS / "ansible"
    key = place.state / "staging" / "id_ed25519"
    known = place.state / "staging" / "known_hosts"
    common = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={known} -o IdentitiesOnly=yes",
        "site": str(place.job.site),
        "max_body": act.body,
        "folder": str(act.folder),
    } | ({"first": True} if act.what == "first" else {})
    entries = {host.name: {"ansible_host": host.address} for host in hosts}
    file = place.inventory("mitogen" if mitogen else "ansible") / "hosts.json"
    file.write_text(json.dumps({"all": {"vars": common, "hosts": entries}}, indent=1))
    env = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(place.job.work / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(place.collections),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(place.short),
    }
    if mitogen:
        plugins = next(place.venv.glob("lib/*/site-packages/ansible_mitogen/plugins/strategy"))
        env |= {"ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"}
    playbook = str(place.venv / "bin" / "ansible-playbook")
    plays = {"sync": ["sync.yml"], "release": ["site.yml", "--tags", "release"]}.get(act.what, ["site.yml"])
    argv = (playbook, "-i", str(file), *plays)
    if act.what == "first":
        begin = (playbook, "-i", str(file), "bootstrap.yml")
        if mitogen:  # which cannot reach a host without Python: the first step is plain Ansible's
            argv = ("sh", "-c", f"ANSIBLE_STRATEGY=linear {shlex.join(begin)} && {shlex.join(argv)}")
        else:
            argv = (*begin, "site.yml")
    return Run(argv, folder, env, quiet=r"^(?!.*changed=[1-9])")


def mitogen(place: Place, hosts: Sequence[Target], act: Act) -> Run:
    """The same plays with mitogen's strategy."""
    return ansible(place, hosts, act, mitogen=True)


def pyinfra(place: Place, hosts: Sequence[Target], act: Act, *, nodelay: bool = False) -> Run:
    """pyinfra with the operations of bench/peers/pyinfra."""
    folder = PEERS / "pyinfra"
    data = {
        "ssh_user": "root",
        "ssh_key": str(place.state / "staging" / "id_ed25519"),
        "ssh_known_hosts_file": str(place.state / "staging" / "known_hosts"),
        "files": str(PEERS / "files"),
        "site": str(place.job.site),
        "max_body": act.body,
        "folder": str(act.folder),
    } | ({"release": "1"} if act.what == "release" else {})
    file = place.inventory("pyinfra") / "inventory.py"
    file.write_text(f"hosts = {[(host.address, data) for host in hosts]!r}\n")
    tool = (
        (str(place.venv / "bin" / "python"), str(folder / "nodelay.py"))
        if nodelay
        else (str(place.venv / "bin" / "pyinfra"),)
    )
    plan = "sync.py" if act.what == "sync" else "provision.py"
    return Run((*tool, "-y", str(file), plan), folder, quiet=r"^(?!.*Changed: [1-9])")


def pyinfra_nodelay(place: Place, hosts: Sequence[Target], act: Act) -> Run:
    """The same with TCP_NODELAY patched in."""
    return pyinfra(place, hosts, act, nodelay=True)


RSYNC, SHA1 = "size and mtime (rsync)", "SHA-1 of every file"
RECORD = "what the host recorded (size, mtime, ctime, inode, owner, mode), SHA-256 of the source"
PEER: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("barehost", "Barehost", "barehost", RECORD, barehost),
        Peer("script", "ssh + rsync", "script", RSYNC, script),
        Peer("script-uv", "ssh + rsync, uv", "script", RSYNC, script_uv),
        Peer("tar", "tar over ssh", "script", "nothing", tar),
        Peer("ansible", "Ansible", "ansible", RSYNC, ansible),
        Peer("mitogen", "Ansible + mitogen", "ansible", RSYNC, mitogen),
        Peer("pyinfra", "pyinfra", "pyinfra", SHA1, pyinfra),
        Peer("pyinfra-nodelay", "pyinfra + TCP_NODELAY", "pyinfra", SHA1, pyinfra_nodelay),
    )
}
MAKER = {"barehost": "barehost", "script": "script", "ansible": "ansible", "pyinfra": "pyinfra-nodelay"}
"""Which peer makes the hosts that the cases after the first run begin with."""
