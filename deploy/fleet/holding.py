"""A rollout holds its hosts: all of them or none, and each hears that it goes on while it waits for others."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from time import monotonic, sleep

from deploy.engine.events import Failure, Note
from deploy.engine.reach import Reach
from deploy.errors import BarehostError, LockedError
from deploy.fleet.members import Member, Members, reach

PULSE = 15.0
"""Seconds between signs of life to a host that waits for others; one that is silent for 60 may lose its lock."""

All = Callable[[Sequence[Member], Callable[[Member], None]], bool]
"""Does something on all of these side by side; False when too many have failed by now."""


class Pulse:
    """Hosts that wait for others hear from us; one that cannot be asked says so when its turn comes."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._over = Event()
        Thread(target=self._go_on, daemon=True).start()

    def stop(self) -> None:
        """No sign of life from here on."""
        self._over.set()

    def _go_on(self) -> None:
        while not self._over.wait(PULSE):
            for member in self._members.left:
                if member.reach is not None:  # each by itself: one that is dead must not silence the others
                    Thread(target=_hear, args=(member, member.reach), daemon=True).start()


def _hear(member: Member, reached: Reach) -> None:
    if member.turn.acquire(blocking=False):
        with suppress(BarehostError):
            reached.alive()
        member.turn.release()


def hold(members: Members, on_all: All, about: str, wait: float) -> bool:
    """All locks or none: on a conflict every lock is given back, so that two runs cannot hold half each.

    about: who holds them, for others to read. wait: seconds to wait for another run. A host that another run holds is
    never left out, whatever may fail: the two would leave the fleet with two releases.
    """
    end = monotonic() + wait
    while held := _try(members, on_all, about):
        members.each(members.left, lambda one: reach(one).unlock())
        if monotonic() >= end:
            break
        name, by = min(held.items())
        members.emit(Note(name, f"waiting for {by}"))
        sleep(min(random.uniform(1, 2), max(0.0, end - monotonic())))  # two that wait must not meet again
    for member in members.left:
        if holder := (held or {}).get(member.host.name):
            member.failure = Failure(
                f"{member.host.name}: {holder}; wait for it with --wait SECONDS",
                LockedError.exit_code,
                stands="Nothing was changed on any host.",
            )
    return held == {}


def _try(members: Members, on_all: All, about: str) -> dict[str, str] | None:
    """Who holds which host: empty when all are ours now; None when too many cannot be asked."""
    held: dict[str, str] = {}

    def attempt(member: Member) -> None:
        if by := reach(member).lock(about):
            held[member.host.name] = by

    return held if on_all(members.left, attempt) else None
