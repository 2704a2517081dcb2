"""Ending a host: as long as this machine takes, and never a host that is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import StagingError
from deploy.staging import container, machine
from tests.unit.fakes.records import record


class Busy:
    """A machine on which each look at what is left takes long; the processes of a host end after so many."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: int, seconds: float) -> None:
        self.looks, self.seconds, self.now = looks, seconds, 0.0
        self.ended: list[int] = []
        monkeypatch.setattr(machine.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(machine.time, "sleep", lambda pause: None)
        monkeypatch.setattr(container, "_around", self.around)
        monkeypatch.setattr(container, "_inside", lambda record: [])
        monkeypatch.setattr(container, "_groups", lambda record: [])
        monkeypatch.setattr(container, "_remove_notes", lambda record: None)
        monkeypatch.setattr(container, "_signal", lambda pid, number: self.ended.append(pid))
        monkeypatch.setattr(container, "SYSTEMD", Path("/nonexistent"))

    def around(self, record: object) -> Iterator[tuple[int, list[bytes]]]:
        self.now += self.seconds
        self.looks -= 1
        if self.looks > 0:
            yield 4711, [b""]


def test_a_busy_machine_that_takes_minutes_to_end_a_host_leaves_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    busy = Busy(monkeypatch, looks=8, seconds=30)
    container.end(record(tmp_path, "web1"))
    assert set(busy.ended) == {4711}


def test_a_host_that_does_not_end_at_all_is_an_error_that_names_what_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Busy(monkeypatch, looks=10**6, seconds=30)
    with pytest.raises(StagingError, match="4711"):
        container.end(record(tmp_path, "web1"))
