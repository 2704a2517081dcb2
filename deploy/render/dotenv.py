"""The text of a ``.env`` file that Compose reads as exactly these values. Pure.

Compose 1 (Debian 11 and 12) reads it by python-dotenv, Compose 2 by a reader of its own; they differ in ``$``. Both
were asked on real hosts what a container sees.
"""

from __future__ import annotations

from collections.abc import Mapping

MARK = "# Written by Barehost: the next run replaces what is edited here."


def dotenv(values: Mapping[str, str], compose: int) -> str:
    """One line a value, in order. compose: the major version of whoever reads it."""
    lines = (f"{name}={_quoted(value, compose)}" for name, value in values.items())
    return "\n".join((MARK, *lines, ""))


def _quoted(value: str, compose: int) -> str:
    if compose == 1:  # it replaces ${NAME} also within quotes, so each ${ comes of a variable that nobody has
        value = value.replace("${", "${BAREHOST_NOTHING:-$}{")
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    for special in '\\"' if compose == 1 else '\\"$':
        value = value.replace(special, f"\\{special}")
    return f'"{value}"'
