"""What every kind of resource keeps, whoever wrote it: values that compare, and data that stays data.

A new kind needs one line in MAKERS; without it the first test fails and says so.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import resources
from deploy.errors import BarehostError, InputError
from deploy.oci import Image, Layer, Place
from deploy.requirements import Requirements
from deploy.resource import Change, Check, Deferred, Resource, Upload
from deploy.resources.account import Group, User
from deploy.resources.apt_source import AptSource
from deploy.resources.certificate import Certificate
from deploy.resources.containers import ContainerImage, Stack, StackBuilt, StackLeft
from deploy.resources.firewall import Firewall
from deploy.resources.image import FromImage, ImageRoot
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Link, Template
from deploy.resources.postgres import STOPPED, PostgresDatabase, PostgresRole
from deploy.resources.run import Run
from deploy.resources.sysctl import Sysctl
from deploy.resources.tree import Tree
from deploy.resources.unit import Unit
from deploy.resources.venv import Venv
from deploy.shell import Command, Secret, secrets_travel, sh
from tests.unit.fakes import local

CANARY = Path("/tmp/barehost-contract-canary")
SOURCE = Path(__file__).parent
Maker = Callable[[str], Resource]


def at(name: str) -> str:
    """A path that is on no host, with the name as its last part."""
    return f"/nonexistent/barehost/{name}"


ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"


def picture(name: str) -> Image:
    """A container image of one layer that says ``name`` of itself wherever it may."""
    layer = Layer("0" * 64, Place(Path(__file__), 0, 10))
    return Image(
        f"sha256:{'0' * 64}", "amd64", (layer,), env=(("A", name), (name, "")), workdir=name, user=name
    )


MAKERS: dict[type[Resource], Maker] = {
    AptSource: lambda name: AptSource(name, f"https://{name}", (name,), (name,), ARMOUR),
    Certificate: lambda name: Certificate(name, (name,), name, "ecdsa", 1, name),
    ContainerImage: lambda name: ContainerImage(f"{PLAIN}/{name}", packages=(name,), suite=name),
    Deferred: lambda name: Deferred(what=name, until=name),
    Directory: lambda name: Directory(at(name)),
    File: lambda name: File(at(name), body=name.encode(errors="surrogateescape")),
    Firewall: lambda name: Firewall(name, at(name), name),
    FromImage: lambda name: FromImage(PLAIN, f"none{name}", picture(name), ((name, name),)),
    Group: Group,
    ImageRoot: lambda name: ImageRoot(f"{PLAIN}{name}", picture(name), name, (name,)),
    Link: lambda name: Link(at(name), target=name),
    Package: lambda name: Package(name, version=name),
    PostgresDatabase: lambda name: PostgresDatabase(name, owner=name, extensions=(name,)),
    PostgresRole: lambda name: PostgresRole(name, password=Secret(name)),
    Run: lambda name: Run(
        name, sh("echo @{it}", it=name), unless=sh("test @{it} = no", it=name), environment=(("A", name),)
    ),
    Stack: lambda name: Stack(
        f"{PLAIN}{name}", name, name, name, name.encode(errors="surrogateescape"), (name,)
    ),
    StackBuilt: lambda name: StackBuilt(f"{PLAIN}{name}", name, name, name, b"A=1", builds=True),
    StackLeft: lambda name: StackLeft(f"{PLAIN}{name}"),
    Sysctl: lambda name: Sysctl(f"barehost.{name}", 1),
    Template: lambda name: Template(at(name), "unavailable.html.j2", name=name),
    Tree: lambda name: Tree(at(name), SOURCE, protect=(at(f"{name}/x"),), base=at(f"{name}-base")),
    Unit: lambda name: Unit(f"{name}.service"),
    User: lambda name: User("barehost-none", home=at(name), shell=at(name)),
    Venv: lambda name: Venv(at(name), Requirements(lines=(name,)), "3.11", python=name),
}
"""For each kind: one that no host has, made from a name. A kind may refuse the name with an InputError."""

NEEDS_SYSTEMD = {Unit}
LEAVES: set[type[Resource]] = {StackLeft}
"""Kinds that say only what is to be gone."""
PLAIN = "barehost-none"


def kinds() -> Iterator[type[Resource]]:
    for found in pkgutil.iter_modules(resources.__path__):
        module = importlib.import_module(f"{resources.__name__}.{found.name}")
        for _, value in inspect.getmembers(module, inspect.isclass):
            if (
                issubclass(value, Resource)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
            ):
                yield value


KINDS = [*dict.fromkeys([*kinds(), Deferred])]


def plain(kind: type[Resource]) -> Resource:
    try:
        return MAKERS[kind](PLAIN)
    except InputError:
        return MAKERS[kind]("1")


def test_every_kind_is_held_to_this_contract() -> None:
    assert {kind.__name__ for kind in KINDS} == {kind.__name__ for kind in MAKERS}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_frozen_value(kind: type[Resource]) -> None:
    one, same = plain(kind), plain(kind)
    assert one == same
    assert hash(one) == hash(same)
    with secrets_travel():
        assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(FrozenInstanceError):
        setattr(one, fields(one)[0].name, "other")


def test_an_id_is_a_kind_and_a_name_and_only_what_lies_at_a_path_shares_one() -> None:
    ids = [plain(kind).id for kind in KINDS]
    assert all(":" in one for one in ids)
    assert {one for one in ids if ids.count(one) > 1} <= {f"path:{at(PLAIN)}"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_expects_is_flat_plain_and_the_same_each_time(kind: type[Resource]) -> None:
    one = plain(kind)
    expected = one.expected()
    assert expected == one.expected()
    assert expected or kind in LEAVES
    expected = expected or {}
    assert all(
        type(key) is str and type(value) in (str, int, bool, type(None)) for key, value in expected.items()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_no_step_when_nothing_differs(kind: type[Resource]) -> None:
    one = plain(kind)
    assert not Change(one, one.expected(), one.expected())
    assert list(kind.steps([])) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NEEDS_SYSTEMD])
def test_a_host_without_any_of_it_says_absent(kind: type[Resource]) -> None:
    assert list(local.look(plain(kind)).values()) in (
        [None],
        [{"settable": False, "value": "-", "to be raised": False}],
        [{"server": STOPPED}],  # of this machine, where it has a PostgreSQL that does not run
    )


HOSTILE = [
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"'; touch {CANARY}; '",
    f'"; touch {CANARY}; "',
    f"\n touch {CANARY}\n",
    f"| touch {CANARY} #",
    f"& touch {CANARY} &",
    "-rf",
    "--help",
    "@{name}",
    "%s%n",
    "\\",
    "'",
    '"',
    "*",
    "[!x]",
    "~root",
    "ünïcode ☃",
    "\udce9",
    "\r\n",
    "\t",
    " ",
    "=",
    "$IFS",
    "!",
]
names = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), min_size=1, max_size=3).map(
    "".join
)


def make(kind: type[Resource], name: str) -> Resource | None:
    """The resource, or None where the kind refuses such a name, which is as good."""
    try:
        return MAKERS[kind](name)
    except BarehostError as error:
        assert isinstance(error, InputError)
        assert str(error)
    except ValueError as error:  # shell.quote, of a NUL byte
        assert "NUL" in str(error)
    return None


def scripts(one: Resource) -> Iterator[str]:
    """All shell that this resource would ever send."""
    yield one.probe([one])
    for actual in (None, one.expected()):
        for step in type(one).steps([Change(one, actual, one.expected())]):
            if isinstance(step, Command | Check):
                yield step.script


@pytest.mark.parametrize("kind", KINDS)
@given(name=names)
@settings(max_examples=25)
def test_hostile_names_stay_data(kind: type[Resource], name: str) -> None:
    one = make(kind, name)
    if one is None:
        return
    for script in scripts(one):
        parsed = subprocess.run(
            ["sh", "-n"], input=script.encode(errors="surrogateescape"), capture_output=True, check=False
        )
        assert (parsed.returncode, parsed.stderr) == (0, b"")
    if kind not in NEEDS_SYSTEMD:
        assert set(local.look(one)) == {one.id}
    assert not CANARY.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_each_hostile_name_alone_stays_data(kind: type[Resource], name: str) -> None:
    one = make(kind, name)
    if one is not None and kind not in NEEDS_SYSTEMD:
        assert local.look(one)[one.id] in (None, {"server": STOPPED})
    assert not CANARY.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_one_probe_asks_for_many(kind: type[Resource]) -> None:
    many = [made for number in range(3) if (made := make(kind, f"{PLAIN}{number}"))]
    if many and kind not in NEEDS_SYSTEMD:
        assert set(local.look(*many)) == {one.id for one in many}


@pytest.mark.parametrize("kind", KINDS)
def test_uploads_say_how_much_they_are(kind: type[Resource]) -> None:
    one = plain(kind)
    for step in kind.steps([Change(one, None, one.expected())]):
        if isinstance(step, Upload):
            assert (step.size, step.files) > (0, 0)
            assert "/" not in step.name
