"""What staging asks of this machine: tools, rights, a state folder, files written whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.errors import StagingError
from deploy.staging import machine


def test_missing_tools_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setitem(machine.TOOLS, "no-such-tool", "no-such-package")
    with pytest.raises(StagingError, match=r"apt-get install .*no-such-package"):
        machine.require()


def test_a_user_without_rights_is_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StagingError, match="need root"):
        machine.require()


def test_the_state_folder_belongs_to_the_nearest_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BAREHOST_STATE", raising=False)
    (tmp_path / "tasks.py").touch()
    (tmp_path / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/er")
    assert machine.state_folder() == tmp_path.resolve() / ".barehost/staging"
    monkeypatch.setenv("BAREHOST_STATE", str(tmp_path / "chosen"))
    assert machine.state_folder() == tmp_path / "chosen/staging"


def test_a_failed_command_is_told_with_its_last_words() -> None:
    with pytest.raises(StagingError, match=r"\(3\): first / last"):
        machine.run(["sh", "-c", "echo first >&2; echo last >&2; exit 3"])
    with pytest.raises(StagingError, match="took longer than 0 s"):
        machine.run(["sleep", "5"], timeout=0.1)


def test_replace_writes_whole_files_and_follows_no_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("untouched")
    link.symlink_to(target)
    machine.replace(link, "new", 0o600)
    assert (link.read_text(), link.is_symlink(), link.stat().st_mode & 0o777) == ("new", False, 0o600)
    assert target.read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]
