"""The hosts of a rollout, how far each is, and what is done on many of them side by side. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from deploy.engine.events import Emit, Failure, Finished, Report, Result
from deploy.engine.reach import Reach
from deploy.errors import BarehostError
from deploy.facts import Facts
from deploy.fleet.run import WORKERS
from deploy.inventory.hosts import Host
from deploy.site.release import Delivery


@dataclass
class Member:
    """One host in a rollout, and how far it is.

    failure: why it is left out altogether. lost: why some of its sites are. tried, proven, reverted: the sites that
    were to be switched, are, and went back.
    """

    host: Host
    delivery: Delivery
    reach: Reach | None = None
    before: Facts = field(default_factory=Facts)
    facts: Facts = field(default_factory=Facts)
    changed: tuple[str, ...] = ()
    failure: Failure | None = None
    lost: dict[str, Failure] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)
    proven: set[str] = field(default_factory=set)
    reverted: set[str] = field(default_factory=set)
    last: Report | None = None
    began: float = field(default_factory=monotonic)
    turn: Lock = field(default_factory=Lock)

    @property
    def report(self) -> Report:
        """How it ended for this host."""
        reach = self.reach
        return Report(
            self.host.name,
            self._outcome,
            changed=self.changed,
            plan=self.last.plan if self.last else None,
            seconds=monotonic() - self.began,
            passes=self.last.passes if self.last else 0,
            round_trips=reach.round_trips if reach else 0,
            sent=reach.sent if reach else 0,
            received=reach.received if reach else 0,
            failures=(*([self.failure] if self.failure else []), *self.lost.values()),
        )

    @property
    def _outcome(self) -> Result:
        if self.failure is not None or self.lost:
            return Result.FAILED
        if self.reverted and not self.proven:
            return Result.REVERTED
        if self.last is None:
            return Result.SKIPPED
        if not self.proven:
            return Result.STAGED
        return Result.CHANGED if self.changed else Result.UNCHANGED


class Members(list[Member]):
    """All hosts of one rollout, in the order given."""

    def __init__(self, members: Sequence[Member], emit: Emit) -> None:
        super().__init__(members)
        self.emit = emit
        self._pool = ThreadPoolExecutor(max_workers=min(WORKERS, len(self) or 1))

    def close(self) -> None:
        """Every session ends, and with it the lock it holds."""
        for member in self:
            if member.reach is not None:
                member.reach.close()
            self.emit(Finished(member.host.name, member.report))
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def left(self) -> list[Member]:
        """The hosts that have not failed, in the order given."""
        return [member for member in self if member.failure is None]

    def each(self, members: Sequence[Member], act: Callable[[Member], None]) -> None:
        """Do it on these side by side; what goes wrong on one is its failure."""

        def guarded(member: Member) -> None:
            try:
                with member.turn:
                    act(member)
            except BarehostError as error:
                member.failure = member.failure or Failure(str(error), error.exit_code)

        list(self._pool.map(guarded, members))


def reach(member: Member) -> Reach:
    """The host, which is connected from the first step on."""
    assert member.reach is not None
    return member.reach
