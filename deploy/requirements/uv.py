"""uv.lock: the project's own dependencies and theirs. Groups and extras of the project are left out. Knows no host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deploy.errors import InputError
from deploy.requirements.markers import Condition, Target, alternatives
from deploy.requirements.model import Locked, Requirements, git, locked
from deploy.requirements.project import toml

Package = Mapping[str, Any]


def of_uv(file: Path, target: Target) -> Requirements:
    """What ``uv sync --no-dev`` would install for this Python."""
    packages = toml(file).get("package", [])
    roots = [
        one
        for one in packages
        if {one.get("source", {}).get("editable"), one.get("source", {}).get("virtual")} & {"."}
    ]
    if len(roots) != 1:
        raise InputError(
            f"{file} does not hold the project it locks: run uv lock, or export a requirements file"
        )
    chosen = _reached(file, packages, roots[0], target)
    entries: list[Locked] = []
    projects: list[str] = []
    for package, marker in chosen.values():
        source = package.get("source", {})
        if place := source.get("editable", source.get("directory")):
            projects.append(place)
        elif "virtual" not in source:
            entries.append(_entry(file, package, marker))
    indexes = (one["source"].get("registry", "") for one, _ in chosen.values() if "source" in one)
    return locked(entries, indexes=(url for url in indexes if "://" in url), projects=projects)


def _reached(
    file: Path, packages: Iterable[Package], root: Package, target: Target
) -> dict[tuple[str, str], tuple[Package, str]]:
    """Every package that the root leads to on this Python, by name and version, with when it is wanted."""
    seen: set[tuple[str, str, str, Condition]] = set()
    conditions: dict[tuple[str, str], set[Condition]] = {}
    found: dict[tuple[str, str], Package] = {}
    pending: list[tuple[Package, str, Condition]] = [(root, "", frozenset())]
    while pending:
        package, extra, when = pending.pop()
        name = package["name"], str(package.get("version", ""))
        if (*name, extra, when) in seen:
            continue
        seen.add((*name, extra, when))
        found[name] = package
        conditions.setdefault(name, set()).add(when)
        for one in _wanted(package, extra):
            more = target.condition(one.get("marker"))
            if more is not None:
                goal = _locked(file, packages, one, target)
                pending += [(goal, other, when | more) for other in ("", *one.get("extra", ()))]
    return {name: (package, alternatives(conditions[name])) for name, package in found.items()}


def _wanted(package: Package, extra: str) -> Iterator[Package]:
    if extra:
        yield from package.get("optional-dependencies", {}).get(extra, [])
    else:
        yield from package.get("dependencies", [])


def _locked(file: Path, packages: Iterable[Package], wanted: Package, target: Target) -> Package:
    """The one entry of the lock that a dependency means on this host."""
    found = [
        one
        for one in packages
        if one["name"] == wanted["name"]
        and wanted.get("version", one.get("version")) == one.get("version")
        and any(target.holds(marker) is not False for marker in one.get("resolution-markers", [None]))
    ]
    if len(found) != 1:
        raise InputError(
            f"{file} has {len(found)} entries for {wanted['name']} on this host: run uv lock again"
        )
    return found[0]


def _entry(file: Path, package: Package, marker: str) -> Locked:
    source = package.get("source", {})
    name, version = package["name"], package.get("version", "")
    if "git" in source:
        parts = urlsplit(source["git"])
        folder = parse_qs(parts.query).get("subdirectory", [""])[0]
        url = parts._replace(query="", fragment="").geturl()
        return Locked(name, version, url=git(url, parts.fragment, folder), marker=marker)
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    hashes = tuple(one["hash"] for one in files if "hash" in one)
    if "url" in source and hashes:
        return Locked(name, version, hashes, source["url"], marker)
    if not hashes or not version or "registry" not in source:
        raise InputError(f"{file}: {name} comes from no index; build a wheel of it and name that")
    return Locked(name, version, hashes, marker=marker)
