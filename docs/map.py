"""Draws docs/architecture.svg from the imports of deploy/: rooms as boxes, arrows down. Decides nothing by hand.

    invoke docs-map

A room is a folder or a module right below deploy/. Its row is as high as those that import it permit. Left out are
arrows that another way of arrows says already, and those to the ground: what imports nothing itself and is everybody's.
So the picture shows the order and not each import; the contracts in pyproject.toml check them all.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

CHECKOUT = Path(__file__).parents[1]
PICTURE = CHECKOUT / "docs/architecture.svg"

BOX, LINE, GAP, ROW = 178, 26, 18, 40
"""Pixels: width of a box, of a long arrow's place in a row it passes, between two of them, and between two rows."""
LETTERS = 27
"""Letters of a caption's line that fit into a box."""

Imports = Mapping[str, frozenset[str]]
"""By room: the rooms that it imports."""


@dataclass(frozen=True)
class Place:
    """Where something lies in the picture: its middle and its upper edge."""

    x: float
    y: float
    width: int
    height: int


def imports() -> Imports:
    """What each room of deploy/ imports of the others."""
    import grimp

    graph = grimp.build_graph("deploy", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {"deploy"}:
        here = module.split(".")[1]
        named = {
            other.split(".")[1] for other in graph.find_modules_directly_imported_by(module) if "." in other
        }
        found.setdefault(here, set()).update(named - {here})
    return {
        room: frozenset(others) for room, others in sorted(found.items()) if others or room in _any(found)
    }


def _any(found: Mapping[str, set[str]]) -> set[str]:
    return set().union(*found.values())


def needed(rooms: Imports) -> Imports:
    """Without the arrows that follow from others."""

    def below(room: str) -> set[str]:
        return set().union(*({one} | below(one) for one in rooms.get(room, ())))

    return {
        room: frozenset(one for one in others if not any(one in below(two) for two in others - {one}))
        for room, others in rooms.items()
    }


def rows(rooms: Imports) -> list[list[str]]:
    """The rooms from the top row to the lowest: each right below the lowest of those that import it."""
    depth: dict[str, int] = {}

    def of(room: str) -> int:
        if room not in depth:
            depth[room] = max((of(one) + 1 for one, others in rooms.items() if room in others), default=0)
        return depth[room]

    for room in rooms:
        of(room)
    return [sorted(room for room, at in depth.items() if at == row) for row in range(max(depth.values()) + 1)]


def caption(room: str) -> str:
    """The first words of what its docstring says that it is."""
    package = CHECKOUT / "deploy" / room / "__init__.py"
    file = package if package.exists() else package.parent.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return re.split(r"[:;.,](?=\s|$)", text.partition("\n")[0], maxsplit=1)[0].replace("`", "")


def draw(rooms: Imports, captions: Mapping[str, str]) -> str:
    """The picture as SVG."""
    ground = {one for one in captions if not rooms.get(one)}
    above = {room: others - ground for room, others in rooms.items() if room not in ground}
    lines, ways = _ways(rows(above), needed(above))
    ordered = [*_ordered(lines, ways), sorted(ground)]
    places = _places(ordered, {room: textwrap.wrap(text, LETTERS) for room, text in captions.items()})
    width = int(max(one.x + one.width / 2 for one in places.values())) + GAP
    height = int(max(one.y + one.height for one in places.values())) + GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="Helvetica, Arial, sans-serif">',
        "<title>The rooms of deploy/: arrows are imports, and all point down</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#607080"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_arrow([places[stop] for stop in way]) for way in ways),
        *(_box(room, places[room], textwrap.wrap(captions[room], LETTERS)) for room in sorted(captions)),
        _text(width / 2, places[min(ground)].y - 12, "the ground, which all others may import:"),
        "</svg>\n",
    ])  # fmt: skip


def _ways(lines: Sequence[Sequence[str]], arrows: Imports) -> tuple[list[list[str]], list[list[str]]]:
    """The rows with a stop in each that a long arrow passes, and each arrow as its stops."""
    row = {room: number for number, line in enumerate(lines) for room in line}
    full, ways = [list(line) for line in lines], []
    for room in sorted(arrows):
        for other in sorted(arrows[room]):
            stops = [f"{room}>{other}@{at}" for at in range(row[room] + 1, row[other])]
            for at, stop in enumerate(stops, row[room] + 1):
                full[at].append(stop)
            ways.append([room, *stops, other])
    return full, ways


def _ordered(lines: Sequence[Sequence[str]], ways: Iterable[Sequence[str]]) -> list[list[str]]:
    """Each row in an order with few crossings: everybody at the mean of those it is connected with."""
    near: dict[str, list[str]] = {}
    for one, two in (pair for way in ways for pair in pairwise(way)):
        near.setdefault(one, []).append(two)
        near.setdefault(two, []).append(one)
    ordered = [list(line) for line in lines]
    best, fewest = ordered, _crossings(ordered, near)
    for sweep in range(24):
        numbers = range(len(ordered)) if sweep % 2 == 0 else range(len(ordered) - 1, -1, -1)
        for number in numbers:
            beside = ordered[number - 1 : number] if sweep % 2 == 0 else ordered[number + 1 : number + 2]
            at = {one: (place + 0.5) / len(line) for line in beside for place, one in enumerate(line)}
            own = {one: place / len(ordered[number]) for place, one in enumerate(ordered[number])}

            def mean(one: str, at: dict[str, float] = at, own: dict[str, float] = own) -> float:
                found = [at[two] for two in near.get(one, ()) if two in at]
                return sum(found) / len(found) if found else own[one]

            ordered[number] = sorted(ordered[number], key=lambda one: (mean(one), one))
        if (count := _crossings(ordered, near)) < fewest:
            best, fewest = [list(line) for line in ordered], count
    return best


def _crossings(lines: Sequence[Sequence[str]], near: Mapping[str, Sequence[str]]) -> int:
    total = 0
    for upper, lower in pairwise(lines):
        at = {one: place for place, one in enumerate(lower)}
        ends = [sorted(at[two] for two in near.get(one, ()) if two in at) for one in upper]
        flat = [(place, end) for place, found in enumerate(ends) for end in found]
        total += sum(one[0] < two[0] and one[1] > two[1] for one in flat for two in flat)
    return total


def _places(lines: Sequence[Sequence[str]], captions: Mapping[str, Sequence[str]]) -> dict[str, Place]:
    """Rows in the middle of the widest one; a row is as high as its longest caption."""

    def width(one: str) -> int:
        return BOX if one in captions else LINE

    widths = [sum(width(one) + GAP for one in line) - GAP for line in lines]
    places, y = {}, GAP
    for line, taken in zip(lines, widths, strict=True):
        height = 26 + 13 * max(len(captions.get(one, ())) for one in line)
        x = GAP + (max(widths) - taken) / 2
        for one in line:
            places[one] = Place(x + width(one) / 2, y, width(one), height)
            x += width(one) + GAP
        y += height + ROW
    return places


def _box(room: str, place: Place, lines: Sequence[str]) -> str:
    left = place.x - place.width / 2
    texts = "".join(_text(place.x, place.y + 31 + 13 * number, line) for number, line in enumerate(lines))
    return (
        f'<rect x="{left:.0f}" y="{place.y:.0f}" width="{place.width}" height="{place.height}" rx="5"'
        ' fill="#eef4fa" stroke="#7090b0"/>'
        f'<text x="{place.x:.0f}" y="{place.y + 17:.0f}" font-size="14" font-weight="bold" fill="#102030"'
        f' text-anchor="middle">{escape(room)}</text>{texts}'
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="11" fill="#506070" text-anchor="middle">{escape(text)}</text>'


def _arrow(stops: Sequence[Place]) -> str:
    """From the lower edge of the first to the upper edge of the last, straight down past what it passes."""
    first, last = stops[0], stops[-1]
    x, y = first.x, first.y + first.height
    path = [f"M{x:.0f} {y:.0f}"]
    for stop in stops[1:]:
        half = (stop.y - y) / 2
        path.append(f"C{x:.0f} {y + half:.0f} {stop.x:.0f} {stop.y - half:.0f} {stop.x:.0f} {stop.y:.0f}")
        x, y = stop.x, stop.y
        if stop is not last:
            y += stop.height
            path.append(f"L{x:.0f} {y:.0f}")
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="#607080" stroke-width="1.2" marker-end="url(#tip)"/>'
    )


def picture() -> str:
    """The picture of the imports as they are now."""
    rooms = imports()
    return draw(rooms, {room: caption(room) for line in rows(rooms) for room in line})


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
