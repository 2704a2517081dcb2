"""A release of a site as a value: which code, from where. Reads nothing, contacts no host."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Release(Struct, frozen=True):
    """One version of a site's code, the same on every host.

    id: sortable by time, such as ``20261123-141502-3fa9c1e``; ``-dirty`` at its end: with uncommitted changes.
    folder: where the code lies on this machine; None: only where hosts have it already, with ``venv``.
    commit: None outside git. by: who ships it, from where.
    ship: bring it even where another release serves; otherwise it is only for hosts that have none.
    renew: id of a run that asks for a new activation although nothing differs; empty: none does.
    """

    id: str
    folder: Path | None
    commit: str | None = None
    ship: bool = False
    by: str = ""
    venv: str = ""
    renew: str = ""
