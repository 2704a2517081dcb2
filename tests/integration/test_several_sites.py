"""Several sites on one host: they switch in one run, and what happens to one leaves the others alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from booting import Clone
from releasing import ship
from sites import HELLO, Project, ask, sh, visitors

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]

PAGE = """def app(environ, start):
    start('200 OK', [('Content-Type', 'text/plain')])
    return [b'%s']
"""
"""A site of one page that needs no package."""


def small(name: str, **changes: Any) -> dict[str, Any]:
    """A site of the inventory whose code is :data:`PAGE`, in a folder of its name."""
    site = {
        "source": name,
        "wsgi": "page:app",
        "requirements": None,
        "server_names": [f"{name}.example.com"],
        "health": {"path": "/", "timeout": 5},
        "workers": 1,
    }
    return {name: site | changes}


def page(project: Project, name: str, text: str) -> None:
    """What the site ``name`` answers, from its next release on."""
    project.write(f"{name}/page.py", PAGE.replace("%s", text))


def answer(host: StagingHost, name: str) -> str:
    return ask(host, name=f"{name}.example.com").text


@contextlib.contextmanager
def asked(host: StagingHost, *names: str) -> Iterator[None]:
    """Visitors ask each of these sites all the time, and none of their requests is lost."""
    with contextlib.ExitStack() as stack:
        wrong = {name: stack.enter_context(visitors(host, "/", name=f"{name}.example.com")) for name in names}
        yield
    assert not any(wrong.values()), wrong


SIX = ("one", "two", "three", "four", "five", "six")


def test_six_sites_switch_in_one_run_and_lose_no_request(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    sites: dict[str, Any] = {"hello": HELLO}
    for name in SIX:
        page(project, name, "first")
        sites |= small(name)
    project.serve(host, sites)
    project.provision()
    assert {answer(host, name) for name in SIX} == {"first"}
    for name in SIX:
        page(project, name, "second")
    with asked(host, "hello", *SIX):
        ship(project)
        assert {answer(host, name) for name in SIX} == {"second"}
        before = {name: sh(host, f"readlink /srv/{name}/current") for name in SIX}
        ship(project, task="restart")
        assert all(sh(host, f"readlink /srv/{name}/current") != before[name] for name in SIX)
        ship(project, task="rollback")
        assert {answer(host, name) for name in SIX} == {"first"}
    project.settled()
