"""The picture of a run: every case and peer in it, medians, what was ended and what failed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import picture
from bench.cases import CASE
from bench.contenders import PEER
from tests.unit.fakes.samples import MACHINE, runs, text_of

SVG = "{http://www.w3.org/2000/svg}"


def shown(blocks: dict[str, picture.Block]) -> list[str]:
    """All texts of the picture, which must be well-formed and all within it."""
    drawn = ElementTree.fromstring(picture.draw(blocks, MACHINE))
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    assert drawn.attrib["viewBox"] == f"0 0 {width:g} {height:g}"
    for one in drawn.iter():
        for key in ("x", "x1", "x2"):
            assert 0 <= float(one.attrib.get(key, 0)) <= width
        for key in ("y", "y1", "y2"):
            assert 0 <= float(one.attrib.get(key, 0)) <= height
        assert float(one.attrib.get("width", 0)) >= 0
    return [one.text or "" for one in drawn.iter(f"{SVG}text")]


def test_every_case_and_every_peer_is_in_the_picture() -> None:
    blocks = {
        case.title: {PEER[name].title: ((0.4, 0.5, 61.0), False) for name in case.peers}
        for case in CASE.values()
    }
    texts = shown(blocks)
    for title, block in blocks.items():
        assert title in texts
        following = texts[texts.index(title) + 1 :]
        assert [one for one in following if one in block][: len(block)] == list(block)


def test_peers_stand_in_the_same_order_everywhere_whoever_began(tmp_path: Path) -> None:
    text_of([*runs("push", "tar", 1), *runs("push", "ansible", 2), *runs("push", "barehost", 1)], tmp_path)
    texts = [one.text for one in ElementTree.parse(tmp_path / "2026-01-02-0304.svg").iter(f"{SVG}text")]
    order = [texts.index(title) for title in ("Barehost", "tar over ssh", "Ansible")]
    assert order == sorted(order)


def test_the_picture_shows_medians_what_was_ended_and_what_failed() -> None:
    texts = shown(
        {"a <case> & more": {"one": ((0.4, 0.5, 0.9), False), "two": ((240.2,), True), "three": ((), False)}}
    )
    assert "a <case> & more" in texts
    assert "0.50 s" in texts
    assert "> 240 s" in texts
    assert "failed" in texts


def test_every_peer_has_a_colour_of_its_own() -> None:
    titles = {peer.title for peer in PEER.values()}
    assert set(picture.COLOURS) == titles
    assert len(set(picture.COLOURS.values())) == len(titles)


@pytest.mark.parametrize("wall", [(), (0.5,), (100.0, 100.0), (0.01, 1000.0), (1.0, 10.0)])
def test_any_seconds_fit_into_the_picture(wall: tuple[float, ...]) -> None:
    shown({"case": {"peer": (wall, False)}})


def test_a_picture_of_nothing_is_still_one() -> None:
    assert shown({})[0].startswith("Seconds until the command ends")
