"""The one way out: every byte that is printed leaves through a :class:`Sink`, masked and harmless."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from deploy.report.lines import Line
from deploy.report.mask import Mask, starred, within

_SGR = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_ASCII = str.maketrans({"→": "->", "·": "-", "…": "...", "│": "|"})
_KEPT = {"event", "time", "host", "action", "outcome"}
"""Keys of a JSON event whose values are ours and stay stable, whatever the secrets are."""


class Sink:
    """Writes lines and JSON objects to one stream. A reader who left (``| head``) does not end a run."""

    def __init__(self, stream: TextIO, mask: Mask, *, colour: bool) -> None:
        self.mask = mask
        self._stream = stream
        self.colour = colour
        self._deaf = False

    def lines(self, lines: Sequence[Line]) -> None:
        """Write them in one go."""
        self.write("".join(painted(masked(line, self.mask), self.colour) + "\n" for line in lines))

    def record(self, values: dict[str, Any]) -> None:
        """Write one JSON object on a line of its own; secrets are masked before they are encoded."""
        safe = {key: one if key in _KEPT else self._safe(one) for key, one in values.items()}
        self._send(json.dumps(safe, separators=(", ", ": ")) + "\n")

    def write(self, text: str) -> int:
        """The file interface that rich draws through; ``text`` may hold our own control sequences."""
        self._send(self.mask.text(text))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back between writes."""

    def isatty(self) -> bool:
        """Whether a terminal is at the other end."""
        return self._stream.isatty()

    @property
    def encoding(self) -> str:
        """What the stream can say; rich draws accordingly."""
        return self._stream.encoding or "utf-8"

    def _safe(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask.hidden(value)
        if isinstance(value, dict):
            return {
                self.mask.hidden(str(key)): one if key in _KEPT else self._safe(one)
                for key, one in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._safe(one) for one in value]
        return value if value is None or isinstance(value, int | float) else self.mask.hidden(str(value))

    def _send(self, text: str) -> None:
        if self._deaf:
            return
        try:
            self._stream.write(self._encodable(text))
            self._stream.flush()
        except BrokenPipeError:
            self._deaf = True
            _discard(self._stream)

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return text.translate(_ASCII).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return text


def masked(line: Line, mask: Mask) -> Line:
    """The line with stars for secrets, also where two spans share one."""
    places = mask.places("".join(text for text, _ in line))
    if not places:
        return line
    found: Line = []
    position = 0
    for text, style in line:
        end = position + len(text)
        found.append((starred(text, within(places, position, end)), style))
        position = end
    return found


def painted(line: Line, colour: bool) -> str:
    """The line as text, with colours when asked for."""
    if not colour:
        return "".join(text for text, _ in line).rstrip()
    return "".join(f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style else text for text, style in line)


def _discard(stream: TextIO) -> None:
    """Send what is left in the buffers of a broken stdout nowhere: the interpreter ends in silence."""
    with contextlib.suppress(OSError, ValueError):
        if stream.fileno() in (1, 2):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def now() -> str:
    """UTC, to the millisecond: ``2025-01-31T12:00:00.123Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
