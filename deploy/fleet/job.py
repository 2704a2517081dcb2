"""Converging one host as a picklable value and a picklable answer, wherever it is done. Prints nothing.

Here, in a thread: :func:`visit`. Elsewhere, in another process or on another machine: :func:`pack` here,
:func:`carry_out` there. No content of a file and no secret comes back: plans travel as names and states.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from deploy import transport
from deploy.engine.converge import Wishes, converge
from deploy.engine.events import Connecting, Emit, Event, Failure, Planned, Report, Result, Sending
from deploy.engine.plan import Plan
from deploy.engine.reach import Reach
from deploy.engine.remote import Remote
from deploy.errors import BarehostError, InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Change, Resource, State, Unprobed
from deploy.resources.tree import Tree
from deploy.roles import Role
from deploy.shell import secrets_travel
from deploy.site.release import Delivery
from deploy.transport import Session
from deploy.transport.connections import Connections, Password

RolesOf = Callable[[Host, Delivery], Sequence[Role]]
"""Finds a host's roles by their names, and hands them what the run brings."""

Reaching = Callable[[Host, Password | None], AbstractContextManager[Reach]]
"""Opens a way to a host, and closes it."""

PROGRESS_SECONDS = 0.2
"""How often a worker elsewhere tells how far a long upload is."""


@contextmanager
def over_ssh(host: Host, password: Password | None) -> Iterator[Reach]:
    """The host over a connection of its own, closed at the end."""
    yield from _kept(transport.connect(host, password=password), host, password)


def through(connections: Connections) -> Reaching:
    """The hosts over sessions that come from there."""

    @contextmanager
    def reaching(host: Host, _: Password | None) -> Iterator[Reach]:
        yield from _kept(connections.connect(host), host, connections.password)

    return reaching


def _kept(session: Session, host: Host, password: Password | None) -> Iterator[Reach]:
    """The host over this session, or over the one that took its place, which is closed at the end."""
    remote = Remote(session, lambda: transport.connect(host, password=password))
    try:
        yield remote
    finally:
        remote.close()


class Errand(Struct, frozen=True):
    """All that converging one host takes, as a picklable value: a worker elsewhere knows nothing else.

    roles: finds the roles of the host where the errand is run; a function of a module, as that is how it travels.
    known: facts of the last run. needs: folders of this machine that must lie there too, with their digests.
    reaching: how the host is reached; the tests' own hosts are reached in other ways than by SSH.
    """

    host: Host
    delivery: Delivery
    roles: RolesOf
    wishes: Wishes
    known: Facts | None = None
    needs: tuple[tuple[Path, str], ...] = ()
    reaching: Reaching = over_ssh


class Ended(Struct, frozen=True):
    """How an errand ended. facts: None when nothing was learned. events: those that were not told on the way."""

    report: Report
    facts: Facts | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Parcel:
    """A pickled errand on its way; shows nothing of it, for a worker's log may print what it was given.

    version: of Barehost where it was packed; only the same can unpack it.
    """

    host: str
    version: str
    data: bytes = field(repr=False)


def visit(errand: Errand, roles: Sequence[Role], emit: Emit, password: Password | None = None) -> Ended:
    """Connect to one host and converge it; every failure that a user can understand is in the report."""
    host = errand.host
    began = monotonic()
    emit(Connecting(host.name))
    try:
        with errand.reaching(host, password) as reach:
            report, facts = converge(host, roles, reach, errand.wishes, emit, errand.known)
            urls = tuple(app.url for app in host.apps if app.state == "present")
            report = replace(report, seconds=monotonic() - began, urls=urls)
            return Ended(report, facts if facts != errand.known else None)
    except BarehostError as error:
        return failed(host.name, Failure(str(error), error.exit_code), monotonic() - began)


def failed(host: str, failure: Failure, seconds: float = 0.0) -> Ended:
    """An errand that could not be done."""
    return Ended(Report(host, Result.FAILED, seconds=seconds, failures=(failure,)))


def pack(errand: Errand) -> Parcel:
    """The errand as bytes, its secrets included: :func:`refuse_secrets` has said that they may travel."""
    with secrets_travel():
        return Parcel(errand.host.name, _version(), pickle.dumps(errand))


def carry_out(parcel: Parcel, send: Emit | None = None) -> Ended:
    """Run in a worker elsewhere: unpack the errand, converge its host, give back what a report needs.

    send: tells events on the way; None: they come back at the end, without the progress of uploads. No content of
    a file and no secret goes back: plans travel as names and states.
    """
    try:
        errand = _unpacked(parcel)
        roles = errand.roles(errand.host, errand.delivery)
    except BarehostError as error:
        stands = "The host was not contacted."
        return failed(parcel.host, Failure(str(error), error.exit_code, stands=stands))
    telling = _Telling(send)
    ended = visit(errand, roles, telling)
    return replace(ended, report=_plain_report(ended.report), events=tuple(telling.kept))


def _version() -> str:
    from importlib.metadata import version  # 12 ms, where nothing travels

    return version("barehost")


def _unpacked(parcel: Parcel) -> Errand:
    """The errand; InputError when this worker is not fit for it."""
    here = f"{parcel.host}: the worker on {os.uname().nodename}"
    if _version() != parcel.version:
        raise InputError(f"{here} has Barehost {_version()} and not {parcel.version}; install the same there")
    errand: Errand = pickle.loads(parcel.data)
    if problem := lacking(errand.needs):
        raise InputError(f"{here} {problem}")
    return errand


@dataclass
class _Telling:
    """Where a worker's events go; uploads are told a few times a second."""

    send: Emit | None
    kept: list[Event] = field(default_factory=list)
    told: float = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Sending):
            if self.send is None or (event.done < event.total and monotonic() - self.told < PROGRESS_SECONDS):
                return
            self.told = monotonic()
        if isinstance(event, Planned):
            event = replace(event, plan=plain(event.plan))
        (self.send or self.kept.append)(event)


# -- what a worker must have -------------------------------------------------------------------------------


def needed(host: Host, delivery: Delivery) -> list[Path]:
    """The folders of this machine that converging the host reads."""
    own = [folder for name in ("roles", "templates") if (folder := host.project / name).is_dir()]
    sources = [release.folder for release in delivery.releases.values() if release.folder is not None]
    wheels = [app.wheels_folder for app in host.apps if app.wheels_folder is not None]
    return list(dict.fromkeys([*own, *sources, *wheels]))


def digest(folder: Path) -> str:
    """SHA-256 over names, modes and content of what lies below a folder; caches and version control left out."""
    return Tree("/needed", folder).manifest


def lacking(wanted: Sequence[tuple[Path, str]]) -> str | None:
    """What this machine lacks of an errand's needs, to follow the worker's name; None: nothing."""
    for folder, expected in wanted:
        if not folder.is_dir():
            return (
                f"has no folder {folder}, which converging the host reads; workers need the project and its sources "
                "at the same paths as here (a shared file system, or the same checkout)"
            )
        if digest(folder) != expected:
            return f"has another content of {folder} than this machine; bring both to the same state"
    return None


# -- plans that travel -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told(Unprobed):
    """A resource of a plan that came from a worker: its id alone, without content, source or secrets."""

    family: ClassVar[str] = "told"
    name: str = ""

    @property
    def id(self) -> str:
        return self.name


def plain(plan: Plan) -> Plan:
    """The plan as a report shows it. The classes of its resources, of a user's roles too, need not be known."""
    return replace(plan, changes=tuple(map(_plain_change, plan.changes)))


def _plain_change(change: Change[Resource]) -> Change[Resource]:
    shown = {*change.keys, "type"}

    def of(state: State | None) -> State | None:
        return None if state is None else {key: value for key, value in state.items() if key in shown}

    return Change(Told(change.resource.id), of(change.actual), of(change.expected))


def _plain_report(report: Report) -> Report:
    return replace(report, plan=None if report.plan is None else plain(report.plan))
