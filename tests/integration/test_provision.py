"""A bare host becomes a served site and stays one, through the command line, on real hosts."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from booting import Boot, Clone
from sites import HELLO, INVOKE, NAME, Project, ask, leftovers, sh

from deploy import staging
from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
SUITES = ["bookworm", "trixie"]


@pytest.mark.parametrize("suite", SUITES)
def test_a_bare_host_is_served_after_one_run(
    suite: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    page = ask(host)
    assert page.status == 200
    assert "hello" in page.text.lower()
    assert page.headers["Server"] == "nginx"
    assert ask(host, "/static/app.css").status == 200
    assert leftovers(host) == ""
    project.serve(host)
    project.settled()


@pytest.mark.parametrize("suite", SUITES)
def test_a_second_run_changes_nothing_in_one_round_trip_and_one_exec(
    suite: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    project.serve(host)
    project.provision()
    cursor = sh(host, "journalctl -n 1 --show-cursor -q | sed -n 's/^-- cursor: //p'").strip()
    again = project.provision("--json").report()
    assert (again["outcome"], again["changed"], again["passes"], again["round_trips"]) == (
        "unchanged",
        [],
        1,
        1,
    )
    journal = f"journalctl -q -o cat -t sshd -t sshd-session --after-cursor={shlex.quote(cursor)}"
    sessions = sh(host, f"{journal} | grep -c 'Accepted publickey'")
    assert sessions.strip() == "1"


HEAVY = {"rich", "tomllib", "packaging", "pytest", "distributed"}
"""What costs time to import, and a run with nothing to do has no use for."""


def imported(project: Project, *words: str) -> set[str]:
    """The modules of a command that must succeed."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(INVOKE), *words],
        cwd=project.folder,
        env=project.environ(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")
    }


def test_a_run_with_nothing_to_do_imports_what_it_needs(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    project.settled()
    assert not imported(project, "provision", "--host", host.name) & HEAVY


def test_a_plan_and_a_check_say_with_their_exit_code_what_there_is_to_do(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    assert project.run("plan").code == 0
    assert project.run("provision", "--check").code == 0
    sh(host, "echo '# mine' >> /etc/nginx/nginx.conf")
    planned, checked = project.run("plan"), project.run("provision", "--check")
    assert (planned.code, checked.code) == (2, 2)
    assert "/etc/nginx/nginx.conf" in planned.out
    assert "/etc/nginx/nginx.conf" in checked.out


def test_a_plan_changes_nothing_on_a_bare_host_and_names_what_is_not_known_yet(
    bare: Boot, project: Project
) -> None:
    host = bare("bookworm")
    project.serve(host)
    before = everything(host)
    planned = project.run("plan", "--diff")
    assert planned.code == 2
    assert "known after" in planned.out
    assert everything(host) == before


def everything(host: StagingHost) -> str:
    """Every path of the host's own disk with its change time, but for what sshd and journald write themselves."""
    return sh(
        host,
        "find / -xdev -path /var/log -prune -o -path /run -prune -o -path /var/lib/systemd -prune -o "
        "-path /tmp -prune -o "
        "-path /etc/resolv.conf -prune -o -path /var/lib/barehost -prune -o -printf '%p %C@ %i\\n' | sort; "
        "find /var/lib/barehost -mindepth 1 2>/dev/null | sort",
    )


def test_after_a_reboot_the_site_is_served_and_there_is_nothing_to_do(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host)
    before = ask(host).text
    host = staging.reboot(host.name)
    assert ask(host).text == before
    again = project.provision("--json").report()
    assert again["outcome"] == "unchanged"


def test_a_host_killed_and_started_again_serves_without_a_run(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    staging.kill(host.name)
    host = staging.start(host.name)
    assert ask(host).status == 200
    project.serve(host)
    project.settled()


def test_an_upload_is_stored_and_served_by_nginx(served: Served, clone: Clone) -> None:
    host = clone(served("bookworm"))
    form = (
        b"--cut\r\nContent-Disposition: form-data; name=file; filename=picture.png\r\n"
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\0\xff\r\n--cut--\r\n"
    )
    stored = ask(
        host,
        "/upload",
        method="POST",
        body=form,
        headers={"Content-Type": "multipart/form-data; boundary=cut"},
    )
    assert stored.status == 201, stored.text
    url = json.loads(stored.text)["url"]
    fetched = ask(host, url)
    assert (fetched.status, fetched.body) == (200, b"\x89PNG\r\n\x1a\n\0\xff")
    sh(host, "systemctl stop 'hello@*'")
    assert ask(host, url).body == fetched.body
    assert ask(host, "/static/app.css").status == 200


def test_a_project_made_with_init_has_its_own_role_and_template(
    served: Served, clone: Clone, project: Project, tmp_path: Path, state: Path
) -> None:
    host = clone(served("bookworm"))
    own = Project(tmp_path / "own", state)
    own.folder.mkdir()
    made = project.run("init", "--folder", str(own.folder))
    assert made.code == 0, made.said
    hello = {"source": "site", "wsgi": "hello:app", "server_names": [NAME], "requirements": None}
    own.serve(
        host, {"own": hello, "hello": {"state": "absent"}}, motd="Hello, this is {{ inventory_hostname }}",
        roles=["base", "python", "nginx", "static", "app", "greeting"],
    )  # fmt: skip
    own.role("greeting", "yield Template('/etc/motd', 'motd.j2', host=host)")
    own.write("templates/motd.j2", "{{ host.vars.motd }}\n")
    own.write("templates/unavailable.html.j2", "our own page\n")
    own.provision()
    assert sh(host, "cat /etc/motd") == f"Hello, this is {host.name}\n"
    assert sh(host, "cat /var/www/.barehost/unavailable.html") == "our own page\n"
    assert ask(host).status == 200
    own.settled()


def test_hosts_are_provisioned_side_by_side_and_one_failure_leaves_the_other_alone(
    served: Served, clone: Clone, project: Project
) -> None:
    image = served("bookworm")
    good, bad = clone(image), clone(image)
    sh(good, "rm /etc/nginx/nginx.conf")
    sh(bad, "rm /etc/nginx/nginx.conf && mkdir /etc/nginx/nginx.conf")
    project.inventory({one: {"apps": {"hello": HELLO}} for one in (good, bad)})
    done = project.fails("--json", "--host", f"{good.name},{bad.name}", code=3)
    assert done.report(good.name)["outcome"] == "changed"
    failure = done.report(bad.name)["failure"]
    assert "/etc/nginx/nginx.conf is a directory on the host" in failure["message"]
    assert failure["message"].startswith(bad.name)
