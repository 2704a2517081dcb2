"""A release that only the host holds is still what was shipped, with its packages: seen before it runs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from deploy.errors import LookError
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.resources.tree import LISTING, record_of
from deploy.shell import Command, Script, join, program, sh


@dataclass(frozen=True)
class Intact(Resource):
    """The release's files are those that were shipped, by the host's own record of them, and its packages are there.

    There is no source to mend them from, so what was edited or lost is a step that fails before anything
    changes. venv: the folder of its packages, by its name. server: packages that must be among them to start it as the
    inventory says.
    """

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "release"

    app: str
    release: str
    venv: str
    server: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where the release's code lies."""
        return f"/srv/{self.app}/releases/{self.release}"

    @property
    def packages(self) -> str:
        """Where its packages lie."""
        return f"/srv/{self.app}/venvs/{self.venv}"

    @property
    def id(self) -> str:
        return f"path:{self.path}"

    def expected(self) -> State | None:
        return {"intact": True, "packages": True, "lacks": ""}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh(
                "intact @{path} @{record}; packages @{venv}; lacks @{path} @{venv} @{patterns}",
                path=one.path,
                record=record_of(one.path),
                venv=one.packages,
                patterns=[word for name in one.server for word in (name, _pattern(name))],
            )
            for one in resources
        )
        return join([Script(LISTING + _INTACT), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        words = output.decode(errors="replace").splitlines()
        answers = list(zip(words[::3], words[1::3], words[2::3], strict=False))
        if len(words) != 3 * len(resources):
            raise LookError("the host did not tell whether its releases are what was shipped; look again")
        said: dict[str, State | None] = {
            "same": {"intact": True},
            "differs": {"intact": False},
            "unrecorded": {"intact": False, "recorded": False},
            "absent": None,
        }
        states: dict[str, State | None] = {}
        for one, (code, packages, lacks) in zip(resources, answers, strict=True):
            state = said[code]
            whole = packages == "whole"
            states[one.id] = (
                None if state is None else {**state, "packages": whole, "lacks": lacks if whole else ""}
            )
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            what = "is gone from" if change.actual is None else "was edited or lost files on"
            sentence = (
                f"release {one.release} of {one.app} {what} the host, and only the host had it; "
                "ship one with invoke release"
            )
            if change.actual is not None and change.actual.get("recorded") is False:
                sentence = (
                    f"the host has lost its record of release {one.release} of {one.app} (in /var/lib/barehost), so "
                    "nobody can say whether its files are what was shipped; ship one with invoke release"
                )
            elif change.actual is not None and change.keys == ("packages",):
                sentence = (
                    f"the packages of release {one.release} of {one.app} ({one.packages}) are gone from "
                    "the host or their Python is, so it would not start again; ship a release with invoke release"
                )
            elif change.actual is not None and change.keys == ("lacks",):
                sentence = (
                    f"release {one.release} of {one.app} was made for another server: its packages have no "
                    f"{change.actual['lacks']}, which server: (or worker_class:) in the inventory needs now; set that "
                    "back, or ship a release with invoke release"
                )
            yield Command(
                f"look at release {one.release} of {one.app}",
                sh("echo @{sentence}; exit 1", sentence=sentence),
            )


def _pattern(name: str) -> str:
    """For find -iname: how a distribution of that name is called where it is installed."""
    return re.sub(r"[-_.]+", "[-_.]", name) + "-*.dist-info"


_INTACT = program("release-intact")
