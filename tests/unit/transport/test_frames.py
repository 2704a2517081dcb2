"""What goes over the wire of a session: headers, pieces, replies however they are cut, and the loop on the far side."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.transport import frames
from deploy.transport.session import Reply

NONCE = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


def test_a_header_says_what_comes_and_how_much() -> None:
    digest = hashlib.sha256(b"echo hi").hexdigest()
    assert frames.header("run", "script", b"echo hi", 30) == f"run script 7 {digest} 30\n".encode()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-n", "a b", "a\n", "ä"])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a plain file name"):
        frames.header("file", name, b"")


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_pieces_keep_every_byte_and_are_never_too_large(blocks: list[bytes], size: int) -> None:
    pieces = list(frames.pieces(blocks, size))
    assert b"".join(pieces) == b"".join(blocks)
    assert pieces
    longest = max(map(len, blocks), default=0)
    assert all(size <= len(one) < size + longest for one in pieces[:-1])
    assert len(pieces[-1]) < size + longest


def _answer(stdout: bytes, rc: int, stderr: bytes) -> bytes:
    """What the loop sends."""
    if not stderr:
        return stdout + f"{NONCE} {rc} 0\n".encode()
    return stdout + f"{NONCE} {rc} 1\n".encode() + stderr + f"{NONCE}\n".encode()


@given(
    st.one_of(st.binary(), st.integers(0, 36).map(lambda n: b"x\n" + NONCE[:n].encode())),
    st.integers(0, 255),
    st.binary(max_size=60),
    st.integers(1, 50),
)
def test_a_reply_is_found_however_it_is_cut(stdout: bytes, rc: int, stderr: bytes, size: int) -> None:
    sent = _answer(stdout, rc, stderr)
    incoming = frames.Incoming(NONCE)
    got = b"".join(incoming.feed(sent[at : at + size]) for at in range(0, len(sent), size))
    assert got == stdout
    assert incoming.reply == Reply(rc, b"", stderr)


def test_a_line_is_given_out_as_soon_as_it_is_there() -> None:
    incoming = frames.Incoming(NONCE)
    assert incoming.feed(b"one\n") == b"one\n"
    assert incoming.feed(b"two" + NONCE[:5].encode()) == b"two"
    assert incoming.feed(b"!") == NONCE[:5].encode() + b"!"
    assert incoming.reply is None


@pytest.mark.parametrize(
    "noise", [b"", b"Welcome!\n", b"barehost ready soon\n", b"no line break", b"\xff\0\n"]
)
def test_what_a_login_shell_prints_first_is_skipped(noise: bytes) -> None:
    assert frames.ready(noise) is None
    assert frames.ready(noise + f"\nbarehost ready {NONCE}\nrest".encode()) == (NONCE, b"rest")


def test_a_script_is_squeezed_and_comes_back() -> None:
    script = b"echo hello\n" * 1000
    assert len(frames.squeeze(script)) < 200
    assert frames.unsqueeze(frames.squeeze(script), len(script)) == script


def test_an_answer_that_unpacks_to_more_than_may_come_is_refused() -> None:
    with pytest.raises(OverflowError):
        frames.unsqueeze(frames.squeeze(bytes(1001)), 1000)


@pytest.mark.parametrize(
    "before", [b"", f"answer\n{NONCE} 0 0\n".encode(), f"x{NONCE} 1 1\noops\n{NONCE}\n".encode()]
)
def test_the_last_words_are_what_came_after_the_last_reply(before: bytes) -> None:
    assert frames.last_words(before + b"mkdir: no\nbarehost: bye\n", NONCE) == b"mkdir: no\nbarehost: bye\n"


def test_the_loop_is_one_line_that_any_login_shell_leaves_alone() -> None:
    loop = frames.loop()
    assert "\n" not in loop and "#" not in loop.replace("##", "")
    checked = subprocess.run(["sh", "-n", "-c", loop], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("program", ["echo 'a'", "[ ! -e x ]", 'printf "\\\\n"'])
def test_a_program_that_a_login_shell_would_change_is_refused(program: str) -> None:
    with pytest.raises(ValueError, match="every login shell"):
        frames.one_line(program)
