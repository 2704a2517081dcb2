"""One measured series: hosts made and frozen, then every case, its peers in turn, round by round."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Self

from bench import cases, hosts
from bench.cases import CASE, SERVED_SECONDS, Case
from bench.contenders import MAKER, PEER, Act, Peer, Place, Run, Said, Target, said
from bench.hosts import Traffic

MEASURE = Path(__file__).with_name("measure.py")
GLANCE, CALM, PATIENCE = 0.5, 0.15, 15.0
"""A run begins when the processors were idle but for this share for this many seconds, or after so many seconds."""
AFTERMATH = 6.5
"""Seconds until hosts have done what a release of Barehost leaves for later (systemd reads its units): no other peer's
run shall pay for it."""
SURE, PAUSE = 0.5, 0.005
"""Seconds for which nothing old may have been answered before a change is in force, and between two questions."""
MAKING = 600.0
"""Seconds for what is not measured: a host made to begin with, files that are to be there already."""


@dataclass(frozen=True)
class Plan:
    """What is measured. rounds, budget: for every case, instead of its own. limit: seconds after which a run is
    ended. fewest: rounds beside the watched one that a peer gets although its time is spent."""

    cases: tuple[str, ...]
    peers: tuple[str, ...]
    limit: float
    rounds: int | None = None
    budget: float | None = None
    fewest: int = 2


@dataclass(frozen=True)
class Sample:
    """One run. wall, cpu: seconds. memory: MiB, None where it was not watched. late: ended at the limit.

    watched: its memory was sampled and the traffic counted; such a run warms caches, and its times count only
    where there is no other. said: what the run says itself that it took. busy: what others took of the processors
    just before it, from 0 to 1. effective: seconds from the start of the run until the last answer by what was
    before, at least ``wall``; None where it was not asked.
    """

    case: str
    peer: str
    wall: float
    cpu: float
    memory: float | None = None
    traffic: Traffic | None = None
    late: bool = False
    watched: bool = False
    said: Said | None = None
    busy: float = 0.0
    effective: float | None = None
    failure: str = ""


@dataclass
class Series:
    """The hosts of one series; gone when it is left, whatever ended it."""

    place: Place
    plan: Plan
    samples: list[Sample] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    """By the kind of hosts: why there are none to begin with, empty where there are."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __enter__(self) -> Self:
        hosts.clear()
        return self

    def __exit__(self, *exc: object) -> None:
        print("taking the hosts down", file=sys.stderr, flush=True)
        hosts.clear()
        cases.tidy(self.place.job)

    def measure(self) -> Iterator[list[Sample]]:
        """Every case of the plan, and after each all samples so far; first the bare hosts, for what they become is
        what the others begin with."""
        for case in (CASE[name] for name in CASE if name in self.plan.cases):
            if case.name == "first":
                self._first(case)
            else:
                self._case(case)
            yield self.samples

    def _peers(self, case: Case) -> list[Peer]:
        return [PEER[name] for name in case.peers if name in self.plan.peers]

    def _first(self, case: Case) -> None:
        peers = self._peers(case)
        targets = {peer.name: hosts.up([f"b-{peer.name}"]) for peer in peers}
        self._rounds(case, peers, targets)
        for peer in peers:
            if MAKER[peer.leaves] == peer.name and not self._failed(case, peer):
                hosts.freeze(targets[peer.name][0], f"made-{peer.leaves}")
                self.made[peer.leaves] = ""
            else:
                hosts.down(targets[peer.name])

    def _case(self, case: Case) -> None:
        peers = []
        for peer in self._peers(case):
            if failure := self._image(peer.leaves):
                self.samples.append(Sample(case.name, peer.name, 0, 0, failure=failure))
            else:
                peers.append(peer)
        shared: dict[str, list[Target]] = {}
        for leaves in dict.fromkeys(peer.leaves for peer in peers):
            users = [peer.name for peer in peers if peer.leaves == leaves]
            # one host each where there is one; a fleet is the same for all who can go on with it
            names = users if case.count == 1 else [leaves]
            for name in names:
                booted = hosts.up([f"b-{name}-{n}" for n in range(case.count)], f"made-{leaves}")
                shared |= dict.fromkeys([name] if case.count == 1 else users, booted)
        try:
            self._rounds(case, peers, shared)
        finally:
            hosts.down([one for booted in shared.values() for one in booted])

    def _image(self, leaves: str) -> str:
        """Make hosts of that kind to begin with, unless a case has; why there are none, if so."""
        if leaves not in self.made:
            maker = PEER[MAKER[leaves]]
            print(f"{time.strftime('%H:%M:%S')} {maker.name} makes its host", file=sys.stderr, flush=True)
            (target,) = hosts.up([f"b-{maker.name}"])
            sample = self._run(CASE["first"], maker, [target], watched=True, limit=MAKING)
            failure = sample.failure or ("over the limit" if sample.late else "")
            if failure:
                hosts.down([target])
                failure = f"no host to begin with: {failure}"
            else:
                hosts.freeze(target, f"made-{leaves}")
            self.made[leaves] = failure
        return self.made[leaves]

    def _rounds(self, case: Case, peers: Sequence[Peer], targets: dict[str, list[Target]]) -> None:
        """Peers in turn, the order turned by one each round, until each has had enough; the first is watched."""
        for number in range((self.plan.rounds or case.rounds) + 1):
            turn = number % len(peers) if peers else 0
            for peer in (*peers[turn:], *peers[:turn]):
                if number and self._enough(case, peer, number - 1):
                    continue
                if number and case.before:
                    for one in targets[peer.name]:
                        case.before(one)
                elif not number:
                    self._settle(case, peer, targets[peer.name])
                sample = self._run(case, peer, targets[peer.name], watched=not number, limit=self.plan.limit)
                self.samples.append(sample)
                _tell(sample, number)

    def _enough(self, case: Case, peer: Peer, counted: int) -> bool:
        """Whether a peer has failed, or spent its time and had the fewest rounds."""
        if peer.name in case.once or self._failed(case, peer):
            return True
        spent = sum(one.wall for one in self.samples if (one.case, one.peer) == (case.name, peer.name))
        return counted >= self.plan.fewest and spent > (self.plan.budget or case.budget)

    def _settle(self, case: Case, peer: Peer, targets: list[Target]) -> None:
        """Before the first round: what is to be unchanged must be there, and Barehost must have met the host."""
        if case.name == "first":
            return
        if case.before:
            for one in targets:
                case.before(one)
        act = case.act(self.place.job, 0)
        if case.before is None and (act.what == "sync" or peer.name == "barehost"):
            settled = act if act.what == "sync" else Act("provision")
            self._measure(self._command(peer, targets, settled), watched=False, limit=MAKING)

    def _command(self, peer: Peer, targets: Sequence[Target], act: Act) -> Run:
        return peer.command(self.place, targets, act)

    def _failed(self, case: Case, peer: Peer) -> bool:
        return any(
            one.failure or one.late for one in self.samples if (one.case, one.peer) == (case.name, peer.name)
        )

    def _run(
        self, case: Case, peer: Peer, targets: Sequence[Target], *, watched: bool, limit: float
    ) -> Sample:
        number = next(self.numbers)
        act = case.act(self.place.job, number)
        run = self._command(peer, targets, act)
        before = hosts.traffic(targets) if watched else Traffic()
        busy = _quiet()
        told, output = self._measure(run, watched=watched, limit=limit)
        effective = told["wall"] + _after(case, targets, number, told["ended"]) if case.effect else None
        if peer.name == "barehost" and act.what in ("first", "release"):
            time.sleep(AFTERMATH)
        sample = Sample(
            case.name,
            peer.name,
            told["wall"],
            told["cpu"],
            told["memory"],
            hosts.traffic(targets) - before if watched else None,
            bool(told["late"]),
            watched,
            said(output),
            busy,
            effective,
        )
        if sample.late:
            return sample
        return replace(sample, failure=_judge(case, run, int(told["code"]), output, targets, number))

    def _measure(self, run: Run, *, watched: bool, limit: float) -> tuple[dict[str, float], str]:
        """What bench/measure.py says of one command, and what the command printed."""
        with tempfile.TemporaryDirectory(prefix="bench.") as folder:
            result, printed = Path(folder, "result"), Path(folder, "printed")
            argv = [
                sys.executable,
                "-SE",
                str(MEASURE),
                str(result),
                str(limit),
                "1" if watched else "0",
                "--",
            ]
            with printed.open("wb") as out:
                process = subprocess.Popen(
                    [*argv, *run.argv], cwd=run.cwd, env=_clean() | dict(run.env), stdout=out, stderr=out
                )
                try:
                    process.wait(limit + 60)
                except BaseException:
                    process.terminate()
                    process.wait(30)
                    raise
            if not result.exists():
                raise RuntimeError(f"{run.argv[0]}: {printed.read_text(errors='replace')[-1000:]}")
            told: dict[str, float] = json.loads(result.read_text())
            return told, printed.read_text(errors="replace")


def _after(case: Case, targets: Sequence[Target], number: int, ended: float) -> float:
    """Seconds after the end of a command until the last answer by what was before it; 0 when there was none."""
    last, new = ended, None
    while (now := time.monotonic()) < ended + SERVED_SECONDS:
        if not all(_in_force(case, host, number) for host in targets):
            last, new = now, None
        elif new is None:
            new = now  # sure is counted from an answer: a busy machine may have asked nobody for a while
        elif now >= new + SURE:
            break
        time.sleep(PAUSE)
    return last - ended


def _in_force(case: Case, host: Target, number: int) -> bool:
    with suppress(OSError):
        return case.effect is not None and case.effect(host, number)
    return False


def _quiet() -> float:
    """Wait until the machine does nothing else, for a while; how busy it still was at the end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        busy = _busy()
        if busy <= CALM or time.monotonic() > deadline:
            return busy


def _busy() -> float:
    """The share of the processors' time that was used, in :data:`GLANCE` seconds."""

    def used() -> tuple[int, int]:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        return sum(ticks) - idle, sum(ticks)

    before = used()
    time.sleep(GLANCE)
    after = used()
    return round((after[0] - before[0]) / max(after[1] - before[1], 1), 2)


def _clean() -> dict[str, str]:
    """This process's environment without what would speak to a peer."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "BAREHOST_", "PYINFRA_", "PYTHON"))
    } | {"NO_COLOR": "1"}


def _judge(case: Case, run: Run, code: int, output: str, targets: Sequence[Target], number: int) -> str:
    """Why a run does not count; empty when it did the job."""
    if code:
        return f"exit code {code}: …{output[-1500:]}"
    if case.quiet and not re.search(run.quiet, output, re.DOTALL):
        return f"it says that it changed something: …{output[-1500:]}"
    try:
        if case.proof:
            case.proof(targets, number)
    except (AssertionError, OSError) as error:
        return f"{error}: …{output[-1500:]}"
    return ""


def _tell(sample: Sample, number: int) -> None:
    end = f"failed: {sample.failure}" if sample.failure else "over the limit" if sample.late else ""
    stamp = time.strftime("%H:%M:%S")
    print(
        f"{stamp} {sample.case:12} {sample.peer:16} {number} {sample.wall:7.2f} s  cpu {sample.cpu:6.2f} s  {end}",
        file=sys.stderr,
        flush=True,
    )
