"""staging.down: what was taken down is said, and a name that is none is an error with what comes near."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import staging
from deploy.errors import StagingError
from tests.unit.fakes.face import Face


def test_a_host_that_is_not_there_is_not_said_to_be_gone(
    hosts: Path, invoke: Face, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(staging, "down", lambda name: name == "web1")
    code, out, err = invoke("staging.down", "web1", "nosuch")
    assert code == StagingError.exit_code
    assert out == "web1: gone\n"
    assert "nosuch" in err
