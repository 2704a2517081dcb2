"""Ansible's layout on disk: which files make an inventory, what ranges stand for. Reads no variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from deploy.errors import InputError
from deploy.schema.marked import Mark, shown

_YAML = (".yml", ".yaml", ".json")
_IGNORED = (".orig", ".bak", ".cfg", ".retry", ".pyc", ".pyo", ".swp", "~", ".md", ".txt", ".py")
LARGEST = 100_000
"""Hosts in one range; more is a slip of the keyboard."""


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
    """The files of one source; an InputError when there is none to read."""
    if source.is_file():
        return [_not_ini(source)]
    if not source.is_dir():
        raise InputError(
            f"there is no inventory {shown(source)}; run barehost init to write one, or name it with --inventory"
        )
    found = sorted(
        file
        for file in source.iterdir()
        if file.is_file() and not file.name.startswith(".") and not file.name.endswith(_IGNORED)
    )
    if not found:
        raise InputError(f"the inventory {shown(source)} holds no YAML file; write hosts.yml there")
    return [_not_ini(file) for file in found]


def _not_ini(file: Path) -> Path:
    """The file, unless it is an inventory in Ansible's INI form or no YAML by its name."""
    if file.suffix in _YAML:
        return file
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    first = next((line for line in lines if line.strip() and line.strip()[0] not in "#;"), "")
    if file.suffix or not re.fullmatch(r"---|[^\[:=]+:(\s.*)?", first):
        raise InputError(
            f"{shown(file)}: only YAML inventories are read; convert it with"
            f" ansible-inventory -i {shown(file)} --list --yaml"
        )
    return file


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


def expanded(pattern: str, mark: Mark) -> Iterator[str]:
    """``web[01:20]`` and ``db[a:c]`` as the names they stand for; a step may follow as a third part."""
    match = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", pattern)
    if not match:
        yield pattern
        return
    head, span, tail = match.groups()
    for middle in _span(span, mark):
        for rest in expanded(tail, mark):
            yield f"{head}{middle}{rest}"


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
