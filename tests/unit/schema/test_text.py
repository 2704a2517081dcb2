"""Files that users name: read when they are what they should be, never waited for, never without an end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from deploy.schema.text import Unreadable, text_of


def test_a_regular_file_is_read_also_through_a_link(tmp_path: Path):
    (tmp_path / "real").write_text("häl\n")
    (tmp_path / "link").symlink_to("real")
    assert text_of(tmp_path / "link") == "häl\n"


@pytest.mark.parametrize(
    "kind", ["pipe", "socket", "device", "folder", "missing", "circle", "binary", "large"]
)
def test_what_is_no_file_of_text_is_said_at_once(tmp_path: Path, kind: str):
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to("x")
    elif kind == "binary":
        path.write_bytes(b"\xff")
    elif kind == "large":
        path.write_text("x" * 11)
    with pytest.raises(Unreadable) as caught:
        text_of(path, most=10)
    assert str(path) not in str(caught.value)


def test_a_name_that_no_file_can_have(tmp_path: Path):
    with pytest.raises(Unreadable):
        text_of(tmp_path / "a\0b")
