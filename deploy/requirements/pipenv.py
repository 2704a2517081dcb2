"""Pipfile and Pipfile.lock: the packages for production. Knows no host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.errors import InputError
from deploy.requirements.markers import Target
from deploy.requirements.model import Locked, Requirements, git, locked
from deploy.requirements.project import toml

_MARKERS = ("os_name", "sys_platform", "platform_machine", "platform_system", "python_version")
"""Keys of a package in a Pipfile that are markers by themselves."""


def of_pipfile_lock(file: Path, target: Target) -> Requirements:
    """What ``pipenv sync`` would install for this Python."""
    try:
        lock = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    entries: list[Locked] = []
    projects: list[str] = []
    for name, package in lock.get("default", {}).items():
        if (when := target.condition(package.get("markers"))) is None:
            continue
        marker = " ".join(when)
        if "path" in package:
            projects.append(package["path"])
        elif "git" in package:
            url = git(package["git"], package["ref"], package.get("subdirectory", ""))
            entries.append(Locked(name, url=url, marker=marker))
        else:
            version = package.get("version", "*").removeprefix("==")
            hashes = tuple(package.get("hashes", ()))
            url = package.get("file", "")
            entries.append(Locked(name, "" if version == "*" else version, hashes, url, marker))
    sources = lock.get("_meta", {}).get("sources", ())
    return locked(entries, indexes=[one["url"] for one in sources], projects=projects)


def of_pipfile(file: Path) -> Requirements:
    """The lines of a Pipfile, for pip to resolve."""
    pipfile = toml(file)
    lines: list[str] = []
    projects: list[str] = []
    for name, wanted in pipfile.get("packages", {}).items():
        one = {"version": wanted} if isinstance(wanted, str) else wanted
        if "path" in one:
            projects.append(one["path"])
        else:
            lines.append(_line(name, one))
    urls = [one["url"] for one in pipfile.get("source", ()) if one["url"] != "https://pypi.org/simple"]
    options = [f"--extra-index-url {url}" for url in urls]
    return Requirements(lines=(*options, *lines), projects=tuple(projects))


def _line(name: str, wanted: Mapping[str, Any]) -> str:
    extras = f"[{','.join(wanted['extras'])}]" if wanted.get("extras") else ""
    version = "" if wanted.get("version", "*") == "*" else wanted["version"]
    if "git" in wanted:
        version = " @ " + git(wanted["git"], wanted.get("ref", "HEAD"), wanted.get("subdirectory", ""))
    elif "file" in wanted:
        version = f" @ {wanted['file']}"
    markers = [f"{key} {wanted[key]}" for key in _MARKERS if key in wanted]
    markers += [f"({wanted['markers']})"] if "markers" in wanted else []
    return f"{name}{extras}{version}" + (f" ; {' and '.join(markers)}" if markers else "")
