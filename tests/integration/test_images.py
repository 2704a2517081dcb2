"""A site from a container image without an engine: served, released under load, not hurt by what an image may hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from booting import Boot, Clone
from pictures import Picture, code, hello, layer
from releasing import broken, listed, seen, serving, ship, tidy
from releasing import served as loaded
from sites import HELLO, Project, ask, sh

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]


def site(**changes: Any) -> dict[str, Any]:
    """The example site from the file image.tar of the project."""
    kept = {key: value for key, value in HELLO.items() if key != "source"}
    return {"hello": {**kept, "image": "image.tar", **changes}}


@pytest.fixture(scope="session")
def picture(served: Served, session_bare: Boot) -> Picture:
    """The example site in an image with Debian 12's Python, whatever host it runs on."""
    image = served("bookworm")
    return hello(session_bare(image.suite, image=image.name))


def inside(host: StagingHost, script: str) -> str:
    """A script run within the sandbox of the site's main process, in its file system, as its account."""
    pid = sh(
        host, "systemctl show --value -p MainPID hello@$(basename $(readlink /srv/hello/current))"
    ).strip()
    numbers = sh(host, "echo $(id -u hello) $(id -g hello)").split()
    enter = f"nsenter -t {pid} -m -p -r -w -S {numbers[0]} -G {numbers[1]}"
    return sh(host, f"{enter} /bin/sh -c '{script}' 2>&1", ok=False)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_bare_host_serves_an_image_and_then_rests(
    suite: str, bare: Boot, project: Project, picture: Picture
) -> None:
    host = bare(suite)
    picture.save(project.folder / "image.tar")
    project.serve(host, site(env={**HELLO["env"], "LANG": "C.UTF-8"}))
    project.provision()
    page = ask(host)
    assert (page.status, "hello" in page.text.lower()) == (200, True)
    assert ask(host, "/static/app.css").status == 200
    assert ask(host, "/env").text.count("C.UTF-8") == 1
    again = project.provision("--json").report()
    assert (again["outcome"], again["changed"], again["round_trips"]) == ("unchanged", [], 1)
    tidy(host)
    number = sh(host, "basename $(readlink /srv/hello/current)").strip()
    score = sh(host, f"systemd-analyze security --no-pager hello@{number} | tail -n 1")
    assert float(score.split(":")[1].split()[0]) <= 1.5, score
    told = sh(host, f"cat /proc/$(systemctl show --value -p MainPID hello@{number})/environ | tr '\\0' '\\n'")
    assert "MOOD=of the image" in told
    attacks = inside(
        host,
        "read it < only-mine; echo $it; echo x > /site/new && echo WROTE; echo x > /srv/hello/shared/x && echo shared;"
        "cd /srv/hello/activations && echo */env | (read f; read x < $f && echo SECRET); ls /etc/shadow /home /root",
    )
    assert "read by the site" in attacks
    assert "shared" in attacks
    assert "WROTE" not in attacks
    assert "SECRET" not in attacks
    assert sh(host, "find /srv/hello/images -perm /7022 ! -type l").strip() == ""
    assert sh(host, "find /srv/hello/images -mindepth 1 ! -user root").strip() == ""

    project.serve(host, {"hello": {"state": "absent"}})
    project.provision()
    assert sh(host, "ls /srv/hello").split() == ["shared"]


def test_releases_of_a_changed_layer_send_that_layer_and_lose_no_request(
    served: Served, clone: Clone, project: Project, picture: Picture
) -> None:
    host = clone(served("trixie"))
    of_a_venv = serving(host)
    base = picture.layers[:-1]
    picture.save(project.folder / "image.tar")
    project.serve(host, site(keep=2))
    with loaded(host) as counts:
        ship(project)
        first = serving(host)
        shipped = []
        for number in range(3):
            Picture(*base, code(f"# version {number}")).save(project.folder / "image.tar")
            done = ship(project, "--json")
            assert done.report()["sent"] < 300_000, "one small layer travels, and no more"
            shipped.append(serving(host))
        ship(project, task="rollback")
        assert serving(host) == shipped[1]
        ship(project, task="restart")
    assert seen(counts) == {of_a_venv, first, *shipped}
    tidy(host)
    kept = listed(project)
    assert len(kept) <= 3
    images = sh(host, "ls /srv/hello/images").split()
    assert len(images) <= len(kept)
    assert len(sh(host, "ls /srv/hello/images/.layers").split()) == len(base) + len(images)


FULL = """
cp -a /srv/hello/images /root/images && mount -t tmpfs -o size=60m none /srv/hello/images &&
cp -a /root/images/. /srv/hello/images/ && chmod 750 /srv/hello/images && chgrp hello /srv/hello/images
"""
"""A disk for images that holds those which are there, and hardly more."""

BAD = ["wrong digest", "another architecture", "cut off", "link out", "mount point", "no server", "full disk"]


def test_what_is_no_good_image_is_a_sentence_and_what_served_serves_on(
    served: Served, clone: Clone, project: Project, picture: Picture
) -> None:
    host = clone(served("bookworm"))
    file = project.folder / "image.tar"
    picture.save(file)
    project.serve(host, site())
    ship(project)
    good = serving(host)
    for what in BAD:
        code = bad(what, picture, file, host)
        said = broken(project, code=code).said
        assert serving(host) == good, what
        assert sh(host, "ls -A /srv/hello/images | grep -v '^.layers$' | wc -l").strip() == "1", what
        assert sh(host, "ls /srv/hello/venvs | grep -c ^image").strip() == "1", what
        assert len([line for line in said.splitlines() if "│" in line]) <= 1, said
        sh(host, "umount /srv/hello/images 2>/dev/null; true")
    many = layer({f"many/{number}": b"" for number in range(100_000)})
    Picture(*picture.layers, many).save(file)
    ship(project)
    assert sh(host, "ls /srv/hello/images/*/many | wc -l").strip() == "100000"


def bad(what: str, picture: Picture, file: Path, host: StagingHost) -> int:
    """Writes an image with this fault; the exit code of a run that meets it."""
    layers = picture.layers
    if what == "another architecture":
        picture.save(file, arch="arm64")
        return 3
    if what == "cut off":
        picture.save(file)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return 3
    if what == "wrong digest":
        Picture(*layers, layer({"site/x": b"1"})).save(file, wrong=True)
    elif what == "link out":
        Picture(*layers, layer({"../../../../etc/evil": b"x"})).save(file)
    elif what == "mount point":
        Picture(*layers, layer({}, links={"srv": "/etc"})).save(file)
    elif what == "no server":
        Picture(*layers, layer({"opt/bin/.wh.gunicorn": b""})).save(file)
    elif what == "full disk":
        sh(host, FULL)
        Picture(*layers, layer({"site/big": bytes(range(256)) * 400_000})).save(file)
    return 7
