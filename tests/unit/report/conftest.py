"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy import report
from deploy.report import live
from deploy.report.mask import Mask
from tests.unit.fakes.shown import Terminal


@pytest.fixture(autouse=True)
def fresh_mask(monkeypatch: pytest.MonkeyPatch) -> Mask:
    """Every test starts without secrets, and without what the environment says about terminals."""
    mask = Mask()
    monkeypatch.setattr(report, "_MASK", mask)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return mask


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    import rich.live  # noqa: F401  # so that its import does not eat into the pauses of a test

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(live, "APPEARS_AFTER", 0.02)
    monkeypatch.setattr(live, "_TICK", 0.02)
    yield Terminal()
