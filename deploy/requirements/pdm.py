"""pdm.lock: the packages of the group ``default``. Knows no host."""

from __future__ import annotations

from pathlib import Path

from deploy.errors import InputError
from deploy.requirements.markers import Target
from deploy.requirements.model import Locked, Requirements, git, locked
from deploy.requirements.project import toml


def of_pdm(file: Path, target: Target) -> Requirements:
    """What ``pdm sync --prod`` would install for this Python, without the project itself."""
    lock = toml(file)
    if "inherit_metadata" not in lock.get("metadata", {}).get("strategy", ()):
        raise InputError(
            f"{file} does not say which packages are for production: run pdm lock --strategy inherit_metadata"
        )
    entries: list[Locked] = []
    projects: list[str] = []
    for package in lock.get("package", []):
        if "default" not in package.get("groups", ()):
            continue
        if (when := target.condition(package.get("marker"))) is None:
            continue
        name, version, marker = package["name"], package.get("version", ""), " ".join(when)
        if "path" in package:
            projects.append(package["path"])
        elif "git" in package:
            url = git(package["git"], package["revision"], package.get("subdirectory", ""))
            entries.append(Locked(name, version, url=url, marker=marker))
        else:
            hashes = tuple(one["hash"] for one in package.get("files", ()))
            entries.append(Locked(name, version, hashes, package.get("url", ""), marker))
    return locked(entries, projects=projects)
