"""What one environment is made of, as a value: files for pip, lines of our own, archives. Reads nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Requirements:
    """What to install: names of files for pip, and all their content by path below the source.

    ``lines`` are those of our own, in a file beside them. The content may hold an index's password: it
    travels as an upload and is printed nowhere.
    """

    names: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(path below the source, text)."""
    archives: tuple[tuple[str, Path, str], ...] = ()
    """(path below the source, file on this side, SHA-256) of wheels and archives that a line names."""
