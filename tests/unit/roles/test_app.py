"""The role of a site: what it says before Python is known, at first, when the source moved on, when a release ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from deploy.engine.plan import diff
from deploy.errors import InputError
from deploy.inventory.hosts import Host
from deploy.release import Activation, Built, Intact, Leaving, Migrated
from deploy.resource import Change, Check, Deferred, Put, Remark, Upload
from deploy.resources.tree import Tree
from deploy.resources.venv import Venv
from deploy.roles.app import interpreter, programs, question
from deploy.roles.servers import Server
from deploy.shell import Command, Secret
from deploy.site.app import App
from deploy.site.release import Delivery
from tests.unit.fakes.sample import BARE, KNOWN, NEW, OLD, SECRET, delivery, host, said, serving, site


def kinds(one: Host, facts: Any, brought: Delivery | None = None, **release: Any) -> dict[type, Any]:
    return {type(resource): resource for resource in said(one, facts, brought, **release).values()}


def test_the_same_host_and_facts_say_the_same(tmp_path: Path):
    one = host(tmp_path)
    for facts in (BARE, KNOWN, serving()):
        assert said(one, facts) == said(one, facts)


def test_before_python_is_known_the_release_is_deferred(tmp_path: Path):
    found = kinds(host(tmp_path), BARE)
    assert found[Deferred].until == "package:python3"
    assert found.keys().isdisjoint({Activation, Venv, Built, Migrated})


def test_a_named_python_is_known_before_it_is_there(tmp_path: Path):
    one = host(tmp_path, site(tmp_path, python="python3.12"))
    found = kinds(one, BARE)
    assert Deferred not in found
    assert found[Venv].python == "python3.12"


def test_the_first_release_is_built_migrated_and_activated(tmp_path: Path):
    found = kinds(host(tmp_path), KNOWN)
    assert found[Tree].path == f"/srv/hello/releases/{NEW}"
    assert found[Tree].base is None
    assert found[Venv].path == f"/srv/hello/venvs/{found[Activation].venv}"
    assert (found[Activation].release, found[Built].release, found[Migrated].release) == (NEW, NEW, NEW)
    assert found[Built].when < found[Migrated].when < found[Activation].when


def test_only_one_host_of_a_fleet_migrates(tmp_path: Path):
    one = host(tmp_path)
    for sites, migrated in ((frozenset({"hello"}), True), (frozenset(), False)):
        brought = structs.replace(delivery(one), migrates=sites)
        assert (Migrated in kinds(one, KNOWN, brought)) == migrated


def test_a_source_that_moved_on_keeps_release_and_venv_and_says_so(tmp_path: Path):
    found = kinds(host(tmp_path), serving(manifest="of what was staged"))
    assert (found[Activation].release, found[Activation].venv) == (OLD, "4f6bc2ad")
    assert found.keys().isdisjoint({Venv, Built, Migrated})
    assert f"has changed since release {OLD}" in repr(found[Remark])


def test_a_source_that_is_what_serves_is_looked_at_again(tmp_path: Path):
    one = host(tmp_path)
    manifest = kinds(one, KNOWN)[Tree].manifest
    found = kinds(one, serving(manifest))
    assert found[Tree].path == f"/srv/hello/releases/{OLD}"
    assert (found[Activation].release, found[Built].release) == (OLD, OLD)


@pytest.mark.parametrize(
    "keys",
    [
        {"files": {"/robots.txt": "robots.txt"}},
        {"error_pages": {502: "errors/502.html"}},
        {"static": {"/app/": "dist"}, "fallback": {"/app/": "index.html"}},
    ],
)
def test_a_file_that_nginx_is_to_serve_is_in_the_source_unless_a_build_makes_it(
    tmp_path: Path, keys: dict[str, Any]
):
    with pytest.raises(InputError, match="no such file"):
        said(host(tmp_path, site(tmp_path, **{"build": [], **keys})), KNOWN)
    assert said(host(tmp_path, site(tmp_path, **{**keys, "build": ["make"]})), KNOWN)


def test_a_release_that_ships_goes_beside_what_serves(tmp_path: Path):
    found = kinds(host(tmp_path), serving(), ship=True)
    assert found[Tree].path == f"/srv/hello/releases/{NEW}"
    assert found[Tree].base == f"/srv/hello/releases/{OLD}"
    assert found[Activation].release == NEW


def test_a_release_that_lies_on_the_host_needs_nothing_but_its_activation(tmp_path: Path):
    one = host(tmp_path)
    back = structs.replace(delivery(one).releases["hello"], id=OLD, folder=None, venv="4f6bc2ad", ship=True)
    found = kinds(one, serving(), Delivery({"hello": back}))
    assert (found[Activation].release, found[Activation].venv) == (OLD, "4f6bc2ad")
    assert found.keys().isdisjoint({Tree, Venv, Built, Migrated})


def test_a_site_that_is_not_wanted_leaves_and_its_data_only_with_purge(tmp_path: Path):
    one = host(tmp_path)
    assert kinds(one, KNOWN)[Leaving] == Leaving("old", purge=False)
    assert kinds(one, KNOWN, Delivery(purge=True))[Leaving].purge


@pytest.mark.parametrize(
    ("python", "facts", "version"),
    [
        ("python3", KNOWN, "3.11"),
        ("python3", BARE, None),
        ("python3.12", BARE, "3.12"),
        ("/opt/py/bin/python3.13", KNOWN, "3.13"),
    ],
)
def test_the_interpreter_of_a_site(tmp_path: Path, python: str, facts: Any, version: str | None):
    assert interpreter(site(tmp_path, python=python), facts) == version


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ({}, ("hello.example.com", "/", 200, 80, "http")),
        (
            {"server_names": ["*.example.com"], "listen": [8080]},
            ("barehost.example.com", "/", 200, 8080, "http"),
        ),
        (
            {
                "tls": {"certificate": "/srv/tls/a.crt", "key": "/srv/tls/a.key"},
                "health": {"path": "/up", "expect": 204},
            },
            ("hello.example.com", "/up", 204, 443, "https"),
        ),
    ],
)
def test_how_a_site_is_asked_for_its_health(tmp_path: Path, keys: dict[str, Any], asked: tuple[Any, ...]):
    one = question(site(tmp_path, **keys))
    assert (one.name, one.path, one.status, one.port, one.scheme) == asked


def everything(one: Host, facts: Any, **release: Any) -> str:
    """All that a person, a log or a process list could see of a plan that creates everything."""
    resources = list(said(one, facts, **release).values())
    seen = [repr(resources)]
    for resource in resources:
        seen.append(str(resource.id))
        if isinstance(resource, Deferred | Remark):
            continue
        seen.append(str(type(resource).probe([resource])))
        if isinstance(resource, Intact):
            continue  # it has no steps: what only the host had cannot be made again
        for step in type(resource).steps([Change(resource, None, resource.expected())]):
            seen.append(repr(step))
            if isinstance(step, Command):
                seen += [step.label, step.script]
            elif isinstance(step, Put | Upload):
                seen.append(repr(step))
        seen += [check.script for check in resource.checks() if isinstance(check, Check)]
    plan = diff("web1", resources, {resource.id: None for resource in resources})
    seen += [repr(plan), json.dumps(plan.as_json())]
    return "\n".join(seen)


values = st.text(
    st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), min_size=12, max_size=40
)


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(values)
def test_a_secret_shows_in_nothing_that_a_role_says(tmp_path: Path, value: str):
    app = site(tmp_path, secrets={"SECRET_KEY": f"canary{value}"}, env={"OPEN": "visible"})
    for facts, ship in ((KNOWN, False), (serving(), True)):
        assert "canary" not in everything(host(tmp_path, app), facts, ship=ship)


def test_the_secret_travels_with_the_activation_alone(tmp_path: Path):
    found = kinds(host(tmp_path), KNOWN)
    assert SECRET.split("$", maxsplit=1)[0].encode() in found[Activation].env
    assert b"LOG_LEVEL" in found[Activation].env


def test_a_host_that_serves_nothing_yet_is_for_provision(tmp_path: Path):
    with pytest.raises(
        InputError, match="web1 serves no release of hello yet; invoke provision makes the first"
    ):
        kinds(host(tmp_path), KNOWN, ship=True)


def test_another_secret_means_another_activation(tmp_path: Path):
    def state(value: str) -> Any:
        app = site(tmp_path, secrets={"SECRET_KEY": value})
        return kinds(host(tmp_path, app), serving("x"))[Activation].expected()

    assert state("one") == state("one")
    differ = {key for key, value in state("one").items() if state("two")[key] != value}
    assert differ == {"environment"}


def test_a_site_is_the_same_site_whatever_object_holds_its_secret(tmp_path: Path):
    one: App = site(tmp_path)
    assert one.secrets["SECRET_KEY"] == Secret(SECRET)


def test_values_of_the_environment_may_name_the_places_of_the_release(tmp_path: Path):
    env = {
        "SETTINGS": "{release}/prod.ini",
        "TOOL": "{venv}/bin/x",
        "DATA": "{shared}",
        "JSON": '{"root": 1}',
    }
    found = kinds(host(tmp_path, site(tmp_path, env=env)), KNOWN)
    text = found[Activation].env.decode()
    assert f'SETTINGS="/srv/hello/releases/{NEW}/prod.ini"' in text
    assert f'TOOL="/srv/hello/venvs/{found[Venv].key}/bin/x"' in text
    assert 'DATA="/srv/hello/shared"' in text
    assert "root" in text
    assert found[Built].env == found[Activation].env


def test_a_folder_that_the_code_writes_to_is_a_link_into_the_shared_data(tmp_path: Path):
    one = site(tmp_path, writable=["instance"])
    (tmp_path / "site" / "instance").mkdir()
    (tmp_path / "site" / "instance" / "local.db").write_text("of a developer")
    entries = kinds(host(tmp_path, one), KNOWN)[Tree].entries
    assert (entries["instance"].type, entries["instance"].content) == ("l", "/srv/hello/shared/instance")
    assert "instance/local.db" not in entries
    folder = said(host(tmp_path, one), KNOWN)["path:/srv/hello/shared/instance"]
    assert (folder.owner, folder.mode) == ("hello", 0o750)


def test_auto_that_finds_nothing_says_so(tmp_path: Path):
    for requirements, remarks in (("auto", True), (None, False)):
        one = site(tmp_path, requirements=requirements)
        (tmp_path / "site" / "requirements.txt").unlink()
        assert (Remark in kinds(host(tmp_path, one), KNOWN)) == remarks


def test_a_package_from_git_brings_git_to_the_host(tmp_path: Path):
    one = site(tmp_path)
    (tmp_path / "site" / "requirements.txt").write_text("x @ git+https://example.com/x.git\n")
    assert "package:git" in said(host(tmp_path, one), KNOWN)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (("uvicorn[standard]>=0.30", "gevent"), ("uvicorn", "gevent")),
        (
            ("Some.Server @ https://example.com/s.whl", "waitress ; python_version > '3'"),
            ("Some.Server", "waitress"),
        ),
        (("git+https://example.com/s.git", "./vendor/s", "https://example.com/s.whl", "s-1.whl"), ()),
    ],
)
def test_a_server_is_looked_for_by_the_names_of_its_requirements(
    lines: tuple[str, ...], names: tuple[str, ...]
):
    assert programs(Server("run", {}, requirements=lines)) == names


def of_procfile(tmp_path: Path, facts: Any, text: str, **release: Any) -> list[str]:
    """The units of an activation where the source has no Procfile any more, and a release has this one."""
    one = host(tmp_path, site(tmp_path, processes=None, timers={}))
    brought = delivery(one)
    if release:
        brought = Delivery({"hello": structs.replace(brought.releases["hello"], procfile=text, **release)})
    return [name for name, _ in kinds(one, facts, brought)[Activation].units]


def test_a_procfile_names_the_processes_of_its_own_release(tmp_path: Path):
    text = "web: x\nworker: work\n"
    with_it = ["hello@.service", "hello-worker@.service"]
    older = serving("of what was staged")
    older = structs.replace(older, apps=(structs.replace(older.apps[0], procfile=text), *older.apps[1:]))
    back = {"id": OLD, "folder": None, "venv": "4f6bc2ad", "ship": True}
    assert of_procfile(tmp_path, serving(), text, **back) == with_it
    assert of_procfile(tmp_path, older, "") == with_it, "the source has moved on, the release has not"
    assert of_procfile(tmp_path, KNOWN, "") == ["hello@.service"]
    (tmp_path / "site" / "Procfile").write_text(text)
    assert of_procfile(tmp_path, KNOWN, "") == with_it


def test_what_a_procfile_names_must_not_be_another_site_s(tmp_path: Path):
    one = host(tmp_path, site(tmp_path, processes=None), site(tmp_path, name="hello-a"))
    (tmp_path / "site" / "Procfile").write_text("a: x\n")
    with pytest.raises(InputError, match=r"Procfile: .*would be called hello-a"):
        said(one, KNOWN)
