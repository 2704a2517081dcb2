"""How a value is written in systemd's files, so that it stays that value. Pure; knows no unit in particular."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_/.:,@+=-]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_REFUSED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
_IN_DOUBLE_QUOTES = str.maketrans({char: f"\\{char}" for char in '"\\`$'})


def word(value: str, *, command: bool = False) -> str:
    """One word of a setting in a unit file: quoted where needed, ``%`` doubled, since it begins a specifier.

    command: the word stands in an ``Exec…=`` line, where ``$`` would begin a variable and is doubled too.
    Raises ValueError for what no unit file can hold: control characters other than tab and newline.
    """
    _refuse_control(value)
    text = value.replace("%", "%%")
    if command:
        text = text.replace("$", "$$")
    if _PLAIN.fullmatch(value):
        return text
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'


def command_word(value: str) -> str:
    """One word of an ``Exec…=`` line."""
    return word(value, command=True)


def literal(argument: str) -> str:
    """An argument for systemd-run, which would put variables in place of ``$NAME`` and ``${NAME}`` itself."""
    return argument.replace("$", "$$")


def environment_file(values: Mapping[str, str]) -> str:
    """The text of an ``EnvironmentFile=`` that gives a process exactly these variables, sorted by name.

    In double quotes systemd unescapes ``"``, backslash, backtick and ``$`` and keeps everything else, line
    breaks too. Raises ValueError for a name that is none, and for control characters other than tab and
    newline: systemd drops such a variable and only says so in its log.
    """
    lines = []
    for name, value in sorted(values.items()):
        if not _NAME.fullmatch(name):
            raise ValueError(f"not the name of an environment variable: {name!r}")
        _refuse_control(value)
        lines.append(f'{name}="{value.translate(_IN_DOUBLE_QUOTES)}"\n')
    return "".join(lines)


def holds(name: str, value: str) -> bool:
    """Whether a file of systemd's can hold this variable: an ASCII name, a value without control characters."""
    return _NAME.fullmatch(name) is not None and not _REFUSED.search(value)


def _refuse_control(value: str) -> None:
    if found := _REFUSED.search(value):
        raise ValueError(f"systemd's files cannot hold the character {found[0]!r}")
