"""Roles of the user's own project: they win over ours, and their mistakes are sentences with file and line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from deploy.engine.declare import declared
from deploy.errors import InputError
from deploy.facts import AppFacts, Facts
from deploy.inventory.hosts import Host
from deploy.resource import Remark
from deploy.resources.path import File
from deploy.roles import roles_of
from deploy.site.app import App

KIND = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
from deploy.resource import Phase
from deploy.resources.path import Directory

@dataclass(frozen=True)
class Room(Directory):
    phase: ClassVar[Phase] = Phase.FOLDERS
    door: str = "open"

def motd(host, facts):
    yield Room("/srv/room")
"""


def written(project: Path, text: str) -> Host:
    (project / "roles").mkdir(exist_ok=True)
    (project / "roles" / "motd.py").write_text(text)
    return Host("web1", project=project, roles=("motd",))


def test_a_role_of_the_project_is_found_by_its_name(tmp_path: Path) -> None:
    text = 'from deploy.resources.path import File\ndef motd(host, facts):\n    yield File("/etc/motd", host.name)\n'
    host = written(tmp_path, text)
    assert declared(roles_of(host), host, Facts()) == [File("/etc/motd", "web1")]


def test_a_role_of_the_project_wins_over_ours_of_the_same_name(tmp_path: Path) -> None:
    host = written(tmp_path, "")
    (tmp_path / "roles" / "base.py").write_text("def base(host, facts):\n    return iter(())\n")
    host = Host("web1", project=tmp_path, roles=("base",))
    assert declared(roles_of(host), host, Facts()) == []


def test_a_kind_may_be_defined_in_a_role_s_file_and_is_the_same_each_time(tmp_path: Path) -> None:
    host = written(tmp_path, KIND)
    (one,) = declared(roles_of(host), host, Facts())
    (again,) = declared(roles_of(host), host, Facts())
    assert one == again
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nosuchmodule\n", "motd.py, line 1: ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("def motd(host, facts)\n", "motd.py, line 1: expected ':'"),
        ("def other(host, facts): ...\n", "a role's file defines a function of its name, motd(host, facts)"),
        ('def motd(host, facts):\n    yield host.vars["owner"]\n', "motd.py, line 2: KeyError: 'owner'"),
        (
            "def motd(host, facts):\n    return None\n",
            "motd.py, line 1: a role yields resources, this one returned nothing",
        ),
        (
            'from deploy.resources.path import File\ndef motd(host, facts):\n    yield File("etc/motd")\n',
            "a path on a host is absolute",
        ),
    ],
    ids=["import", "syntax", "no function", "no variable", "nothing given back", "a kind's own refusal"],
)
def test_a_mistake_in_a_role_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    host = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        declared(roles_of(host), host, Facts())
    assert said in str(caught.value)


def test_a_role_that_nobody_wrote_is_an_error_that_names_the_host(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"web1: there is no role 'ngnix'.*did you mean 'nginx'"):
        roles_of(Host("web1", project=tmp_path, roles=("ngnix",)))


def test_a_site_that_the_inventory_no_longer_names_is_said_to_be_there(tmp_path: Path) -> None:
    facts = Facts(apps=(AppFacts("old", 3), AppFacts("hello", 1)))
    host = Host("web1", project=tmp_path, roles=(), apps=(App(name="hello", state="absent"),))
    (remark,) = declared(roles_of(host), host, facts)
    assert isinstance(remark, Remark)
    assert remark.text.startswith("old is on the host")


SLIPS = {
    'File("/etc/x", state="abesnt")': "'present' or 'absent', found 'abesnt'",
    'File("/etc/x", mode=644)': "write 0o644",
    'File("/etc/x", mode="0644")': "expected a whole number, found '0644'",
    'File("/etc/x", mode=True)': "expected a whole number",
    'File("/etc/x", 5)': "found 5",
    'Directory("/srv/x", mode=755)': "write 0o755",
    'Unit("x.service", restart_on="/etc/x")': "a tuple",
    'Package("git", masks=["x.service"])': "a tuple of text, found a list",
    'Package("git", masks=("x",))': "not a unit to mask",
    '[File("/etc/x")]': "write yield from",
    '"/etc/x"': "a role yields resources",
    "None": "a role yields resources",
}
"""What somebody yields by mistake, and what is said of it."""

IMPORTS = """
from deploy.resources.account import Group, User
from deploy.resources.package import Package
from deploy.resources.path import Directory, File
from deploy.resources.unit import Unit
"""


@pytest.mark.parametrize("yielded", SLIPS)
def test_a_wrong_argument_is_one_sentence_with_file_and_line(tmp_path: Path, yielded: str) -> None:
    host = written(
        tmp_path, f'{IMPORTS}\ndef motd(host, facts):\n    yield Group("other")\n    yield {yielded}\n'
    )
    with pytest.raises(InputError) as caught:
        declared(roles_of(host), host, Facts())
    assert "motd.py, line 9: " in str(caught.value)
    assert SLIPS[yielded] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", ["return None", 'File("/etc/x")', 'return File("/etc/x")', "return 5"])
def test_a_forgotten_yield_is_named_by_the_role_s_line(tmp_path: Path, body: str) -> None:
    host = written(tmp_path, f"{IMPORTS}\ndef motd(host, facts):\n    {body}\n")
    with pytest.raises(InputError, match=r"motd\.py, line 7: a role yields resources"):
        declared(roles_of(host), host, Facts())


def test_what_is_right_passes(tmp_path: Path) -> None:
    body = """
def motd(host, facts):
    yield User("ann", group="ann", groups=("adm",))
    yield File("/etc/x", b"bytes", mode=0o4755)
    yield from [File("/etc/y", "text", state="absent"), Directory("/srv/x", mode=0o2770)]
    yield Package("git")
"""
    host = written(tmp_path, IMPORTS + body)
    assert len(declared(roles_of(host), host, Facts())) == 5
