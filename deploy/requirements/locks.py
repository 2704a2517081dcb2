"""Locks of other tools, as the lines of pip that install the same, for one Python. Reads the source; knows no host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.errors import InputError
from deploy.requirements.project import toml


def environment_of(python: str, machine: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "implementation_version": python if python.count(".") == 2 else f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python if python.count(".") == 2 else f"{python}.0",
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
        "extra": "",
    }


def _holds(marker: str | None, environment: Mapping[str, str]) -> bool:
    if marker is None:
        return True
    from packaging.markers import Marker

    return Marker(marker).evaluate(dict(environment))


def _pinned(file: Path, package: Mapping[str, Any], hashes: Iterable[str]) -> str:
    pins = " ".join(f"--hash=sha256:{one}" for one in sorted(set(hashes)))
    if not pins or "version" not in package:
        raise InputError(f"{file}: {package['name']} comes from no index; build a wheel of it and name that")
    return f"{package['name']}=={package['version']} {pins}"


def of_pylock(file: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    lines = []
    for package in toml(file).get("packages", []):
        if _holds(package.get("marker"), environment):
            files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
            lines.append(
                _pinned(
                    file, package, [one["hashes"]["sha256"] for one in files if "sha256" in one["hashes"]]
                )
            )
    return tuple(sorted(lines))


def of_uv(file: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The project's own dependencies and theirs, for this host; groups and extras of the project are left out."""
    packages = toml(file).get("package", [])
    local = [one for one in packages if {"editable", "virtual", "directory"} & one.get("source", {}).keys()]
    roots = [one for one in local if {one["source"].get("editable"), one["source"].get("virtual")} & {"."}]
    if len(roots) != 1:
        raise InputError(
            f"{file} does not hold the project it locks: run uv lock, or export a requirements file"
        )
    chosen: dict[str, Mapping[str, Any]] = {}
    pending = [(roots[0], "")]
    seen: set[tuple[str, str]] = set()
    while pending:
        package, extra = pending.pop()
        if (package["name"], extra) in seen:
            continue
        seen.add((package["name"], extra))
        if package is not roots[0]:
            chosen[package["name"]] = package
        wanted = (
            package.get("optional-dependencies", {}).get(extra, [])
            if extra
            else package.get("dependencies", [])
        )
        for one in wanted:
            if _holds(one.get("marker"), environment):
                (target,) = _locked(file, packages, one, environment)
                pending += [(target, name) for name in ("", *one.get("extra", ()))]
    return tuple(
        sorted(
            _pinned(
                file, one, [name["hash"].removeprefix("sha256:") for name in _files(one) if "hash" in name]
            )
            for one in chosen.values()
        )
    )


def _files(package: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "registry" not in package.get("source", {}):
        return []
    return [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]


def _locked(
    file: Path,
    packages: Iterable[Mapping[str, Any]],
    wanted: Mapping[str, Any],
    environment: Mapping[str, str],
) -> list[Mapping[str, Any]]:
    """The one entry of the lock that a dependency means on this host."""
    found = [
        one
        for one in packages
        if one["name"] == wanted["name"]
        and wanted.get("version", one.get("version")) == one.get("version")
        and any(_holds(marker, environment) for marker in one.get("resolution-markers", [None]))
    ]
    if len(found) != 1:
        raise InputError(
            f"{file} has {len(found)} entries for {wanted['name']} on this host: run uv lock again"
        )
    return found
