"""What is shipped of a site, from real folders and real git repositories of a test's own."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deploy.errors import InputError
from deploy.release.source import completed, release_of, resumed, whoami
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
    (begun.folder / "hello.py").write_text("app = 1\n")
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
