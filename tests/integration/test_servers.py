"""The same site by each server on staging hosts: released under load, rolled back, stopped with a request under way."""

from __future__ import annotations

import base64
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from booting import Clone
from releasing import HEALTH, edit, hello, quick, serving, ship, tidy
from sites import NAME, Project, ask, sh, until

from deploy.site.servers import SERVERS
from deploy.staging import Image, StagingHost

LIVE = """
import asyncio, json


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": scope["scheme"] + " " + message["text"]})
        await send({"type": "websocket.close"})
        return
    path, query = scope["path"], scope["query_string"].decode()
    if path == "/slow":
        await asyncio.sleep(float(query.partition("=")[2]))
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/events":
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % number, "more_body": True})
            await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b""})
        return
    if path != "/echo":
        body = json.dumps({"scheme": scope["scheme"], "client": scope["client"][0]}).encode()
    await send({"type": "http.response.body", "body": body})
"""
"""A site that speaks ASGI: an answer, a slow one, a stream of events, a WebSocket, an echo."""


def by(server: str, **keys: Any) -> dict[str, Any]:
    """The site as ``server`` runs it, by WSGI wherever it can."""
    wsgi = "wsgi" in SERVERS[server].interfaces
    callable = {"wsgi": "hello:app"} if wsgi else {"wsgi": "", "asgi": "live:app"}
    return hello(server=server, health=HEALTH | {"timeout": 20}, **callable, **keys)


def websocket(host: StagingHost, text: str) -> str:
    """What a WebSocket answers to ``text`` through Nginx."""
    with socket.create_connection((host.address, 80), 10) as stream, stream.makefile("rb") as file:
        key = base64.b64encode(os.urandom(16)).decode()
        stream.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {NAME}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = file.readline()
        assert b" 101 " in status, status
        while file.readline().strip():
            pass
        data = text.encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(data))
        stream.sendall(bytes([0x81, 0x80 | len(data)]) + mask + masked)
        _, size = file.read(2)
        return file.read(size).decode()


def stopped_while_asked(host: StagingHost) -> int:
    """The status of a slow request whose instance is restarted meanwhile by systemd, as a reboot would stop it."""
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(ask(host, "/slow?s=3").status))
    asking.start()
    n = sh(host, "basename $(readlink /srv/hello/current)").strip()
    listed = f"grep -c ' /run/hello/{n}/app.sock$' /proc/net/unix"
    until(lambda: int(sh(host, listed, ok=False)) > 1, what="no request was under way")
    sh(host, f"systemctl restart hello@{n}")
    asking.join()
    until(lambda: ask(host, "/healthz").status == 200, what="it did not come up again")
    return found[0]


def served_by(host: StagingHost, server: str) -> None:
    """The unit's processes are those of this server and no other, and systemd keeps them in the usual sandbox."""
    n = sh(host, "basename $(readlink /srv/hello/current)").strip()
    group = f"/sys/fs/cgroup/systemd/system.slice/system-hello.slice/hello@{n}.service"
    command = sh(host, f"systemctl show -p ExecStart hello@{n}")
    words = {"gunicorn": "bin/gunicorn", "uwsgi": "bin/uwsgi", "apache": "server/serve.py"}
    assert words.get(server, "server/serve.py") in command, (command, group)
    score = sh(host, f"systemd-analyze security --no-pager hello@{n} | tail -n 1")
    assert float(score.partition(": ")[2].split()[0]) <= 1.5, score


CASES = [("bookworm", name) for name in sorted(SERVERS)] + [
    ("trixie", name) for name in ("apache", "uvicorn", "uwsgi")
]


@pytest.mark.parametrize(("suite", "server"), CASES, ids=[f"{suite}-{name}" for suite, name in CASES])
def test_a_site_by_each_server_loses_no_request(
    suite: str,
    server: str,
    served: Callable[[str], Image],
    clone: Clone,
    project: Project,
) -> None:
    host = clone(served(suite))
    project.write("site/live.py", LIVE)
    project.serve(host, by(server))
    with quick(host):
        ship(project)
        first = serving(host)
        edit(project, "# another version")
        ship(project)
        assert serving(host) != first
        ship(project, task="rollback")
        assert serving(host) == first
    tidy(host)
    served_by(host, server)
    assert sh(host, "stat -c %a /run/hello/*.sock").split() == ["660"]
    seen = ask(host, "/env", headers={"X-Forwarded-Proto": "https"})
    assert '"scheme":"http"' in seen.text.replace(" ", ""), "a visitor cannot say that he came over https"
    address = socket.create_connection((host.address, 80))
    assert f'"client":"{address.getsockname()[0]}"' in seen.text.replace(" ", "")
    address.close()
    body = os.urandom(300_000)
    assert ask(host, "/echo", method="POST", body=body).body == body
    if "wsgi" not in SERVERS[server].interfaces:
        assert websocket(host, "how are you") == "ws how are you"
        assert ask(host, "/events").text.count("data: ") == 3
    assert stopped_while_asked(host) == 200
    project.settled()
    done = project.run("verify")
    assert done.code == 0, done.said
