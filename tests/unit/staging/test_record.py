"""The record of a host: its name, and what is machine-wide by checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.errors import StagingError
from deploy.staging.record import read, valid_name
from tests.unit.fakes.records import record


@pytest.mark.parametrize("name", ["", "Web", "1web", "web_1", "../x", "a" * 41, "web.1", "-a", "web\n"])
def test_names_that_are_no_host_names_are_refused(name: str) -> None:
    with pytest.raises(StagingError, match="cannot be the name"):
        valid_name(name)


def test_what_is_machine_wide_differs_between_checkouts(tmp_path: Path) -> None:
    one, two = record(tmp_path / "a", "web1"), record(tmp_path / "b", "web1")
    assert one.unique != two.unique
    assert one.link != two.link
    assert one.root != two.root
    assert len(record(tmp_path, "a" * 40).link) <= 15


def test_a_record_of_another_version_can_be_read(tmp_path: Path) -> None:
    ours = record(tmp_path / "state", "web1")
    values = {**ours.__dict__, "unheard-of": True}
    (path := tmp_path / "host.json").write_text(json.dumps(values, default=str))
    assert read(path) == ours
