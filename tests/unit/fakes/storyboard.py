"""Plays a made-up run, to look at it with one's own eyes: python -m tests.unit.fakes.storyboard fleet -v --diff."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from msgspec.structs import replace

from deploy import report
from deploy.engine.events import (
    Connecting,
    Diff,
    Event,
    Failure,
    Finished,
    Looking,
    Note,
    Planned,
    Report,
    Result,
    Sending,
    StepFinished,
    StepOutput,
    StepStarted,
)
from deploy.engine.plan import Plan
from deploy.resource import Change, Deferred, Phase, Resource, State, Step
from deploy.shell import Script, Secret


@dataclass(frozen=True)
class Thing(Resource):
    """A resource that is only its name."""

    phase: ClassVar[Phase] = Phase.FILES
    family: ClassVar[str] = "thing"
    name: str = ""

    @property
    def id(self) -> str:
        return self.name

    def expected(self) -> State | None:
        return None

    @classmethod
    def probe(cls, resources: Sequence[Resource]) -> Script:
        return Script(":")

    @classmethod
    def parse(cls, resources: Sequence[Resource], output: bytes) -> dict[str, State | None]:
        return {}

    @classmethod
    def steps(cls, changes: Sequence[Change]) -> Iterator[Step]:
        return iter(())


OLD, NEW = "1f" * 32, "2e" * 32


def changes() -> tuple[Change, ...]:
    """A bit of everything a plan can hold."""
    file = {"type": "file", "content": NEW, "owner": "root", "group": "root", "mode": "0644"}
    unit: State = {"active": "active", "enabled": "enabled", "loaded path:/etc/nginx/nginx.conf": NEW}
    was: State = {"active": "inactive", "enabled": "disabled", "loaded path:/etc/nginx/nginx.conf": OLD}
    return (
        Change(Thing("package:nginx"), None, {"status": "installed"}),
        Change(Thing("package:python3-venv"), None, {"status": "installed", "version": "3.11.2-1+b1"}),
        Change(Thing("user:hello"), None, {"home": "/srv/hello", "shell": "/usr/sbin/nologin"}),
        Change(Thing("path:/etc/nginx/nginx.conf"), {**file, "content": OLD, "mode": "0600"}, file),
        Change(Thing("path:/etc/nginx/conf.d/[red]hello.conf"), None, file),
        Change(Thing("path:/etc/nginx/sites-enabled/default"), {"type": "link", "target": "…"}, None),
        Change(Thing("tree:/srv/hello/static"), {"digest": OLD}, {"digest": NEW}),
        Change(Thing("unit:nginx.service"), was, unit),
    )


def plan(host: str) -> Plan:
    """The plan of a bare host."""
    deferred = (Deferred("venv of hello", "python is installed"),)
    return Plan(host, changes(), deferred, fingerprint="0123456789abcdef")


DIFFS = (
    Diff(
        "/etc/nginx/nginx.conf",
        "user www-data;\nworker_processes auto;\nevents {\n  worker_connections 768;\n}\n",
        "user www-data;\nworker_processes auto;\nevents {\n  worker_connections 16384;\n}\n",
    ),
    Diff("/etc/nginx/conf.d/[red]hello.conf", None, "upstream hello {\n  server unix:/srv/hello;\n}\n"),
)

APT = """Reading package lists...
The following NEW packages will be installed:
0 upgraded, 3 newly installed, 0 to remove and 0 not upgraded.
Get:1 http://mirror.example.com/debian bookworm/main amd64 nginx-common all 1.22.1-9 [112 kB]
Get:2 http://mirror.example.com/debian bookworm/main amd64 nginx amd64 1.22.1-9 [527 kB]
Get:3 http://mirror.example.com/debian bookworm/main amd64 python3-venv amd64 3.11.2-1+b1 [1200 B]
Fetched 640 kB in 0s (8,121 kB/s)
Selecting previously unselected package nginx-common.
Unpacking nginx-common (1.22.1-9) ...
Unpacking nginx (1.22.1-9) ...
Unpacking python3-venv (3.11.2-1+b1) ...
Setting up python3-venv (3.11.2-1+b1) ...
Setting up nginx-common (1.22.1-9) ...
Setting up nginx (1.22.1-9) ...""".splitlines()

PIP = """Collecting flask==3.1.0 (from -r requirements.txt (line 1))
  Downloading flask-3.1.0-py3-none-any.whl (102 kB)
Collecting gunicorn
  Downloading gunicorn-23.0.0-py3-none-any.whl (85 kB)
Installing collected packages: flask, gunicorn
\x1b[32mSuccessfully\x1b[0m installed flask-3.1.0 gunicorn-23.0.0\x07
SECRET_KEY=correct horse battery""".splitlines()

FAILURE = Failure(
    "The candidate configuration of nginx is refused",
    7,
    resource="path:/etc/nginx/conf.d/[red]hello.conf",
    command="check nginx",
    script="nginx -t -q",
    exit_code=1,
    output=(
        *(f"nginx: [warn] line {n}" for n in range(24)),
        'nginx: [emerg] unknown directive "serverr" in /etc/nginx/conf.d/hello.conf:3',
    ),
    stands="the old site serves; 2 files were restored\npackages stay installed: they only go forward",
    advice="correct templates/nginx-site.conf.j2 and run the same command again",
)

URLS = ("http://hello.example.com/", "http://10.77.0.2/")


def run(host: str, pace: float, *, fails: bool) -> Iterator[Event | float]:
    """One host's events, and the seconds between them."""
    yield Connecting(host)
    yield 0.1
    yield Looking(host, 1)
    yield 0.2
    yield Planned(host, plan(host), 1, DIFFS)
    yield StepStarted(host, "install 2 packages", 1, 4, "apt-get install -y nginx python3-venv")
    for line in APT:
        yield StepOutput(host, line)
        yield 0.12 * pace
    yield StepFinished(host, "install 2 packages", 0, 1.7)
    for done in range(0, 6_400_001, 640_000):
        yield Sending(host, "code of hello", done, 6_400_000)
        yield 0.08 * pace
    yield StepStarted(
        host, "build the venv of hello", 2, 4, "python3 -m venv /srv/hello/venvs/1\npip install"
    )
    for line in PIP:
        yield StepOutput(host, line)
        yield 0.2 * pace
    yield StepFinished(host, "build the venv of hello", 0, 1.2)
    yield Note(host, "nginx was masked while apt ran")
    yield StepStarted(host, "check nginx", 3, 4, "nginx -t -q")
    yield 0.3 * pace
    if fails:
        yield StepFinished(host, "check nginx", 1, 0.3)
        ended = Report(
            host, Result.FAILED, ("package:nginx",), seconds=6.2, round_trips=4, failures=(FAILURE,)
        )
    else:
        yield StepFinished(host, "check nginx", 0, 0.3)
        yield Looking(host, 2)
        yield 0.2 * pace
        changed = tuple(one.resource.id for one in changes())
        ended = Report(host, Result.CHANGED, changed, None, 7.31, 2, 5, 6_400_000, 31_200, URLS)
    yield Finished(host, ended)


def quiet(host: str, pace: float) -> Iterator[Event | float]:
    """A host where nothing differs."""
    yield Connecting(host)
    yield 0.05 * pace
    yield Looking(host, 1)
    yield 0.1 * pace
    yield Planned(host, Plan(host), 1)
    yield Finished(host, Report(host, Result.UNCHANGED, (), None, 0.31, 1, 1, 9_400, 3_000))


def preview(host: str, pace: float) -> Iterator[Event | float]:
    """A plan that is only shown."""
    yield Looking(host, 1)
    yield 0.2 * pace
    yield Planned(host, plan(host), 1, DIFFS)
    yield Finished(host, Report(host, Result.PLANNED, (), plan(host), 0.4, 1, 1, 9_400, 3_000))


def story(name: str, pace: float) -> dict[str, Iterator[Event | float]]:
    """The hosts of a story and what happens on each."""
    if name == "noop":
        return {"web1": quiet("web1", pace)}
    if name == "plan":
        return {host: preview(host, pace) for host in ("web1", "web2", "db1")}
    if name == "fleet":
        hosts = [f"web{n}" for n in range(1, 9)]
        return {host: run(host, pace * (1 + n / 5), fails=n == 5) for n, host in enumerate(hosts)}
    return {"web1": run("web1", pace, fails=name == "failure")}


def main() -> None:
    """Play one story on this terminal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("story", choices=["noop", "plan", "provision", "failure", "fleet"])
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--diff", action="store_true")
    parser.add_argument("-v", "--verbose", action="count", default=0)
    chosen = parser.parse_args()
    report.mask_secrets([Secret("correct horse battery")])
    hosts = story(chosen.story, chosen.pace)
    reports: dict[str, Report] = {}

    def play(host: str) -> None:
        for one in hosts[host]:
            if isinstance(one, float):
                time.sleep(one)
                continue
            show(one)
            if isinstance(one, Finished):
                reports[host] = replace(one.report)

    with report.reporter(
        json=chosen.json, verbose=chosen.verbose, diff=chosen.diff, hosts=list(hosts)
    ) as show:
        threads = [threading.Thread(target=play, args=[host], daemon=True) for host in hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        show.close([reports[host] for host in hosts])


if __name__ == "__main__":
    main()
