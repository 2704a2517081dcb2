"""What a switch costs visitors: releases and rollbacks of the example site under a steady load, counted by the client.

    python bench/switch.py                      20 releases and 20 rollbacks a scenario, a table
    python bench/switch.py --count 5 --json

Boots a staging host and a second one whose network the visitors come from, provisions the example site, and for
each scenario releases and goes back as often as asked, while bench/load.py asks for quick and slow pages, posts and
uploads. A request is lost unless its whole answer came as it must be. Needs what staging needs, and 2 free cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT)]

from bench.load import KINDS, Count, beside  # noqa: E402

NAME = "hello.example.com"
HOST = "switch"
QUEUE = 8
"""Connections that may wait in the scenario of a full queue; as many visitors and one fill it but for the proof's."""
MIXED = {name: kind.users for name, kind in KINDS.items()}
SCENARIOS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "gthread, mixed": ({"worker_class": "gthread", "workers": 2}, MIXED),
    "sync, mixed": ({"worker_class": "sync", "workers": 9}, MIXED),
    "sync, full queue": ({"worker_class": "sync", "workers": 1}, {"queue": QUEUE + 1}),
}


@dataclass(frozen=True)
class Row:
    """One scenario. releases, rollbacks: seconds of each, as a person waits for them. counts: by kind of visitor."""

    scenario: str
    releases: list[float]
    rollbacks: list[float]
    counts: dict[str, Count]


class Site:
    """A project of its own in a temporary folder, with the example site, and one host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(CHECKOUT / "examples/hello", folder / "site")
        shutil.copy(CHECKOUT / "deploy/scaffold/tasks.py", folder)
        self.code = (folder / "site/hello.py").read_text()

    def serve(self, changes: Mapping[str, Any]) -> None:
        app = {
            "source": "site",
            "wsgi": "hello:app",
            "server_names": [NAME],
            "static": {"/static/": "static"},
            "media": {"/media/": "uploads"},
            "env": {"MEDIA_ROOT": "/srv/hello/shared/uploads"},
            "health": {"path": "/healthz"},
            "keep": 100,
            **changes,
        }
        inventory = {"all": {"hosts": {HOST: {"apps": {"hello": app}}}}}
        (self.folder / "inventory").mkdir(exist_ok=True)
        (self.folder / "inventory/hosts.yml").write_text(json.dumps(inventory))
        self.invoke("provision")

    def release(self, number: int) -> float:
        (self.folder / "site/hello.py").write_text(f"{self.code}\n# version {number}\n")
        return self.invoke("release")

    def invoke(self, task: str) -> float:
        """Seconds of the whole command; one that fails ends the bench with what it said."""
        began = time.monotonic()
        command = [str(Path(sys.executable).with_name("invoke")), task]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            sys.exit(f"{task} failed:\n{done.stdout}{done.stderr}")
        return time.monotonic() - began


def measure(site: Site, scenario: str, address: str, through: list[str], count: int, seconds: float) -> Row:
    """One scenario: as many releases, then as many rollbacks, or as many as fit into the seconds."""
    changes, users = SCENARIOS[scenario]
    site.serve(changes)
    releases: list[float] = []
    rollbacks: list[float] = []
    end = time.monotonic() + seconds
    with beside(address, NAME, only=True, through=through, **users) as counts:
        for number in range(count):
            if time.monotonic() < end - seconds / 2:
                releases.append(site.release(number))
        for _ in releases:
            if time.monotonic() < end:
                rollbacks.append(site.invoke("rollback"))
    return Row(scenario, releases, rollbacks, counts)


@contextmanager
def hosts(names: list[str]) -> Iterator[list[Any]]:
    from deploy import staging

    booted = []
    try:
        for name in names:
            booted.append(staging.up(name))
        yield booted
    finally:
        for one in booted:
            staging.down(one.name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20, help="releases, and rollbacks, a scenario")
    parser.add_argument("--seconds", type=float, default=600, help="a scenario is ended then")
    parser.add_argument("--only", choices=list(SCENARIOS), nargs="+", default=list(SCENARIOS))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switch-") as folder:
        os.environ["BAREHOST_STATE"] = f"{folder}/state"
        site = Site(Path(folder) / "project")
        with hosts([HOST, "visitors"]) as (host, visitors):
            site.serve({})
            rows = []
            for scenario in chosen.only:
                queue = QUEUE if "queue" in scenario else 16384
                _in_network(host.pid, "sysctl", "-qw", f"net.core.somaxconn={queue}")
                through = ["nsenter", f"--net=/proc/{visitors.pid}/ns/net"]
                rows.append(measure(site, scenario, host.address, through, chosen.count, chosen.seconds))
            about = _about(host.name)
    print(json.dumps([asdict(row) for row in rows]) if chosen.json else _table(rows, about))


def _in_network(pid: int, *command: str) -> None:
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command], check=True)


def _about(host: str) -> str:
    from deploy import staging

    script = (
        "/srv/hello/current/venv/bin/python -c 'import gunicorn, platform; "
        'print("Python", platform.python_version(), "· Gunicorn", gunicorn.__version__)\'; nginx -v 2>&1'
    )
    told = staging.inside(host, "sh", "-c", script).stdout.split("\n")
    machine = f"{os.cpu_count()} cores shared with the visitors · Linux {platform.release()}"
    nginx = told[1].replace("nginx version: nginx/", "Nginx ")
    return f"{datetime.now(UTC):%Y-%m-%d} · {machine} · {told[0]} · {nginx}"


def _table(rows: list[Row], about: str) -> str:
    lines = [
        about,
        "",
        "| scenario | releases (median s) | rollbacks (median s) | requests | lost | slowest answer s |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = row.counts.values()
        lines.append(
            f"| {row.scenario} | {len(row.releases)} ({median(row.releases):.1f}) "
            f"| {len(row.rollbacks)} ({median(row.rollbacks):.1f}) | {sum(one.sent for one in counts)} "
            f"| {sum(one.lost for one in counts)} | {max(one.longest for one in counts):.1f} |"
        )
    lines += [
        "",
        "| visitor | " + " | ".join(row.scenario for row in rows) + " |",
        "|---" * (len(rows) + 1) + "|",
    ]
    for name, kind in KINDS.items():
        cells = [row.counts.get(name) for row in rows]
        if any(cells):
            told = " | ".join(f"{one.sent}, {one.lost} lost" if one else "" for one in cells)
            lines.append(f"| {kind.about} | {told} |")
    lines += [
        f"- {row.scenario}: {reason}" for row in rows for one in row.counts.values() for reason in one.reasons
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
