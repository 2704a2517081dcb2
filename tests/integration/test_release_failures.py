"""A release that cannot come about: the old one serves throughout, the reason is shown, nothing is left to clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from booting import Boot, Clone
from releasing import HEALTH, broken, edit, hello, listed, mend, quick, serving, ship, tidy
from sites import CHECKOUT, Project, answers, new_project, sh, until

from deploy import staging
from deploy.staging import Image, StagingHost

TEMPLATES = CHECKOUT / "deploy/templates"


@dataclass(frozen=True)
class Bad:
    """A release that fails. code: a line of the site, at its start or end. said: what the person must read."""

    said: tuple[str, ...]
    code: str = ""
    at: str = "end"
    site: dict[str, Any] = field(default_factory=dict)
    requirements: str = ""


ASKED = (
    "@app.before_request\ndef bad():\n    if request.path == '/healthz'%s:\n        raise RuntimeError('%s')"
)

BAD = {
    "raises at import": Bad(
        ("RuntimeError: broken at import", '/hello.py", line 4, in <module>'),
        "raise RuntimeError('broken at import')",
        "start",
    ),
    "hangs at boot": Bad(
        ("not healthy within 3 s",),
        "import time; time.sleep(600)",
        "start",
        site={"health": {"path": "/healthz", "timeout": 3}},
    ),
    "answers 500 on health": Bad(
        ("RuntimeError: health is broken", "/healthz answered 500, expected 200"),
        ASKED % ("", "health is broken"),
        site={"health": {"path": "/healthz", "timeout": 8}},
    ),
    "fails behind Nginx": Bad(
        ("through Nginx: /healthz answered 500",),
        ASKED % (" and 'X-Forwarded-For' in request.headers", "no proxies"),
    ),
    "fails to migrate": Bad(
        ("about to fail", "exit code 7 of:"),
        site={"migrate": ["echo about to fail; exit 7"]},
    ),
    "fails to build": Bad(
        ("half built", "exit code 8 of:"), site={"build": ["echo half built > half; cat half; exit 8"]}
    ),
    "needs a package that is not there": Bad(
        ("No matching distribution found for flask==0.99", "pip could not install"),
        requirements="flask==0.99\n",
    ),
}


@pytest.fixture(scope="module")
def site(
    served: Callable[[str], Image],
    session_bare: Boot,
    state: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[StagingHost, Project]]:
    """A served host and its project, for the tests of this module one after the other: no failure may spoil it."""
    host = session_bare("bookworm", image=served("bookworm").name)
    own = new_project(tmp_path_factory.mktemp("failures") / "project", state)
    own.serve(host, hello(health=HEALTH, keep=2))
    own.provision("--host", host.name)
    edit(own, "# the release before")
    ship(own)
    yield host, own


@pytest.mark.parametrize("name", BAD)
def test_the_old_release_serves_on_when_the_new_one(name: str, site: tuple[StagingHost, Project]) -> None:
    host, project = site
    bad = BAD[name]
    project.serve(host, hello(**{"health": HEALTH, "keep": 2, **bad.site}))
    needed = project.folder / "site/requirements.txt"
    requirements = needed.read_text()
    try:
        edit(project, bad.code or f"# {name}", at=bad.at)
        needed.write_text(bad.requirements or requirements)
        before = serving(host)
        with quick(host):
            done = broken(project)
    finally:
        needed.write_text(requirements)
        mend(project)
        project.serve(host, hello(health=HEALTH, keep=2))
    for words in bad.said:
        assert words in done.said, done.said
    assert serving(host) == before
    states = listed(project)
    assert next(iter(states.values())) == "failed", states
    assert states[before] == "current"
    assert sh(host, "systemctl list-units --plain --no-legend 'hello@*' | wc -l").strip() == "1"
    project.settled("--host", host.name)


def test_after_all_that_the_next_release_works_and_the_failed_ones_go(
    site: tuple[StagingHost, Project],
) -> None:
    host, project = site
    before = serving(host)
    edit(project, "raise RuntimeError('broken at import')", at="start")
    broken(project)
    healthy = [release for release, state in listed(project).items() if state in ("current", "healthy")]
    mend(project)
    with quick(host):
        ship(project)
        newest = serving(host)
        assert listed(project) == {newest: "current", before: "healthy"}
        ship(project, task="rollback")
    assert serving(host) == before == healthy[0]
    tidy(host)


def test_a_rollback_never_lands_on_a_failed_release(site: tuple[StagingHost, Project]) -> None:
    host, project = site
    mend(project)
    ship(project)
    good = serving(host)
    edit(project, "raise RuntimeError('broken at import')", at="start")
    broken(project)
    bad = next(iter(listed(project)))
    mend(project)
    assert f"holds no healthy release {bad}" in broken(project, "--to", bad, task="rollback", code=3).err
    ship(project, task="rollback")
    assert serving(host) not in (bad, good)


def test_a_unit_whose_switch_failed_leaves_the_release_before_its_own_also_after_a_reboot(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host, hello(health=HEALTH))
    before = sh(host, "readlink /srv/hello/current; systemctl cat 'hello@*'")
    ours = (TEMPLATES / "app@.service.j2").read_text()
    for mistake in ("first", "second"):
        command = f"\nExecStart=/bin/sh -c 'echo the {mistake} mistake; exit 1'\n#"
        project.write("templates/app@.service.j2", ours.replace("\nExecStart=", command))
        with quick(host):
            done = broken(project, task="provision")
        assert f"the {mistake} mistake" in done.said, done.said
        assert f"the {'first' if mistake == 'second' else 'second'} mistake" not in done.said, done.said
    assert sh(host, "readlink /srv/hello/current; systemctl cat 'hello@*'") == before
    host = staging.reboot(host.name)
    until(lambda: answers(host), what="the release before does not serve after a boot")
    (project.folder / "templates/app@.service.j2").unlink()
    project.settled()
    ship(project, task="restart")
    assert sh(host, "readlink /srv/hello/current") == "activations/4\n", "a number was used twice"
    tidy(host)


def test_without_room_in_memory_nothing_is_begun(site: tuple[StagingHost, Project]) -> None:
    host, project = site
    before, kept = serving(host), listed(project)
    sh(host, "sed 's/^MemAvailable:.*/MemAvailable: 8192 kB/' /proc/meminfo > /root/meminfo")
    sh(host, "mount --bind /root/meminfo /proc/meminfo")
    try:
        done = broken(project)
    finally:
        sh(host, "umount /proc/meminfo")
    assert "a new instance beside the old one needs about" in done.said
    assert "8 MiB are available; nothing was changed" in done.said
    assert (serving(host), listed(project)) == (before, kept)
    tidy(host)


def test_without_room_on_the_disk_nothing_is_begun(site: tuple[StagingHost, Project]) -> None:
    host, project = site
    before, kept = serving(host), listed(project)
    big = project.folder / "site/big.bin"
    sh(host, "mkdir /root/small && mount -t tmpfs -o size=300m tmpfs /root/small")
    sh(host, "cp -a /srv/. /root/small/ && mount --bind /root/small /srv")
    sh(host, "fallocate -l $(($(stat -f -c '%a * %S' /srv) - 40000000)) /srv/full")
    try:
        big.write_bytes(b"x" * 8_000_000)
        done = broken(project)
        assert "MiB of disk below /srv and 38 MiB are free; nothing was changed" in done.said
        assert (serving(host), listed(project)) == (before, kept)
    finally:
        big.unlink()
        sh(host, "umount -l /srv && umount -l /root/small && rmdir /root/small")
    tidy(host)


def test_a_build_of_which_the_record_was_lost_runs_again_over_what_it_made(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    build = ["mkdir -p made && date > made/built && ! echo x >> hello.py"]
    project.serve(host, hello(build=build, migrate=["false"]))
    edit(project, "# built twice")
    broken(project)
    sh(host, "cd /var/lib/barehost/apps/hello && sed -i '/^built/d; /^failed/d' $(ls | tail -n 1)")
    project.serve(host, hello(build=build))
    done = ship(project, "-v")
    assert "date > made/built" in done.out
    assert sh(host, "find /srv/hello/releases/ -type f ! -user root") == ""
    tidy(host)
