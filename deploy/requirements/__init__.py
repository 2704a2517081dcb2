"""What a project's files ask pip for: requirements files, locks and project files. Reads the source; knows no host."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deploy.errors import InputError
from deploy.requirements.markers import Target
from deploy.requirements.model import Requirements
from deploy.requirements.pdm import of_pdm
from deploy.requirements.pip import name_of, named, of_files
from deploy.requirements.pipenv import of_pipfile, of_pipfile_lock
from deploy.requirements.poetry import of_poetry
from deploy.requirements.project import FILES, Project, build_requires, project_in
from deploy.requirements.pylock import of_pylock
from deploy.requirements.uv import of_uv

__all__ = ["Requirements", "builders", "find", "read"]

LOCKS = {
    "pylock.toml": of_pylock,
    "uv.lock": of_uv,
    "poetry.lock": of_poetry,
    "pdm.lock": of_pdm,
    "Pipfile.lock": of_pipfile_lock,
}

FOUND = (
    "requirements.txt",
    *LOCKS,
    "Pipfile",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements-production.txt",
    "requirements-prod.txt",
    *FILES,
)
"""What ``auto`` looks for: the first that is there."""


def find(source: Path) -> str | None:
    """The file in ``source`` that names its packages, as ``auto`` chooses it; None: there is none.

    Raises InputError where there are several, and which one a server needs is not for us to guess.
    """
    for name in FOUND:
        if (source / name).is_file() and (name not in FILES or project_in(source)):
            return name
    others = sorted(
        one.relative_to(source).as_posix()
        for pattern in ("requirements*.txt", "requirements/*.txt")
        for one in source.glob(pattern)
    )
    if len(others) > 1:
        raise InputError(f"{source} holds {', '.join(others)}: name the one for servers with requirements:")
    return others[0] if others else None


def read(
    source: Path,
    name: str | None,
    extra: Sequence[str] = (),
    *,
    python: str = "3.11",
    machine: str = "x86_64",
) -> Requirements:
    """The requirements of the project in ``source``, from a file of any of the usual kinds.

    name: a file as :func:`find` looks for, or another requirements file; None: only ``extra``.
    extra: lines added unless the project already names that package (``gunicorn``); where it pins hashes they are
    installed after it and change nothing of it.
    python, machine: of the host. Raises InputError for what cannot be built, or not for this Python.
    """
    if name is None:
        return Requirements(lines=tuple(extra))
    project = project_in((source / name).parent)
    if project and project.python:
        _check(project, python, machine)
    found = _of(source, name, Target(python, machine))
    if "." not in found.projects and project and _itself(source, name, project):
        found = replace(found, projects=(".", *found.projects))
    present, hashed = named(found)
    missing = tuple(line for line in extra if name_of(line) not in present)
    if hashed or found.locked or found.direct:
        return replace(found, apart=missing)
    return replace(found, lines=found.lines + missing)


def builders(source: Path, needs: Requirements) -> tuple[str, ...]:
    """What builds the projects of ``needs``, for a host that cannot fetch it when they are installed."""
    return tuple(sorted({line for one in needs.projects for line in build_requires(source / one)}))


def _of(source: Path, name: str, target: Target) -> Requirements:
    kind = posixpath.basename(name)
    if kind in FILES:
        project = project_in((source / name).parent)
        if project is None:
            raise InputError(
                f"{source / name} does not list its dependencies under [project]: name a requirements file"
            )
        included = of_files(
            source, *(posixpath.join(posixpath.dirname(name), one) for one in project.included)
        )
        return replace(included, lines=project.lines() + included.lines)
    if kind == "Pipfile":
        return of_pipfile(source / name)
    if kind.startswith("pylock.") and kind.endswith(".toml"):
        return of_pylock(source / name, target)
    if kind in LOCKS:
        return LOCKS[kind](source / name, target)
    return of_files(source, name)


def _itself(source: Path, name: str, project: Project) -> bool:
    """Whether the project is to be installed though no line says so, as the tool whose file ``name`` is would do it.

    pip installs what a requirements file lists, and uv writes into its lock whether the project is a package. A
    ``src/`` folder is reached in no other way. One that is built by nothing, or has nothing of its own name, is code
    that runs from the release's folder.
    """
    kind = posixpath.basename(name)
    if posixpath.dirname(name) or not project.built or kind in ("uv.lock", "pylock.toml"):
        return False
    src = any(one.is_dir() for one in (source / "src").glob("[!.]*")) if (source / "src").is_dir() else False
    return src or (kind in (*FILES, "poetry.lock", "pdm.lock") and project.is_package)


def _check(project: Project, python: str, machine: str) -> None:
    try:
        fits = Target(python, machine).satisfies(project.python)
    except ValueError as error:
        raise InputError(f"{project.file}: {project.python!r} is no version of Python: {error}") from error
    if not fits:
        raise InputError(
            f"{project.file} is for Python {project.python}, and the site runs on {python}: name another with "
            "python: in the inventory, or choose a host whose distribution has one"
        )
