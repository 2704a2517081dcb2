"""A release that only a host has: seen by the host's own record, and by hashes where that is of another disk."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
from pathlib import Path

import pytest

from deploy.release import intact
from deploy.release.intact import Intact
from deploy.resource import Change, State
from deploy.resources import tree
from deploy.resources.tree import Tree
from deploy.shell import Command
from tests.unit.fakes import local

ME, MINE = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name

WHOLE = {"intact": True, "packages": True, "lacks": ""}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a sync left it, with its record."""
    source = tmp_path / "source"
    (source / "static").mkdir(parents=True)
    (source / "hello.py").write_text("app = None\n")
    (source / "static" / "it's $(x).css").write_text("body {}\n")
    path = tmp_path / "srv"
    monkeypatch.setattr(tree, "RECORDS", str(tmp_path / "records"))
    monkeypatch.setattr(Intact, "path", property(lambda self: str(path)))
    monkeypatch.setattr(Intact, "packages", property(lambda self: str(tmp_path / "venv")))
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/.barehost").touch()
    (tmp_path / "venv/bin/python").symlink_to("/bin/sh")
    local.settle(Tree(str(path), source=source, delete=False, owner=ME, group=MINE), tmp_path)
    return path


def look(*server: str) -> State | None:
    one = Intact("hello", "20261123-000000", "v1", server)
    return local.look(one)[one.id]


def test_what_was_shipped_and_left_alone_is_intact(shipped: Path) -> None:
    assert look() == WHOLE


def test_what_a_build_added_is_no_harm(shipped: Path) -> None:
    (shipped / "static" / "built.css").write_text("x")
    assert look() == WHOLE


def test_another_disk_with_the_same_content_is_intact(shipped: Path) -> None:
    copy = shipped.with_name("copy")
    shutil.copytree(shipped, copy)
    shutil.rmtree(shipped)
    copy.rename(shipped)
    assert look() == WHOLE


def test_an_edited_file_is_seen(shipped: Path) -> None:
    (shipped / "hello.py").write_text("app = 'x'\n")
    assert look() == WHOLE | {"intact": False}


def test_a_lost_file_is_seen(shipped: Path) -> None:
    (shipped / "static" / "it's $(x).css").unlink()
    assert look() == WHOLE | {"intact": False}


def test_a_release_that_is_gone_is_absent(shipped: Path) -> None:
    shutil.rmtree(shipped)
    assert look() is None


def test_packages_that_lack_the_server_are_seen_and_refused_by_its_name(shipped: Path) -> None:
    packages = shipped.with_name("venv") / "lib/python3.11/site-packages"
    (packages / "Some.server-1.0.dist-info").mkdir(parents=True)
    assert look("some-server") == WHOLE
    seen = look("some-server", "uvicorn", "some")
    assert seen == WHOLE | {"lacks": "uvicorn, some"}
    one = Intact("hello", "20261123-000000", "v1", ("uvicorn",))
    assert "uvicorn" in refusal(Change(one, look("uvicorn"), one.expected()))
    own = shipped / ".barehost/packages/uvicorn-0.1.dist-info"
    own.mkdir(parents=True)
    assert look("uvicorn") == WHOLE


def refusal(change: Change[Intact]) -> str:
    """What the step says that ends the site's part of the run before anything of it changes."""
    (step,) = Intact.steps([change])
    assert isinstance(step, Command)
    done = local.run(step.script)
    assert done.returncode != 0
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("actual", "what"), [(None, "is gone from"), ({"intact": False}, "was edited or lost files")]
)
def test_it_cannot_be_mended_from_here(actual: State | None, what: str) -> None:
    one = Intact("hello", "20261123-000000", "v1")
    refused = refusal(Change(one, actual, one.expected()))
    assert re.search(rf"release 20261123-000000 of hello {what}.*invoke release", refused)


@pytest.mark.parametrize("lost", [".barehost", "bin/python"])
def test_packages_that_are_gone_or_have_no_python_are_seen_and_cannot_be_mended_from_here(
    shipped: Path, lost: str
) -> None:
    (shipped.with_name("venv") / lost).unlink()
    one = Intact("hello", "20261123-000000", "v1")
    change = Change(one, look(), one.expected())
    assert change.keys == ("packages",)
    assert "would not start again; ship a release with invoke release" in refusal(change)


def test_its_probe_is_of_one_room_with_the_tree() -> None:
    assert intact.LISTING is tree.LISTING
