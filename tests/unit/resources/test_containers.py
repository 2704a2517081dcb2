"""What a stack is compared by: what a look tells of it, and what of that is drift."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.errors import InputError, LookError
from deploy.resource import Change
from deploy.resources.containers import Stack, folder, tagged
from deploy.shell import Command, keyed

STACK = Stack("shop", "compose.yaml", "f1", ".env", b"A=1\n", ("web", "db"))
WEB = "/shop-web-1 web sha256:aa h1 running 0 healthy shop:1"
DB = "/shop-db-1 db sha256:bb h2 running 0 - db"
NOW = ["now sha256:aa shop:1", "now sha256:bb db:latest"]


def look(*lines: str, env: bytes = b"A=1\n") -> dict[str, Any] | None:
    """The stack's state, from what a look prints."""
    text = "\n".join([*lines, f"env {keyed(env)}"]) + "\n\0"
    state = Stack.parse([STACK], text.encode())[STACK.id]
    return None if state is None else dict(state)


def drift(*runs: str, now: list[str] = NOW) -> str:
    told = look("files f1", f"was {WEB}", f"was {DB}", *(f"is {one}" for one in runs), *now)
    assert told is not None
    return str(told["drift"])


def test_a_stack_that_runs_as_it_was_proven_is_as_expected() -> None:
    told = look("files f1", f"was {WEB}", f"was {DB}", f"is {WEB}", f"is {DB}", *NOW)
    assert not Change(STACK, told, STACK.expected())


@pytest.mark.parametrize(
    ("web", "what"),
    [
        (WEB.replace("running", "exited"), "exited"),
        (WEB.replace(" healthy", " unhealthy"), "unhealthy"),
        (WEB.replace("sha256:aa", "sha256:cc"), "another image"),
        (WEB.replace("h1", "h9"), "configuration"),
    ],
)
def test_what_happened_to_a_container_behind_our_back_is_drift(web: str, what: str) -> None:
    assert drift(WEB, DB) == ""
    assert "shop-web-1" in drift(web, DB)
    assert what in drift(web, DB)


def test_a_container_that_is_gone_and_a_name_that_means_another_image_are_drift() -> None:
    assert "shop-db-1" in drift(WEB)
    assert "shop:1" in drift(WEB, DB, now=["now sha256:dd shop:1", NOW[1]])


def test_an_engine_that_does_not_run_is_drift_and_no_absence() -> None:
    told = look("files f1", f"was {WEB}", "engine stopped")
    assert told is not None
    assert told["drift"]


def test_a_job_that_was_done_may_be_gone_through_again() -> None:
    done = "/shop-db-1 db sha256:bb h2 exited 0 - db"
    told = look("files f1", f"was {done}", f"is {done.replace('exited', 'running')}", NOW[1])
    assert told is not None
    assert told["drift"] == ""


def test_containers_of_services_that_the_file_has_no_more_count_only_in_a_purge() -> None:
    old = "/shop-old-1 old sha256:ee h3 running 0 - old:1"
    told = look("files f1", f"was {WEB}", f"was {DB}", f"is {WEB}", f"is {DB}", f"is {old}", *NOW)
    assert not Change(STACK, told, STACK.expected())
    purging = replace(STACK, purge=True)
    assert Change(purging, told, purging.expected()).keys == ("orphans",)


def test_other_values_in_the_environment_are_a_difference_that_names_none() -> None:
    told = look("files f1", f"was {WEB}", f"was {DB}", f"is {WEB}", f"is {DB}", *NOW, env=b"A=secret\n")
    assert Change(STACK, told, STACK.expected()).keys == ("environment",)
    assert "secret" not in str(told)


def test_nothing_of_a_stack_is_absence() -> None:
    assert Stack.parse([STACK], b"now sha256:aa shop:1\n\0")[STACK.id] is None


def test_a_look_that_ended_early_is_an_error() -> None:
    with pytest.raises(LookError):
        Stack.parse([STACK], b"files f1\n")
    with pytest.raises(LookError):
        look("is /shop-web-1 web")


def test_no_value_of_the_environment_stands_in_a_step() -> None:
    secret = replace(STACK, env=b"A=geheim\n")
    steps = list(Stack.steps([Change(secret, None, secret.expected())]))
    assert all("geheim" not in step.script for step in steps if isinstance(step, Command))


@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("mongo", "mongo:latest"),
        ("mongo:7", "mongo:7"),
        ("docker.io/library/mongo:7", "mongo:7"),
        ("reg.example:5000/a", "reg.example:5000/a:latest"),
    ],
)
def test_a_name_is_compared_as_docker_lists_it(written: str, listed: str) -> None:
    assert tagged(written) == listed


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0"])
def test_a_stack_lies_in_a_folder_of_its_own(name: str) -> None:
    with pytest.raises(InputError):
        folder(name)
