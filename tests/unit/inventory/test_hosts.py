"""The inventory: Ansible's layout and precedence, patterns, secrets, and every error as one sentence with its place."""

# ruff: noqa: E501 - a sentence is kept on one line, so that it can be searched for

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import HostError, InputError
from deploy.inventory.files import expanded, split_port
from deploy.inventory.hosts import Host
from deploy.inventory.inventory import Inventory
from deploy.inventory.ssh_vars import Connection
from deploy.inventory.vault import Vault
from deploy.requirements import find
from deploy.schema.marked import Map, Mark, describe
from deploy.schema.model import Frozen, entries, frozen, keys, nested
from deploy.shell import Secret
from deploy.site.app import App
from deploy.site.edge import PathRule
from deploy.tasks.reference import BEGIN, END, main, updated
from tests.unit.inventory.conftest import Write

ROOT = Path(__file__).parents[3]
SITE = """
apps:
  hello:
    source: site
    wsgi: hello:app
    server_names: [hello.example.com]
"""


def variable(inventory: Inventory, host: str, name: str) -> Any:
    return inventory.host(host).vars[name]


# -- Ansible's layout ------------------------------------------------------------------------------------

TREE = """
    all:
      vars: {color: all}
      hosts:
        lone:
      children:
        europe:
          children:
            berlin:
              hosts:
                web1: {ansible_host: 10.0.0.1, ansible_port: 2222}
            aachen:
              hosts:
                web1:
                web2:
    database:
      hosts: db1
"""


def test_groups_nest_and_a_host_may_be_in_several(write: Write):
    inventory = write(TREE)
    assert inventory.names == ("lone", "web1", "web2", "db1")
    assert inventory.groups["europe"] == ("web1", "web2")
    assert inventory.groups["ungrouped"] == ("lone",)
    assert inventory.groups["database"] == ("db1",)
    assert inventory.host("web1").groups == ("europe", "aachen", "berlin")
    assert inventory.host("web1").address == "10.0.0.1"
    assert inventory.host("web2").address == "web2"


@pytest.mark.parametrize(
    ("files", "winner"),
    [
        ({}, "all"),
        ({"inventory__group_vars__all": "color: all file"}, "all file"),
        ({"inventory__group_vars__europe": "color: europe file"}, "europe file"),
        (
            {
                "inventory__group_vars__europe": "color: europe file",
                "inventory__group_vars__aachen": "color: a",
            },
            "a",
        ),
        ({"inventory__group_vars__berlin": "color: b", "inventory__group_vars__aachen": "color: a"}, "b"),
        (
            {"inventory__group_vars__berlin": "color: b", "group_vars__berlin": "color: beside tasks"},
            "beside tasks",
        ),
        (
            {"inventory__group_vars__berlin__z": "color: z", "inventory__group_vars__berlin__a": "color: a"},
            "z",
        ),
        ({"inventory__group_vars__berlin__deep__z": "color: deep"}, "deep"),
        ({"inventory__group_vars__berlin": "color: b", "inventory__host_vars__web1": "color: host"}, "host"),
        ({"inventory__host_vars__web1": "color: host", "host_vars__web1": "color: beside"}, "beside"),
        (
            {
                "inventory__zz": "all: {hosts: {web1: {color: inline}}}",
                "inventory__group_vars__berlin": "color: b",
            },
            "inline",
        ),
        (
            {
                "inventory__zz": "all: {hosts: {web1: {color: inline}}}",
                "inventory__host_vars__web1": "color: h",
            },
            "h",
        ),
        ({"inventory__zz": "berlin: {vars: {color: inline}}", "inventory__group_vars__all": "color: a"}, "a"),
        ({"inventory__zz": "berlin: {vars: {color: inline}}"}, "inline"),
        (
            {
                "inventory__a": "berlin: {vars: {color: first}}",
                "inventory__b": "berlin: {vars: {color: second}}",
            },
            "second",
        ),
        (
            {
                "inventory__zz": "aachen: {vars: {ansible_group_priority: 10}}",
                "inventory__group_vars__berlin": "color: b",
                "inventory__group_vars__aachen": "color: a",
            },
            "a",
        ),
    ],
)
def test_the_value_that_wins_is_ansible_s(write: Write, files: dict[str, str], winner: str):
    assert variable(write(TREE, **files), "web1", "color") == winner


def test_hidden_and_backup_files_are_no_source(write: Write, tmp_path: Path):
    write(TREE, inventory__group_vars__all="color: a")
    for name in (".hosts.yml.swp", "hosts.yml~", "README.md"):
        (tmp_path / "inventory" / name).write_text("[not yaml")
    folder = tmp_path / "inventory/group_vars/europe"
    folder.mkdir()
    for name in (".x.yml", "x.yml~", "x.txt"):
        (folder / name).write_text("[not yaml")
    assert variable(Inventory.load(), "web1", "color") == "a"


def test_an_empty_file_is_nothing(write: Write):
    assert write(TREE, inventory__empty="# nothing yet\n", inventory__group_vars__all="").names


def test_a_source_without_ending_is_read_when_it_is_yaml(write: Write, tmp_path: Path):
    write(TREE)
    (tmp_path / "inventory/hosts").write_text("more:\n  hosts:\n    extra:\n")
    assert "extra" in Inventory.load().names


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web[01:03]", ["web01", "web02", "web03"]),
        ("web[9:11]", ["web9", "web10", "web11"]),
        ("web[0:4:2].x", ["web0.x", "web2.x", "web4.x"]),
        ("web[:2]", ["web0", "web1", "web2"]),
        ("[a:c]x", ["ax", "bx", "cx"]),
        ("d[A:E:2]", ["dA", "dC", "dE"]),
        ("r[1:2]h[1:2]", ["r1h1", "r1h2", "r2h1", "r2h2"]),
        ("plain", ["plain"]),
    ],
)
def test_a_range_stands_for_its_hosts(pattern: str, names: list[str]):
    assert list(expanded(pattern, Mark("f", 1, 1, ""))) == names


@pytest.mark.parametrize(
    "pattern", ["w[1]", "w[3:1]", "w[01:100]", "w[a:C]", "w[c:a]", "w[1:9:0]", "w[1:200000]", "w[x:3]"]
)
def test_a_range_that_makes_no_sense_is_refused(pattern: str):
    with pytest.raises(InputError, match=r"^f:1:1: expected a range like \[01:20\] or \[a:f\], found \["):
        list(expanded(pattern, Mark("f", 1, 1, "")))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web1:2222", ("web1", 2222)),
        ("web[1:3]:2222", ("web[1:3]", 2222)),
        ("web[1:3]", ("web[1:3]", None)),
        ("[a:c]", ("[a:c]", None)),
        ("[1:3]", ("[1:3]", None)),
        ("[1:9:2]", ("[1:9:2]", None)),
        ("::1", ("::1", None)),
        ("[::1]:22", ("::1", 22)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("web1", ("web1", None)),
    ],
)
def test_a_port_may_follow_a_host_s_name(text: str, parts: tuple[str, int | None]):
    assert split_port(text) == parts


def test_a_port_in_the_name_becomes_the_host_s_port(write: Write):
    inventory = write("all: {hosts: {'web[1:2]:2200': {x: 1}, 'web2': {ansible_port: 23}}}")
    assert [host.port for host in inventory.select("all")] == [2200, 23]


def test_merge_keys_and_anchors_are_understood(write: Write):
    inventory = write("""
        all:
          hosts:
            a: &base {x: 1, y: 2}
            b:
              <<: *base
              y: 3
            c:
              <<: [{y: 9}, *base]
    """)
    assert [(host.vars["x"], host.vars["y"]) for host in inventory.select()] == [(1, 2), (1, 3), (1, 9)]


# -- which inventory -------------------------------------------------------------------------------------


def test_several_sources_are_merged_and_the_later_wins(write: Write, tmp_path: Path):
    write(TREE)
    other = tmp_path / "other.yml"
    other.write_text("all: {hosts: {web2: {ansible_host: 10.9.9.9}, new: }}")
    inventory = Inventory.load(tmp_path / "inventory", other)
    assert inventory.host("web2").address == "10.9.9.9"
    assert inventory.project == tmp_path
    assert "new" in inventory.names


def test_the_environment_names_the_sources(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(TREE)
    (tmp_path / "other.yml").write_text("all: {hosts: {new: }}")
    monkeypatch.setenv("BAREHOST_INVENTORY", "inventory/hosts.yml, other.yml")
    assert Inventory.load().names == ("lone", "web1", "web2", "db1", "new")


def test_the_project_is_found_from_a_folder_below_it(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(TREE)
    monkeypatch.chdir(tmp_path / "site")
    assert Inventory.load().project == tmp_path


def test_without_tasks_the_project_is_where_the_inventory_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("BAREHOST_STATE", raising=False)
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/hosts.yml").write_text("all: {hosts: {a: }}")
    assert Inventory.load(tmp_path / "inventory").project == tmp_path
    assert Inventory.load(tmp_path / "inventory/hosts.yml").project == tmp_path
    assert Inventory.load(tmp_path / "inventory", project=tmp_path / "p").project == tmp_path / "p"


STAGED = """
    all:
      children:
        staging:
          vars: {barehost_staging: true}
          hosts: {web1: }
"""


def test_a_staging_host_that_is_not_up_says_so_only_when_it_is_connected_to(write: Write):
    (host,) = write(STAGED).select("staging")
    with pytest.raises(HostError) as caught:
        host.endpoint()
    assert str(caught.value) == "web1 is a staging host that is not up: run invoke staging.up web1"


@pytest.mark.parametrize("state", [None, "elsewhere"])
def test_a_staging_host_that_is_up_has_its_address(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str | None
):
    write(STAGED)
    folder = tmp_path / ".barehost"
    if state:
        folder = tmp_path / state
        monkeypatch.setenv("BAREHOST_STATE", str(folder))
    (folder / "staging").mkdir(parents=True)
    (folder / "staging/hosts.yml").write_text(
        "staging: {hosts: {web1: {ansible_host: 10.1.1.1, ansible_user: root}}}"
    )
    host = Inventory.load().host("web1")
    assert (host.endpoint(), host.sudo) == ("10.1.1.1", False)


# -- patterns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), "lone web1 web2 db1"),
        (("all",), "lone web1 web2 db1"),
        (("*",), "lone web1 web2 db1"),
        (("web2,web1",), "web1 web2"),
        (("web*",), "web1 web2"),
        (("europe", "db1"), "web1 web2 db1"),
        (("e*",), "web1 web2"),
        (("all,!europe",), "lone db1"),
        (("!web1",), "lone web2 db1"),
        (("!web1,aachen",), "web2"),
        (("aachen,&berlin",), "web1"),
        (("&berlin", "aachen", "lone"), "web1"),
        (("ungrouped",), "lone"),
        ((" web1 , ",), "web1"),
    ],
)
def test_a_pattern_chooses_hosts_in_the_order_of_the_files(
    write: Write, patterns: tuple[str, ...], names: str
):
    assert write(TREE).match(*patterns) == tuple(names.split())


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("wbe1", "no host or group in inventory matches 'wbe1'; did you mean 'web1'?"),
        ("all,!europ", "no host or group in inventory matches 'europ'; did you mean 'europe'?"),
        ("zzz*", "no host or group in inventory matches 'zzz*'"),
        ("web1,!web1", "no host in inventory matches 'web1,!web1'"),
        ("lone,&europe", "no host in inventory matches 'lone,&europe'"),
    ],
)
def test_a_pattern_that_matches_nothing_names_what_comes_near(write: Write, pattern: str, sentence: str):
    with pytest.raises(InputError) as caught:
        write(TREE).match(pattern)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("patterns", [("",), (",",), ("web1", " ")])
def test_an_empty_pattern_is_not_every_host(write: Write, patterns: tuple[str, ...]):
    inventory = write("all: {hosts: {web1: , web2: }}")
    with pytest.raises(InputError):
        inventory.match(*patterns)
    assert inventory.match() == ("web1", "web2")


def test_an_inventory_without_hosts_has_nothing_to_choose(write: Write):
    with pytest.raises(InputError, match=r"^no host in inventory matches 'all'$"):
        write("all:").select()


def test_an_unknown_host_or_site_names_what_comes_near(write: Write):
    inventory = write(TREE, inventory__group_vars__all=SITE)
    with pytest.raises(InputError, match=r"^there is no host 'web3'; did you mean 'web\d'\?$"):
        inventory.host("web3")
    assert inventory.host("web1").app("hello").name == "hello"
    with pytest.raises(InputError, match=r"^web1 has no site 'helo'; did you mean 'hello'\?$"):
        inventory.host("web1").app("helo")


def test_two_chosen_hosts_on_one_address_are_refused(write: Write):
    inventory = write("all: {hosts: {a: {ansible_host: 10.0.0.1}, b: {ansible_host: 10.0.0.1}}}")
    assert len(inventory.select("a")) == 1
    with pytest.raises(InputError) as caught:
        inventory.select("a,b")
    assert str(caught.value) == (
        "inventory/hosts.yml:1:44: all.hosts.b: b and a are both 10.0.0.1 port 22; choose one of them"
    )


# -- what a host is --------------------------------------------------------------------------------------


def test_a_host_is_a_value(write: Write):
    (host,) = write("all: {hosts: {a: {x: [1, {y: 2}]}}}", inventory__group_vars__all=SITE).select()
    again = pickle.loads(pickle.dumps(host))
    assert again == host
    assert hash(again) == hash(host)
    assert host.vars["x"] == (1, {"y": 2})
    assert {host: 1}[again] == 1


def test_a_number_written_in_another_way_is_still_that_number(write: Write):
    (host,) = write("all: {hosts: {a: {mode: 0644, ansible_port: 0x16}}}").select()
    assert (host.vars["mode"], host.port) == (420, 22)
    assert pickle.loads(pickle.dumps(host)) == host


def test_a_plain_host_has_the_defaults(write: Write):
    (host,) = write("all: {hosts: {a: }}").select()
    assert host == Host(name="a", address="a", groups=("ungrouped",), project=Path.cwd())


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        ("ansible_host: h.example", "address", "h.example"),
        ("ansible_ssh_host: h.example", "address", "h.example"),
        ("{ansible_ssh_host: same, ansible_host: same}", "address", "same"),
        ("{ansible_ssh_host: old, ansible_host: }", "address", "old"),
        ("{ansible_port: 22, ansible_ssh_port: '22'}", "port", 22),
        ("ansible_port: '2222'", "port", 2222),
        ("ansible_user: me", "user", "me"),
        ("ansible_user: 1001", "user", "1001"),
        ("ansible_user: root", "sudo", False),
        ("{ansible_user: root, ansible_become: yes}", "sudo", True),
        ("ansible_become: false", "sudo", False),
        ("ansible_become_pass: s3cret", "sudo_password", Secret("s3cret")),
        ("ansible_become_password: 1234", "sudo_password", Secret("1234")),
        ("ansible_become_password: null", "sudo_password", None),
        ("ansible_become_password: {env: SUDO}", "sudo_password", Secret("from env")),
        ("ansible_become_password: \"{{ lookup('env', 'SUDO') }}\"", "sudo_password", Secret("from env")),
        ("ansible_become_password: {file: pw}", "sudo_password", Secret("from file")),
        ("ansible_become_method: ansible.builtin.sudo", "sudo", True),
        ("ansible_timeout: 3", "connect_timeout", 3),
        ("{ansible_timeout: 3}", "connect_timeout", 3),
        ("roles: [base, mine]", "roles", ("base", "mine")),
        ("ansible_ssh_common_args: -o ProxyJump=a,me@b:22", "jump", ("a", "me@b:22")),
        ("ansible_ssh_common_args: -J ssh://a", "jump", ("a",)),
        ("ansible_ssh_common_args: '-C -J[::1]:22 -o \"ServerAliveInterval 5\"'", "jump", ("[::1]:22",)),
        ("ansible_ssh_common_args: -oProxyJump=none", "jump", ()),
        ("ansible_ssh_extra_args: -o 'proxyjump a'", "jump", ("a",)),
        ("ansible_ssh_common_args: '-o ProxyCommand=\"ssh -W %h:%p -q me@a\"'", "jump", ("me@a",)),
        ("ansible_ssh_common_args: -o StrictHostKeyChecking=no", "jump", None),
        ("ansible_ssh_common_args: null", "jump", None),
        ("ansible_ssh_common_args: -o UserKnownHostsFile=/dev/null", "known_hosts", None),
        ("ansible_ssh_common_args: -o UserKnownHostsFile=/k", "known_hosts", Path("/k")),
        ("barehost_known_hosts: /k2", "known_hosts", Path("/k2")),
        ("ansible_connection: smart", "address", "a"),
        ("ansible_python_interpreter: /usr/bin/python3", "address", "a"),
    ],
)
def test_a_variable_shapes_the_host(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: str, field: str, value: Any
):
    monkeypatch.setenv("SUDO", "from env")
    (tmp_path / "pw").write_text("from file\n")
    (host,) = write("all: {hosts: {a: }}", inventory__host_vars__a=variables).select()
    assert getattr(host, field) == value


def test_paths_start_from_the_project(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "id").touch()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/id2").touch()
    variables = "{ansible_ssh_private_key_file: id, barehost_known_hosts: inventory/known}"
    inventory = write(f"all: {{hosts: {{a: {variables}, b: {{ansible_private_key_file: ~/id2}}}}}}")
    assert inventory.host("a").key == tmp_path / "id"
    assert inventory.host("a").known_hosts == tmp_path / "inventory/known"
    assert inventory.host("b").key == tmp_path / "home/id2"


def test_no_secret_is_shown_by_a_host(write: Write):
    text = SITE + "    secrets: {KEY: hunter2}\nansible_become_pass: hunter2\nother: hunter2\n"
    (host,) = write("all: {hosts: {a: }}", inventory__group_vars__all=text).select()
    assert host.apps[0].secrets["KEY"].reveal() == "hunter2"
    assert "hunter2" not in repr(host)
    assert "ansible_become_pass" not in host.vars
    assert "apps" not in host.vars


def test_sites_are_laid_over_each_other_by_name_and_key(write: Write):
    inventory = write(
        """
        all: {hosts: {a: {apps: {hello: {workers: 2, env: {B: b}}, other: }}, b: , c: {apps: {hello: {state: absent}}}}}
        """,
        inventory__group_vars__all=SITE + "    env: {A: a}\n    threads: 3\n",
        inventory__host_vars__a="apps: {other: {source: site, wsgi: 'o:app', server_names: [o.example]}}",
    )
    hello, other = inventory.host("a").apps
    assert (hello.workers, hello.threads, hello.env) == (2, 3, {"B": "b"})
    assert other.name == "other"
    assert inventory.host("b").app("hello").env == {"A": "a"}
    assert inventory.host("c").app("hello").state == "absent"


# -- templates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'{{ port }}'", 8000),
        ("'{{ port }}0'", "80000"),
        ("'{{ port + 1 }}'", 8001),
        ("'{{ names }}'", ("a", "b")),
        ("'{{ chain }}!'", "8000!"),
        ("['{{ port }}', {k: '{{ deep.er }}'}]", (8000, {"k": "x"})),
        ("'{{ inventory_hostname }} {{ group_names | join }}'", "a web"),
        ("'{{ groups.web | join }}'", "a"),
        ("'{{ inventory_hostname_short }}'", "a"),
        ("\"{{ lookup('env', 'COLOR') }}\"", "green"),
        ("\"{{ lookup('env', 'NO_SUCH') | default('none') }}\"", "none"),
        ("\"{{ lookup('ansible.builtin.file', 'note') }}\"", "a note"),
        ("'{% if port > 1 %}yes{% endif %}'", "yes"),
        ("'{{ missing | default(7) }}'", 7),
        ("'{{ {\"a\": [1]} }}'", {"a": (1,)}),
        ("'{{ (1, 2) }}'", (1, 2)),
        ("!unsafe '{{ port }}'", "{{ port }}"),
        ("'{ {no template} }'", "{ {no template} }"),
    ],
)
def test_a_template_is_resolved(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, value: Any
):
    monkeypatch.setenv("COLOR", "green")
    (tmp_path / "note").write_text("a note\n")
    common = "port: 8000\nnames: [a, b]\nchain: '{{ link }}'\nlink: '{{ port }}'\ndeep: {er: x}\n"
    inventory = write(
        "web: {hosts: {a: }}", inventory__group_vars__all=common, inventory__host_vars__a=f"x: {text}"
    )
    assert variable(inventory, "a", "x") == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("'{{ prot }}'", "x: in its template 'prot' is undefined; did you mean 'port'?"),
        ("'a {{ port.nope }}'", "x: in its template 'int object' has no attribute 'nope'"),
        ("'{{ x }}'", "x: the variables x → x refer to each other"),
        ("'{{ y }}'", "x: the variables x → y → x refer to each other"),
        (
            "'{{ port'",
            "x: its template cannot be resolved: unexpected end of template, expected 'end of print statement'.",
        ),
        ("'{{ 1 / 0 }}'", "x: its template cannot be resolved: division by zero"),
        (
            "'{{ port | to_nice_yaml }}'",
            "x: its template cannot be resolved: No filter named 'to_nice_yaml'.",
        ),
        (
            "\"{{ lookup('pipe', 'id') }}\"",
            "x: its template cannot be resolved: lookup('pipe') is not supported,"
            " only lookup('env', NAME) and lookup('file', path)",
        ),
        (
            "\"{{ lookup('env', 'NO_SUCH') }}\"",
            "x: in its template the environment variable NO_SUCH is not set",
        ),
        (
            "'{{ range }}'",
            "x: its template cannot be resolved: it gives a function, not a plain value such as 'text'",
        ),
    ],
)
def test_a_template_that_fails_says_so_when_it_is_used(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
):
    monkeypatch.delenv("NO_SUCH", raising=False)
    inventory = write(
        "all: {hosts: {a: }}", inventory__group_vars__all=f"port: 1\ny: '{{{{ x }}}}'\nx: {text}\n"
    )
    variables = inventory.host("a").vars
    assert "x" in variables
    with pytest.raises(InputError) as caught:
        variables["x"]
    where, _, said = str(caught.value).partition(" ")
    assert said == sentence
    assert re.fullmatch(r"inventory/group_vars/all.yml:[23]:1:", where)


def test_a_lookup_of_a_file_that_is_not_there_names_it(write: Write, tmp_path: Path):
    inventory = write("all: {hosts: {a: {x: \"{{ lookup('file', 'no') }}\"}}}")
    with pytest.raises(InputError, match=r"the file no cannot be read: No such file or directory$"):
        inventory.host("a").vars["x"]


@pytest.mark.parametrize(
    "attack", ["''.__class__.__mro__", "lookup.__globals__", "cycler.__init__.__globals__.os"]
)
def test_a_template_cannot_reach_into_python(write: Write, attack: str):
    inventory = write("all: {hosts: {a: }}", inventory__host_vars__a=f'x: "{{{{ {attack} }}}}"')
    with pytest.raises(InputError):
        inventory.host("a").vars["x"]


# -- errors ----------------------------------------------------------------------------------------------

HEAD = "inventory/hosts.yml"


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ("all: [\n", f"{HEAD}:2:1: this is no YAML: did not find expected node content"),
        ("a: b: c", f"{HEAD}:1:5: this is no YAML: mapping values are not allowed in this context"),
        ("a: 1\n---\nb: 2", f"{HEAD}:2:1: this is no YAML: found another document"),
        ("[all]", f"{HEAD}:1:1: expected a mapping of groups, found a list"),
        ("all: 7", f"{HEAD}:1:1: all: expected a group's mapping of hosts, children and vars, found 7"),
        (
            "all: {hots: {a: }}",
            f"{HEAD}:1:7: all.hots: expected hosts, children or vars in a group, found 'hots'; did you mean 'hosts'?",
        ),
        ("all: {hosts: [a]}", f"{HEAD}:1:7: all.hosts: expected a mapping of hosts, found a list"),
        (
            "all: {hosts: {a: 1}}",
            f"{HEAD}:1:15: all.hosts.a: expected a mapping of the host's variables, found 1",
        ),
        (
            "all: {hosts: {'a b': }}",
            f"{HEAD}:1:15: all.hosts.a b: expected a host's name of letters, digits, '.', '_' and '-', found 'a b'",
        ),
        (
            "all: {children: {'x y': }}",
            f"{HEAD}:1:18: all.children.x y: expected a group's name, found 'x y'",
        ),
        (
            "x: {children: {all: }}",
            f"{HEAD}:1:16: x.children.all: the group all holds every other group and cannot be a child of one",
        ),
        ("x: {children: {y: {children: {x: }}}}", f"{HEAD}:1:1: x: the groups x → y → x contain each other"),
        (
            "all: {hosts: {a: , a: }}",
            f"{HEAD}:1:20: all.hosts.a: this key stands here a second time; the first is on line 1",
        ),
        (
            "plugin: aws_ec2",
            f"{HEAD}:1:1: plugin: inventory plugins are not run; write the hosts into a file",
        ),
        ("all: &x {vars: *x}", f"{HEAD}:1:6: all.vars: this anchor contains itself"),
        ("all: !mine {}", f"{HEAD}:1:6: all: the tag !mine is not understood; write a plain value"),
        (
            "all: {vars: {x: !mine 1}}",
            f"{HEAD}:1:17: all.vars.x: the tag !mine is not understood; write a plain value",
        ),
        (
            "all: {vars: {[a]: 1}}",
            f"{HEAD}:1:14: all.vars: expected a plain text as key, found a list or mapping",
        ),
        ("all: {vars: {<<: 1}}", f"{HEAD}:1:14: all.vars: <<: expected a mapping to merge, found 1"),
        ("all: {vars: {x: 2024-13-45}}", f"{HEAD}:1:17: all.vars.x: '2024-13-45' is not a valid timestamp"),
        ("all: {vars: {x: \x00}}", f"{HEAD}:"),
    ],
)
def test_a_wrong_layout_is_one_sentence_with_its_place(write: Write, hosts: str, sentence: str):
    with pytest.raises(InputError) as caught:
        write(hosts)
    assert str(caught.value) == sentence or (
        sentence == f"{HEAD}:" and str(caught.value).startswith(sentence)
    )


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ("ansible_port: 70000", "1:1: ansible_port: expected a whole number from 1 to 65535, found 70000"),
        ("ansible_port: ssh", "1:1: ansible_port: expected a whole number from 1 to 65535, found 'ssh'"),
        ("ansible_port: true", "1:1: ansible_port: expected a whole number from 1 to 65535, found 'true'"),
        ("ansible_host: -oX", "1:1: ansible_host: expected a host name or address, found '-oX'"),
        ("ansible_host: ''", "1:1: ansible_host: expected a host name or address, found ''"),
        ("ansible_user: 'a b'", "1:1: ansible_user: expected a user's name, found 'a b'"),
        ("ansible_become: maybe", "1:1: ansible_become: expected true or false, found 'maybe'"),
        ("ansible_become_method: su", "1:1: ansible_become_method: expected sudo, found 'su'; root is reached with sudo only"),
        ("ansible_become_user: app", "1:1: ansible_become_user: expected root, found 'app'; everything is done as root"),
        ("ansible_connection: winrm", "1:1: ansible_connection: expected ssh, found 'winrm'; hosts are reached over ssh only"),
        ("ansible_ssh_pass: x", "1:1: ansible_ssh_pass: this variable cannot be followed: hosts are logged in to with a key or an agent, never with a password"),
        ("ansible_hots: x", "1:1: ansible_hots: this variable is not known; did you mean 'ansible_host'?"),
        ("barehost_nown_hosts: x", "1:1: barehost_nown_hosts: this variable is not known; did you mean 'barehost_known_hosts'?"),
        ("ansible_ssh_private_key_file: nope", "1:1: ansible_ssh_private_key_file: expected a private key, found no file nope"),
        ("ansible_private_key_file: nope", "1:1: ansible_private_key_file: expected a private key, found no file nope"),
        ("connect_timeout: 0", "1:1: connect_timeout: expected a whole number from 1 to 86400, found 0; connect_timeout names the seconds until Barehost gives up a host that does not answer: a variable of another program needs another name"),
        ("roles: base", "1:1: roles: expected a list of names of roles, found 'base'; roles names the roles that Barehost evaluates: a variable of another program needs another name"),
        ("roles: [base, ../x]", "1:15: roles.1: expected a list of names of roles, found '../x'; roles names the roles that Barehost evaluates: a variable of another program needs another name"),
        ("ansible_become_pass: [x]", "1:1: ansible_become_pass: expected a secret as text, {env: NAME}, {file: path} or {command: PROGRAM}"),
        ("ansible_become_pass: {vault: x}", "1:1: ansible_become_pass: expected a secret as text, {env: NAME}, {file: path} or {command: PROGRAM}"),
        ("ansible_ssh_common_args: -J -x", "1:1: ansible_ssh_common_args: expected a jump host as [user@]host[:port], found '-x'"),
        ("ansible_ssh_common_args: -J", "1:1: ansible_ssh_common_args: expected a value after '-J'"),
        ("ansible_ssh_common_args: [x]", "1:1: ansible_ssh_common_args: expected options of ssh, found a list"),
        ("ansible_ssh_args: [x]", "1:1: ansible_ssh_args: expected options of ssh, found a list"),
        ("ansible_ssh_common_args: bastion", "1:1: ansible_ssh_common_args: expected an option of ssh, found 'bastion'"),
        ("ansible_ssh_common_args: \"-J 'x\"", "1:1: ansible_ssh_common_args: expected options of ssh, found \"-J 'x\" (No closing quotation)"),
        ("ansible_ssh_common_args: -p 22", "1:1: ansible_ssh_common_args: expected no port among the options of ssh; say it with ansible_port"),
        ("ansible_ssh_common_args: -oUser=x", "1:1: ansible_ssh_common_args: expected no user among the options of ssh; say it with ansible_user"),
        ("ansible_ssh_common_args: -o ProxyCommand='nc %h %p'", "1:1: ansible_ssh_common_args: a ProxyCommand cannot be followed; name the jump hosts with -o ProxyJump="),
        ("[a]", "1:1: expected a mapping of variables, found a list"),
        ("apps: [hello]", "1:1: apps: expected a mapping of sites, found a list; apps names the sites that Barehost serves: a variable of another program needs another name"),
        ("apps: {shop: {port: 80, replicas: 2}}", "1:15: apps.shop.port: this is no key of a site; apps names the sites that Barehost serves: a variable of another program needs another name"),
        ("apps: {nginx: }", "1:8: apps.nginx: the name 'nginx' is in use on Debian as a user, unit or folder; choose another"),
        ("apps: {hello: }", "1:8: apps.hello: expected the key 'source', found none"),
        ("apps: {hello: x}", "1:8: apps.hello: expected a mapping of the site's keys, found 'x'"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_one_sentence_with_its_place(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: str, sentence: str
):
    monkeypatch.delenv("NO_SUCH", raising=False)
    (tmp_path / "binary").write_bytes(b"\xff")
    inventory = write("all: {hosts: {a: }}", inventory__host_vars__a=variables)
    with pytest.raises(InputError) as caught:
        inventory.select()
    assert str(caught.value) == f"inventory/host_vars/a.yml:{sentence}"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("workers: many", "7:5: apps.hello.workers: expected auto or a whole number from 1 to 512, found 'many'"),
        ("workers: 0", "7:5: apps.hello.workers: expected auto or a whole number from 1 to 512, found 0"),
        ("worker: 4", "7:5: apps.hello.worker: this key is not known; did you mean 'workers'?"),
        ("name: x", "7:5: apps.hello.name: this key is not known"),
        ("project: /", "7:5: apps.hello.project: this key is not known"),
        ("7: x", "7:5: apps.hello.7: this key is not known"),
        ("env: {A-B: x}", "7:11: apps.hello.env.A-B: expected a variable's name of letters, digits and '_', found 'A-B'"),
        ("env: [A]", "7:5: apps.hello.env: expected a mapping of names to text, found a list"),
        ("static: {static: static}", "7:14: apps.hello.static.static: expected a URL prefix that starts and ends with '/', like /static/, of letters, digits, '.', '_', '~', '-', found 'static'"),
        ("env: {UMASK: 0027}", "7:11: apps.hello.env.UMASK: 0027 is the number 23 in YAML; quote it if you mean the text"),
        ("env: {AT: 12:30}", "7:11: apps.hello.env.AT: 12:30 is the number 750 in YAML; quote it if you mean the text"),
        ("health: {path: up}", "7:14: apps.hello.health.path: expected a path that starts with '/', like /healthz, found 'up'"),
        ("health: {pth: /}", "7:14: apps.hello.health.pth: this key is not known; did you mean 'path'?"),
        ("health: /up", "7:5: apps.hello.health: expected a mapping, found '/up'"),
        ("tls: {certificate: /c}", "7:5: apps.hello.tls: expected the key 'key', or acme, found none"),
        ("state: gone", "7:5: apps.hello.state: expected present or absent, found 'gone'"),
        ("secrets: hunter2", "7:5: apps.hello.secrets: expected a mapping of names to text, {env: NAME}, {file: path} or {command: PROGRAM}"),
        ("secrets: {K: [hunter2]}", "7:15: apps.hello.secrets.K: expected a secret as text, {env: NAME}, {file: path} or {command: PROGRAM}"),
        ("secrets: {K: \"hunter2\\r\"}", "7:15: apps.hello.secrets.K: expected a secret without control characters"),
        ("wheels: wheels", "7:5: apps.hello.wheels: expected a folder of wheels, found no folder wheels"),
        ("requirements: no.txt", "7:5: apps.hello.requirements: expected a file in the source, found no file site/no.txt"),
        ("ref: main", "2:3: apps.hello: ref belongs to a git source, but source is the folder 'site'"),
        ("listen: [80, 80]", "7:5: apps.hello.listen: 80 stands here twice"),
        ("build: make", "7:5: apps.hello.build: expected a list of commands, found 'make'"),
        ("build: ['{{ nope }}']", "7:13: apps.hello.build.0: in its template 'nope' is undefined"),
        ("keep: 1\n    timeout: x", "7:5: apps.hello.keep: expected a whole number from 2 to 100, found 1"),
        ("max_body: {a: 1}", "7:5: apps.hello.max_body: expected a size like 10m, 512k or 1g, found a mapping"),
        (f"max_body: {'9' * 99}", f"7:5: apps.hello.max_body: expected a size like 10m, 512k or 1g, found {'9' * 76}...9"),
    ],
)  # fmt: skip
def test_a_wrong_key_of_a_site_is_one_sentence_with_its_place(
    write: Write, monkeypatch: pytest.MonkeyPatch, line: str, sentence: str
):
    monkeypatch.delenv("NO_SUCH", raising=False)
    text = f"---{SITE}    # here\n    {line}\n"
    inventory = write("all: {hosts: {a: }}", inventory__host_vars__a=text.replace("---\n", ""))
    with pytest.raises(InputError) as caught:
        inventory.select()
    assert str(caught.value) == f"inventory/host_vars/a.yml:{sentence}"


def test_a_place_inside_the_hosts_file_has_the_whole_path_as_key(write: Write):
    inventory = write("""
        all:
          children:
            web:
              hosts:
                web1:
                  apps:
                    hello: {source: site, wsgi: "h:a", server_names: [a.example], workers: many}
    """)
    with pytest.raises(InputError) as caught:
        inventory.select("web1")
    assert str(caught.value) == (
        "inventory/hosts.yml:8:75: all.children.web.hosts.web1.apps.hello.workers:"
        " expected auto or a whole number from 1 to 512, found 'many'"
    )


def test_a_source_that_is_not_there_is_an_error_unless_the_site_leaves(write: Write):
    site = "{source: nowhere, wsgi: 'h:a', server_names: [a.example]}"
    inventory = write(
        f"all: {{hosts: {{a: {{apps: {{hello: {site}}}}}, b: {{apps: {{hello: {{state: absent, source: nowhere}}}}}}}}}}"
    )
    assert inventory.host("b").apps[0].state == "absent"
    with pytest.raises(
        InputError, match=r"apps.hello.source: expected a folder or a git URL, found no folder nowhere$"
    ):
        inventory.host("a")


def test_a_git_source_is_not_looked_for_on_this_machine(write: Write):
    site = "{source: 'https://example.com/x.git', ref: main, wsgi: 'h:a', server_names: [a.example]}"
    assert write(f"all: {{hosts: {{a: {{apps: {{hello: {site}}}}}}}}}").host("a").apps[0].is_git


def test_two_sites_of_a_host_cannot_share_a_name_on_a_port(write: Write):
    site = "{source: site, wsgi: 'h:a', server_names: [a.example], listen: [%d]}"
    inventory = write(f"""
        all:
          hosts:
            a: {{apps: {{one: {site % 80}, two: {site % 81}}}}}
            b: {{apps: {{one: {site % 80}, two: {site % 80}}}}}
    """)
    assert len(inventory.host("a").apps) == 2
    with pytest.raises(InputError, match=r"two: a.example port 80 belongs to the site 'one' already on b$"):
        inventory.host("b")


def test_a_tls_port_counts_as_taken(write: Write):
    tls = "tls: {certificate: /c, key: /k}"
    inventory = write(
        "all: {hosts: {a: }}",
        inventory__host_vars__a=f"""
            apps:
              one: {{source: site, wsgi: 'h:a', server_names: [a.example], {tls}}}
              two: {{source: site, wsgi: 'h:a', server_names: [a.example], listen: [443]}}
        """,
    )
    with pytest.raises(InputError, match=r"a.example port 443 belongs to the site 'one'"):
        inventory.host("a")


def test_a_wrong_host_harms_no_other(write: Write):
    inventory = write("all: {hosts: {a: {ansible_port: x}, b: }}")
    assert inventory.select("b")[0].name == "b"


def test_a_wrong_group_priority_is_an_error(write: Write):
    inventory = write("web: {hosts: {a: }, vars: {ansible_group_priority: high}}")
    with pytest.raises(InputError, match=r"ansible_group_priority: expected a whole number, found 'high'$"):
        inventory.host("a")


def test_files_that_cannot_be_read_say_why(write: Write, tmp_path: Path):
    write(TREE)
    (tmp_path / "inventory/x.yml").write_bytes(b"a: \xff")
    with pytest.raises(
        InputError, match=r"^inventory/x.yml: cannot be read: expected UTF-8 text, found byte 0xff$"
    ):
        Inventory.load()
    with pytest.raises(InputError, match=r"^site: cannot be read: Is a directory$"):
        Vault(tmp_path).read(tmp_path / "site")


def test_a_missing_or_empty_inventory_says_what_to_do(write: Write, tmp_path: Path):
    with pytest.raises(InputError) as caught:
        Inventory.load()
    assert str(caught.value) == (
        "there is no inventory inventory; run barehost init to write one, or name it with --inventory"
    )
    (tmp_path / "inventory").mkdir()
    with pytest.raises(
        InputError, match=r"^the inventory inventory holds no file of hosts; write hosts.yml there$"
    ):
        Inventory.load()


def test_two_files_for_one_group_are_refused(write: Write, tmp_path: Path):
    inventory = write(TREE, inventory__group_vars__europe="a: 1", inventory__group_vars__europe__x="a: 2")
    with pytest.raises(InputError) as caught:
        inventory.host("web1")
    assert str(caught.value) == (
        "inventory/group_vars/europe and inventory/group_vars/europe.yml are both there,"
        " and Ansible reads only the first; keep one"
    )


@given(st.text(max_size=200))
def test_whatever_a_file_holds_reading_ends_in_values_or_one_sentence(tmp_path_factory: Any, text: str):
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        Vault(path.parent).read(path)
    except InputError as error:
        assert "\n" not in str(error)


# -- values ----------------------------------------------------------------------------------------------


def test_a_frozen_mapping_is_a_value():
    one = frozen({"a": [1, {"b": 2}], "c": None})
    assert one == {"a": (1, {"b": 2}), "c": None}
    assert hash(one) == hash(frozen({"c": None, "a": [1, {"b": 2}]}))
    assert len(one) == 2
    assert repr(Frozen({"a": 1})) == "Frozen({'a': 1})"
    with pytest.raises(TypeError):
        one["a"] = 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        (False, "false"),
        ({}, "a mapping"),
        ([], "a list"),
        (3, "3"),
        ("x", "'x'"),
    ],
)
def test_a_value_is_described_as_yaml_says_it(value: Any, words: str):
    assert describe(value) == words


# -- the examples ----------------------------------------------------------------------------------------


def test_our_own_inventory_describes_web1_before_it_is_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("BAREHOST_STATE", str(tmp_path))
    (web1,) = Inventory.load(ROOT / "inventory", project=ROOT).select("staging")
    assert web1.address is None
    assert web1.app("hello").server_names == ("web1", "hello.example.com")
    assert find(web1.app("hello").source_folder) == "requirements.txt"


@pytest.fixture
def scaffold(tmp_path: Path) -> Path:
    """What `invoke init` writes, in a place of its own."""
    return Path(shutil.copytree(ROOT / "deploy/scaffold", tmp_path / "project"))


def test_the_annotated_example_loads(scaffold: Path):
    (web1,) = Inventory.load(scaffold / "inventory").select()
    assert (web1.address, web1.project) == (None, scaffold)
    assert web1.app("hello").server_names == ("web1",)


def test_the_annotated_example_names_its_site_in_one_place(scaffold: Path):
    """Whoever renames it, or writes another one in its place, gets no second site beside it on any host."""
    hosts = scaffold / "inventory/hosts.yml"
    hosts.write_text(hosts.read_text().replace("      hello: ", "      shop: "))
    for host in Inventory.load(scaffold / "inventory").select():
        assert [app.name for app in host.apps] == ["shop"]


def test_the_annotated_example_keeps_secrets_out_of_git(scaffold: Path):
    subprocess.run(["git", "init", "-q", scaffold], check=True)
    text = (scaffold / "inventory/hosts.yml").read_text()
    named = re.findall(r"\{file: ([^}]+/[^}]+)\}", text)
    assert named
    for name in named:
        (scaffold / name).parent.mkdir(exist_ok=True)
        (scaffold / name).write_text("s3cret")
        assert subprocess.run(["git", "-C", scaffold, "check-ignore", "-q", name]).returncode == 0


def test_the_annotated_example_still_loads_with_every_comment_taken_away(
    scaffold: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("SUDO_PASSWORD", "x")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (tmp_path / ".ssh/id_ed25519", scaffold / ".secrets/secret_key", scaffold / "wheels/x.whl"):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    hosts = scaffold / "inventory/hosts.yml"
    text = re.sub(r"(?m)^( +)# (\w+:( |$))", r"\1\2", hosts.read_text())
    text = re.sub(
        r"(?m)^ +(asgi|image): .*\n", "", text
    )  # they stand for wsgi and source, so no site has both
    hosts.write_text(text.replace("source: site ", "source: https://example.com/site.git "))
    (shop1,) = Inventory.load(scaffold / "inventory").select("shop1")
    assert (shop1.address, shop1.port, shop1.user) == ("192.0.2.10", 2222, "deploy")
    assert shop1.app("hello").server_names == ("example.com",)
    assert shop1.jump == ("you@bastion.example.com",)
    assert shop1.app("hello").tls is not None
    assert shop1.app("hello").secrets["SECRET_KEY"].reveal() == "x"
    everything = yaml.safe_load(hosts.read_text())["all"]
    declared = everything["children"]["production"]
    site = everything["vars"]["apps"]["hello"]
    assert keys(App).keys() - {"asgi", "image"} == site.keys()
    assert keys(Connection).keys() - {"barehost_staging"} <= declared["hosts"]["shop1"].keys()
    for name, field in keys(App).items():
        if name in site and (inner := nested(field)):
            assert keys(inner).keys() - {"acme"} == site[name].keys()  # in place of certificate and key
        elif name == "paths":  # site and strip name another site, of which the example has none
            assert all(rule.keys() <= keys(PathRule).keys() for rule in site[name].values())
        elif each := entries(field):
            for one in site[name].values():
                assert keys(each).keys() == one.keys()


def test_the_reference_is_what_the_models_say():
    page = (ROOT / "docs/inventory.md").read_text()
    assert updated(page) == page, "run python -m deploy.tasks.reference docs/inventory.md"


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match="the page needs the lines"):
        updated("# nothing")


def test_the_reference_is_brought_up_to_date_in_place(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main([str(page)])
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n## Variables of a host")
    assert text.endswith(f"{END}\nafter\n")
    assert "| `workers` | auto or a whole number from 1 to 512 | `auto` |" in text


ALONE = "processes: {beat: {command: beat, hosts: first}}"


@pytest.mark.parametrize(
    ("hosts", "shared"),
    [
        # defined by a group: the group's first host, whoever is asked for
        (
            "all: {children: {web: {hosts: {web2: {}, web1: {}}, vars: {apps: {hello: SITE}}}}, hosts: {other: {}}}",
            {"web1": ["web2", "web1"], "web2": ["web2", "web1"], "other": None},
        ),
        # the group that wins less defines it as well: another set of hosts
        (
            "all: {children: {web: {hosts: {web1: {}, web2: {}}, vars: {apps: {hello: SITE}}}, staging: {hosts: {web1: {}},"
            " vars: {apps: {hello: {env: {A: b}}}}}}}",
            {"web1": ["web1"], "web2": ["web2"]},
        ),
        # one that is to lose the site runs it no more, and may do so still
        (
            "all: {children: {web: {hosts: {web1: {apps: {hello: {state: absent}}}, web2: {}}, vars: {apps: {hello: SITE}}}}}",
            {"web2": ["web2", "web1"]},
        ),
        # defined by hosts alone: those that define it alike
        (
            "all: {hosts: {web1: {apps: {hello: SITE}}, web2: {apps: {hello: SITE}}, web3: {apps: {hello: OTHER}}}}",
            {"web1": ["web1", "web2"], "web2": ["web1", "web2"], "web3": ["web3"]},
        ),
    ],
)
def test_which_hosts_share_what_one_of_them_runs_alone(
    tmp_path: Path, hosts: str, shared: dict[str, list[str] | None]
):
    (tmp_path / "site").mkdir()
    site = f"{{source: site, wsgi: 'a:b', server_names: [a.example], requirements: null, {ALONE}}}"
    hosts = hosts.replace("SITE", site).replace("OTHER", site.replace("a.example", "b.example"))
    (tmp_path / "tasks.py").touch()
    (tmp_path / "hosts.yml").write_text(hosts)
    inventory = Inventory.load(tmp_path / "hosts.yml", project=tmp_path)
    for name, expected in shared.items():
        host = inventory.host(name)
        assert ([one.name for one in host.sharing["hello"]] if host.sharing else None) == expected
        assert host.is_first("hello") == (expected is None or expected[0] == name)


def test_a_map_knows_its_places():
    one = Map(Mark("f", 1, 1, ""), {"a": 1}, {"a": Mark("f", 2, 1, "a")})
    assert str(one.marks["a"]) == "f:2:1: a"
    assert str(one.mark) == "f:1:1"


def test_a_chosen_inventory_meets_no_staging_host_that_it_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BAREHOST_STATE", str(tmp_path / "state"))
    (tmp_path / "tasks.py").touch()
    (tmp_path / "state" / "staging").mkdir(parents=True)
    (tmp_path / "state" / "staging" / "hosts.yml").write_text(
        "staging: {hosts: {web1: {ansible_host: 10.1.1.1}, web2: {ansible_host: 10.1.1.2}}}"
    )
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "hosts.yml").write_text("all: {hosts: {web2: {ansible_host: 192.0.2.2}}}")
    assert set(Inventory.load(project=tmp_path).names) == {"web1", "web2"}
    chosen = Inventory.load(tmp_path / "inventory", project=tmp_path)
    assert set(chosen.names) == {"web2"}
    assert chosen.host("web2").address == "10.1.1.2"
    assert chosen.groups["staging"] == ("web2",)
