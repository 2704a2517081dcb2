"""How the backups of sites stand: when the last good one was made, and what is wrong. Asks hosts, changes nothing."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.errors import BarehostError, LookError
from deploy.fleet.run import ask
from deploy.inventory.hosts import Host
from deploy.release.backups import perform
from deploy.transport import Session
from deploy.transport.connections import Password

SECONDS = 60


@dataclass(frozen=True)
class Kept:
    """The backups of one site on one host.

    id, at, size (bytes): of the newest good one; drill: when one was last restored on trial, and it went well; each
    None: there is none. wrong: what somebody has to do something about; None: nothing.
    """

    host: str
    site: str
    id: str | None
    at: datetime | None
    size: int | None
    drill: datetime | None
    wrong: str | None


@dataclass(frozen=True)
class Backups:
    """standings: in the order of hosts and sites. failures: of hosts that did not say."""

    standings: tuple[Kept, ...]
    failures: tuple[BarehostError, ...]

    @property
    def alarms(self) -> tuple[str, ...]:
        """What somebody has to do something about, a sentence each."""
        return tuple(f"{one.host}: {one.site}: {one.wrong}" for one in self.standings if one.wrong)

    def table(self, *, json: bool) -> tuple[list[str], list[list[object]]]:
        """Headers and rows; for programs with ISO times and plain bytes."""
        headers = ["host", "site", "backup", "made", "size", "drill", "wrong"]
        rows: list[list[object]] = []
        for one in self.standings:
            times = [
                when and (when.isoformat() if json else f"{when:%Y-%m-%d %H:%M}")
                for when in (one.at, one.drill)
            ]
            size = one.size if json or one.size is None else f"{one.size / 1e6:.1f} MB"
            rows.append([one.host, one.site, one.id, times[0], size, times[1], one.wrong])
        return headers if json else [
            "host",
            "site",
            "backup",
            "made (UTC)",
            "size",
            "drill (UTC)",
            "wrong",
        ], rows


def backups_of(hosts: Sequence[Host], *, password: Password | None = None) -> Backups:
    """Ask every host that has sites with backups, side by side; what cannot be reached is `status_of`'s to say."""
    names = {
        host.name: [app.name for app in host.apps if app.state == "present" and app.backup is not None]
        for host in hosts
        if host.address
    }
    asked = [host for host in hosts if names.get(host.name)]

    def question(session: Session) -> list[Kept]:
        name = session.host.name
        return [
            parse(name, site, session.run(perform(site, "state"), timeout=SECONDS).stdout)
            for site in names[name]
        ]

    answers = ask(asked, question, password=password)
    standings = [one for answer in answers if not isinstance(answer, BarehostError) for one in answer]
    looks = [answer for answer in answers if isinstance(answer, LookError)]
    return Backups(tuple(standings), tuple(looks))


def parse(host: str, site: str, output: bytes) -> Kept:
    """What the program on the host said of one site; one that was never set up there has nothing."""
    if not output.strip():
        return Kept(host, site, None, None, None, None, "not set up yet: invoke provision")
    try:
        told: dict[str, Any] = jsonlib.loads(output)
    except ValueError as error:
        raise LookError(f"{host}: the state of {site}'s backups cannot be read: {error}") from error
    good, drill = told["good"] or {}, told["drill"] or {}
    return Kept(
        host,
        site,
        good.get("id"),
        _time(good.get("at")),
        good.get("size"),
        _time(drill.get("at")) if drill.get("ok") else None,
        told["wrong"],
    )


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
