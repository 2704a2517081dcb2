"""The reference of the inventory's keys, written from the models themselves. Checks no value."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.inventory.ssh_vars import ALIASES, REFUSED, Connection
from deploy.schema.model import Model, default_of, entries, key_of, keys, nested
from deploy.site.app import App
from deploy.site.stacks import Made, Stack

BEGIN = "<!-- reference: written by python -m deploy.tasks.reference -->"
END = "<!-- end of reference -->"


def reference() -> str:
    """The reference as Markdown: a table for a host, for a site, and for each mapping below a site."""
    parts = ["## Variables of a host", _table(Connection), _aliases(), "## Keys of a site", _table(App)]
    for name, field in keys(App).items():
        if inner := nested(field):
            parts += [f"### `{name}`", _table(inner)]
            parts += [
                part
                for key, one in keys(inner).items()
                if (innermost := nested(one))
                for part in (f"#### `{name}`: `{key}`", _table(innermost))
            ]
        elif each := entries(field):
            parts += [f"### Each of `{name}`", _table(each)]
            parts += [
                part
                for key, one in keys(each).items()
                if (inner := nested(one))
                for part in (f"#### `{name}`: `{key}`", _table(inner))
            ]
    parts += ["## Keys of a stack", _table(Stack)]
    parts += ["### `images` of a stack", _table(Made)]
    return "\n\n".join(parts)


def updated(page: str) -> str:
    """A page with the reference between its two markers brought up to date; ValueError when a marker is missing."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def _table(model: type[Model]) -> str:
    return "\n".join(["| key | expects | default | meaning |", "|---|---|---|---|", *_rows(model)])


def _rows(model: type[Model]) -> Iterator[str]:
    for name, field in keys(model).items():
        key = key_of(field)
        assert key is not None  # keys() names only fields that have one
        default = default_of(field)
        yield f"| `{name}` | {key.expects} | {f'`{default}`' if default else ''} | {key.meaning} |"


def _aliases() -> str:
    """The names that mean the same, and the ones that are refused."""
    same = ", ".join(f"`{alias}` = `{name}`" for alias, name in ALIASES.items())
    refused = "\n".join(f"- `{name}`: {reason}." for name, reason in REFUSED.items())
    return f"The same under another name: {same}.\n\nRefused, because it would be wrong to ignore them:\n\n{refused}"


def main(argv: list[str]) -> None:
    """Bring the pages named on the command line up to date."""
    for name in argv:
        page = Path(name)
        page.write_text(updated(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
