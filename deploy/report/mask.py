"""What may be shown: secrets become ``***``, control characters become harmless. Pure; prints nothing.

Every text on its way out comes through here, whole: first :func:`neutralise`, so that an escape sequence in
the middle of a secret does not hide it, then :class:`Mask`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise

from deploy.render.spellings import SHORT, spellings
from deploy.shell import Secret

STARS = "***"

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: window titles, links, the clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"  # everything else that starts with ESC
)
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # C0 but for the tab, DEL, C1
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # invisible, or turns the direction of a line
    "\ud800-\udfff]"  # bytes that were no UTF-8
)


def neutralise(text: str) -> str:
    """One line that a terminal only shows: escape sequences gone, a redrawn progress bar as it was last.

    Any other control character is written out, as in ``\\x07``; so is a newline: split blocks first.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text)
    shown = [part for part in text.split("\r") if part.strip()]
    return _UNSAFE.sub(_written_out, shown[-1] if shown else "").expandtabs()


def lines_of(text: str) -> list[str]:
    """The lines of a block of text, each still to be neutralised; split at newlines only."""
    return text.removesuffix("\n").split("\n")


class Mask:
    """The secrets of this process, and where they stand in a text."""

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        self._heads: frozenset[str] = frozenset()
        self._short: re.Pattern[str] | None = None
        self._short_values: frozenset[str] = frozenset()

    def add(self, secrets: Iterable[Secret]) -> None:
        """From now on these are hidden, in every spelling we write them; an empty one is ignored."""
        long, short = set(self._forms), set(self._short_values)
        for secret in secrets:
            for form in _spellings(secret.reveal()):
                (long if len(form) >= SHORT else short).add(form)
        self._forms = tuple(sorted(long, key=len, reverse=True))
        self._heads = frozenset(form[:n] for form in long for n in range(1, SHORT))
        self._short_values = frozenset(short)
        if short:
            choice = "|".join(re.escape(one) for one in sorted(short, key=len, reverse=True))
            self._short = re.compile(rf"(?<!\w)(?:{choice})(?!\w)")

    def places(self, text: str) -> list[tuple[int, int]]:
        """Start and end of every stretch that belongs to a secret, in order, overlapping ones merged."""
        found = sorted(place for form in self._forms for place in _occurrences(form, text))
        merged: list[tuple[int, int]] = []
        for start, end in found:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def text(self, text: str) -> str:
        """``text`` with stars for secrets, but for the short ones."""
        return starred(text, self.places(text)) if self._forms else text

    def data(self, text: str) -> str:
        """One line of something that came from a host or an inventory: neutralised, all secrets masked."""
        return self.text(neutralise(self.hidden(text)))

    def hidden(self, text: str) -> str:
        """``text`` with stars for all secrets, but its control characters as they are: for JSON."""
        if self._short:  # before the long ones: their stars would make new word boundaries
            text = self._short.sub(STARS, text)
        return self.text(text)

    def block(self, text: str) -> list[str]:
        """The lines of a block, as :meth:`data`."""
        return [self.data(line) for line in lines_of(self.text(text))]

    def output(self, rows: Iterable[str]) -> list[str]:
        """The lines that one step printed, as :meth:`data`, also a secret that runs from one into the next."""
        step = StepMask(self)
        return [ready for row in rows for ready in step.feed(row)] + step.flush()

    def tail(self, text: str) -> int:
        """How many characters at the end of ``text`` may be the beginning of a secret; 0: none."""
        long = max((_overlap(text, form) for form in self._forms), default=0)
        short = range(min(SHORT - 1, len(text)), 0, -1)
        return long or next((n for n in short if text[-n:] in self._heads), 0)


class StepMask:
    """Masks the lines of one step, also a secret that one line begins and the next one ends.

    A line that ends with at least :data:`SHORT` characters of a secret's beginning waits for the next line,
    or for the end of the step.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held: list[str] = []
        self._carry = ""

    def feed(self, line: str) -> list[str]:
        """The lines that can be shown now."""
        self._held.append(neutralise(line))
        text = self._carry + "".join(self._held)
        tail = self._mask.tail(text)
        places = self._mask.places(text)
        if tail >= SHORT:
            return self._release(len(text) - tail, text, places)
        ready = self._release(len(text) + 1, text, places)
        self._carry = text[len(text) - tail :] if tail else ""
        return ready

    def flush(self) -> list[str]:
        """What was still held back; the step is over."""
        text = self._carry + "".join(self._held)
        ready = self._release(len(text) + 1, text, self._mask.places(text))
        self._carry = ""
        return ready

    def _release(self, limit: int, text: str, places: list[tuple[int, int]]) -> list[str]:
        """Held lines up to ``limit``, a position in ``text``; they never end inside a masked stretch."""
        ends = list(accumulate(map(len, self._held), initial=len(self._carry)))
        whole = [
            number
            for number, end in enumerate(ends)
            if end <= limit and not any(start < end < stop for start, stop in places)
        ]
        count = max(whole, default=0)
        ready = [
            self._mask.data(starred(text[start:end], within(places, start, end)))
            for start, end in pairwise(ends[: count + 1])
        ]
        if count:
            del self._held[:count]
            self._carry = ""
        return ready


def within(places: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """The part of ``places`` between two positions, counted from the first of them."""
    return [(max(a, start) - start, min(b, end) - start) for a, b in places if a < end and b > start]


def starred(text: str, places: Iterable[tuple[int, int]]) -> str:
    """``text`` with each of ``places`` (in order, apart from each other) replaced by stars."""
    parts, position = [], 0
    for start, end in places:
        parts += [text[position:start], STARS]
        position = end
    return "".join([*parts, text[position:]])


def _spellings(value: str) -> set[str]:
    """A secret as it may stand in a line that is shown."""
    found = spellings(value)
    return found | {neutralise(one) for one in found}


def _occurrences(form: str, text: str) -> Iterator[tuple[int, int]]:
    position = text.find(form)
    while position >= 0:
        yield position, position + len(form)
        position = text.find(form, position + 1)


def _overlap(text: str, form: str) -> int:
    """Length of the longest end of ``text`` that is a beginning of ``form``, of at least SHORT characters."""
    position = text.find(form[:SHORT], max(0, len(text) - len(form) + 1))
    while position >= 0:
        if form.startswith(text[position:]):
            return len(text) - position
        position = text.find(form[:SHORT], position + 1)
    return 0


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\n":
        return "\\n"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
