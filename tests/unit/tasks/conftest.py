"""What the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.fakes.face import INVENTORY, ROLE, Face


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Face:
    return Face(monkeypatch, capsys)


@pytest.fixture
def hosts(project: Path) -> Path:
    (project / "tasks.py").write_text("from deploy.tasks import namespace\n")
    (project / "inventory").mkdir()
    (project / "inventory" / "hosts.yml").write_text(INVENTORY)
    (project / "roles").mkdir()
    (project / "roles" / "tiny.py").write_text(ROLE)
    return project
