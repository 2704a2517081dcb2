"""Releases that end in the middle, at moments drawn by a seed: the site serves, and the next release just works.

BAREHOST_KILLS is how many moments are drawn (12), BAREHOST_SEED what they are drawn by, BAREHOST_KILLS_TABLE a file
that gets what came of each. Killing a staging host keeps its page cache: this is no power cut.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from booting import Boot
from releasing import edit, hello, serving, ship, tidy
from sites import Project, answers, new_project, sh, until, visitors

from deploy import staging
from deploy.staging import Image, StagingHost

KILLS = int(os.environ.get("BAREHOST_KILLS", "12"))
SEED = int(os.environ.get("BAREHOST_SEED", "3"))
SITE = hello(build=["sleep 0.2; date > built"], migrate=["sleep 0.2"], keep=3)


EVIDENCE = """
date; tail -n 20 /var/log/nginx/hello.error.log; grep -v '"status":200' /var/log/nginx/hello.access.log | tail -n 20
journalctl -n 60 --no-pager -o short-precise; grep app.sock /proc/net/unix
"""
"""What the host knows of a request that was lost."""


@dataclass(frozen=True)
class Moment:
    """When and what: after the event with this number of a run, and a share of the time to the next one."""

    number: int
    blow: str
    event: int
    share: float


@dataclass(frozen=True)
class Course:
    """What a run goes through when it is left alone: its events, and the seconds from each to the next."""

    events: tuple[str, ...]
    gaps: tuple[float, ...]


@pytest.fixture(scope="module")
def site(
    served: Callable[[str], Image], session_bare: Boot, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[StagingHost, Project, Course]]:
    """A served host, its project, and how a release goes there."""
    host = session_bare("bookworm", image=served("bookworm").name)
    own = new_project(tmp_path_factory.mktemp("kills") / "project", state)
    own.serve(host, SITE)
    own.provision("--host", host.name)
    edit(own, "# nobody is killed")
    yield host, own, course(own)


def course(project: Project) -> Course:
    process = project.start("release", "--json")
    assert process.stdout is not None
    told = [(time.monotonic(), name(line)) for line in process.stdout]
    assert process.wait() == 0, told
    process.stderr.close()  # type: ignore[union-attr]
    process.stdout.close()
    return Course(
        tuple(event for _, event in told), tuple(after[0] - before[0] for before, after in pairwise(told))
    )


def name(line: str) -> str:
    event: dict[str, Any] = json.loads(line)
    label = str(event.get("label", "")).split(" hello")[0].split(" /srv")[0]
    return f"{event['event']} {label}".strip()


def moments() -> list[Moment]:
    """Every blow as often as the others; the events are dealt like cards, so that every part of a run is met."""
    draw = random.Random(SEED)
    blows = [list(BLOWS)[number % len(BLOWS)] for number in range(KILLS)]
    draw.shuffle(blows)
    places = [(number + draw.random()) / KILLS for number in range(KILLS)]
    draw.shuffle(places)
    return [
        Moment(number, blow, int(place * 1000), draw.random())
        for number, (blow, place) in enumerate(zip(blows, places, strict=True))
    ]


def control(host: StagingHost, process: subprocess.Popen[str]) -> None:
    """The person's own process is killed."""
    process.kill()


def connection(host: StagingHost, process: subprocess.Popen[str]) -> None:
    """The host's side of every connection goes."""
    sh(
        host,
        "for one in /proc/[0-9]*; do case $(tr '\\0' ' ' < $one/cmdline 2>/dev/null) in "
        "'sshd: root@'* | 'sshd-session: root@'*) kill -9 ${one#/proc/} ;; esac; done",
        ok=False,
    )


def apply(host: StagingHost, process: subprocess.Popen[str]) -> None:
    """The apply on the host is killed with all its steps; where there is none yet, the loop of the session."""
    sh(
        host,
        "systemctl kill -s KILL 'barehost-*.service' 2>/dev/null; "
        "[ -n \"$(systemctl list-units --plain --no-legend 'barehost-*')\" ] || pkill -KILL -f 'barehost ready'",
        ok=False,
    )


def machine(host: StagingHost, process: subprocess.Popen[str]) -> None:
    """The host dies; the person gives up, and it is started again."""
    staging.kill(host.name)
    process.kill()
    staging.start(host.name)


BLOWS = {"control": control, "connection": connection, "apply": apply, "machine": machine}


def strike(site: tuple[StagingHost, Project, Course], moment: Moment) -> str:
    """Begin a release, strike at the moment; returns after which event that was."""
    host, project, course = site
    number = moment.event * len(course.gaps) // 1000
    process = project.start("release", "--json")
    assert process.stdout is not None
    for _ in range(number + 1):
        if not process.stdout.readline():
            break
    wait = course.gaps[number] * moment.share
    time.sleep(wait)
    BLOWS[moment.blow](host, process)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=240)
    assert process.poll() is not None, "the release does not notice that it is over"
    return f"{course.events[number]} + {wait * 1000:.0f} ms"


@pytest.mark.parametrize("moment", moments(), ids=lambda moment: f"{moment.number}-{moment.blow}")
def test_a_release_may_end_at_any_moment(site: tuple[StagingHost, Project, Course], moment: Moment) -> None:
    host, project, _ = site
    before = serving(host)
    edit(project, f"# struck {moment.number}")
    watched = visitors(host) if moment.blow != "machine" else nullcontext([])
    with watched as lost:
        after = strike(site, moment)
        until(lambda: moment.blow != "machine" or answers(host))
        served = serving(host)
        assert served >= before
        edit(project, f"# mended {moment.number}")
        done = ship(project)
    assert lost == [], sh(host, EVIDENCE)
    newest = serving(host)
    assert newest > served
    tidy(host)
    table(moment, after, served == before, len(lost), done.seconds)


def table(moment: Moment, after: str, old: bool, lost: int, seconds: float) -> None:
    """One row for the docs, where they are asked for."""
    file = os.environ.get("BAREHOST_KILLS_TABLE")
    if file is None:
        return
    with Path(file).open("a") as rows:
        if moment.number == 0:
            rows.write(
                "| | struck | after | served then | requests lost | next release |\n|" + "---|" * 6 + "\n"
            )
        asked = "not asked" if moment.blow == "machine" else lost
        then = "old" if old else "new"
        rows.write(
            f"| {moment.number + 1} | {moment.blow} | {after} | {then} | {asked} | {seconds:.1f} s |\n"
        )
