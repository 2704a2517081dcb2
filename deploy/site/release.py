"""Releases of sites as values, and what a run brings to a host of them. Reads nothing, contacts no host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field


class Release(Struct, frozen=True):
    """One version of a site's code, the same on every host.

    id: sortable by time, such as ``20261123-141502-3fa9c1e``; ``-dirty`` at its end: with uncommitted changes.
    folder: where the code lies on this machine; None: only where hosts have it already, with ``venv``.
    commit: None outside git. by: who ships it, from where.
    version: of a project that would ask git for it, such as ``1.2.dev3+g3fa9c1e``; empty: it asks for none.
    within: the folder on this machine that links in the code may lead to, such as the work tree of a monorepo.
    left_out: patterns of what is not shipped.
    image: the file or folder of the container image that it runs from; None: it is made on its hosts.
    ship: bring it even where another release serves; otherwise it is only for hosts that have none.
    renew: id of a run that asks for a new activation although nothing differs; empty: none does.
    procfile: of a release that lies on hosts already, the text of its Procfile; empty: it has none.
    """

    id: str
    folder: Path | None
    commit: str | None = None
    ship: bool = False
    by: str = ""
    venv: str = ""
    renew: str = ""
    procfile: str = ""
    version: str = ""
    image: Path | None = None
    within: Path | None = None
    left_out: tuple[str, ...] = ()


class Delivery(Struct, frozen=True):
    """What one run brings to a host, beside what the inventory says of it.

    releases: by site, the one it gets where it has none, or the one it is to have; other sites stay as they are.
    purge: sites with ``state: absent`` lose their shared data too.
    services: whether it brings services (databases, caches); otherwise they are looked at and left as they are.
    migrates: sites whose migrations, once a release, run on this host; None: those of all its sites.
    """

    releases: Mapping[str, Release] = field(default_factory=dict)
    purge: bool = False
    migrates: frozenset[str] | None = None
    services: bool = True

    def migrating(self, site: str) -> bool:
        """Whether the site's migrations run on this host."""
        return self.migrates is None or site in self.migrates
