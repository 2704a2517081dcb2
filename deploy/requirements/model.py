"""What one environment is made of, as a value: files for pip, lines of our own, archives. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct


@dataclass(frozen=True)
class Requirements:
    """What to install, in four rounds that are each resolved by themselves, in the environment as it is by then.

    First ``locked``, then ``direct``, then ``names`` with ``lines``, then ``apart``.

    locked: lines of a lock, each with its hashes. direct: lines of a lock that nobody can hash, as of a git URL. A
    lock is whole, so pip adds nothing to these two. names: files for pip below the source, and ``lines`` beside
    them, resolved together. apart: what serves the site, where ``names`` or a lock pin hashes; what is there by then
    stays as it is.
    projects: folders below the source (``.``) that are packages of their own; each release installs its own.
    system: apt packages without which pip cannot fetch it.
    The content may hold an index's password: it travels as an upload and is printed nowhere.
    """

    names: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(path below the source, text)."""
    archives: tuple[tuple[str, Path, str], ...] = ()
    """(path below the source, file on this side, SHA-256) of wheels and archives that a line names."""
    locked: tuple[str, ...] = field(default=(), repr=False)
    direct: tuple[str, ...] = field(default=(), repr=False)
    apart: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()

    @property
    def system(self) -> tuple[str, ...]:
        texts = [*self.lines, *self.direct, *(text for _, text in self.files)]
        return ("git",) if any("git+" in text for text in texts) else ()


class Locked(Struct, frozen=True):
    """One package of a lock.

    version: empty where ``url`` says which one, or where the lock names none. url: of git or an archive, as pip
    writes it. hashes: ``sha256:…``; any of them will do. marker: when it is wanted; empty: always.
    """

    name: str
    version: str = ""
    hashes: tuple[str, ...] = ()
    url: str = ""
    marker: str = ""

    @property
    def line(self) -> str:
        what = f"{self.name} @ {self.url}" if self.url else self.name
        what += f"=={self.version}" if self.version and not self.url else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return what + marker + "".join(f" --hash={one}" for one in sorted(set(self.hashes)))


def locked(
    packages: Iterable[Locked],
    *,
    indexes: Iterable[str] = (),
    projects: Iterable[str] = (),
    archives: Iterable[tuple[str, Path, str]] = (),
) -> Requirements:
    """The requirements that a lock's packages make; indexes: where they come from besides the host's own index."""
    by_line = {one.line: one for one in packages}
    options = tuple(f"--extra-index-url {url}" for url in sorted(set(indexes)) if not _usual(url))
    hashed = tuple(sorted(line for line, one in by_line.items() if one.hashes))
    other = tuple(sorted(line for line, one in by_line.items() if not one.hashes))
    return Requirements(
        locked=options + hashed if hashed else (),
        direct=options + other if other else (),
        projects=tuple(sorted(set(projects))),
        archives=tuple(sorted(archives)),
    )


def _usual(url: str) -> bool:
    """The index that every pip asks unless its host says otherwise."""
    return url.rstrip("/") == "https://pypi.org/simple"


def git(url: str, commit: str, folder: str = "") -> str:
    """A commit of a git repository as pip writes it."""
    if "://" not in url and ":" in url:  # git@example.com:own.git
        host, _, path = url.partition(":")
        url = f"ssh://{host}/{path}"
    return f"git+{url}@{commit}" + (f"#subdirectory={folder}" if folder else "")
