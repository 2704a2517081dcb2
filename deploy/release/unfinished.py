"""Rollbacks that did not reach their end, kept on this machine: the same command again goes to the same release.

Without that, a host which has gone back already would be taken for one that is to go one further. Contacts no host.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, structs

from deploy.release.listing import Held, usable
from deploy.release.source import write


class Rollback(Struct, frozen=True):
    """Where a host was to go back to, and from which release.

    command: the sites and hosts that the command was about, see :func:`command_of`. done: this host is there, and
    another one, or another site, is not.
    """

    id: str
    before: str
    command: str
    done: bool = False


def command_of(sites: Collection[str], hosts: Collection[str]) -> str:
    """What tells one command from another: the sites and hosts that it is about."""
    return json.dumps([sorted(sites), sorted(hosts)])


class Rollbacks:
    """The unfinished rollbacks of one site of a project, by host. state: the project's state folder."""

    def __init__(self, state: Path, project: Path, site: str) -> None:
        place = hashlib.sha256(bytes(project)).hexdigest()[:12]
        self._file = state / "begun" / f"{site}-{place}.rollback.json"
        self._known: dict[str, Rollback] = {}
        with suppress(OSError, ValueError, TypeError, AttributeError):  # none, or of another version
            saved = json.loads(self._file.read_text(encoding="utf-8"))
            self._known = {host: Rollback(**values) for host, values in saved.items()}

    def target(self, held: Mapping[str, Sequence[Held]], command: str) -> str | None:
        """The release that the hosts were to go back to; None where none of them has a rollback to finish.

        held: what each holds. A host that serves another release by now than it did then has moved on, and what
        was begun is void.
        """
        wanted = set()
        for host, releases in held.items():
            known = self._known.get(host)
            if known is None or (known.done and known.command != command):
                continue
            serving = next((one.id for one in releases if one.current), None)
            if serving not in (known.id, known.before):
                return None
            wanted.add(known.id)
        if len(wanted) != 1:
            return None
        (id,) = wanted
        return id if all(id in usable(releases) for releases in held.values()) else None

    def begin(self, id: str, held: Mapping[str, Sequence[Held]], command: str) -> None:
        """These hosts are about to go back to ``id``."""
        for host, releases in held.items():
            known = self._known.get(host)
            before = next((one.id for one in releases if one.current), "")
            if known is not None and known.id == id and before == id:
                before = known.before
            self._known[host] = Rollback(id, before, command)
        self._keep()

    def end(self, hosts: Collection[str], *, whole: bool) -> None:
        """These hosts are there. whole: so is everything that the command was about."""
        for host in hosts:
            if whole:
                self._known.pop(host, None)
            elif host in self._known:
                self._known[host] = structs.replace(self._known[host], done=True)
        self._keep()

    def _keep(self) -> None:
        if self._known:
            write(self._file, json.dumps({host: structs.asdict(one) for host, one in self._known.items()}))
        else:
            self._file.unlink(missing_ok=True)
