"""pylock.toml (PEP 751): every package whose marker holds; its default groups, no extras. Knows no host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.errors import InputError
from deploy.requirements.markers import Target
from deploy.requirements.model import Locked, Requirements, git, locked
from deploy.requirements.project import toml

if TYPE_CHECKING:
    from packaging.pylock import Package


def of_pylock(file: Path, target: Target) -> Requirements:
    """What an installer of this lock would install for this Python."""
    from packaging.pylock import Pylock, PylockValidationError

    try:
        lock = Pylock.from_dict(toml(file))
    except PylockValidationError as error:
        raise InputError(f"{file} is no pylock: {error}") from error
    groups = lock.default_groups or ()
    chosen = [one for one in lock.packages if target.listed(str(one.marker or ""), groups)]
    return locked(
        [_entry(file, one, target) for one in chosen if not one.directory],
        indexes=[one.index for one in chosen if one.index],
        projects=[one.directory.path for one in chosen if one.directory],
    )


def _entry(file: Path, package: Package, target: Target) -> Locked:
    marker = str(package.marker or "")
    undecided = "extras" not in marker and "dependency_groups" not in marker and target.condition(marker)
    when = marker if undecided else ""
    version = str(package.version or "")
    if package.vcs and package.vcs.url:
        url = git(package.vcs.url, package.vcs.commit_id, package.vcs.subdirectory or "")
        return Locked(package.name, version, url=url, marker=when)
    if package.archive and package.archive.url:
        return Locked(package.name, version, _hashes([package.archive.hashes]), package.archive.url, when)
    wheels, sdist = package.wheels or (), package.sdist
    hashes = _hashes([*(one.hashes for one in wheels), *([sdist.hashes] if sdist else [])])
    if not hashes or not version:
        raise InputError(f"{file}: {package.name} comes from no index; build a wheel of it and name that")
    return Locked(package.name, version, hashes, marker=when)


def _hashes(files: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(f"sha256:{one['sha256']}" for one in files if "sha256" in one)
