"""A release that did not reach its end is begun again under its id, and only then."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from deploy.release.source import completed, release_of, resumed
from deploy.site.app import App
from deploy.site.release import Release

NOW = datetime(2026, 11, 23, 14, 15, 2, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 14, 20, 0, tzinfo=UTC)


@pytest.fixture
def app(tmp_path: Path) -> App:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/hello.py").write_text("app = None\n")
    return App(name="hello", project=tmp_path, source="site", wsgi="hello:app", server_names=("a.example",))


def ship(app: App, now: datetime, *serving: str) -> Release:
    state = app.project / "state"
    return resumed(release_of(app, state, now=now, ship=True), app, state, serving)


def test_the_same_code_keeps_its_id_until_it_serves(app: App) -> None:
    first = ship(app, NOW)
    again = ship(app, LATER)
    assert again == replace(first, id=first.id)
    assert again.id == "20261123-141502"
    completed(app, app.project / "state")
    assert ship(app, LATER).id == "20261123-142000"


def test_other_code_is_another_release(app: App) -> None:
    first = ship(app, NOW)
    (app.folder / "hello.py").write_text("app = 1\n")
    second = ship(app, LATER)
    assert second.id != first.id
    assert ship(app, LATER.replace(minute=30)).id == second.id


def test_behind_a_newer_release_the_id_is_new(app: App) -> None:
    first = ship(app, NOW)
    assert ship(app, LATER, first.id).id == first.id, "some hosts serve it already"
    assert ship(app, LATER, "20261123-141600").id == "20261123-142000"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 3, "digest": "x"}'])
def test_a_note_that_cannot_be_read_is_written_anew(app: App, text: str) -> None:
    ship(app, NOW)
    (note,) = (app.project / "state/begun").iterdir()
    note.write_text(text)
    assert ship(app, LATER).id == "20261123-142000"
    assert ship(app, NOW).id == "20261123-142000"


def test_completing_what_was_never_begun_is_fine(app: App) -> None:
    completed(app, app.project / "state")


@pytest.mark.parametrize("serving", ["20261123-141502", "20261123-141502-3fa9c1e-dirty"])
def test_two_releases_of_one_second_are_two(app: App, serving: str) -> None:
    assert ship(app, NOW, serving).id == "20261123-141503"


def test_a_clock_that_is_behind_gives_no_id_of_the_past(app: App) -> None:
    assert ship(app, NOW, "20261124-235959", "20261101-000000").id == "20261125-000000"
