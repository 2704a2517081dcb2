"""How provision gets in, through the command line: sudo, a terminal, a jump host, host keys."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from booting import Boot, Clone
from sites import HELLO, INVOKE, Project, ask, sh

from deploy import staging
from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
PASSWORD = "correct horse 'battery' $staple"


def known(host: StagingHost, **more: Any) -> dict[str, Any]:
    """What an inventory says to reach a host under a name of its own, password and pinned keys left out."""
    return {
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_ssh_private_key_file": str(host.key),
        "apps": {"hello": HELLO},
        **more,
    }


@pytest.fixture
def stranger(project: Project, tmp_path: Path) -> Project:
    """A project whose state folder knows no host yet."""
    return Project(project.folder, tmp_path / "state")


def test_a_user_with_a_sudo_password_provisions_and_it_is_seen_nowhere(
    bare: Boot, served: Served, project: Project
) -> None:
    image = served("bookworm")
    host = bare(image.suite, image=image.name, user="admin", sudo_password=PASSWORD, port=2222)
    project.serve(host)
    sh(host, "rm /etc/nginx/nginx.conf")
    done = project.provision("-v", "-v", "--diff")
    assert ask(host).status == 200
    assert PASSWORD not in done.said
    look = "journalctl -q --no-pager; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'"
    assert PASSWORD not in sh(host, look)
    project.settled()


def test_a_wrong_sudo_password_is_one_sentence(bare: Boot, stranger: Project) -> None:
    host = bare("bookworm", user="admin", sudo_password=PASSWORD)
    stranger.inventory(
        {"shop1": known(host, ansible_become_password="wrong", barehost_known_hosts=str(host.known_hosts))}
    )
    failed = stranger.fails("--json", code=4)
    assert failed.report()["failure"]["message"] == (
        "shop1: sudo did not accept the password of admin; correct ansible_become_password"
    )
    assert failed.report()["failure"]["stands"] is None


def test_no_password_and_no_terminal_is_one_sentence(bare: Boot, stranger: Project) -> None:
    host = bare("bookworm", user="admin", sudo_password=PASSWORD)
    stranger.inventory({"shop1": known(host, barehost_known_hosts=str(host.known_hosts))})
    failed = stranger.fails("--json", code=4)
    assert "set ansible_become_password in the inventory" in failed.report()["failure"]["message"]


def test_at_a_terminal_the_password_is_asked_for_once_for_two_hosts(
    bare: Boot, served: Served, stranger: Project
) -> None:
    image = served("bookworm")
    hosts = [bare(image.suite, image=image.name, user="admin", sudo_password=PASSWORD) for _ in range(2)]
    pins = {"barehost_known_hosts": str(hosts[0].known_hosts)}
    stranger.inventory({f"shop{number}": known(host, **pins) for number, host in enumerate(hosts)})
    code, screen = at_a_terminal(stranger, ["plan", "--host", "shop*"], answers=[PASSWORD])
    assert screen.count("sudo password of admin") == 1, screen
    assert PASSWORD not in screen
    assert code == 0, screen


def at_a_terminal(project: Project, words: list[str], answers: list[str]) -> tuple[int, str]:
    """A command with a terminal of its own, where each question is answered in turn; its code and its screen."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", str(INVOKE), *words],
        cwd=project.folder,
        env=project.environ() | {"TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    screen, waiting, end = b"", list(answers), time.monotonic() + 60
    while time.monotonic() < end:
        try:
            screen += os.read(master, 65536)
        except OSError:  # the far end of the terminal is closed
            break
        if waiting and screen.rstrip().endswith((b":", b"[y/N]")):
            os.write(master, waiting.pop(0).encode() + b"\n")
    os.close(master)
    return process.wait(10), screen.decode()


def test_a_host_behind_another_is_provisioned_through_it(
    bare: Boot, served: Served, clone: Clone, project: Project
) -> None:
    image = served("bookworm")
    door = clone(image)
    inner = bare(image.suite, image=image.name, behind=door.name)
    project.serve(inner)
    sh(inner, "rm /etc/nginx/nginx.conf && systemctl stop nginx")
    project.provision("--host", inner.name)
    request = "GET /healthz HTTP/1.0\\r\\nHost: hello.example.com\\r\\n\\r\\n"
    script = f"exec 3<>/dev/tcp/{inner.address}/80; printf '{request}' >&3; head -1 <&3"
    assert "200 OK" in staging.inside(door.name, "bash", "-c", script).stdout
    project.settled("--host", inner.name)


def test_an_unknown_key_is_refused_until_it_is_trusted_and_a_changed_one_until_it_is_replaced(
    bare: Boot, stranger: Project
) -> None:
    host = bare("bookworm")
    stranger.inventory({"shop1": known(host)})
    refused = stranger.run("plan")
    assert refused.code == 4
    assert "host key of" in refused.out
    assert "is not known" in refused.out
    assert "run invoke hosts.trust --host shop1" in refused.out
    assert stranger.run("hosts.trust", "--host", "shop1").code != 0, "pinned without being asked"
    trusted = stranger.run("hosts.trust", "--host", "shop1", "--yes")
    assert trusted.code == 0, trusted.said
    assert "SHA256:" in trusted.out
    assert stranger.run("plan").code == 2

    sh(host, "rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh")
    changed = stranger.run("plan")
    assert changed.code == 4
    assert "has changed" in changed.out
    assert "--replace" in changed.out
    assert stranger.run("hosts.trust", "--host", "shop1", "--yes").code == 4
    assert stranger.run("plan").code == 4
    assert stranger.run("hosts.trust", "--host", "shop1", "--yes", "--replace").code == 0
    assert stranger.run("plan").code == 2


def test_a_jump_host_is_trusted_by_its_own_name_before_the_host_behind_it(
    bare: Boot, stranger: Project
) -> None:
    door = bare("bookworm", port=2222)
    inner = bare("trixie", behind=door.name)
    way = f"root@{door.address}:2222"
    stranger.inventory({"shop1": known(inner, ansible_ssh_common_args=f"-o ProxyJump={way}")})
    pins = stranger.state / "known_hosts"

    code, screen = at_a_terminal(stranger, ["hosts.trust", "--host", "shop1"], answers=["y", "n"])
    first, second = (line for line in screen.splitlines() if "[y/N]" in line)
    assert way in first
    assert way not in second
    assert "shop1" in second
    assert code == 3, screen
    names = {line.split()[0] for line in pins.read_text().splitlines()}
    assert names == {f"[{door.address}]:2222"}, "what nobody agreed to is pinned"

    trusted = stranger.run("hosts.trust", "--host", "shop1", "--yes")
    assert trusted.code == 0, trusted.said
    names = {line.split()[0] for line in pins.read_text().splitlines()}
    assert names == {f"[{door.address}]:2222", inner.address}
    assert stranger.run("plan").code == 2
