"""What a project's files ask pip for: requirements files, locks and project files. Reads the source; knows no host."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import InputError
from deploy.requirements.locks import environment_of, of_pylock, of_uv
from deploy.requirements.model import Requirements
from deploy.requirements.pip import name_of, named, of_file
from deploy.requirements.project import of_project

__all__ = ["Requirements", "read"]


def read(
    source: Path,
    name: str | None,
    extra: Sequence[str] = (),
    *,
    python: str = "3.11",
    machine: str = "x86_64",
) -> Requirements:
    """The requirements of the project in ``source``, from a file of any of the usual kinds.

    name: a requirements file, ``pyproject.toml``, ``uv.lock`` or ``pylock.toml``; None: only ``extra``.
    extra: lines added unless the project already names that package (``gunicorn``).
    python, machine: of the host, for the markers of a lock. Raises InputError for what cannot be built.
    """
    if name is None:
        return Requirements(lines=tuple(extra))
    kind = posixpath.basename(name)
    if kind == "pyproject.toml":
        found = Requirements(lines=of_project(source / name))
    elif kind == "uv.lock":
        found = Requirements(lines=of_uv(source / name, environment_of(python, machine)))
    elif kind.startswith("pylock.") and kind.endswith(".toml"):
        found = Requirements(lines=of_pylock(source / name, environment_of(python, machine)))
    else:
        found = of_file(source, name)
    present, hashed = named(found)
    missing = tuple(line for line in extra if name_of(line) not in present)
    if missing and hashed:
        raise InputError(
            f"{source / name} pins hashes and does not name {', '.join(missing)}, which serves the site: "
            "add it there, with its hashes"
        )
    return Requirements(found.names, found.lines + missing, found.files, found.archives)
