"""A Compose file as it is written: its services and what each is made of. Resolves no variable, contacts no host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from deploy.errors import InputError
from deploy.schema.marked import Map, Mark, describe, parsed, path_from, shown

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""What Compose looks for, the first that is there."""


class Compose(Struct, frozen=True):
    """A Compose file. name: of the file, in its folder. services: by name, each with its keys as they are written."""

    folder: Path
    name: str
    top: Map
    services: Mapping[str, Map]

    @property
    def builds(self) -> bool:
        """Whether an image of it is built where it runs."""
        return any("build" in service for service in self.services.values())


def read(folder: Path, name: str | None = None) -> Compose:
    """The Compose file of a folder. name: None: the first of :data:`NAMES` that is there.

    Raises InputError with file and line for what is no Compose file, and for what a host would not get.
    """
    if name is None:
        name = next((one for one in NAMES if (folder / one).is_file()), None)
        if name is None:
            raise InputError(
                f"{shown(folder)}: there is no Compose file, such as {NAMES[0]}; name it with file:"
            )
    path = folder / name
    try:
        top = parsed(path.read_text(encoding="utf-8"), shown(path))
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown(path)} cannot be read: {error}") from None
    if not isinstance(top, Map) or not isinstance(top.get("services"), Map):
        raise InputError(f"{shown(path)}: expected a Compose file, with a mapping of services")
    services = top["services"]
    for service, body in services.items():
        if not isinstance(body, Map):
            raise services.marks[service].error(
                f"expected a mapping of the service's keys, found {describe(body)}"
            )
        _within(folder, path.parent, body)
    return Compose(folder, name, top, services)


def _within(folder: Path, beside: Path, service: Map) -> None:
    """Raise InputError for a file or folder that the service names and that lies where no host gets it from."""
    for what, value, mark in _named(service):
        if not value.startswith((".", "/", "~")) and what == "volumes":
            continue  # a volume's name
        if "$" in value or value.startswith(("/", "~")) or "://" in value or value.startswith("git@"):
            continue  # of the host itself, or of nobody knows where
        if not path_from(beside, value).is_relative_to(folder.absolute()):
            raise mark.error(
                f"{what} names {value}, outside of {shown(folder)}, which is all that a host gets"
            )


def _named(service: Map) -> list[tuple[str, str, Mark]]:
    found: list[tuple[str, Any, Mark]] = []
    build = service.get("build")
    if isinstance(build, Map):
        found += [("build", build["context"], build.marks["context"])] if "context" in build else []
    elif build is not None:
        found.append(("build", build, service.marks["build"]))
    for key in ("env_file", "volumes"):
        values = service.get(key)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, Map):
                value = value.get("source" if key == "volumes" else "path")
            if isinstance(value, str):
                found.append(
                    (key, value.partition(":")[0] if key == "volumes" else value, service.marks[key])
                )
    return [(what, value, mark) for what, value, mark in found if isinstance(value, str)]
