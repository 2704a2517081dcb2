"""Secrets as the inventory names them: text, a variable, a file. Each is read when it is needed, and shown nowhere."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.errors import InputError
from deploy.schema.marked import Map, Mark, Written, path_from, shown
from deploy.schema.text import SECRET, Unreadable, text_of
from deploy.shell import Secret

FORMS = "text, {env: NAME}, {file: path} or {command: PROGRAM}"

COMMAND_SECONDS = 120
"""How long a program that prints a secret may take: it may ask a person for a passphrase."""


def secret(value: Any, mark: Mark, project: Path) -> Secret:
    """A secret in any of its forms. Raises InputError for another form, never saying what it found.

    A variable that is not set, or a file that cannot be read, is an InputError when the secret is revealed.
    """
    if isinstance(value, Secret):
        return value
    if isinstance(value, Written):
        raise mark.error(
            "this is a number in YAML, which drops how it is written; quote it if you mean the text"
        )
    if isinstance(value, str | int) and not isinstance(value, bool):
        return Secret(str(value))
    if isinstance(value, Map) and len(value) == 1:
        ((kind, name),) = value.items()
        if kind == "command" and isinstance(name, str):
            return Secret.later(lambda ask: _printed(name, mark, project, ask=ask), f"{mark}: command {name}")
        if kind in _READERS and isinstance(name, str):
            return Secret.later(lambda ask: _READERS[kind](name, mark, project), f"{mark}: {kind} {name}")
    raise mark.error(f"expected a secret as {FORMS}")


def _variable(name: str, mark: Mark, project: Path) -> str:
    if name not in os.environ:
        raise mark.error(f"the environment variable {name} is not set")
    return os.environ[name]


def _file(name: str, mark: Mark, project: Path) -> str:
    path = path_from(project, name)
    try:
        return text_of(path, SECRET).rstrip("\r\n")
    except Unreadable as error:
        raise mark.error(f"the file {shown(path)} cannot be read: {error}") from None


def _printed(command: str, mark: Mark, project: Path, *, ask: bool) -> str:
    """What a program prints, run without a shell in the project's folder; never for what is only to be hidden."""
    if not ask:
        raise mark.error(f"the command {command!r} was not run yet")
    try:
        return _output(command, project)
    except ValueError as error:
        raise mark.error(f"the command {command!r} gave no secret: {error}") from None


@functools.cache
def _output(command: str, project: Path) -> str:
    """Once a run, however many hosts need it. ValueError where the program fails, with its last words on stderr."""
    try:
        done = subprocess.run(
            shlex.split(command), cwd=project, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it took more than {COMMAND_SECONDS} s") from None
    except OSError as error:
        raise ValueError(error.strerror) from None
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ValueError(f"exit code {done.returncode}{': ' + last if last else ''}")
    try:
        return done.stdout.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("it printed something that is no UTF-8 text") from None


_READERS: dict[Any, Callable[[str, Mark, Path], str]] = {"env": _variable, "file": _file}


def within(value: Any) -> Iterator[Secret]:
    """Every secret anywhere in a value; a variable that cannot be resolved holds none."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for name in value:
            with suppress(InputError):
                yield from within(value[name])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from within(one)
