"""What a pyproject.toml depends on, as lines for pip. Reads the source; knows no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.errors import InputError


def toml(file: Path) -> dict[str, Any]:
    import tomllib  # 6 ms that requirements.txt does not need

    try:
        with file.open("rb") as stream_:
            return tomllib.load(stream_)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not TOML: {error}") from error


def of_project(file: Path) -> tuple[str, ...]:
    """What ``[project]`` depends on; the project itself is not installed, its code runs from the release."""
    from packaging.requirements import InvalidRequirement, Requirement  # 12 ms that most runs do not need

    project = toml(file).get("project")
    if not isinstance(project, dict) or "dependencies" in project.get("dynamic", ()):
        raise InputError(f"{file} does not list its dependencies under [project]: name a requirements file")
    lines = project.get("dependencies", [])
    for line in lines:
        try:
            Requirement(line)
        except (InvalidRequirement, TypeError) as error:
            raise InputError(f"{file}, project.dependencies: {error}") from error
    return tuple(lines)
