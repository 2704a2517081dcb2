"""The variables of an ``env_file:``, as docker and most frameworks read one: NAME=value lines. Reads no file itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_SINGLE = re.compile(r"'([^']*)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_ESCAPES = {"n": "\n", "t": "\t"}


def variables(text: str) -> Mapping[str, str]:
    """The variables by name. Raises ValueError, a sentence that begins with the line's number and shows no value.

    Quotes go; within double ones ``\\n``, ``\\t`` and a backslash before any other character are understood. Without
    quotes `` #`` begins a remark. A name that stands twice has its last value.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number}: expected NAME=value")
        name, value = match.groups()
        if value[:1] in ("'", '"'):
            quoted = (_SINGLE if value[0] == "'" else _DOUBLE).fullmatch(value)
            if quoted is None:
                raise ValueError(
                    f"line {number}: the quote that begins the value of {name} does not end there"
                )
            value = quoted[1]
            if line.partition("=")[2].lstrip().startswith('"'):
                value = re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), value)
        else:
            value = re.split(r"\s#", value, maxsplit=1)[0].rstrip()
        found[name] = value
    return found
