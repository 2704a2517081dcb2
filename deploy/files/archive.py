"""Files of this side as one tar stream, mostly gzip'd, block by block; deterministic, and never a whole file in memory.

Knows nothing of hosts. Level 1 of zlib packs 80 MB/s of Python code to a third here; content that is packed
already is stored as it is, in gzip members of its own (members simply follow one another).
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import ApplyError, InputError

_BLOCK = 1 << 20
_PACKED = {
    ".7z",
    ".avif",
    ".br",
    ".bz2",
    ".gif",
    ".gz",
    ".jpeg",
    ".jpg",
    ".mp3",
    ".mp4",
    ".ogg",
    ".pdf",
    ".png",
}
_PACKED |= {".webm", ".webp", ".whl", ".woff", ".woff2", ".xz", ".zip", ".zst"}
"""Suffixes of content that compression only slows down."""

_hashes: dict[tuple[str, int, int, int, int], str] = {}
"""SHA-256 of source files by (path, size, mtime, ctime, inode), for as long as the process lives."""


@dataclass(frozen=True)
class Member:
    """One file (``f``), folder (``d``) or link (``l``) of a stream.

    A file's bytes are ``data``, or lie in ``source`` and must still have ``sha256`` when they are sent.
    """

    name: str
    type: str = "f"
    mode: int = 0o644
    data: bytes = field(default=b"", repr=False)
    source: Path | None = None
    sha256: str = ""
    target: str = ""


def stream(members: Iterable[Member], *, compress: bool = True) -> Iterator[bytes]:
    """The members as a tar, gzip'd unless ``compress`` is False; ApplyError for a source that is not what it was."""
    return _gzipped(members) if compress else (block for block, _ in _tar(members))


def _gzipped(members: Iterable[Member]) -> Iterator[bytes]:
    compress = _Compressor()
    for block, packed in _tar(members):
        yield from compress(block, packed)
    yield compress.end()


def mostly_packed(sizes: Mapping[str, int]) -> bool:
    """Whether compressing these files, sizes by name, would be for nothing: nine bytes of ten are packed already."""
    packed = sum(size for name, size in sizes.items() if _is_packed(name))
    return packed > 9 * (sum(sizes.values()) - packed)


def _tar(members: Iterable[Member]) -> Iterator[tuple[bytes, bool]]:
    """A tar in blocks, each with whether compressing it is for nothing."""
    for member in members:
        size, packed = _size(member), _is_packed(member.name)
        yield _header(member, size), packed
        for block in _blocks(member, size):
            yield block, packed
        yield bytes(-size % tarfile.BLOCKSIZE), packed
    yield bytes(2 * tarfile.BLOCKSIZE), False


def _size(member: Member) -> int:
    return member.source.stat().st_size if member.source else len(member.data)


def _is_packed(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in _PACKED


def sha256(path: Path, status: os.stat_result) -> str:
    """The file's hash, read again only when its ``status`` changed.

    Raises InputError when it cannot be read, or is a pipe or a device, which would be waited for.
    """
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"expected a file, found something else: {path}; take it out of its folder")
    key = (os.fspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    if key not in _hashes:
        try:
            _hashes[key] = _digest(key[0], status.st_size)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
    return _hashes[key]


def digest_of(path: Path) -> str:
    """The hash of a file that somebody named, also through a link; as :func:`sha256`."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return sha256(path, status)


def _digest(path: str, size: int) -> str:
    """Without a Path and a buffer: 8 µs for a small file instead of 12."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        if size > _BLOCK:
            return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(file.read()).hexdigest()


def stamp(sha256: str) -> int:
    """The time a file is given on every host: of its content alone, a moment between 2004 and 2012.

    Nginx makes ETag and Last-Modified of time and size, so equal files are equal to a browser whichever host or
    release they come from, and others differ. 0, the beginning of time, where no content is known.
    """
    return 2**30 + int(sha256[:7], 16) if sha256 else 0


def _header(member: Member, size: int) -> bytes:
    header = tarfile.TarInfo(member.name)
    header.type = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE}[member.type]
    header.mode, header.size, header.linkname = member.mode, size, member.target
    header.mtime = stamp(member.sha256)
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _blocks(member: Member, size: int) -> Iterator[bytes]:
    if member.source is None:
        yield member.data
        return
    left = size
    with member.source.open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        same = sha256(member.source, before) == member.sha256  # known, unless somebody has touched it
        while same and left and (block := file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block
        after = os.fstat(file.fileno())
    if not same or left or (after.st_mtime_ns, after.st_ctime_ns) != (before.st_mtime_ns, before.st_ctime_ns):
        raise ApplyError(f"{member.source} changed while it was being sent; run again")


class _Compressor:
    """Blocks in, gzip out; a new member begins where compression starts or stops to pay."""

    def __init__(self) -> None:
        self._packed: bool | None = None
        self._stream = zlib.compressobj(1, wbits=31)

    def __call__(self, block: bytes, packed: bool) -> Iterator[bytes]:
        if packed is not self._packed:
            if self._packed is not None:
                yield self._stream.flush()
            self._stream = zlib.compressobj(0 if packed else 1, wbits=31)
            self._packed = packed
        if out := self._stream.compress(block):
            yield out

    def end(self) -> bytes:
        return self._stream.flush()
