"""The medians and ranges as one SVG: a block a case, a bar a peer, seconds on a logarithmic scale. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from statistics import median

Block = Mapping[str, tuple[tuple[float, ...], bool]]
"""By peer: seconds of every run, none where it failed, and whether one was ended at the limit."""

WIDTH, LEFT, RIGHT, BAR, HEAD = 900, 190, 130, 15, 26
COLOURS = {
    "Barehost": "#2a7f62",
    "ssh + rsync": "#4a6fa5",
    "ssh + rsync, uv": "#7d9bc4",
    "tar over ssh": "#9db4d0",
}
COLOURS |= {"Ansible": "#b5483a", "Ansible + mitogen": "#d08a80", "pyinfra": "#b08a2e"}
COLOURS |= {"pyinfra + TCP_NODELAY": "#d3b974"}


def draw(blocks: Mapping[str, Block], machine: Mapping[str, str]) -> str:
    """The picture as SVG; one without a run has the title only."""
    every = [seconds for block in blocks.values() for wall, _ in block.values() for seconds in wall]
    scale = Scale(10 ** math.floor(math.log10(min(every, default=0.1))), max(every, default=1.0))
    height = 60 + sum(HEAD + BAR * len(block) for block in blocks.values()) + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="10" y="18" font-size="14" font-weight="600">Seconds until the command ends: '
        "median, and range of the runs (logarithmic)</text>",
        f'<text x="10" y="34" fill="#666">{escape(machine["machine"])}, {escape(machine["date"])}</text>',
        *_grid(scale, height),
    ]
    y = 56.0
    for title, block in blocks.items():
        lines.append(f'<text x="10" y="{y + 14:.0f}" font-weight="600">{escape(title)}</text>')
        y += HEAD - 4
        for name, (wall, late) in block.items():
            lines += _bar(scale, y, name, sorted(wall), late)
            y += BAR
        y += 4
    return "\n".join([*lines, "</svg>", ""])


class Scale:
    """Seconds to pixels."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, max(high, low * 10)

    def __call__(self, seconds: float) -> float:
        share = math.log(seconds / self.low) / math.log(self.high / self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def _grid(scale: Scale, height: int) -> Iterator[str]:
    mark = scale.low
    while mark <= scale.high:
        x = scale(mark)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="48" y2="{height - 20}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="46" fill="#888" text-anchor="middle">{mark:g} s</text>'
        mark *= 10


def _bar(scale: Scale, y: float, name: str, wall: list[float], late: bool) -> Iterator[str]:
    yield f'<text x="{LEFT - 6}" y="{y + 11:.1f}" text-anchor="end">{escape(name)}</text>'
    if not wall:
        yield f'<text x="{LEFT + 5}" y="{y + 11:.1f}" fill="#888">failed</text>'
        return
    middle = median(wall)
    colour = COLOURS.get(name, "#888")
    width = scale(middle) - LEFT
    yield f'<rect x="{LEFT}" y="{y + 2:.1f}" width="{width:.1f}" height="{BAR - 4}" fill="{colour}"/>'
    if wall[0] != wall[-1]:
        yield (
            f'<line x1="{scale(wall[0]):.1f}" x2="{scale(wall[-1]):.1f}" y1="{y + BAR / 2:.1f}" '
            f'y2="{y + BAR / 2:.1f}" stroke="#222"/>'
        )
    end = max(scale(wall[-1]), scale(middle)) + 5
    told = f"> {middle:.0f}" if late else f"{middle:.2f}" if middle < 10 else f"{middle:.1f}"
    yield f'<text x="{end:.1f}" y="{y + 11:.1f}">{told} s</text>'
