"""Processes and timers of a site: what their keys accept, what they refuse, and what a Procfile says."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.errors import InputError
from deploy.schema.model import Faulty, build
from deploy.site.app import App
from deploy.site.checks import beside
from deploy.site.processes import from_procfile

GOOD: dict[str, Any] = {"source": "site", "wsgi": "hello:app"}


def app(name: str = "shop", **values: Any) -> App:
    return build(App, {**GOOD, "name": name, "server_names": [f"{name}.example.com"], **values})


@pytest.mark.parametrize(
    "command", ["a; b", "a && b", "a | b", "a & ", "a\nb", "(a)", "echo $(date)", "a 'b"]
)
def test_a_process_is_one_command(command: str) -> None:
    with pytest.raises(Faulty, match="command"):
        app(processes={"worker": {"command": command}})


@pytest.mark.parametrize("command", ["a b 'c; d'", 'a "b && c"', "A=b c $D", "a > /dev/null 2>/dev/null"])
def test_what_the_shell_makes_one_command_of_is_one(command: str) -> None:
    assert app(processes={"worker": {"command": command}}).processes["worker"].command == command


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"processes": {"a": {"command": "x", "hosts": "first", "count": 2}}}, "one at any moment"),
        ({"processes": {"a": {"command": "x", "stop": {"signal": "KILL"}}}}, "one of the signals"),
        ({"processes": {"a_b": {"command": "x"}}}, "expected a name"),
        ({"processes": {"a-": {"command": "x"}}}, "expected a name"),
        ({"processes": {"a": {"command": "x", "env": {"BAREHOST_X": "y"}}}}, "is set by the service itself"),
        ({"timers": {"a": {"command": "x"}}}, "expected the key 'schedule'"),
        (
            {"processes": {"a": {"command": "x"}}, "timers": {"a": {"command": "x", "schedule": "@daily"}}},
            "both",
        ),
    ],
)
def test_what_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(Faulty, match=words):
        app(**values)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"name": "shop", "processes": {"a-b": {"command": "x"}}},
            {"name": "shop-a", "processes": {"b": {"command": "x"}}},
        ),
        ({"name": "shop", "processes": {"a": {"command": "x"}}}, {"name": "shop-a"}),
        (
            {"name": "shop", "timers": {"a": {"command": "x", "schedule": "@daily"}}},
            {"name": "shop-a", "state": "absent"},
        ),
    ],
)
def test_units_that_would_be_another_site_s_are_refused(one: dict[str, Any], other: dict[str, Any]) -> None:
    for pair in ((one, other), (other, one)):
        with pytest.raises(ValueError, match="would be called"):
            beside([app(**values) for values in pair])
    beside([app(**one), app("other")])


def test_a_unit_of_debian_s_own_is_refused() -> None:
    with pytest.raises(Faulty, match="in use on Debian"):
        app("serial", processes={"getty": {"command": "x"}})


def test_a_procfile_names_what_is_not_web_nor_release() -> None:
    found = from_procfile(
        "# ours\nweb: gunicorn x\nrelease: migrate\n\nworker: rq worker high\nbeat : celery beat\n",
        "Procfile",
    )
    assert {name: one.command for name, one in found.items()} == {
        "worker": "rq worker high",
        "beat": "celery beat",
    }


@pytest.mark.parametrize("text", ["worker", "Worker: x", "worker: a && b", "worker:"])
def test_a_line_of_a_procfile_that_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(InputError, match="Procfile, line 2: "):
        from_procfile(f"web: x\n{text}\n", "Procfile")
