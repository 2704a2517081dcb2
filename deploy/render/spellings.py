"""How a secret may be spelled in what a program prints: what is masked, here and on a host. Pure."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote as percent

from deploy.shell import quote

SHORT = 4
"""Characters. A shorter secret is masked in data only, and only where it stands as a word of its own: masked
everywhere it would spoil every line and be readable from the gaps."""


def spellings(value: str) -> set[str]:
    """A secret as a program may print it: itself, quoted for shell, JSON or a URL, base64, line by line."""
    found: set[str] = set()
    rows = [row for row in value.split("\n") if len(row.strip()) >= SHORT] if "\n" in value.strip() else []
    for one in {value, value.strip(), *rows, *(row.strip() for row in rows)}:
        found |= {
            one,
            json.dumps(one)[1:-1],
            json.dumps(one, ensure_ascii=False)[1:-1],
            percent(one, safe=""),
        }
        found.add(base64.b64encode(one.encode(errors="surrogateescape")).decode())
        if "\0" not in one:
            found.add(quote(one).removeprefix("'").removesuffix("'"))
    return {one for one in found if one.strip()}
