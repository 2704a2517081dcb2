"""The text of a file that a user names. Reads regular files of a bounded size; never waits for a pipe or a device."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LARGEST = 64 << 20
"""Bytes of a file of the inventory; more is no inventory. A choice: 100,000 hosts take about 10 MiB."""

SECRET = 1 << 20
"""Bytes of a file that holds one secret. A choice: keys and certificates take a few KiB."""


class Unreadable(ValueError):
    """A file that cannot be read; says why in a few words, without its name."""


def text_of(path: Path, most: int = LARGEST) -> str:
    """The text of a file; Unreadable when it is not there, no regular file, no UTF-8, or larger than ``most`` bytes."""
    try:
        # a pipe that nobody writes to would be waited for, without this
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise Unreadable(f"it is {_KINDS.get(stat.S_IFMT(mode), 'not a file')}, not a regular file")
            content = file.read(most + 1)
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None
    except ValueError as error:  # a NUL byte in the path, or what is raised above
        raise error if isinstance(error, Unreadable) else Unreadable("no file has such a name") from None
    if len(content) > most:
        raise Unreadable(f"it is larger than {most >> 20} MiB")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"expected UTF-8 text, found byte 0x{error.object[error.start]:02x}") from None


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
