"""poetry.lock: the packages of the group ``main``, of Poetry 2 as it says them, of Poetry 1 as they follow from it.

Extras of the project are left out. Knows no host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.errors import InputError
from deploy.requirements.markers import Condition, Target, alternatives
from deploy.requirements.model import Locked, Requirements, git, locked
from deploy.requirements.pip import name_of
from deploy.requirements.project import toml

Package = Mapping[str, Any]


def of_poetry(file: Path, target: Target) -> Requirements:
    """What ``poetry install --only main --no-root`` would install for this Python."""
    lock = toml(file)
    packages = lock.get("package", [])
    version = str(lock.get("metadata", {}).get("lock-version", ""))
    if version.startswith("1."):
        raise InputError(f"{file} was written by a Poetry before 1.3: run poetry lock with a newer one")
    by_group = not packages or "groups" in packages[0]
    chosen = list(_of_main(packages, target) if by_group else _reached(file, packages, target))
    sources = [(one, marker, one.get("source", {})) for one, marker in chosen]
    return locked(
        [_entry(one, marker) for one, marker, source in sources if source.get("type") != "directory"],
        indexes=[source["url"] for _, _, source in sources if source.get("type") == "legacy"],
        projects=[source["url"] for _, _, source in sources if source.get("type") == "directory"],
    )


def _of_main(packages: Iterable[Package], target: Target) -> Iterator[tuple[Package, str]]:
    for package in packages:
        markers = package.get("markers")
        marker = markers.get("main") if isinstance(markers, Mapping) else markers
        if "main" in package["groups"] and (when := target.condition(marker)) is not None:
            yield package, " ".join(when)


def _reached(file: Path, packages: Iterable[Package], target: Target) -> Iterator[tuple[Package, str]]:
    """What the dependencies in pyproject.toml beside the lock lead to."""
    by_name: dict[str, list[Package]] = {}
    for package in packages:
        by_name.setdefault(name_of(package["name"]), []).append(package)
    conditions: dict[str, set[Condition]] = {}
    seen: set[tuple[str, str, Condition]] = set()
    pending = [(name, extra, when) for name, extra, when in _roots(file, target)]
    while pending:
        name, extra, when = pending.pop()
        if (name, extra, when) in seen or name not in by_name:
            continue
        seen.add((name, extra, when))
        conditions.setdefault(name, set()).add(when)
        if len(by_name[name]) > 1:
            raise InputError(
                f"{file} holds {name} in {len(by_name[name])} versions and not for which Python each is: "
                "run poetry lock with Poetry 2"
            )
        package = by_name[name][0]
        for other, wanted in package.get("dependencies", {}).items():
            for one in wanted if isinstance(wanted, list) else [wanted]:
                pending += [
                    (other_name, other_extra, when | more)
                    for other_name, other_extra, more in _edge(other, one, extra, target)
                ]
    for name, found in conditions.items():
        yield by_name[name][0], alternatives(found)


def _roots(file: Path, target: Target) -> Iterator[tuple[str, str, Condition]]:
    project = toml(file.with_name("pyproject.toml"))
    table = project.get("tool", {}).get("poetry", {}).get("dependencies", {})
    for name, wanted in table.items():
        for one in wanted if isinstance(wanted, list) else [wanted]:
            if name != "python" and not (isinstance(one, Mapping) and one.get("optional")):
                yield from _edge(name, one, "", target)


def _edge(name: str, wanted: Any, extra: str, target: Target) -> Iterator[tuple[str, str, Condition]]:
    """(package, its extra or "", condition) of a dependency, where it holds with ``extra`` of its owner."""
    one = wanted if isinstance(wanted, Mapping) else {}
    marker = one.get("markers", "")
    asked = re.search(r"extra == [\"']([\w.-]+)[\"']", marker)
    if asked:
        if asked[1] != extra:
            return
        marker = re.sub(r"(?:\s+and\s+)?extra == [\"'][\w.-]+[\"'](?:\s+and\s+)?", "", marker)
    if python := one.get("python"):
        from deploy.requirements.project import specifier_of

        if not target.satisfies(specifier_of(str(python))):
            return
    if (when := target.condition(marker)) is not None:
        yield from ((name_of(name), other, when) for other in ("", *one.get("extras", ())))


def _entry(package: Package, marker: str) -> Locked:
    name, version, source = package["name"], package["version"], package.get("source", {})
    if source.get("type") == "git":
        url = git(source["url"], source["resolved_reference"], source.get("subdirectory", ""))
        return Locked(name, version, url=url, marker=marker)
    hashes = tuple(one["hash"] for one in package.get("files", ()))
    return Locked(name, version, hashes, source["url"] if source.get("type") == "url" else "", marker)
