"""Many hosts: each converged by itself, side by side, on any Executor. Prints nothing; knows no nginx."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TypeVar

from deploy import transport
from deploy.converge import Role, Wishes, converge
from deploy.errors import BarehostError
from deploy.events import Connecting, Emit, Failure, Finished, Report
from deploy.facts import Facts
from deploy.inventory import Host
from deploy.remote import Remote
from deploy.shell import Secret

Answer = TypeVar("Answer")

WORKERS = 20
"""Hosts worked on at once; each costs one thread and one connection."""


def run(
    hosts: Sequence[Host],
    roles: Callable[[Host], Sequence[Role]],
    wishes: Wishes,
    emit: Emit,
    *,
    state: Path,
    password: Callable[[str], Secret] | None = None,
    executor: Executor | None = None,
) -> list[Report]:
    """Converge every host; one report each, in the order given. One host's failure leaves the others running.

    Where a site has migrations, the first host goes ahead alone and runs them, once for the whole fleet; when it
    fails, the others are not begun.

    state: the project's state folder, where facts are kept between runs. password: asked once for sudo.
    executor: None means threads of this process, :data:`WORKERS` at most.
    """
    first, *others = hosts
    if others and any(app.migrate for host in hosts for app in host.apps):
        ahead = run_host(first, roles(first), wishes, emit, state, password)
        if ahead.failure is not None:
            return [ahead, *(Report(host.name, "skipped") for host in others)]
        after = [replace(host, migrates=False) for host in others]
        return [ahead, *side_by_side(after, roles, wishes, emit, state, password, executor)]
    return side_by_side(hosts, roles, wishes, emit, state, password, executor)


def side_by_side(
    hosts: Sequence[Host],
    roles: Callable[[Host], Sequence[Role]],
    wishes: Wishes,
    emit: Emit,
    state: Path,
    password: Callable[[str], Secret] | None,
    executor: Executor | None,
) -> list[Report]:
    """Every host in a worker of its own."""
    own = None if executor else ThreadPoolExecutor(max_workers=min(WORKERS, len(hosts) or 1))
    pool = executor or own
    assert pool is not None
    try:
        waiting = {
            pool.submit(run_host, host, roles(host), wishes, emit, state, password): number
            for number, host in enumerate(hosts)
        }
        done = {waiting[future]: future.result() for future in as_completed(waiting)}
    finally:
        if own is not None:
            own.shutdown(wait=False, cancel_futures=True)
    return [done[number] for number in range(len(hosts))]


def run_host(
    host: Host,
    roles: Sequence[Role],
    wishes: Wishes,
    emit: Emit,
    state: Path,
    password: Callable[[str], Secret] | None = None,
) -> Report:
    """Connect to one host and converge it; every failure that a user can understand is in the report."""

    began = monotonic()
    emit(Connecting(host.name))
    try:
        with transport.connect(host, password=password) as session:
            known = recall(state, host.name)
            report, facts = converge(host, roles, Remote(session), wishes, emit, known)
            if facts != known:
                remember(state, host.name, facts)
            report = replace(report, seconds=monotonic() - began)
    except BarehostError as error:
        failure = Failure(str(error), error.exit_code)
        report = Report(host.name, "failed", seconds=monotonic() - began, failure=failure)
    emit(Finished(host.name, report))
    return report


def ask(
    hosts: Sequence[Host],
    question: Callable[[transport.Session], Answer],
    *,
    password: Callable[[str], Secret] | None = None,
) -> list[Answer | BarehostError]:
    """Put one question to every host side by side; the answers in the order of the hosts, or what went wrong."""

    def asked(host: Host) -> Answer | BarehostError:
        try:
            with transport.connect(host, password=password) as session:
                return question(session)
        except BarehostError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(WORKERS, len(hosts) or 1)) as pool:
        return list(pool.map(asked, hosts))


def recall(state: Path, host: str) -> Facts | None:
    """The facts of the last run, or None where there are none that this version understands."""
    try:
        return Facts.from_json(_cache(state, host).read_text())
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember(state: Path, host: str, facts: Facts) -> None:
    """Keep the facts for the next run's first look; replaced as a whole."""
    file = _cache(state, host)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(facts.as_json())
    new.replace(file)


def _cache(state: Path, host: str) -> Path:
    return state / "facts" / f"{host}.json"
