"""Ansible's layout on disk: which files make an inventory, what ranges stand for. Reads no variables."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from deploy.errors import InputError
from deploy.schema.marked import DEEPEST, Mark, shown

_YAML = (".yml", ".yaml", ".json")
_FOLDERS = ("group_vars", "host_vars", "vars_plugins")
_IGNORED = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
"""Names in a folder of inventories that Ansible passes over, by their end."""

LARGEST = 100_000
"""Hosts in one name with ranges; more is a slip of the keyboard."""


def project_of(start: Path) -> Path:
    """The nearest folder, from ``start`` upwards, that holds a tasks.py; else the one that holds the inventory."""
    for folder in (start, *start.parents):
        if (folder / "tasks.py").is_file():
            return folder
    folder = folder_of(start)
    return folder.parent if folder.name == "inventory" else folder


def folder_of(source: Path) -> Path:
    """Where a source's group_vars/ and host_vars/ lie."""
    return source if source.is_dir() else source.parent


def staging_file(project: Path) -> Path:
    """Where staging writes the addresses of the hosts that are up."""
    return (
        Path(os.environ.get("BAREHOST_STATE") or project / ".barehost").absolute() / "staging" / "hosts.yml"
    )


def inventory_files(source: Path) -> list[Path]:
    """The files of one source, those of a folder and its folders in the order of their names.

    Raises InputError when there is none.
    """
    if source.is_dir():
        found = list(_inside(source, ()))
        if not found:
            raise InputError(f"the inventory {shown(source)} holds no file of hosts; write hosts.yml there")
        return found
    if not source.exists():
        raise InputError(
            f"there is no inventory {shown(source)}; run barehost init to write one, or name it with --inventory"
        )
    return [source]


def _inside(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    if len(above) > DEEPEST or folder.resolve() in above:
        raise InputError(f"{shown(folder)}: this folder of inventories contains itself")
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _FOLDERS or path.name.endswith(_IGNORED):
            continue
        if path.is_dir():
            yield from _inside(path, (*above, folder.resolve()))
        else:
            yield path


def is_yaml(file: Path) -> bool:
    """Whether a file says by its name that it is YAML."""
    return file.suffix in _YAML


def is_program(file: Path) -> bool:
    """Whether Ansible would run a file to get an inventory: it may be run, and names its interpreter."""
    if not os.access(file, os.X_OK):
        return False
    with file.open("rb") as stream:
        return stream.read(2) == b"#!"


def looks_like_yaml(text: str) -> bool:
    """Whether the first line that says anything is a key of a mapping, or the beginning of a document."""
    lines = (line for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;")
    return bool(re.fullmatch(r"---.*|\{.*|[^\[:=\s]+:(\s.*)?", next(lines, "")))


def vars_files(stem: Path) -> Iterator[Path]:
    """The files of variables behind group_vars/<name>: a file, a folder of files, or none."""
    found = [
        path for path in (stem, *(stem.with_name(stem.name + ending) for ending in _YAML)) if path.exists()
    ]
    if len(found) > 1:
        raise InputError(
            f"{shown(found[0])} and {shown(found[1])} are both there, and Ansible reads only the first; keep one"
        )
    for path in found:
        yield from _below(path) if path.is_dir() else (path,)


def _below(folder: Path) -> Iterator[Path]:
    """Every YAML file below a folder of variables, sorted as Ansible does."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            yield from _below(path)
        elif not path.suffix or path.suffix in _YAML:
            yield path


def split_port(pattern: str) -> tuple[str, int | None]:
    """``name:port`` and ``[address]:port`` apart; a bare IPv6 address has no port."""
    address = re.fullmatch(r"\[([0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\](?::(\d+))?", pattern)
    if address and not re.fullmatch(r"\d+:\d+:\d+", address[1]):
        return address[1], int(address[2]) if address[2] else None
    if port := re.fullmatch(r"([^:]*(?:\[[^\]]*\][^:\[]*)*):(\d+)", pattern):
        return port[1], int(port[2])
    return pattern, None


def expanded(pattern: str, mark: Mark) -> list[str]:
    """``web[01:20]`` and ``db[a:c]`` as the names they stand for; a step may follow as a third part."""
    heads: list[str] = []
    spans: list[list[str]] = []
    rest = pattern
    while match := re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", rest):
        heads.append(match[1])
        spans.append(_span(match[2], mark))
        rest = match[3]
    if math.prod(map(len, spans)) > LARGEST:
        raise mark.error(f"{pattern} stands for more than {LARGEST} hosts")
    names = [""]
    for head, span in zip(heads, spans, strict=True):
        names = [f"{name}{head}{middle}" for name in names for middle in span]
    return [name + rest for name in names]


def _span(span: str, mark: Mark) -> list[str]:
    """The parts between the brackets of a range, both ends included; leading zeros set the width."""
    numbers = re.fullmatch(r"(\d*):(\d+)(?::([1-9]\d*))?", span)
    letters = re.fullmatch(r"([a-z]):([a-z])(?::([1-9]\d*))?|([A-Z]):([A-Z])(?::([1-9]\d*))?", span)
    if numbers:
        first, last, step = numbers[1] or "0", numbers[2], int(numbers[3] or 1)
        width = len(first) if first[0] == "0" else 0
        even = width < 2 or len(last) == width
        if even and int(first) <= int(last) < int(first) + LARGEST:
            return [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    elif letters:
        low, high, pace = letters.groups("1")[:3] if letters[1] else letters.groups("1")[3:]
        if low <= high:
            return [chr(code) for code in range(ord(low), ord(high) + 1, int(pace))]
    raise mark.error(f"expected a range like [01:20] or [a:f], found [{span}]")
