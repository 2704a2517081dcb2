"""What a site's command prints is written with stars for its secrets, however it is printed and cut."""

from __future__ import annotations

import base64
import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.render.spellings import spellings
from deploy.shell import HOST

SECRET = "hunter2-pässword"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"


def start(folder: Path, *secrets: str) -> subprocess.Popen[bytes]:
    file = folder / "secrets"
    file.write_bytes(b"".join(one.encode() + b"\0" for secret in secrets for one in spellings(secret)))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(HOST / "mask.py"), str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def masked(folder: Path, printed: bytes, *secrets: str) -> bytes:
    with start(folder, *(secrets or (SECRET, KEY))) as one:
        return one.communicate(printed, timeout=60)[0]


@pytest.mark.parametrize(
    "printed",
    [
        SECRET.encode(),
        f"key={SECRET}\nmore\n".encode(),
        base64.b64encode(SECRET.encode()),
        b"hunter2-p%C3%A4ssword",
        b'{"key": "hunter2-p\\u00e4ssword"}',
        KEY.encode(),
        KEY.replace("\n", "\\n").encode(),
        b"hunter2\n-p\xc3\xa4ss\r\nword\n",
        b"hunter2-\x1b[31mp\xc3\xa4ss\x1b[0mword\n",
        b"h\nunter2-p\xc3\xa4sswor\nd\n",
    ],
)
def test_no_spelling_is_left(tmp_path: Path, printed: bytes) -> None:
    shown = masked(tmp_path, b"before\n" + printed + b"\nafter\n")
    assert shown.startswith(b"before\n")
    assert shown.endswith(b"\nafter\n")
    assert b"***" in shown
    for part in (b"unter2", b"ssw", b"MIIE", b"kqhk", base64.b64encode(SECRET.encode())[:12]):
        assert part not in shown, shown
    assert shown.count(b"\n") == printed.count(b"\n") + 3, "lines stay lines"


def test_what_is_no_secret_is_left_as_it_is(tmp_path: Path) -> None:
    plain = bytes(range(256)) * 1000 + b"hunter\nhunter2\r\x1b[1mx\n" + b"no line break"
    assert masked(tmp_path, plain) == plain
    assert masked(tmp_path, b"") == b""


def test_a_short_secret_is_masked_as_a_word_alone(tmp_path: Path) -> None:
    assert masked(tmp_path, b"pin=12 at 1234, 12:\n", "12") == b"pin=*** at 1234, ***:\n"


def test_lines_are_written_as_they_come(tmp_path: Path) -> None:
    with start(tmp_path, SECRET) as one:
        assert one.stdin and one.stdout
        for line in (b"first\n", b"hunter2-\n", b"p\xc3\xa4ssword\n"):
            one.stdin.write(line)
            one.stdin.flush()
            if line == b"first\n":
                assert one.stdout.readline() == line
            time.sleep(0.05)  # so that they come one by one; nothing depends on it
        assert one.communicate(timeout=60)[0] == b"***\n\n"


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), max_size=8))
def test_it_does_not_matter_how_output_is_cut(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    printed = f"x {SECRET} y\nhunter2\n{SECRET}{SECRET}\nend of hunter".encode()
    with start(tmp_path_factory.mktemp("mask"), SECRET) as one:
        assert one.stdin and one.stdout
        for begin, end in itertools.pairwise([0, *itertools.accumulate(cuts), len(printed)]):
            one.stdin.write(printed[begin:end])
            one.stdin.flush()
        shown = one.communicate(timeout=60)[0]
    assert shown.replace(b"******", b"***") == b"x *** y\nhunter2\n***\nend of hunter"
