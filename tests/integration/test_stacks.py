"""A Compose stack is state like everything else: brought up, seen to drift, changed and taken away, on real hosts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from booting import Clone
from sites import CHECKOUT, Project, ask, sh

from deploy.staging import Image, StagingHost

Engines = Callable[[str], Image]
IMAGES = {
    "python-base:1": {"debian": ["python3-venv", "libstdc++6"]},
    "nginx-base:1": {"debian": ["nginx-light"]},
}
VALUES = {
    "PLAIN": "two words # no comment",
    "QUOTED": 'it\'s "x" \\ `y`',
    "DOLLAR": "$HOME ${HOME} $$ it's $HOME ${HOME}",
}
"""What Compose reads in a way of its own where it is written otherwise than it wants."""


def inventory(project: Project, host: StagingHost, **stack: Any) -> None:
    project.inventory(
        {host: {"roles": ["base", "compose"], "stacks": {"notes": {"folder": "stack", **stack}}}}
    )


def plan(project: Project, code: int = 2) -> str:
    done = project.run("plan")
    assert done.code == code, done.said
    return done.out


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_example_goes_from_a_bare_host_to_served_and_away_again(
    suite: str, engines: Engines, clone: Clone, project: Project
) -> None:
    host = clone(engines(suite))
    shutil.copytree(CHECKOUT / "examples/stack", project.folder / "stack")
    secret = "g€heim $x 'y'"
    stack: dict[str, Any] = {"env": {"TITLE": "Bob's $notes"}, "secrets": {"TOKEN": secret}, "images": IMAGES}
    inventory(project, host, **stack)
    made = project.run("provision", timeout=900)
    assert made.code == 0, made.said
    assert secret not in made.said
    page = ask(host)
    assert (page.status, "Bob&#39;s $notes" in page.text) == (200, True)
    assert ask(host, "/static/notes.css").status == 200
    kept = ask(
        host, method="POST", body=b"text=hello", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert kept.status == 302
    assert "<li>hello</li>" in ask(host).text
    assert sh(host, "stat -c '%U %a' /srv/stacks/notes/files/.env").split() == ["root", "600"]
    assert sh(host, "docker exec $(docker ps -qf name=notes.web.1) printenv TOKEN").rstrip("\n") == secret
    again = project.provision("--json").report()
    assert (again["outcome"], again["changed"], again["round_trips"]) == ("unchanged", [], 1)

    stack["env"]["TITLE"] = "Another"
    inventory(project, host, **stack)
    assert "environment" in plan(project)
    assert secret not in plan(project)
    project.provision()
    assert "Another" in ask(host).text
    assert "<li>hello</li>" in ask(host).text, "the database keeps what it has"
    notes = project.folder / "stack/site/notes.py"
    notes.write_text(notes.read_text().replace("<h1>", "<h1>New: "))
    project.provision()
    assert "<h1>New: " in ask(host).text
    project.settled()

    project.inventory({host: {"roles": ["compose"], "stacks": {"notes": {"state": "absent"}}}})
    project.provision()
    assert sh(host, "docker ps -aq; docker network ls -qf name=notes; ls /srv/stacks") == ""
    assert "notes_data" in sh(host, "docker volume ls -q")
    project.settled()
    project.provision("--purge")
    assert sh(host, "docker volume ls -q") == ""
    project.settled()


SMALL = """
services:
  web:
    image: busybox:1
    command: /bin/busybox sh -c '/bin/busybox env > /out/env; exec /bin/busybox httpd -f -p 8000 -h /out'
    env_file: .env
    volumes: ["out:/out"]
    stop_grace_period: 1s
  other:
    image: busybox:1
    command: /bin/busybox sleep 100000
    stop_grace_period: 1s
  job:
    image: busybox:1
    command: /bin/busybox true
volumes:
  out:
"""


@pytest.fixture
def small(project: Project) -> Path:
    """A stack of three containers that need nothing to be built; the file it is written in."""
    file = project.folder / "stack/compose.yaml"
    file.parent.mkdir()
    file.write_text(SMALL)
    return file


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_what_happens_to_a_stack_behind_our_back_is_seen_and_mended(
    suite: str, engines: Engines, clone: Clone, project: Project, small: Path
) -> None:
    host = clone(engines(suite))
    inventory(project, host, env=VALUES)
    project.provision()
    project.settled()
    seen = sh(host, "docker exec $(docker ps -qf name=notes.web.1) /bin/busybox env").splitlines()
    assert {f"{name}={value}" for name, value in VALUES.items()} <= set(seen)
    web = sh(host, "docker ps --format '{{.Names}}' -f name=notes.web.1").strip()
    for happens in (
        f"docker stop {web}",
        f"docker rm -f {web}",
        "docker tag busybox:1 kept:1; touch /tmp/a; tar -C / -c bin/busybox tmp/a | docker import - busybox:1",
        "echo A=1 >> /srv/stacks/notes/files/.env",
        "cd /srv/stacks/notes/files && echo A=1 >> .env && docker-compose -p notes up -d",
        "systemctl stop docker.socket docker.service",
    ):
        sh(host, happens)
        assert "notes" in plan(project), happens
        project.provision()
        project.settled()
    running = sh(host, "docker ps --format '{{.Names}}' -f name=notes | sort | tr '_' '-'").split()
    assert running == ["notes-other-1", "notes-web-1"]

    small.write_text(SMALL.replace("other:", "another:"))
    project.provision()
    told = plan(project, code=0)
    assert "other" in told
    assert "--purge" in told
    project.provision("--purge")
    assert "other-1" not in sh(host, "docker ps --format '{{.Names}}'").replace("another", "").replace(
        "_", "-"
    )
    project.settled()


def test_what_cannot_come_up_says_why_and_is_seen_until_it_is_mended(
    engines: Engines, clone: Clone, project: Project, small: Path
) -> None:
    host = clone(engines("trixie"))
    inventory(project, host, timeout=20)
    project.provision()
    small.write_text(SMALL.replace("sleep 100000", "sh -c 'echo no such table; exit 3'"))
    failed = project.fails(code=7)
    assert "no such table" in failed.said
    assert "exit code 3" in failed.said
    assert "web" in sh(host, "docker ps --format '{{.Names}}'"), "what did not change runs on"
    small.write_text("services: {web: {image: 'busybox:1', colour: blue}}")
    refused = project.fails(code=7)
    assert "colour" in refused.said
    assert "web" in sh(host, "docker ps --format '{{.Names}}'")
    small.write_text(SMALL.replace("busybox:1", "nowhere.example/none:1"))
    assert "images:" in project.fails(code=7).said
    small.write_text(SMALL)
    project.provision()
    project.settled()


def test_an_image_from_a_file_is_compared_by_its_id(
    engines: Engines, clone: Clone, project: Project, small: Path
) -> None:
    host = clone(engines("bookworm"))
    sh(host, "docker tag busybox:1 mine:1; docker save mine:1 -o /root/mine.tar; docker rmi mine:1")
    tar = project.folder / "mine.tar"
    shutil.copy(host.root / "root/mine.tar", tar)
    small.write_text(SMALL.replace("busybox:1", "mine:1"))
    inventory(project, host, images={"mine:1": {"tar": "mine.tar"}})
    project.provision()
    project.settled()
    id = json.loads(sh(host, "docker image inspect mine:1"))[0]["Id"]
    sh(host, "docker tag busybox:1 old:1; tar -C / -c etc/hostname | docker import - mine:1")
    assert "mine:1" in plan(project)
    project.provision()
    assert json.loads(sh(host, "docker image inspect mine:1"))[0]["Id"] == id
    tar.write_bytes(tar.read_bytes()[:5000])
    cut = project.fails(code=3)
    assert "mine.tar" in cut.said
