"""How a value is written in Nginx's and Python's files, so that it stays that value. Pure."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z0-9_/.:@+*-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def nginx(value: str) -> str:
    """One parameter of an Nginx directive, in double quotes where needed.

    Raises ValueError for what cannot be kept from meaning something else: Nginx has no way to write a ``$``
    that begins no variable, and no control character belongs into its files.
    """
    if "$" in value:
        raise ValueError(f"an Nginx parameter cannot hold a '$': {value!r}")
    return value if _PLAIN.fullmatch(value) else _quoted(value)


def nginx_regex(pattern: str) -> str:
    """A regular expression as the parameter of ``location ~`` or, behind ``~``, of a map; always quoted."""
    return _quoted(pattern)


def python(value: object) -> str:
    """A Python literal that evaluates to the value; only str, int, bool and None, whose repr is one."""
    if value is not None and not isinstance(value, str | int):
        raise ValueError(f"not a value with a literal: {type(value).__name__}")
    return repr(value)


def _quoted(value: str) -> str:
    if found := _CONTROL.search(value):
        raise ValueError(f"an Nginx parameter cannot hold the character {found[0]!r}: {value!r}")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
