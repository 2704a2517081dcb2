"""What the documentation says is so: links lead somewhere, commands exist, examples load and run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke import Task
from msgspec.structs import fields

from deploy import errors
from deploy.engine.declare import declared
from deploy.errors import BarehostError
from deploy.facts import Facts
from deploy.inventory.inventory import Inventory
from deploy.resource import Resource
from deploy.roles import roles_of
from deploy.tasks import namespace
from tests.unit.resources import test_contract as contract

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
names = [str(page.relative_to(ROOT)) for page in PAGES]

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"(?<![\w/.-])(?:invoke|barehost) ([a-z]+(?:[.-][a-z]+)*)\b([^\n`]*)")


# Links


def anchors(page: Path) -> set[str]:
    """What a heading of the page is called in a link, as GitHub makes it."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_link_leads_to_a_page_and_a_heading_that_are_there(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}, there is {sorted(anchors(target))}"


def test_every_page_is_in_the_index() -> None:
    linked = set(LINK.findall((ROOT / "docs/README.md").read_text()))
    assert {page.name for page in PAGES if page.parent.name == "docs"} - {"README.md"} <= linked


# Commands


def tasks() -> dict[str, Task[Any]]:
    return {name: namespace[name] for name in namespace.task_names}


def commands() -> Iterator[tuple[str, str, list[str]]]:
    """Page, task and options of every command in the documentation; what follows ``--`` is not ours."""
    for page in PAGES:
        for name, rest in COMMAND.findall(page.read_text()):
            words = rest.partition("#")[0].partition(" -- ")[0].split()
            options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
            yield page.name, name, options


def test_every_command_exists_with_its_options() -> None:
    known = tasks()
    for page, name, options in commands():
        assert name in known, f"{page}: there is no task {name}"
        flags = {flag for argument in known[name].get_arguments() for flag in flags_of(argument.names)}
        assert set(options) <= flags, f"{page}: {name} has no {sorted(set(options) - flags)}"


def flags_of(words: tuple[str, ...]) -> set[str]:
    return {("--" if len(word) > 1 else "-") + word.replace("_", "-") for word in words}


def test_commands_are_found_at_all() -> None:
    found = [(name, tuple(options)) for _, name, options in commands()]
    assert ("staging.up", ("--suite",)) in found
    assert ("logs", ("--host", "--since", "-n")) in found
    assert len(found) >= 40


def test_every_task_that_a_user_meets_is_somewhere_in_the_pages() -> None:
    assert set(tasks()) - {name for _, name, _ in commands()} <= {
        "demo",
        "test",
        "staging.list",
        "hosts.list",
    }


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"(?:^ {4}|`)make ([\w-]+)", page.read_text(), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), f"{page.name}: make {target}"


# Exit codes


def test_every_error_has_its_line_among_the_exit_codes() -> None:
    page = (ROOT / "docs/exit-codes.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \| (?:`(\w+)` )?\|", page, re.M))
    told = {
        kind.__name__: kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, BarehostError)
    }
    assert {name: int(code) for code, name in rows.items() if name} == told
    assert {"0", "2", "130"} <= set(rows)


# Examples


def examples(language: str) -> list[tuple[str, str, str]]:
    """Page, file and text of every example whose first line names the file it belongs into."""
    found = []
    for page in PAGES:
        for kind, text in FENCE.findall(page.read_text()):
            named = re.match(r"# ([\w/.-]+\.\w+)\n", text)
            if kind == language and named:
                found.append((page.name, named[1], text))
    return found


def project(page: str, folder: Path) -> Path:
    """What init writes, with the examples of one page in it."""
    shutil.copytree(ROOT / "deploy/scaffold", folder)
    for language in ("yaml", "python"):
        for where, name, text in examples(language):
            if where == page:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
    return folder


def test_every_yaml_example_says_which_file_it_is() -> None:
    blocks = [text for page in PAGES for kind, text in FENCE.findall(page.read_text()) if kind == "yaml"]
    assert len(blocks) == len(examples("yaml")) >= 2


@pytest.mark.parametrize(
    ("page", "host", "sites"),
    [("README.md", "shop1", {"hello", "shop"}), ("roles.md", "web1", {"hello"})],
    ids=["README", "roles"],
)
def test_the_inventories_load(page: str, host: str, sites: set[str], tmp_path: Path) -> None:
    folder = project(page, tmp_path / "project")
    (loaded,) = Inventory.load(folder / "inventory").select(host)
    assert {app.name for app in loaded.apps} == sites


def test_the_roles_are_what_they_say(tmp_path: Path) -> None:
    folder = project("roles.md", tmp_path / "project")
    (folder / "templates/motd.j2").write_text(
        '{{ host.name }}: {{ host.apps | map(attribute="name") | join(", ") }}\nAsk: {{ contact }}\n'
    )
    (folder / "templates/redis.conf.j2").write_text(
        'maxmemory {{ host.vars.redis_memory | default("64mb") }}\n'
    )
    own = folder / "inventory/host_vars/web1.yml"
    own.write_text(own.read_text().replace("motd]", "motd, redis]"))
    (web1,) = Inventory.load(folder / "inventory").select("web1")
    roles = roles_of(web1, only=("motd", "redis"))
    said = {one.id: [text.new for text in one.content()] for one in declared(roles, web1, Facts())}
    assert said["path:/etc/motd"] == [b"web1: hello\nAsk: ops@example.com\n"]
    assert said["path:/etc/redis/redis.conf"] == [b"maxmemory 64mb\n"]
    assert "unit:redis-server.service" in said


def test_the_facts_that_a_role_is_promised_are_there() -> None:
    promised = (ROOT / "docs/roles.md").read_text().partition("**`facts`**")[2].partition(". None")[0]
    assert set(re.findall(r"`(\w+)`", promised)) == {field.name for field in fields(Facts)} - {"apps"}


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (page.name, text)
        for page in PAGES
        for kind, text in FENCE.findall(page.read_text())
        if kind == "python"
    ],
)
def test_every_python_example_compiles(page: str, text: str) -> None:
    compile(text, page, "exec")


@pytest.fixture(scope="module")
def alternative(tmp_path_factory: pytest.TempPathFactory) -> type[Resource]:
    """The kind of docs/writing-a-kind.md, as a role's file brings it."""
    folder = project("writing-a-kind.md", tmp_path_factory.mktemp("kind") / "project")
    (folder / "inventory/host_vars").mkdir()
    (folder / "inventory/host_vars/web1.yml").write_text("roles: [editor]\n")
    (web1,) = Inventory.load(folder / "inventory").select("web1")
    _, one = declared(roles_of(web1), web1, Facts())
    assert one.id == "alternative:editor"
    return type(one)


@pytest.mark.parametrize("hostile", ["name", "path"])
@pytest.mark.parametrize(
    "test",
    [
        contract.test_it_is_a_frozen_value,
        contract.test_what_it_expects_is_flat_plain_and_the_same_each_time,
        contract.test_there_is_no_step_when_nothing_differs,
        contract.test_a_host_without_any_of_it_says_absent,
        contract.test_hostile_names_stay_data,
        contract.test_one_probe_asks_for_many,
    ],
)
def test_the_kind_of_the_pages_keeps_the_contract(
    alternative: type[Resource], test: object, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers = {
        "name": lambda name: alternative(name, f"/usr/bin/{name}"),  # type: ignore[call-arg]
        "path": lambda name: alternative("barehost-none", f"/usr/bin/{name}"),  # type: ignore[call-arg]
    }
    monkeypatch.setitem(contract.MAKERS, alternative, makers[hostile])
    assert callable(test)
    test(kind=alternative)


def test_the_kind_s_own_test_passes_in_a_project(tmp_path: Path) -> None:
    folder = project("writing-a-kind.md", tmp_path / "project")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout
