"""New code without a lost request: releases, rollbacks, restarts and changes of the environment, under load."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import threading
import time
from collections.abc import Callable

import pytest
from booting import Clone
from releasing import broken, edit, hello, listed, mend, quick, seen, serving, ship, tidy
from releasing import served as loaded
from sites import Project, ask, sh, until

from deploy import staging
from deploy.staging import Image

Served = Callable[[str], Image]


@pytest.mark.parametrize("worker_class", ["gthread", "sync"])
def test_releases_and_rollbacks_lose_no_request(
    worker_class: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host, hello(worker_class=worker_class))
    first = serving(host)
    with loaded(host) as counts:
        project.provision()  # to the other worker class: the same switch
        shipped = []
        for number in range(2):
            edit(project, f"# version {number}")
            ship(project)
            shipped.append(serving(host))
        ship(project, task="rollback")
        assert serving(host) == shipped[0]
        ship(project, task="rollback")
        assert serving(host) == first
        ship(project, task="restart")
    assert seen(counts) == {first, *shipped}
    tidy(host)
    assert list(listed(project)) == [*reversed(shipped), first]


def test_a_queue_with_hardly_a_place_left_is_served_to_the_end(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    sh(host, "sysctl -qw net.core.somaxconn=8 || echo 8 > /proc/sys/net/core/somaxconn")
    project.serve(host, hello(worker_class="sync", workers=1))
    project.provision()
    sh(host, "sysctl -qw net.core.somaxconn=8 || echo 8 > /proc/sys/net/core/somaxconn")
    ship(project, task="restart")
    with loaded(host, queue=9) as counts:
        edit(project, "# another")
        ship(project)
        ship(project, task="rollback")
    assert counts["queue"].longest > 2, "nobody had to wait, so there was no queue"
    tidy(host)


def test_a_changed_environment_secret_or_number_of_workers_takes_the_same_switch(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    release = serving(host)
    with quick(host) as counts:
        for changes in ({"env": {"LOG_LEVEL": "debug"}}, {"secrets": {"TOKEN": "s3cret"}}, {"workers": 3}):
            before = sh(host, "readlink /srv/hello/current")
            project.serve(host, hello(**{"env": {"LOG_LEVEL": "debug"}, **changes}))
            project.provision()
            assert sh(host, "readlink /srv/hello/current") != before, changes
            project.settled()
    assert seen(counts) == {release}
    assert '"LOG_LEVEL":"debug"' in ask(host, "/env").text
    until(
        lambda: sh(host, "pgrep -cu hello").strip() == "4", what="a master and three workers, and nobody else"
    )
    tidy(host)


def test_who_has_no_secret_can_look_close_and_go_back(served: Served, clone: Clone, project: Project) -> None:
    host = clone(served("trixie"))
    first = serving(host)
    project.serve(host, hello(secrets={"TOKEN": {"env": "DJKEY"}}))
    refused = project.fails(code=3)
    assert "DJKEY is not set" in refused.said
    assert "DJKEY is not set" in broken(project, code=3).said

    project.environment["DJKEY"] = "s3cret-one"
    project.provision()
    project.environment["DJKEY"] = "s3cret-two"
    edit(project, "# another")
    ship(project)
    del project.environment["DJKEY"]

    def environment() -> str:
        return sh(host, "cat /srv/hello/current/env")

    assert "s3cret-two" in environment()
    for words in (
        ("status",),
        ("releases",),
        ("logs",),
        ("maintenance", "on"),
        ("maintenance", "off"),
        ("run", "--", "sh", "-c", "test $TOKEN = s3cret-two"),
        ("hosts.list",),
    ):
        done = project.run(*words)
        assert done.code == 0, (words, done.said)
    ship(project, task="restart")
    assert "s3cret-two" in environment()
    ship(project, task="rollback")
    assert serving(host) == first
    assert "s3cret-two" in environment(), "after a restart no activation of that release is left"

    newer = next(iter(listed(project)))
    ship(project, "--to", newer, task="rollback")
    project.environment["DJKEY"] = "s3cret-three"
    edit(project, "# a third")
    ship(project)
    del project.environment["DJKEY"]
    ship(project, task="rollback")
    assert serving(host) == newer
    assert "s3cret-two" in environment(), "the release came back without its environment"
    assert sh(host, "stat -c '%a %U' /srv/hello/current/env").strip() == "600 root"
    tidy(host)


def test_a_release_is_proven_counted_and_said_so(served: Served, clone: Clone, project: Project) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    edit(project, "# another")
    with quick(host):
        done = ship(project)
    release = serving(host)
    assert f"hello {release} serves, proven through Nginx; requests during the switch: " in done.out
    assert "failed: 0" in done.out
    wanted = "systemctl show -p Wants --value multi-user.target | tr ' ' '\\n' | grep ^hello@"
    unit = f"hello@{sh(host, 'readlink /srv/hello/current').strip().rpartition('/')[2]}.service\n"
    until(lambda: sh(host, wanted) == unit, what="systemd did not read what was enabled, and nothing else")
    history = project.run("history")
    assert "release" in history.out
    assert "done" in history.out


STREAM = """
@app.get("/stream")
def stream():
    def lines():
        while True:
            time.sleep(0.1)
            yield b"on and on\\n"
    return Response(lines())
"""


def test_requests_that_the_drain_cuts_off_are_counted_and_end_before_the_run(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host, hello(graceful_timeout=2))
    edit(project, STREAM)
    assert "cut off" not in ship(project).out
    ended: list[float] = []

    def visit() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            ask(host, "/stream")
        ended.append(time.monotonic())

    streams = [threading.Thread(target=visit) for _ in range(2)]
    for one in streams:
        one.start()
    until(lambda: int(sh(host, "grep -c ' /run/hello/.*/app.sock' /proc/net/unix")) == 3)
    with quick(host):
        done = ship(project, task="restart")
    over = time.monotonic()
    for one in streams:
        one.join(timeout=20)
    assert "failed: 0, cut off after 2 s (graceful_timeout): 2" in done.out, done.out
    assert len(ended) == 2
    assert max(ended) < over, "a request was cut off when the run had ended"
    tidy(host)


ANOTHER = """n=$(basename "$(readlink /srv/hello/current)")
cp -a "/srv/hello/activations/$n" /srv/hello/activations/99
cp "/etc/systemd/system/hello@$n.service" /etc/systemd/system/hello@99.service
"""
"""One more activation, like the one that serves."""


def test_an_instance_that_nobody_wants_is_seen_and_stopped(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    sh(host, ANOTHER)
    sh(host, "systemctl start hello@99")
    assert "hello@99.service" in project.run("plan").out
    with quick(host):
        project.provision()
    tidy(host)
    project.settled()


def test_an_instance_that_a_cut_switch_left_enabled_starts_once_more_and_is_then_forgotten(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    sh(host, ANOTHER)
    sh(host, "systemctl enable -q hello@99")
    staging.reboot(host.name)
    assert sh(host, "systemctl is-active hello@99") == "active\n"
    project.provision()
    tidy(host)
    project.settled()


def test_nothing_to_go_back_to_is_an_error(served: Served, clone: Clone, project: Project) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    done = broken(project, task="rollback", code=3)
    assert "nothing to go back to" in done.err
    assert (
        "holds no healthy release 20200101-000000"
        in broken(project, "--to", "20200101-000000", task="rollback", code=3).err
    )


def test_the_current_the_previous_and_the_newest_healthy_releases_stay_and_nothing_else(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host, hello(keep=2))
    first = serving(host)
    for number in range(3):
        edit(project, f"# version {number}")
        (project.folder / "site/requirements.txt").write_text(f"flask>=2.{number}\n")
        ship(project)
    newest, before = list(listed(project))
    assert serving(host) == newest
    assert first not in (newest, before)
    assert len(sh(host, "ls /srv/hello/venvs").split()) == 2
    assert len(sh(host, "ls /srv/hello/releases").split()) == 2
    trees = sh(host, "ls -d /var/lib/barehost/trees/* | wc -l").strip()
    ship(project, task="rollback")
    mend(project)
    ship(project)
    last = serving(host)
    assert listed(project) == {last: "current", newest: "healthy", before: "healthy"}, (
        "previous is kept beside"
    )
    mend(project)
    ship(project)
    assert sh(host, "ls -d /var/lib/barehost/trees/* | wc -l").strip() == trees
    tidy(host)


def test_static_files_of_the_last_release_are_still_served(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    static = project.folder / "site/static"
    (static / "app.1a2b3c4d.css").write_text("body { color: black }\n" * 200)
    ship(project)
    old = ask(host, "/static/app.1a2b3c4d.css", headers={"Accept-Encoding": "gzip"})
    (static / "app.1a2b3c4d.css").rename(static / "app.5e6f7a8b.css")
    (static / "fonts").mkdir()
    (static / "fonts" / "text.0a1b2c3d.woff2").write_bytes(b"font")
    ship(project)
    pooled = "stat -c '%i %s' /srv/hello/assets/static/app.5e6f7a8b.css"
    placed = sh(host, pooled)
    edit(project, "# the same files")
    ship(project)
    assert sh(host, pooled).split()[1] == placed.split()[1]
    assert sh(host, pooled) != placed, "what visitors may be reading was written over"
    assert sh(host, "ls -A /srv/hello/assets; cat /srv/hello/assets/static/fonts/*") == "static\nfont"
    assert ask(host, "/static/app.5e6f7a8b.css").status == 200
    still = ask(host, "/static/app.1a2b3c4d.css", headers={"Accept-Encoding": "gzip"})
    assert (still.status, still.body) == (200, old.body)
    assert still.headers["Content-Encoding"] == old.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(still.body).startswith(b"body { color")
    assert ask(host, "/static/app.00000000.css").status == 404


def test_what_was_compressed_for_the_release_before_is_not_compressed_again(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    kept, edited = (project.folder / "site/static" / name for name in ("kept.css", "edited.css"))
    packed = "stat -L -c '%i %Y' /srv/hello/current/www/static/{}.gz"
    seen = []
    for colour in ("black", "white"):
        kept.write_text("body { margin: 0 }\n" * 200)
        edited.write_text(f"body {{ color: {colour} }}\n" * 200)
        ship(project)
        seen.append([sh(host, packed.format(one.name)) for one in (kept, edited)])
        answer = ask(host, "/static/edited.css", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.body).decode() == edited.read_text()
    (kept_before, edited_before), (kept_after, edited_after) = seen
    assert kept_before == kept_after
    assert edited_before != edited_after


def test_a_file_has_one_etag_on_all_hosts_and_another_once_it_changes(
    served: Served, clone: Clone, project: Project
) -> None:
    image = served("bookworm")
    hosts = [clone(image), clone(image)]
    project.inventory({one: {"apps": hello()} for one in hosts})
    file = project.folder / "site/static/page.txt"
    tags = []
    for text in ("one", "two", "one"):
        file.write_text(text * 1000)
        ship(project)
        for headers in ({}, {"Accept-Encoding": "gzip"}):
            found = {ask(one, "/static/page.txt", headers=headers).headers["ETag"] for one in hosts}
            assert len(found) == 1, found
            tags.append(found.pop())
    assert len(set(tags)) == 4
    assert tags[:2] == tags[4:]
