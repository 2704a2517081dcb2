"""Many hosts: each converged by itself, side by side, on any Executor. Prints nothing.

Threads of this process share what they read: templates, hashes, requirements. Workers elsewhere get one errand
a host, as bytes (deploy/fleet/job.py); those of a Dask cluster are reached by deploy/fleet/dask.py.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from msgspec import structs

from deploy import transport
from deploy.engine.converge import Wishes
from deploy.engine.events import Emit, Failure, Finished, Note, Report
from deploy.errors import ApplyError, BarehostError, HostError, InputError
from deploy.facts import Facts
from deploy.fleet import migrations
from deploy.fleet.job import (
    Ended,
    Errand,
    Parcel,
    Reaching,
    RolesOf,
    carry_out,
    digest,
    failed,
    needed,
    over_ssh,
    pack,
    visit,
)
from deploy.fleet.migrations import Shared, shared
from deploy.inventory.hosts import Host
from deploy.inventory.secrets import within
from deploy.site.release import Delivery
from deploy.transport.connections import Password

Answer = TypeVar("Answer")
Item = TypeVar("Item")

WORKERS = 20
"""Hosts worked on at once by this process; each costs one thread and one connection."""


class Distant(ABC):
    """Workers on other machines.

    name: how a person calls them. private: nobody on the way can read along, so secrets may travel.
    """

    name: str
    private: bool

    @abstractmethod
    def send(self, parcel: Parcel, emit: Emit) -> Future[Ended]:
        """Have a worker :func:`carry_out` the parcel; its events come to ``emit`` while it does.

        The future raises BrokenExecutor when the worker is lost: nobody else begins that host again.
        """


def run(
    hosts: Sequence[Host],
    roles: RolesOf,
    wishes: Wishes,
    emit: Emit,
    *,
    state: Path,
    deliveries: Mapping[str, Delivery] = MappingProxyType({}),
    password: Password | None = None,
    executor: Executor | Distant | None = None,
    reaching: Reaching = over_ssh,
) -> list[Report]:
    """Converge every host; one report each, in the order given. One host's failure leaves the others running.

    A site's migrations are run by one host of those that share them (see :mod:`deploy.fleet.migrations`). Such hosts go
    ahead, one after another; where the migrations fail, the other hosts are left without that site's release.

    state: the project's state folder, where facts are kept between runs. deliveries: what the run brings, by host;
    a host without one keeps the releases that it has. password: asked once for sudo; workers
    elsewhere cannot ask. executor: None means threads of this process, :data:`WORKERS` at most.
    Raises InputError, before any host is contacted, when secrets would travel where others can read them.
    """
    if executor is not None:
        refuse_secrets(hosts, executor)
    fleet = _Fleet(roles, wishes, emit, state, deliveries, password, executor, reaching)
    migrators = migrations.first(hosts, wishes.leave_out)
    if len(hosts) == 1 or not migrators:
        return fleet.side_by_side(hosts)
    reports: dict[str, Report] = {}
    fleet.deliveries = {host.name: migrations.only(host, fleet.delivery(host), migrators) for host in hosts}
    for host in hosts:
        if fleet.delivery(host).migrates:
            (report,) = fleet.side_by_side([host])
            reports[host.name] = report
            fleet.stop(migrations.failed(host, fleet.delivery(host), report), host.name)
    others = fleet.side_by_side([host for host in hosts if host.name not in reports])
    reports |= {report.host: report for report in others}
    return [reports[host.name] for host in hosts]


@dataclass
class _Fleet:
    """What is the same for all hosts of one run."""

    roles: RolesOf
    wishes: Wishes
    emit: Emit
    state: Path
    deliveries: Mapping[str, Delivery]
    password: Password | None
    executor: Executor | Distant | None
    reaching: Reaching
    digests: dict[Path, str] = field(default_factory=dict)
    stopped: dict[Shared, str] = field(default_factory=dict)

    def delivery(self, host: Host) -> Delivery:
        """What the host is brought: no release of a site whose migrations have failed."""
        brought = self.deliveries.get(host.name, Delivery())
        if left_out := self.left_out(host):
            releases = {site: one for site, one in brought.releases.items() if site not in left_out}
            return structs.replace(brought, releases=releases)
        return brought

    def left_out(self, host: Host) -> dict[str, str]:
        """The sites that stay on the host as they are, each with the host on which its migrations failed."""
        found = {app.name: self.stopped.get(shared(host, app)) for app in host.apps} if self.stopped else {}
        return {site: by for site, by in found.items() if by is not None and by != host.name}

    def side_by_side(self, hosts: Sequence[Host]) -> list[Report]:
        """Every host by a worker of its own."""
        if self.executor is None:
            pool = ThreadPoolExecutor(min(WORKERS, len(hosts) or 1))
            try:
                return self._collect(hosts, [self._here(host, pool) for host in hosts])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return self._collect(hosts, [self._begin(host, self.executor) for host in hosts])

    def stop(self, unmigrated: Iterable[Shared], by: str) -> None:
        """The hosts that share these migrations get no release of the site: ``by`` was to run them, and failed."""
        self.stopped |= dict.fromkeys(unmigrated, by)

    def _begin(self, host: Host, executor: Executor | Distant) -> Future[Ended]:
        self.roles(
            host, self.delivery(host)
        )  # what is wrong with a role is said before any host is contacted
        errand = self._errand(host)
        wishes = structs.replace(errand.wishes, saved=_of(host, errand.wishes.saved))
        parcel = pack(structs.replace(errand, wishes=wishes, needs=self._needs(host)))
        if isinstance(executor, Distant):
            return executor.send(parcel, self.emit)
        return executor.submit(carry_out, parcel)

    def _here(self, host: Host, pool: ThreadPoolExecutor) -> Future[Ended]:
        roles = self.roles(host, self.delivery(host))
        return pool.submit(visit, self._errand(host), roles, self.emit, self.password)

    def _errand(self, host: Host) -> Errand:
        left_out = self.left_out(host)
        for site, by in left_out.items():
            self.emit(Note(host.name, f"{site} is left as it is: its migrations did not come about on {by}"))
        wishes = structs.replace(self.wishes, leave_out=self.wishes.leave_out | left_out.keys())
        known = recall(self.state, host.name)
        return Errand(host, self.delivery(host), self.roles, wishes, known, reaching=self.reaching)

    def _needs(self, host: Host) -> tuple[tuple[Path, str], ...]:
        """Each folder is read once a run, however many hosts need it."""
        folders = needed(host, self.delivery(host))
        for folder in folders:
            if folder not in self.digests:
                self.digests[folder] = digest(folder)
        return tuple((folder, self.digests[folder]) for folder in folders)

    def _collect(self, hosts: Sequence[Host], futures: Sequence[Future[Ended]]) -> list[Report]:
        numbers = {future: number for number, future in enumerate(futures)}
        done = {
            numbers[future]: self._finish(hosts[numbers[future]], future) for future in as_completed(futures)
        }
        return [done[number] for number in range(len(hosts))]

    def _finish(self, host: Host, future: Future[Ended]) -> Report:
        ended = future.result() if self.executor is None else _answer(host.name, future)
        for event in ended.events:
            self.emit(event)
        if ended.facts is not None:
            remember(self.state, host.name, ended.facts)
        self.emit(Finished(host.name, ended.report))
        return ended.report


def _of(host: Host, saved: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The saved plans without those of other hosts, so that what travels does not grow with the fleet."""
    return None if saved is None else {name: plan for name, plan in saved.items() if name == host.name}


def refuse_secrets(hosts: Sequence[Host], executor: Executor | Distant) -> None:
    """Raises InputError where a host has secrets and somebody could read them on their way to a worker."""
    from concurrent.futures import ProcessPoolExecutor  # brings multiprocessing, which few runs need

    if isinstance(executor, ThreadPoolExecutor | ProcessPoolExecutor):
        return  # memory and pipes of this machine
    if isinstance(executor, Distant) and executor.private:
        return
    name = executor.name if isinstance(executor, Distant) else type(executor).__name__
    for host in hosts:
        if what := _secret_of(host):
            raise InputError(
                f"{host.name}: {what}, and the way to the workers of {name} is not encrypted, so nothing was begun; "
                f"use a tls:// scheduler, or run this host from here (without --executor)"
            )


def _secret_of(host: Host) -> str | None:
    """What of a host must not be read by others, as a clause; None when it has nothing of the kind."""
    if host.sudo_password is not None:
        return "it has a sudo password"
    if host.alerts is not None:
        return "its alerts are secret"
    for app in host.apps:
        if app.secrets:
            return f"its site {app.name} has secrets ({', '.join(app.secrets)})"
        if app.confidential:
            return f"its site {app.name} has passwords or a key"
    if any(within(host.vars)):
        return "it has variables that are encrypted with Ansible Vault"
    return None


def _answer(host: str, future: Future[Ended]) -> Ended:
    """What a worker elsewhere gave back; a worker that is gone, or could not even begin, is the host's failure."""
    try:
        return future.result()
    except (BrokenExecutor, CancelledError) as error:
        return failed(
            host,
            Failure(
                f"{host}: the worker that converged it was lost before it was done ({error or 'cancelled'})",
                HostError.exit_code,
                stands="What had begun on the host goes on there to its end; nothing else was begun.",
                advice="Run the same command again: it follows what still runs there and does what is left.",
            ),
        )
    except Exception as error:  # whatever a foreign machine raises: another version, a module it lacks
        return failed(
            host,
            Failure(
                f"{host}: the worker could not converge it: {type(error).__name__}: {error}",
                ApplyError.exit_code,
                advice="Workers need the same version of Barehost and the same project as this machine.",
            ),
        )


def ask(
    hosts: Sequence[Host],
    question: Callable[[transport.Session], Answer],
    *,
    password: Password | None = None,
) -> list[Answer | BarehostError]:
    """Put one question to every host side by side; the answers in the order of the hosts, or what went wrong."""

    def asked(host: Host) -> Answer | BarehostError:
        try:
            with transport.connect(host, password=password) as session:
                return question(session)
        except BarehostError as error:
            return error

    return in_threads(asked, hosts)


def in_threads(work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
    """``work`` for every item, :data:`WORKERS` at once; the results in their order. After ^C it waits for none."""
    pool = ThreadPoolExecutor(max_workers=min(WORKERS, len(items) or 1))
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def recall(state: Path, host: str) -> Facts | None:
    """The facts of the last run, or None where there are none that this version understands."""
    try:
        return Facts.from_json(_cache(state, host).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember(state: Path, host: str, facts: Facts) -> None:
    """Keep the facts for the next run's first look; replaced as a whole."""
    file = _cache(state, host)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(facts.as_json(), encoding="utf-8")
    new.replace(file)


def _cache(state: Path, host: str) -> Path:
    return state / "facts" / f"{host}.json"
