"""Samples of runs that nobody measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.cases import CASE
from bench.contenders import Said
from bench.hosts import Traffic
from bench.series import Sample
from bench.tables import Results, write

MACHINE = {"date": "2026-01-02 03:04 UTC", "commit": "abc1234", "machine": "2 <processors> & more"}


def runs(case: str, peer: str, *wall: float, memory: float = 50, busy: float = 0) -> list[Sample]:
    """A watched run of 9 s, then these."""
    traffic = Traffic(CASE[case].count, 20_000, 6_600, 3 * CASE[case].count)
    said = Said(CASE[case].count, 18_600 * CASE[case].count) if peer == "barehost" else None
    watched = Sample(case, peer, 9, 8, memory, traffic, watched=True, said=said)
    return [watched, *(Sample(case, peer, seconds, seconds / 2, busy=busy) for seconds in wall)]


def text_of(samples: Sequence[Sample], folder: Path, cases: tuple[str, ...] = ()) -> str:
    return write(Results(MACHINE, samples, cases), folder)
