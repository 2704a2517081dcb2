"""Requirements files as pip reads them, with all that they include. Reads the source; knows no host."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from deploy.errors import InputError
from deploy.files.archive import sha256
from deploy.requirements.model import Requirements

_OPTION = re.compile(r"(-r|--requirement|-c|--constraint|-e|--editable)(?:\s+|=|(?<=-[rce]))\s*(\S.*)")


def of_file(source: Path, name: str) -> Requirements:
    """The requirements file ``name`` below ``source``, with every file and archive that it names."""
    reading = _Reading(source)
    reading.add(name, f"{name} of {source}")
    return Requirements((name,), (), tuple(sorted(reading.texts.items())), tuple(reading.archives))


class _Reading:
    """Follows a requirements file through what it includes."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.texts: dict[str, str] = {}
        self.archives: list[tuple[str, Path, str]] = []

    def add(self, name: str, asked: str) -> None:
        """Reads ``name`` (below the source) and all it includes; ``asked`` says who named it."""
        name = posixpath.normpath(name)
        if name.startswith(("/", "../")):
            raise InputError(f"{asked}: {name} lies outside of {self.source}")
        if name in self.texts:
            return
        try:
            self.texts[name] = (self.source / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{asked}: cannot read {self.source / name}: {error}") from error
        for number, line in logical(self.texts[name]):
            self._line(name, f"{self.source / name}, line {number}", line)

    def _line(self, name: str, place: str, line: str) -> None:
        if option := _OPTION.match(line):
            which, value = option[1], option[2].strip()
            if which in ("-e", "--editable"):
                raise InputError(f"{place}: an editable requirement follows one release only: {line}")
            if "://" not in value:
                self.add(posixpath.join(posixpath.dirname(name), value), place)
        elif line.startswith((".", "/", "file:")):
            self._archive(place, line)

    def _archive(self, place: str, line: str) -> None:
        name = posixpath.normpath(line.split(" ")[0].split(";")[0])
        file = self.source / name
        if name.startswith(("/", "../", "file:")) or not file.is_file():
            raise InputError(
                f"{place}: not a wheel or archive inside of {self.source}: {line} (folders must be built)"
            )
        self.archives.append((name, file, sha256(file, file.stat())))


def logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers as pip reads them: continued ones joined, comments and blanks gone."""
    joined = re.sub(r"\\\r?\n", lambda match: "\\\0", text)
    number = 1
    for line in joined.splitlines():
        clean = re.sub(r"(^|\s)#.*$", "", line.replace("\\\0", " ")).strip()
        if clean:
            yield number, clean
        number += 1 + line.count("\\\0")


def named(requirements: Requirements) -> tuple[set[str], bool]:
    """Canonical names that are required directly, and whether hashes are pinned."""
    lines = [*requirements.lines, *(line for _, text in requirements.files for _, line in logical(text))]
    archives = (posixpath.basename(name).split("-")[0] for name, _, _ in requirements.archives)
    found = {name_of(line) for line in (*lines, *archives)}
    return found - {""}, any("--hash" in line for line in lines)


def name_of(line: str) -> str:
    """The package that a line requires, spelled as all its spellings are compared; empty for an option."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
