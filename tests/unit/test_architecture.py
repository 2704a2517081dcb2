"""The picture of the rooms is the one that the imports give, and its drawing leaves out what it says it does."""

from __future__ import annotations

import re
from pathlib import Path

from docs import map as drawing

ROOT = Path(__file__).parents[2]

ROOMS = {
    "top": frozenset({"left", "right", "low", "ground"}),
    "left": frozenset({"low", "ground"}),
    "right": frozenset({"ground"}),
    "low": frozenset({"ground"}),
    "ground": frozenset[str](),
}


def test_the_picture_is_what_the_imports_say() -> None:
    assert drawing.PICTURE.read_text() == drawing.picture(), "run invoke docs-map, and commit what it draws"


def test_every_room_is_in_it_with_the_first_words_of_its_docstring() -> None:
    text = drawing.PICTURE.read_text()
    rooms = {
        path.stem
        for path in (ROOT / "deploy").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert set(re.findall(r'font-weight="bold"[^>]*>([^<]+)<', text)) == rooms - {"__init__"}
    assert all(drawing.caption(room) for room in rooms - {"__init__"})


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    assert drawing.needed(ROOMS)["top"] == {"left", "right"}
    assert drawing.needed(ROOMS)["left"] == {"low"}


def test_a_room_stands_below_all_that_import_it() -> None:
    assert drawing.rows(ROOMS) == [["top"], ["left", "right"], ["low"], ["ground"]]


def test_all_arrows_point_down_and_none_to_the_ground() -> None:
    drawn = drawing.draw(ROOMS, dict.fromkeys(ROOMS, "words & more"))
    arrows = re.findall(r'<path d="M\d+ (\d+) .*? (\d+)" fill="none"', drawn)
    assert len(arrows) == 3
    assert all(int(start) < int(end) for start, end in arrows)
    assert "words &amp; more" in drawn
