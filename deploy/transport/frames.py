"""What travels over a session's one channel: frames to the host, replies back. Pure bytes; no socket.

A frame is one header line, ``<kind> <name> <size> <sha256> <limit>``, and exactly ``size`` bytes. Kinds:
``file`` begins the upload ``name``, ``more`` continues it; ``tar`` and ``tgz`` begin one that is unpacked as it
comes, ``part`` continues and ``over`` ends it (``-`` for a hash: what comes out is checked instead); ``run`` is a
script to run for at most ``limit`` seconds (0: no limit), ``zrun`` the same with the script and its stdout compressed
by gzip.

A reply is the script's stdout as it comes, then the line ``<nonce> <rc> <0 or 1>``; with 1, what the script
wrote to stderr follows, then the line ``<nonce>``. The nonce is the host's, new for each
session and never in a script's environment, so that nothing a script prints can end its own reply.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from deploy.transport.session import Reply

PIECE = 4 << 20
"""Bytes in one frame of an upload, or a little more: what is held in memory, and lost when a hash is wrong."""

_READY = re.compile(rb"\nbarehost ready ([0-9a-f-]{36})\n")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@cache
def loop() -> str:
    """The program of the far side as one line, see deploy/host/loop.sh."""
    return one_line((Path(__file__).parents[1] / "host/loop.sh").read_text(encoding="utf-8"))


def one_line(program: str) -> str:
    """A shell program without comments and line breaks, fit for any login shell inside single quotes.

    Raises ValueError for what some login shell would change there: a single quote, an exclamation mark
    (csh), two backslashes in a row (fish).
    """
    lines = (line.strip() for line in program.splitlines())
    line = " ".join(one for one in lines if one and not one.startswith("#"))
    for mark in ("'", "!", "\\\\"):
        if mark in line:
            raise ValueError(f"{mark} in the program would not survive every login shell")
    return line


def ready(noise: bytes) -> tuple[str, bytes] | None:
    """The nonce, and what came after it, once the far side is ready; else None.

    noise: everything received so far; what a login shell printed before is skipped.
    """
    match = _READY.search(noise)
    return (match[1].decode(), noise[match.end() :]) if match else None


def frame(kind: str, name: str, payload: bytes, limit: int = 0) -> bytes:
    """One header line and the payload; the payload is copied, so keep it small."""
    return header(kind, name, payload, limit) + payload


def header(kind: str, name: str, payload: bytes, limit: int = 0, *, hashed: bool = True) -> bytes:
    """The header line of a frame; ValueError when the name is not a plain file name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a plain file name: {name!r}")
    digest = hashlib.sha256(payload).hexdigest() if hashed else "-"
    return f"{kind} {name} {len(payload)} {digest} {limit}\n".encode()


def pieces(blocks: Iterable[bytes], size: int = PIECE) -> Iterator[bytes]:
    """The same bytes in pieces of ``size`` and less than a block more, the last one shorter; at least one piece."""
    held: list[bytes] = []
    length, sent = 0, False
    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= size:
            yield b"".join(held)
            held, length, sent = [], 0, True
    if length or not sent:
        yield b"".join(held)


def squeeze(script: bytes) -> bytes:
    """A script compressed for a ``zrun`` frame; the same bytes for the same script."""
    return gzip.compress(script, compresslevel=6, mtime=0)


def unsqueeze(stdout: bytes, most: int) -> bytes:
    """What a ``zrun`` script printed; OverflowError when that is more than ``most`` bytes."""
    with gzip.open(io.BytesIO(stdout)) as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise OverflowError
    return text


def last_words(output: bytes, nonce: str) -> bytes:
    """What came after the last whole reply: there the far side says why it ended."""
    ends = re.compile(rb"^" + re.escape(nonce.encode()) + rb"( \d+ 0)?\n", re.MULTILINE)
    return output[max((match.end() for match in ends.finditer(output)), default=0) :]


class Incoming:
    """Takes bytes as they arrive and finds the end of one reply among them.

    reply: None until the reply is whole; its stdout is empty, for :meth:`feed` has already given it out.
    """

    def __init__(self, nonce: str) -> None:
        self.reply: Reply | None = None
        self._mark = nonce.encode()
        self._held = bytearray()
        self._rc: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The stdout that is certain by now: all but what may turn out to be the end mark."""
        self._held += data
        stdout = b""
        if self._rc is None:
            stdout = self._stdout()
        if self._rc is not None and self.reply is None:
            self._stderr()
        return stdout

    def _stdout(self) -> bytes:
        at = self._held.find(self._mark + b" ")
        end = self._held.find(b"\n", at) if at >= 0 else -1
        if end < 0:
            return self._take(self._certain() if at < 0 else at)
        stdout = bytes(self._held[:at])
        _, rc, more = bytes(self._held[at:end]).split()
        del self._held[: end + 1]
        self._rc = int(rc)
        if more == b"0":
            self.reply = Reply(self._rc, b"", b"")
        return stdout

    def _stderr(self) -> None:
        at = self._held.find(self._mark + b"\n")
        if at >= 0:
            self.reply = Reply(self._rc or 0, b"", bytes(self._held[:at]))

    def _certain(self) -> int:
        """How many of the held bytes cannot be the beginning of the end mark."""
        start = max(len(self._held) - len(self._mark), 0)
        tails = (at for at in range(start, len(self._held)) if self._mark.startswith(self._held[at:]))
        return next(tails, len(self._held))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken
