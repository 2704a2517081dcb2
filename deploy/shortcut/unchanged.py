"""The short way of a run that has nothing to do: the same inputs, the same question, the same answer.

Evaluating roles and comparing states is a pure function of what this machine reads (deploy/files/reads.py) and of
what a host answers. After a run that left nothing to do, both are kept by their digests, with what was to say. Where a
later run reads the same and a host, asked the same, answers the same, it is as it should be: no role is evaluated, and
nothing that evaluating takes is imported. The host is looked at as ever. Anything else goes the long way, with the
connections that are open and the answers that are there.

Not taken for hosts with a sudo password in the inventory, which is never kept.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct

from deploy import shell
from deploy.engine.answers import Question
from deploy.errors import BarehostError
from deploy.files import reads
from deploy.shortcut.prelogin import AT_ONCE, Openings
from deploy.transport.endpoint import Endpoint

if TYPE_CHECKING:
    from deploy.engine.events import Report
    from deploy.engine.plan import Plan
    from deploy.engine.remote import Remote
    from deploy.inventory.hosts import Host
    from deploy.shell import Secret
    from deploy.shortcut.fork import Apart

Password = Callable[[str], "Secret"]

FORM = 1
"""Of the file; another one is not read."""


class Known(Struct, frozen=True):
    """What the last run left: its inputs, sealed; the hosts it settled, in its order; what it said of some of them.

    said: by host, the sites that the inventory does not name, and remarks.
    """

    inputs: dict[str, Any]
    hosts: tuple[tuple[Endpoint, Question], ...]
    said: dict[str, tuple[list[str], list[str]]]


@dataclass
class Way:
    """A run's way to its hosts, the short one first. A context: connections that were not used end with it.

    state: the project's state folder. chosen: the words that chose the hosts; another choice is another memory.
    apart: the process that is to speak SSH; None: this one.
    """

    state: Path
    chosen: Sequence[object]
    password: Password | None
    apart: Apart | None = None
    known: Known | None = None
    remotes: dict[str, Remote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._mark = secrets.token_hex(8)
        self._notes = reads.note(*(self.state / name for name in ("facts", "settled", "begun", "sources")))
        self._asking: Future[bool] = Future()
        self._begun = False
        self._openings = Openings(self.password, self._asking, self.apart)
        with reads.aside():
            self.known = _read(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._openings.close()

    @property
    def _file(self) -> Path:
        words = json.dumps([str(Path.cwd()), [str(one) for one in self.chosen]])
        return self.state / "settled" / f"{sha256(words.encode()).hexdigest()[:16]}.json"

    def short(self) -> list[Report] | None:
        """The reports of a run that has nothing to do; None: go the long way, all of it."""
        if self.known is None or not reads.hold(self.known.inputs):
            return None
        self._begun = True
        self._openings.begin(dict(self.known.hosts), self._mark)
        if not self._ask():
            return None
        try:
            return [report for host, question in self.known.hosts if (report := self._same(host, question))]
        except (BarehostError, _Differs):
            return None  # the long way says what is wrong

    def _same(self, host: Endpoint, question: Question) -> Report:
        from deploy.engine.events import Report

        opened = self._openings.peek(host)
        if not opened.same(question):
            raise _Differs
        session = opened.session
        return Report(
            host.name,
            "unchanged",
            plan=self._said(host.name),
            passes=1,
            seconds=monotonic() - opened.began,
            round_trips=session.round_trips,
            sent=session.sent,
            received=session.received,
        )

    def _said(self, host: str) -> Plan | None:
        """The empty plan with what is to be said again; None: nothing is."""
        assert self.known is not None
        if host not in self.known.said:
            return None
        from deploy.engine.plan import Plan

        orphans, remarks = self.known.said[host]
        return Plan(host, orphans=tuple(orphans), remarks=tuple(remarks))

    def guess(self) -> None:
        """Have the hosts that the same words chose last logged in to while the inventory is read; asked nothing."""
        if not self._begun:
            self._openings.guess(dict(self.known.hosts[:AT_ONCE]) if self.known else {}, self._mark)

    def begin(self, hosts: Sequence[Host]) -> None:
        """Have them connected to while the rest of the run is got ready; asked what they were asked last."""
        asked = dict(self.known.hosts) if self.known else {}
        if self.apart is None:
            import deploy.transport.channel  # noqa: F401 (before what the run imports next, which can wait for hosts)

        places = [_place(host) for host in hosts[:AT_ONCE] if host.address is not None]
        self._openings.begin({place: asked.get(place) for place in places}, self._mark)
        self._ask()

    def _ask(self) -> bool:
        """Have the hosts asked what they were asked last, unless folders changed: they would tell in vain in what."""
        if not self._asking.done():
            self._asking.set_result(self.known is not None and reads.trees_hold(self.known.inputs))
        return self._asking.result()

    @contextmanager
    def reach(self, host: Host, password: Password | None) -> Iterator[Remote]:
        """The host over its connection, begun or new; see :data:`deploy.fleet.job.Reaching`."""
        remote = self.connect(host)
        try:
            yield remote
        finally:
            remote.close()

    def connect(self, host: Host) -> Remote:
        """The same, for the caller to close. A second time is another connection."""
        from deploy.engine.remote import Remote

        opened = self._openings.take(_place(host))
        remote = Remote(self._openings.connect(host)) if opened is None else Remote(opened.session, opened)
        self.remotes[host.name] = remote
        return remote

    def remember(self, hosts: Sequence[Host], reports: Sequence[Report]) -> None:
        """Keep what this run saw, where every host is settled; else the next run goes the long way again."""
        places = [_place(host) for host in hosts]
        looks = [self.remotes[host.name].looked if host.name in self.remotes else None for host in hosts]
        settled = all(report.settled for report in reports) and all(looks)
        if (
            not settled
            or any(place.sudo_password for place in places)
            or not (sealed := self._notes.sealed())
        ):
            return
        scripts = list(dict.fromkeys(look.script for look in looks if look))
        kept = {
            "form": FORM,
            "key": shell.key(),
            "inputs": sealed,
            "scripts": scripts,
            "hosts": [
                [_plain(place), scripts.index(look.script), look.digest]
                for place, look in zip(places, looks, strict=True)
                if look
            ],
            "said": {
                report.host: [plan.orphans, plan.remarks]
                for report in reports
                if report.outcome == "unchanged"
                and (plan := report.plan) is not None
                and (plan.orphans or plan.remarks)
            },
        }
        with suppress(OSError):  # a full disk costs the next run its short way
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            new.touch(mode=0o600)
            new.write_text(json.dumps(kept))
            new.replace(self._file)


class _Differs(Exception):
    """A host answered otherwise."""


def _place(host: Endpoint) -> Endpoint:
    """How the host is reached, and nothing else of it."""
    return Endpoint(**{one.name: getattr(host, one.name) for one in fields(Endpoint)})


def _read(file: Path) -> Known | None:
    """What was kept; None where nothing was, or by another version. Keyed digests go on with its key."""
    try:
        kept = json.loads(file.read_text())
        if kept["form"] != FORM:
            return None
        scripts = kept["scripts"]
        hosts = tuple(
            (_endpoint(place), Question(scripts[number], digest)) for place, number, digest in kept["hosts"]
        )
        shell.go_on_with(kept["key"])
        return Known(kept["inputs"], hosts, kept["said"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _plain(place: Endpoint) -> dict[str, Any]:
    return {name: str(one) if isinstance(one, Path) else one for name, one in asdict(place).items()}


def _endpoint(plain: dict[str, Any]) -> Endpoint:
    paths = {name: Path(plain[name]) for name in ("key", "known_hosts", "project") if plain[name] is not None}
    jump = None if plain["jump"] is None else tuple(plain["jump"])
    return Endpoint(**(plain | paths | {"jump": jump}))
