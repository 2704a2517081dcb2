"""What every site meets sooner or later: each of it a page of one site, asked through Nginx on a real host."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from booting import Clone
from sites import Project, ask, sh, until

from deploy.staging import Image, StagingHost

NAME = "classics.example.com"

SITE = """
import logging.config, os, socket, sys, time
logging.config.dictConfig({"version": 1})  # turns off every logger that is there already


def stop(environ):
    sys.exit(int(environ["QUERY_STRING"]))


def broken(environ):
    raise ValueError("nobody-has-caught-this")


def events(environ):
    yield b"data: first\\n\\n"
    deadline = time.monotonic() + 60
    while not os.path.exists("/srv/classics/shared/uploads/seen") and time.monotonic() < deadline:
        time.sleep(0.05)
    yield b"data: last\\n\\n"


def netlink(environ):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE).close()
    return [str(len(socket.if_nameindex())).encode()]


def saved(environ):
    path = "/srv/classics/shared/uploads/note.txt"
    with open(path, "w") as file:
        file.write("uploaded")
    return [oct(os.stat(path).st_mode & 0o777).encode()]


def asked(environ):
    return [str(len(environ["QUERY_STRING"])).encode()]


PAGES = {"/stop": stop, "/broken": broken, "/events": events, "/netlink": netlink, "/saved": saved, "/asked": asked}


def app(environ, start):
    page = PAGES.get(environ["PATH_INFO"])
    if page is None:
        start("404 Not Found" if environ["PATH_INFO"] != "/" else "200 OK", [("Content-Type", "text/plain")])
        return [b"none of mine"]
    kind = "text/event-stream" if page is events else "text/html"
    more = [("X-Large", "x" * 7000)] if page is asked else []
    body = page(environ)
    start("200 OK", [("Content-Type", kind), *more])
    return body
"""

CLASSICS = {
    "source": "classics",
    "wsgi": "classics:app",
    "requirements": None,
    "server_names": [NAME],
    "health": {"path": "/", "timeout": 20},
    "static": {"/static/": "static"},
    "media": {"/media/": "uploads"},
    "files": {"/robots.txt": "static/robots.txt", "/favicon.ico": "static/favicon.ico"},
    "fallback": {"/static/": "index.html"},
    "error_pages": {503: "errors/closed.html"},
    "workers": 2,
}


def first_of_a_stream(host: StagingHost) -> bytes:
    """What has come of a stream for a gzip client when the site has made one event of it and goes on."""
    with socket.create_connection((host.address, 80), 20) as stream:
        stream.sendall(f"GET /events HTTP/1.1\r\nHost: {NAME}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        seen = b""
        while b"first" not in seen and (part := stream.recv(4096)):
            seen += part
        return seen


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_what_every_site_meets_sooner_or_later(
    suite: str, served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    project.write("classics/classics.py", SITE)
    for name, text in {
        "static/robots.txt": "User-agent: *\n",
        "static/favicon.ico": "icon",
        "static/index.html": "the application",
        "errors/closed.html": "back soon",
    }.items():
        project.write(f"classics/{name}", text)
    project.serve(host, {"classics": CLASSICS})
    project.provision()

    def get(path: str, **more: str) -> tuple[int, str]:
        answer = ask(host, path, name=NAME, **more)  # type: ignore[arg-type]
        return answer.status, answer.text

    unit = "classics@$(readlink /srv/classics/current | cut -d/ -f2)"
    main = sh(host, f"systemctl show --value -p MainPID {unit}")
    for code in (3, 4):  # by which Gunicorn's workers say that the site cannot be loaded
        assert get(f"/stop?{code}")[0] == 500
    assert get("/")[0] == 200
    assert sh(host, f"systemctl show --value -p MainPID {unit}") == main, "a view has stopped the server"

    assert get("/broken")[0] == 500
    said = f"journalctl -o cat --no-pager -u {unit}"
    until(lambda: "nobody-has-caught-this" in sh(host, said), what="a 500 has no line in the log")

    assert b"first" in first_of_a_stream(host)
    sh(host, "touch /srv/classics/shared/uploads/seen")

    assert get("/netlink")[0] == 200
    assert get(f"/asked?{'q' * 7000}") == (200, "7000"), "a long address, and headers of 7 KB in the answer"
    assert get("/saved")[1] == "0o640"
    assert get("/media/note.txt") == (200, "uploaded")

    assert get("/robots.txt") == (200, "User-agent: *\n")
    assert get("/favicon.ico") == (200, "icon")
    assert get("/static/some/page") == (200, "the application")
    assert get("/static/missing.js")[0] == 404
    assert project.run("maintenance", "on").code == 0
    assert get("/") == (503, "back soon")
    assert project.run("maintenance", "off").code == 0
    assert get("/")[0] == 200
    project.settled()
