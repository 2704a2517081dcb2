"""What counts as the answer of a healthy release: asked of a real socket that says exactly these bytes."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.release.activation import ASK

HEAD = b"HTTP/1.1 200 OK\r\nX-Release: r1\r\nx-activation: 7\r\n"

HEALTHY = {
    "with its length": HEAD + b"Content-Length: 3\r\n\r\nok\n",
    "with its length, on a connection that stays open": HEAD + b"Content-Length: 3\r\n\r\nok\nmore",
    "until the connection closes": HEAD + b"\r\nok\n",
    "in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n1\r\n\n\r\n0\r\n\r\n",
    "behind an early hint": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + HEAD + b"\r\nok",
    "empty": HEAD + b"Content-Length: 0\r\n\r\n",
}

SICK = {
    b"": "no answer: the connection was closed",
    b"+PONG\r\n": "no answer: what came is not HTTP",
    HEAD + b"Content-Length: 30\r\n\r\nok": "no answer: it ends in the middle",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nok": "no answer: it ends in the middle",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n": "no answer: it ends in the middle",
    HEAD.replace(b"200 OK", b"500 Oh") + b"\r\n": "/healthz answered 500, expected 200",
    HEAD.replace(b"r1", b"r0") + b"\r\n": "release r0, activation 7 answered, expected r1, 7",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nok\r\n": "no answer: it ends in the middle",
    HEAD
    + b"X: y\r\n"
    + b"".join(b"X%d: y\r\n" % n for n in range(1200)): "no answer: it has too many headers",
    b"HTTP/1.0 200 OK\r\n\r\n": "release None, activation None answered, expected r1, 7",
}


def asked(path: Path, answer: bytes, scheme: str = "https") -> tuple[int, str, bytes]:
    """How ask.py ends, what it says, and what it asked."""
    got = []

    def serve() -> None:
        stream, _ = server.accept()
        with stream:
            got.append(stream.recv(65536))
            stream.sendall(answer)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        words = [str(path), scheme, "example.com", "/healthz", "200", "r1", "7"]
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-", *words], input=ASK, capture_output=True, text=True, check=False
        )
        thread.join()
    return done.returncode, done.stderr.strip(), got[0]


@pytest.mark.parametrize("how", HEALTHY)
def test_a_whole_answer_of_the_release_is_healthy(how: str, tmp_path: Path) -> None:
    code, said, question = asked(tmp_path / "s", HEALTHY[how])
    assert (code, said) == (0, "")
    assert question.startswith(b"GET /healthz HTTP/1.1\r\nHost: example.com\r\n")
    assert b"\r\nX-Forwarded-Proto: https\r\n" in question
    assert question.endswith(b"\r\nConnection: close\r\n\r\n")


REDIRECTS = {
    "https": (b"302 Found\r\nLocation: /login\r\n", "health: {expect: 302}"),
    "http": (b"301 Moved\r\nLocation: https://example.com/healthz\r\n", "give the site tls:"),
}


@pytest.mark.parametrize("scheme", REDIRECTS)
def test_a_redirect_is_final_and_the_key_that_settles_it_is_named(scheme: str, tmp_path: Path) -> None:
    answer, key = REDIRECTS[scheme]
    code, said, _ = asked(tmp_path / "s", b"HTTP/1.1 " + answer + b"Content-Length: 0\r\n\r\n", scheme)
    assert code == 3
    assert key in said


@pytest.mark.parametrize("answer", SICK)
def test_anything_else_is_not_and_one_sentence_says_why(answer: bytes, tmp_path: Path) -> None:
    code, said, _ = asked(tmp_path / "s", answer)
    assert (code, said) == (1, SICK[answer])


def test_a_socket_that_nobody_listens_on_is_no_answer(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-", str(tmp_path / "s"), "http", "a", "/", "200", "r1", "7"],
        input=ASK,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "no answer: [Errno 2] No such file or directory\n")


MARKED = b"X-Release: r1\r\nX-Activation: 7\r\nContent-Length: 0\r\n\r\n"
DOORS = {
    "http": (b"HTTP/1.1 200 OK\r\n" + MARKED, ""),
    "http, to another name": (b"HTTP/1.1 301 Moved\r\nLocation: http://b/\r\n" + MARKED, ""),
    "http, another site": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "release None"),
    "http, an older release": (b"HTTP/1.1 200 OK\r\n" + MARKED.replace(b"r1", b"r0"), "release r0"),
    "http, broken": (b"HTTP/1.1 500 No\r\n" + MARKED, "answered 500"),
    "http, closed": (b"", "the connection was closed"),
    "https, no handshake": (b"\x15\x03\x03\x00\x02\x02\x70", "no answer"),
    "redirect": (b"HTTP/1.1 301 Moved\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n", ""),
    "redirect, for good": (b"HTTP/1.1 308 Moved\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n", ""),
    "redirect, elsewhere": (
        b"HTTP/1.1 301 Moved\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n",
        "https",
    ),
    "redirect, the site": (b"HTTP/1.1 200 OK\r\n" + MARKED, "answered 200"),
}
"""What comes through another door, and what is said of it."""


@pytest.mark.parametrize("door", DOORS)
def test_every_other_door_leads_to_the_same_release(door: str, tmp_path: Path) -> None:
    answer, complaint = DOORS[door]
    healthy = next(iter(HEALTHY.values()))

    def serve(listener: socket.socket, said: bytes) -> None:
        stream, _ = listener.accept()
        with stream:
            stream.recv(65536)
            stream.sendall(said)

    with socket.socket(socket.AF_UNIX) as first, socket.create_server(("127.0.0.1", 0)) as second:
        first.bind(str(tmp_path / "s"))
        first.listen()
        threads = [threading.Thread(target=serve, args=one) for one in ((first, healthy), (second, answer))]
        for thread in threads:
            thread.start()
        kind, port = door.split(",")[0], second.getsockname()[1]
        words = [
            str(tmp_path / "s"),
            "https",
            "example.com",
            "/healthz",
            "200",
            "r1",
            "7",
            f"{kind}:{port}:[::1]",
        ]
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-", *words], input=ASK, capture_output=True, text=True, check=False
        )
        for thread in threads:
            thread.join()
    assert (done.returncode, bool(done.stderr)) == ((1, True) if complaint else (0, False)), done.stderr
    assert complaint in done.stderr
    assert not complaint or f"[::1]:{port}: " in done.stderr
