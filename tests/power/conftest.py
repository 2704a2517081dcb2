"""A project state of this run's own, for the one virtual machine that the power cuts need."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def orderly() -> None:
    """A run that is ended ends in order too: the machine goes off, and its disks go."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended"))


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of this run."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAREHOST_STATE", str(folder))
        yield folder
