"""Files that go to a host: what is none is said at once, and a pipe is not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.files.archive import digest_of
from deploy.requirements import read
from deploy.requirements.project import toml
from deploy.resources.venv import _wheels


def test_a_file_has_a_hash_also_through_a_link(tmp_path: Path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")


@pytest.mark.parametrize("kind", ["pipe", "dangling link", "device", "folder"])
def test_what_is_no_file_among_wheels_and_requirements_is_one_sentence(tmp_path: Path, kind: str):
    for name in ("wheels/a.whl", "requirements.txt", "pyproject.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
    with pytest.raises(InputError, match=r"wheels/a\.whl"):
        _wheels(tmp_path / "wheels")
    with pytest.raises(InputError, match=r"requirements\.txt"):
        read(tmp_path, "requirements.txt")
    with pytest.raises(InputError, match=r"pyproject\.toml"):
        toml(tmp_path / "pyproject.toml")
