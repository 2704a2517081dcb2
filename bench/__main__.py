"""Measure Barehost beside Ansible, pyinfra and a hand-written script: `python -m bench`, or `invoke bench`.

Boots staging hosts of its own, gives every peer the same job, in alternation, and writes bench/results/. Takes down
what it booted, also after ^C. bench/README.md says what is compared and how.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from bench import peers
from bench.cases import CASE
from bench.contenders import PEER, Place
from bench.job import Job
from bench.series import Plan, Series
from bench.tables import Results, machine, write

CHECKOUT = Path(__file__).resolve().parents[1]
QUICK = Plan(
    cases=("first", "noop", "template", "release", "tree"),
    peers=("barehost", "script", "ansible"),
    rounds=3,
    budget=20,
    limit=120,
    fewest=0,
)
FULL = Plan(cases=tuple(CASE), peers=tuple(PEER), limit=240)


def main() -> int:
    """Parse, measure, write after every case, so that a run that is ended keeps those it has; the exit code."""
    plan, out = _parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    work = CHECKOUT / ".barehost" / "bench"
    os.environ["BAREHOST_STATE"] = str(work / "state")
    short = Path(tempfile.mkdtemp(prefix="bench."))
    try:
        barehost, (venv, collections) = peers.install_barehost(work), peers.install_peers(work)
        place = Place(Job(work), work / "state", barehost, venv, collections, short)
        place.job.write()
        results = Results(machine(place), [], plan.cases)
        with Series(place, plan) as series:
            for samples in series.measure():
                results = replace(results, samples=tuple(samples))
                write(results, out)
    finally:
        shutil.rmtree(short, ignore_errors=True)
    print(write(results, out))
    return 1 if results.failed else 0


def _parse() -> tuple[Plan, Path]:
    parser = argparse.ArgumentParser(
        prog="invoke bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a short run: fewer cases, peers and rounds")
    parser.add_argument("--case", help=f"with commas between them; default: all: {', '.join(CASE)}")
    parser.add_argument("--peer", help=f"with commas between them; default: all: {', '.join(PEER)}")
    parser.add_argument(
        "--rounds", type=int, help="runs of each peer in each case, at most; default: by case"
    )
    parser.add_argument(
        "--budget",
        type=float,
        help="seconds after which a peer gets no further round in a case; default: by case",
    )
    parser.add_argument(
        "--limit", type=float, help="seconds after which one run is ended and counts as slower"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    base = QUICK if chosen.quick else FULL
    if chosen.rounds is not None and not 1 <= chosen.rounds <= 50:
        parser.error("between 1 and 50 rounds")
    return replace(
        base,
        cases=_named(parser, chosen.case, CASE) or base.cases,
        peers=_named(parser, chosen.peer, PEER) or base.peers,
        rounds=chosen.rounds or base.rounds,
        budget=chosen.budget or base.budget,
        limit=chosen.limit or base.limit,
    ), chosen.out


def _named(parser: argparse.ArgumentParser, text: str | None, known: Collection[str]) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else ()
    for name in names:
        if name not in known:
            parser.error(f"there is no {name!r}; choose from {', '.join(known)}")
    return names


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
