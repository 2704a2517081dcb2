"""What is shipped of a site, from real folders and real git repositories of a test's own."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deploy.errors import InputError
from deploy.release.source import completed, release_of, resumed, whoami
from deploy.resources.tree import EXCLUDE, Tree
from deploy.schema.model import build
from deploy.site.app import App
from deploy.site.release import Release

NOW = datetime(2026, 11, 23, 14, 15, 2, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 14, 20, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def git_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.com")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, text: str) -> str:
    (folder / "app.py").write_text(text)
    git(folder, "add", "app.py")
    git(folder, "commit", "-q", "-m", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def app(source: Path | str, project: Path, **keys: Any) -> App:
    values = {"name": "hello", "source": str(source), "wsgi": "app:app", "server_names": ["h.example"]}
    return build(App, {**values, **keys, "project": project})


def taken(source: Path | str, tmp_path: Path, **keys: Any) -> Release:
    ref = keys.pop("at", None)
    return release_of(app(source, tmp_path, **keys), tmp_path / "state", now=NOW, ref=ref)


def test_a_folder_outside_of_git_is_named_by_time(tmp_path: Path):
    (tmp_path / "plain").mkdir()
    one = taken("plain", tmp_path)
    assert (one.id, one.commit, one.folder) == ("20261123-141502", None, tmp_path / "plain")
    assert one.by == whoami()


def test_a_repository_without_a_commit_is_a_plain_folder(tmp_path: Path, source: Path):
    assert taken("source", tmp_path).commit is None


def test_a_folder_in_git_is_named_by_its_commit(tmp_path: Path, source: Path):
    sha = commit(source, "one")
    one = taken("source", tmp_path)
    assert (one.id, one.commit) == (f"20261123-141502-{sha[:7]}", sha)


def test_uncommitted_changes_show_in_the_name(tmp_path: Path, source: Path):
    sha = commit(source, "one")
    (source / "new").touch()
    assert taken("source", tmp_path).id == f"20261123-141502-{sha[:7]}-dirty"


def test_changes_beside_the_sites_own_folder_do_not_count(tmp_path: Path, source: Path):
    (source / "site").mkdir()
    (source / "site" / "x").touch()
    git(source, "add", "site")
    commit(source, "one")
    (source / "elsewhere").touch()
    assert not taken("source/site", tmp_path).id.endswith("dirty")


def test_the_time_is_utc_whatever_the_clock_here_says(tmp_path: Path):
    (tmp_path / "plain").mkdir()
    local = NOW.astimezone(timezone(timedelta(hours=9)))
    one = release_of(app("plain", tmp_path), tmp_path / "state", now=local, ship=True)
    assert (one.id, one.ship) == ("20261123-141502", True)


def test_a_git_url_is_cloned_and_fetched_anew(tmp_path: Path, source: Path):
    first = commit(source, "one")
    one = taken(source.as_uri(), tmp_path)
    assert one.commit == first
    assert one.folder is not None
    assert one.folder.is_relative_to(tmp_path / "state")
    second = commit(source, "two")
    (one.folder / "left over").touch()
    again = taken(source.as_uri(), tmp_path)
    assert (again.commit, again.folder) == (second, one.folder)
    assert {path.name for path in one.folder.iterdir()} == {".git", "app.py"}
    assert (one.folder / "app.py").read_text() == "two"


def test_a_branch_a_tag_and_a_commit_can_be_asked_for(tmp_path: Path, source: Path):
    first = commit(source, "one")
    git(source, "tag", "v1")
    git(source, "checkout", "-q", "-b", "next")
    second = commit(source, "two")
    git(source, "checkout", "-q", "main")
    url = source.as_uri()
    assert taken(url, tmp_path, ref="next").commit == second
    assert taken(url, tmp_path, ref="next", at="v1").commit == first
    assert taken(url, tmp_path, at=second[:10]).commit == second


def test_a_branch_that_was_rewritten_is_followed(tmp_path: Path, source: Path):
    commit(source, "one")
    taken(source.as_uri(), tmp_path)
    (source / "app.py").write_text("another")
    git(source, "commit", "-q", "-a", "--amend", "-m", "another")
    assert taken(source.as_uri(), tmp_path).commit == git(source, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("where", "keys", "says"),
    [
        ("nowhere", {}, "hello: the source .*nowhere is not a folder; mend source: in the inventory"),
        ("source", {"at": "v1"}, "hello: --ref v1 needs a git URL as source, and 'source' is a folder"),
        ("file:///nowhere/at/all", {}, "hello: git clone failed: .*"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    tmp_path: Path, source: Path, where: str, keys: dict[str, str], says: str
):
    with pytest.raises(InputError, match=says) as caught:
        taken(where, tmp_path, **keys)
    assert "\n" not in str(caught.value)


def test_a_ref_that_is_not_there_is_named(tmp_path: Path, source: Path):
    commit(source, "one")
    with pytest.raises(InputError, match="the source has no branch, tag or commit 'none'"):
        taken(source.as_uri(), tmp_path, at="none")


def test_without_git_a_folder_still_ships_and_a_url_says_what_is_missing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
):
    commit(source, "one")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert taken("source", tmp_path).id == "20261123-141502"
    with pytest.raises(InputError, match="hello: git is not installed here"):
        taken(source.as_uri(), tmp_path)


# A release that did not reach its end is begun again under its id


@pytest.fixture
def begun(tmp_path: Path) -> App:
    """A site whose release was begun and did not reach its end, as far as its test makes it so."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/hello.py").write_text("app = None\n")
    return App(name="hello", project=tmp_path, source="site", wsgi="hello:app", server_names=("a.example",))


def ship(begun: App, now: datetime, *serving: str) -> Release:
    state = begun.project / "state"
    return resumed(release_of(begun, state, now=now, ship=True), begun, state, serving)


def test_the_same_code_keeps_its_id_until_it_serves(begun: App) -> None:
    first = ship(begun, NOW)
    again = ship(begun, LATER)
    assert again == replace(first, id=first.id)
    assert again.id == "20261123-141502"
    completed(begun, begun.project / "state")
    assert ship(begun, LATER).id == "20261123-142000"


def test_other_code_is_another_release(begun: App) -> None:
    first = ship(begun, NOW)
    (begun.source_folder / "hello.py").write_text("app = 1\n")
    second = ship(begun, LATER)
    assert second.id != first.id
    assert ship(begun, LATER.replace(minute=30)).id == second.id


def test_behind_a_newer_release_the_id_is_new(begun: App) -> None:
    first = ship(begun, NOW)
    assert ship(begun, LATER, first.id).id == first.id, "some hosts serve it already"
    assert ship(begun, LATER, "20261123-141600").id == "20261123-142000"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 3, "digest": "x"}'])
def test_a_note_that_cannot_be_read_is_written_anew(begun: App, text: str) -> None:
    ship(begun, NOW)
    (note,) = (begun.project / "state/begun").iterdir()
    note.write_text(text)
    assert ship(begun, LATER).id == "20261123-142000"
    assert ship(begun, NOW).id == "20261123-142000"


def test_completing_what_was_never_begun_is_fine(begun: App) -> None:
    completed(begun, begun.project / "state")


@pytest.mark.parametrize("serving", ["20261123-141502", "20261123-141502-3fa9c1e-dirty"])
def test_two_releases_of_one_second_are_two(begun: App, serving: str) -> None:
    assert ship(begun, NOW, serving).id == "20261123-141503"


def test_a_clock_that_is_behind_gives_no_id_of_the_past(begun: App) -> None:
    assert ship(begun, NOW, "20261124-235959", "20261101-000000").id == "20261125-000000"


# -- what is part of a release


def shipped(release: Release) -> dict[str, str]:
    """What a host would get: names with the text of files, links by where they lead."""
    tree = Tree(
        "/srv/hello/releases/1",
        source=release.folder or Path(),
        exclude=(*EXCLUDE, *release.left_out),
        within=release.within,
    )
    found = {}
    for name, entry in tree.entries.items():
        if entry.type == "f":
            found[name] = (tree.source / name).read_text()
        elif entry.type == "l":
            found[name] = f"-> {entry.content}"
    return found


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_git_ignores_is_not_shipped_from_a_folder(tmp_path: Path, source: Path):
    """An ignored name in one folder is shipped from another, where git tracks it."""
    write(source, app="1", local="secret", conf__local="kept", logs__a="1")
    (source / ".gitignore").write_text("/local\nlogs/\n")
    git(source, "add", ".")
    commit(source, "one")
    write(source, new="untracked, and part of it")
    assert set(shipped(taken(source, tmp_path))) == {"app", "app.py", ".gitignore", "conf/local", "new"}


def test_a_barehostignore_says_it_instead_of_git(tmp_path: Path, source: Path):
    """So that assets which were built here, and which git ignores, can be shipped."""
    write(source, dist__app="built", docs__a="1", docs__b="2", raw="big")
    (source / ".gitignore").write_text("dist/\n")
    (source / ".barehostignore").write_text("# for hosts\ndocs/*\n!docs/b\n/raw\n")
    commit(source, "one")
    expected = {"app.py", ".gitignore", "dist/app", "docs/b"}
    assert set(shipped(taken(source, tmp_path))) == expected
    plain = tmp_path / "plain"
    write(plain, raw="big", app="1")
    (plain / ".barehostignore").write_text("raw\n")
    assert set(shipped(taken(plain, tmp_path))) == {"app"}


def test_a_folder_that_git_ignores_as_a_whole_is_shipped(tmp_path: Path, source: Path):
    (source / ".gitignore").write_text("site/\n")
    write(source, site__app="1")
    git(source, "add", ".gitignore")
    commit(source, "one")
    assert set(shipped(taken(source / "site", tmp_path))) == {"app"}


def test_the_site_may_lie_in_a_folder_of_its_source(tmp_path: Path, source: Path):
    write(source, backend__app="1", frontend__app="2")
    git(source, "add", ".")
    commit(source, "one")
    for where in (source, source.as_uri()):
        assert shipped(taken(where, tmp_path, folder="backend")) == {"app": "1"}
    with pytest.raises(InputError, match="mend folder: in the inventory"):
        taken(source.as_uri(), tmp_path, folder="gone")


def test_what_a_monorepo_shares_by_links_is_sent_in_their_place(tmp_path: Path, source: Path):
    write(source, shared__lib__a="1", shared__one="2", backend__app="3")
    (source / "shared" / "lib" / "deeper").symlink_to("../one")
    (source / "backend" / "lib").symlink_to("../shared/lib")
    (source / "backend" / "one").symlink_to("../shared/one")
    (source / "backend" / "own").symlink_to("app")
    git(source, "add", ".")
    commit(source, "one")
    expected = {"app": "3", "own": "-> app", "one": "2", "lib/a": "1", "lib/deeper": "2"}
    for where in (source, source.as_uri()):
        assert shipped(taken(where, tmp_path, folder="backend")) == expected
    assert shipped(taken(source / "backend", tmp_path)) == expected


@pytest.mark.parametrize(
    ("link", "target", "says"),
    [
        ("out", "/etc/hostname", "outside of"),
        ("out", "../../x", "outside of"),
        ("round", "..", "holds the link"),
    ],
)
def test_a_link_out_of_the_work_tree_is_an_error(
    tmp_path: Path, source: Path, link: str, target: str, says: str
):
    write(tmp_path, x="not yours")
    write(source, backend__app="1")
    (source / "backend" / link).symlink_to(target)
    commit(source, "one")
    with pytest.raises(InputError, match=says):
        shipped(taken(source, tmp_path, folder="backend"))


def test_submodules_are_part_of_a_git_source(tmp_path: Path, source: Path):
    part = tmp_path / "part"
    part.mkdir()
    git(part, "init", "-q")
    commit(part, "of the part")
    commit(source, "one")
    git(source, "-c", "protocol.file.allow=always", "submodule", "-q", "add", part.as_uri(), "lib/part")
    git(source, "commit", "-q", "-m", "with a part")
    one = taken(source.as_uri(), tmp_path)
    assert shipped(one)["lib/part/app.py"] == "of the part"
    assert one.folder is not None
    (one.folder / "lib" / "part" / "left over").touch()
    assert "lib/part/left over" not in shipped(taken(source.as_uri(), tmp_path))

    mine = tmp_path / "mine"
    git(tmp_path, "clone", "-q", source.as_uri(), "mine")
    with pytest.raises(InputError, match=r"lib/part .* git submodule update --init"):
        taken(mine, tmp_path)


def test_a_pointer_of_git_lfs_is_never_shipped(tmp_path: Path, source: Path):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 48213\n"
    write(source, static__logo=pointer)
    commit(source, "one")
    with pytest.raises(InputError, match="static/logo is only the pointer"):
        shipped(taken(source, tmp_path))


@pytest.mark.parametrize(
    ("tag", "more", "version"),
    [("v1.2.0", 0, r"1\.2\.0"), ("v1.2.0", 2, r"1\.2\.1\.dev2\+g.{7}"), (None, 0, r"0\.1\.dev1\+g.{7}")],
)
def test_a_project_that_asks_git_is_told_its_version(
    tmp_path: Path, source: Path, tag: str | None, more: int, version: str
):
    (source / "pyproject.toml").write_text('[build-system]\nrequires = ["setuptools-scm"]\n')
    git(source, "add", ".")
    commit(source, "one")
    if tag:
        git(source, "tag", tag)
    for number in range(more):
        commit(source, f"more {number}")
    assert re.fullmatch(version, taken(source, tmp_path).version)


def test_a_project_outside_git_that_asks_for_it_has_a_version_too(tmp_path: Path):
    write(tmp_path / "plain", app="1")
    assert taken(tmp_path / "plain", tmp_path).version == ""
    (tmp_path / "plain" / "setup.py").write_text(
        "setup(use_scm_version=True, setup_requires=['setuptools_scm'])"
    )
    assert taken(tmp_path / "plain", tmp_path).version == "0.0.dev0"
