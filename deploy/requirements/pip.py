"""Requirements files as pip reads them, with all that they include. Reads the source; knows no host."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from deploy.errors import InputError
from deploy.files.archive import digest_of
from deploy.requirements.model import Requirements
from deploy.requirements.project import FILES, project_in
from deploy.schema.text import Unreadable, text_of

_OPTION = re.compile(r"(-r|--requirement|-c|--constraint|-e|--editable)(?:\s+|=|(?<=-[rce]))\s*(\S.*)")
_FOLDER = re.compile(r"([^\[\];\s]+?)/?\s*(?:\[([\w.,\s-]+)\])?\s*(;.*)?")
_COMMENT = re.compile(r"(^|\s+)#.*$")


def of_files(source: Path, *names: str) -> Requirements:
    """The requirements files ``names`` below ``source``, with every file, archive and project that they name.

    A project of the source's own is not left for pip: its dependencies become lines, and each release installs it.
    """
    reading = _Reading(source)
    for name in names:
        reading.add(name, f"{name} of {source}")
    hashed = any("--hash" in text for text in reading.texts.values())
    return Requirements(
        tuple(reading.names),
        () if hashed else tuple(reading.lines),  # a file with hashes is whole
        tuple(sorted(reading.texts.items())),
        tuple(reading.archives),
        projects=tuple(reading.projects),
    )


class _Reading:
    """Follows requirements files through what they include."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.names: list[str] = []
        self.texts: dict[str, str] = {}
        self.archives: list[tuple[str, Path, str]] = []
        self.projects: list[str] = []
        self.lines: list[str] = []

    def add(self, name: str, asked: str) -> None:
        """Reads ``name`` (below the source) for pip, and all it includes; ``asked`` says who named it."""
        self.names.append(posixpath.normpath(name))
        self._read(name, asked)

    def _read(self, name: str, asked: str) -> None:
        name = posixpath.normpath(name)
        if name.startswith(("/", "../")):
            raise InputError(f"{asked}: {name} lies outside of {self.source}")
        if name in self.texts:
            return
        try:
            text = text_of(self.source / name).removeprefix("\ufeff")
        except Unreadable as error:
            raise InputError(f"{asked}: cannot read {self.source / name}: {error}") from error
        self.texts[name] = ""  # it may include itself
        kept: list[str] = []
        for number, line in logical(text):
            kept += [""] * (number - 1 - len(kept))  # pip names lines by their numbers
            kept.append(self._line(name, f"{self.source / name}, line {number}", line))
        self.texts[name] = "".join(f"{line}\n" for line in kept)

    def _line(self, name: str, place: str, line: str) -> str:
        """The line as pip is to see it."""
        value = line
        if option := _OPTION.match(line):
            which, value = option[1], option[2].strip()
            if which in ("-r", "--requirement", "-c", "--constraint"):
                if "://" not in value:
                    self._read(posixpath.join(posixpath.dirname(name), value), place)
                return line
            if "://" in value:
                return value  # an editable checkout would lie in the environment; it is installed as usual
        elif not line.startswith((".", "/", "file:")):
            return line
        folder = _FOLDER.fullmatch(value)
        if folder and (self.source / folder[1]).is_dir():
            self._project(place, posixpath.normpath(folder[1]), folder[2] or "")
            return ""
        self._archive(place, value)
        return value

    def _project(self, place: str, folder: str, extras: str) -> None:
        if folder.startswith(("/", "../")):
            raise InputError(f"{place}: {folder} lies outside of {self.source}")
        project = project_in(self.source / folder)
        if project is None:
            raise InputError(
                f"{place}: {self.source / folder} is no project: it has none of {', '.join(FILES)}"
            )
        if folder not in self.projects:
            self.projects.append(folder)
        self.lines += project.lines([one.strip() for one in extras.split(",") if one.strip()])
        for included in project.included:
            self.add(posixpath.join(folder, included), str(project.file))

    def _archive(self, place: str, line: str) -> None:
        name = posixpath.normpath(line.split(" ")[0].split(";")[0])
        file = self.source / name
        if name.startswith(("/", "../", "file:")) or not file.is_file():
            raise InputError(f"{place}: no wheel, archive or project inside of {self.source}: {line}")
        self.archives.append((name, file, digest_of(file)))


def logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers as pip reads them: continued ones joined, comments and blanks gone."""
    joined: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        comment = _COMMENT.match(line)  # which is not continued, and ends what is
        first = first if joined else number
        joined.append(f" {line}" if comment else line.removesuffix("\\"))
        if comment or not line.endswith("\\"):
            yield from _clean(first, joined)
            joined = []
    yield from _clean(first, joined)


def _clean(number: int, parts: list[str]) -> Iterator[tuple[int, str]]:
    if clean := _COMMENT.sub("", "".join(parts)).strip():
        yield number, clean


def named(requirements: Requirements) -> tuple[set[str], bool]:
    """Canonical names that are required directly, and whether hashes are pinned."""
    lines = [*requirements.lines, *requirements.locked, *requirements.direct]
    lines += [line for _, text in requirements.files for _, line in logical(text)]
    archives = (posixpath.basename(name).split("-")[0] for name, _, _ in requirements.archives)
    found = {name_of(line) for line in (*lines, *archives)}
    return found - {""}, any("--hash" in line for line in lines)


def name_of(line: str) -> str:
    """The package that a line requires, spelled as all its spellings are compared; empty for an option."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
