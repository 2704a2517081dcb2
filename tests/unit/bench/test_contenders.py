"""The command line of every peer for every act; nothing is run but the script's own shell, on nothing."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.cases import CASE
from bench.contenders import MAKER, PEER, PEERS, Act, Place, Run, Said, Target, said
from bench.job import Job

HOSTILE = ["-oProxyCommand=id", "a b", "$(id)", "it's", 'say "no"', "new\nline", "*"]


TARGETS = [Target(name, f"10.0.0.{number}") for number, name in enumerate(HOSTILE, 1)]


ACTS = [
    Act("first"),
    Act("provision"),
    Act("provision", body="12m"),
    Act("release"),
    Act("sync", folder=Path("/folders/of many")),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with nothing in it but what a command line looks for."""
    (tmp_path / "peers/lib/python3/site-packages/ansible_mitogen/plugins/strategy").mkdir(parents=True)
    (tmp_path / "work/project/inventory").mkdir(parents=True)
    return Place(
        job=Job(tmp_path / "work"),
        state=tmp_path / "state",
        barehost=tmp_path / "barehost",
        venv=tmp_path / "peers",
        collections=tmp_path / "collections",
        short=tmp_path / "short",
    )


def command(place: Place, peer: str, act: Act) -> Run:
    return PEER[peer].command(place, TARGETS, act)


def shell_words(text: str) -> list[str]:
    """How sh takes a line apart, commands with && between them as one."""
    printed = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {text.replace(' && ', ' ')}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return printed.stdout.split("\0")[:-1]


def loaded(run: Run) -> Any:
    """The inventory that a run of Ansible is given."""
    line = run.argv if run.argv[0] != "sh" else shell_words(run.argv[2])
    return json.loads(Path(line[line.index("-i") + 1]).read_text())["all"]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: f"{act.what} {act.body}")
@pytest.mark.parametrize("peer", PEER)
def test_every_peer_has_a_command_for_every_act(place: Place, peer: str, act: Act) -> None:
    run = command(place, peer, act)
    assert Path(run.argv[0]).is_absolute() or run.argv[0] == "sh"
    assert all(isinstance(word, str) and "\0" not in word for word in run.argv)
    assert re.compile(run.quiet)
    assert run.cwd.is_dir()


@pytest.mark.parametrize("act", [act for act in ACTS if act.what != "sync"], ids=lambda act: act.what)
@pytest.mark.parametrize("peer", ["script", "script-uv"])
def test_the_script_is_given_every_host_as_one_word(place: Place, peer: str, act: Act) -> None:
    run = command(place, peer, act)
    assert run.argv == (
        str(PEERS / "script/provision.sh"),
        str(place.ssh_config),
        str(place.job.site),
        *HOSTILE,
    )
    assert run.env["MAX_BODY"] == act.body
    assert ("RELEASE" in run.env) == (act.what == "release")
    assert ("UV" in run.env) == (peer == "script-uv")


@pytest.mark.parametrize("peer", ["script", "tar"])
def test_the_folder_is_one_word_to_the_script(place: Place, peer: str) -> None:
    run = command(place, peer, ACTS[-1])
    assert run.argv[1:] == (str(place.ssh_config), "/folders/of many", *HOSTILE)
    assert ("TAR" in run.env) == (peer == "tar")


def test_barehost_is_called_as_a_user_calls_it(place: Place) -> None:
    for act, task in zip(ACTS, ["provision", "provision", "provision", "release", "provision"], strict=True):
        run = command(place, "barehost", act)
        assert run.argv == (str(place.barehost / "bin/invoke"), task, "--host", ",".join(HOSTILE))
        assert run.cwd == place.job.project


def test_barehost_has_the_values_of_the_act_in_its_inventory(place: Place) -> None:
    command(place, "barehost", Act("provision", body="12m"))
    file = place.job.project / "inventory/hosts.yml"
    hosts = json.loads(file.read_text())["all"]["children"]["staging"]["hosts"]
    assert list(hosts) == HOSTILE
    assert {own["apps"]["shop"]["max_body"] for own in hosts.values()} == {"12m"}
    command(place, "barehost", ACTS[-1])
    hosts = json.loads(file.read_text())["all"]["children"]["staging"]["hosts"]
    assert {(*own["roles"], own["assets"]) for own in hosts.values()} == {("assets", "/folders/of many")}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.what)
@pytest.mark.parametrize("peer", ["ansible", "mitogen"])
def test_ansible_finds_hosts_and_values_in_its_inventory(place: Place, peer: str, act: Act) -> None:
    run = command(place, peer, act)
    inventory = loaded(run)
    assert inventory["hosts"] == {one.name: {"ansible_host": one.address} for one in TARGETS}
    assert inventory["vars"]["max_body"] == act.body
    assert ("ANSIBLE_STRATEGY" in run.env) == (peer == "mitogen")
    assert not set(HOSTILE) & set(run.argv)


def test_ansible_plays_what_the_act_asks_for(place: Place) -> None:
    plays = [command(place, "ansible", act).argv[3:] for act in ACTS]
    assert plays == [
        ("bootstrap.yml", "site.yml"),
        ("site.yml",),
        ("site.yml",),
        ("site.yml", "--tags", "release"),
        ("sync.yml",),
    ]


def test_mitogen_takes_its_first_step_with_plain_ansible(place: Place) -> None:
    run = command(place, "mitogen", Act("first"))
    assert run.argv[:2] == ("sh", "-c")
    assert run.argv[2].startswith("ANSIBLE_STRATEGY=linear ")
    words = shell_words(run.argv[2])
    playbook, inventory = (
        str(place.venv / "bin/ansible-playbook"),
        str(place.inventory("mitogen") / "hosts.json"),
    )
    assert words[1:] == [playbook, "-i", inventory, "bootstrap.yml", playbook, "-i", inventory, "site.yml"]


def test_ansible_is_as_fast_as_its_documentation_makes_it() -> None:
    text = (PEERS / "ansible/ansible.cfg").read_text()
    for setting in (
        "pipelining = True",
        "ControlMaster=auto",
        "ControlPersist=60s",
        "ControlPath=",
        "forks = 20",
    ):
        assert setting in text
    for play in (PEERS / "ansible").glob("*.yml"):
        assert "gather_facts: false" in play.read_text()
        assert play.read_text().count("synchronize:") == play.read_text().count(
            "ssh_connection_multiplexing: true"
        )


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.what)
@pytest.mark.parametrize("peer", ["pyinfra", "pyinfra-nodelay"])
def test_pyinfra_finds_hosts_and_values_in_its_inventory(place: Place, peer: str, act: Act) -> None:
    run = command(place, peer, act)
    *tool, yes, file, plan = run.argv
    assert (yes, plan) == ("-y", "sync.py" if act.what == "sync" else "provision.py")
    assert tool[-1] == (
        str(place.venv / "bin/pyinfra") if peer == "pyinfra" else str(PEERS / "pyinfra/nodelay.py")
    )
    names: dict[str, Any] = {}
    exec(Path(file).read_text(), names)
    assert [address for address, _ in names["hosts"]] == [one.address for one in TARGETS]
    for _, data in names["hosts"]:
        assert data["max_body"] == act.body
        assert ("release" in data) == (act.what == "release")


QUIET = {
    "barehost": ("a  nothing to change · 0.16 s", "a  1 changed · 0.16 s"),
    "script": ("", "changed: nginx\n"),
    "ansible": ("a : ok=9 changed=0 unreachable=0", "a : ok=9 changed=0\nb : ok=9 changed=2"),
    "mitogen": ("a : ok=9 changed=0 unreachable=0", "a : ok=9 changed=10"),
    "pyinfra": ("[a] Changed: 0", "[a] Changed: 0\n[b] Changed: 1"),
}


@pytest.mark.parametrize("peer", QUIET)
def test_what_a_peer_says_tells_whether_it_changed_something(place: Place, peer: str) -> None:
    quiet = re.compile(command(place, peer, Act("provision")).quiet, re.DOTALL)
    nothing, something = QUIET[peer]
    assert quiet.search(nothing)
    assert not quiet.search(something)


@pytest.mark.parametrize("peer", ["script", "tar"])
def test_a_sync_by_the_script_is_quiet_when_nothing_is_said(place: Place, peer: str) -> None:
    quiet = re.compile(command(place, peer, ACTS[-1]).quiet, re.DOTALL)
    assert quiet.search("")
    assert not quiet.search(">f.st...... d0/0001.txt\n")


def test_one_fleet_that_changed_a_host_is_not_quiet_because_another_host_was(place: Place) -> None:
    quiet = re.compile(command(place, "barehost", Act("provision")).quiet, re.DOTALL)
    assert not quiet.search(
        "a  nothing to change · 0.16 s\nb  1 changed · 0.20 s\n2 hosts: 1 changed, 1 unchanged"
    )


def test_barehosts_own_count_is_added_up_over_its_hosts() -> None:
    text = "web1  nothing to change · 0.31 s · 1 round trip · 12.4 kB\n"
    text += "web2  5 changed         · 7.31 s · 5 round trips · 6.4 MB\n"
    assert said(text) == Said(6, 6_412_400)
    assert said("web1  nothing to change · 0.31 s · 1 round trip · 999 B") == Said(1, 999)
    assert said("changed=0 unreachable=0") is None


def test_every_kind_of_host_has_a_maker_and_every_case_peers_that_exist() -> None:
    for peer in PEER.values():
        assert PEER[MAKER[peer.leaves]].leaves == peer.leaves
    for case in CASE.values():
        assert set(case.peers) <= set(PEER)
        assert set(case.once) <= set(case.peers)


def test_the_shell_of_the_script_keeps_a_host_one_word(tmp_path: Path) -> None:
    """provision.sh itself, with an ssh and an rsync that only say what they were given."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ssh", "rsync"):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nprintf "%s|" {name} "$@" >&2\necho >&2\n')
        tool.chmod(0o755)
    site = tmp_path / "site"
    site.mkdir()
    done = subprocess.run(
        [PEERS / "script/provision.sh", tmp_path / "config", site, "a b", "$(id)"],
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    lines = done.stdout.splitlines()
    for host in ("a b", "$(id)"):
        assert sum(line.startswith("ssh|") and f"|{host}|" in line for line in lines) == 2
        assert sum(line.startswith("rsync|") and line.endswith(f"|{host}:/srv/shop/|") for line in lines) == 1
