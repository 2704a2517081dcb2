"""Staging where it cannot be: one sentence that says what to do instead."""

from __future__ import annotations

import pytest

from deploy import staging
from deploy.errors import StagingError


def test_a_machine_that_is_not_linux_is_told_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(StagingError, match=r"need Linux, this is darwin.*inventory/hosts\.yml"):
        staging.up("web1")
