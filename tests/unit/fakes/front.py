"""A real Nginx in a mount and a network namespace of its own, before a site that echoes: no port of this machine."""

from __future__ import annotations

import ctypes
import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

from deploy.resource import Resource
from deploy.resources.path import File

_ENTER_NETWORK = 0x40000000
_BOUND = ("var/lib/barehost", "etc/nginx", "etc/systemd/system", "srv", "var/www", "var/log/nginx")
_MOUNTS = "".join(f"mkdir -p /{one} && mount --bind {{root}}/{one} /{one} && " for one in _BOUND)


@dataclass(frozen=True)
class Answer:
    """What came back. status 0: the connection was closed without an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        """What the site was asked, as it echoed it."""
        return dict(json.loads(self.body))


@dataclass(frozen=True)
class Front:
    """The running Nginx. root: the folder that holds its /etc, /srv, /var; pid: its master."""

    root: Path
    pid: int

    def get(
        self,
        path: str,
        host: str = "hello.example.com",
        *,
        port: int = 80,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        tls: bool = False,
    ) -> Answer:
        """One request, sent exactly as written: no normalising of the path."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        return self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), port, host if tls else None)

    def send(self, request: bytes, port: int = 80, tls_name: str | None = None) -> Answer:
        """Bytes as they are, and the answer to them."""
        with self.connect(port) as plain, wrapped(plain, tls_name) as connection:
            try:
                connection.sendall(request)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                headers = {name.lower(): value for name, value in answer.getheaders()}
                return Answer(answer.status, headers, answer.read())
            except (http.client.RemoteDisconnected, ConnectionResetError):
                return Answer(0, {}, b"")

    def connect(self, port: int) -> socket.socket:
        """A connection made inside Nginx's network namespace."""
        made: list[socket.socket | OSError] = []

        def inside() -> None:
            with Path(f"/proc/{self.pid}/ns/net").open() as space:
                if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), _ENTER_NETWORK):
                    made.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                made.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """A shell script where Nginx runs."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-n", "sh", "-c", script],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@contextmanager
def wrapped(plain: socket.socket, name: str | None) -> Iterator[socket.socket]:
    """The connection itself, or TLS over it, asking for ``name`` and believing any certificate."""
    if name is None:
        yield plain
        return
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(plain, server_hostname=name) as secured:
        yield secured


def lay(root: Path, resources: Iterable[Resource]) -> None:
    """The files among the resources, below ``root``, beside what the distribution's Nginx brings."""
    for one in _BOUND:
        (root / one).mkdir(parents=True, exist_ok=True)
    for name in ("mime.types", "modules-enabled"):
        brought, target = Path("/etc/nginx", name), root / "etc/nginx" / name
        if brought.is_dir():
            shutil.copytree(brought, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(brought, target)
    (root / "etc/nginx/sites-enabled").mkdir(exist_ok=True)
    for resource in resources:
        if isinstance(resource, File) and resource.state == "present":
            target = root / resource.path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(resource.blob.data or b"")


def inside(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where ``root``'s /etc/nginx, /srv, /var/www and unit files stand in the machine's place."""
    return subprocess.run(_unshared(root, script), capture_output=True, text=True, timeout=60, check=False)


def _unshared(root: Path, script: str) -> list[str]:
    mounts = _MOUNTS.format(root=root) + "mount -t tmpfs none /run && ip link set lo up && "
    return ["unshare", "--mount", "--net", "sh", "-c", mounts + script]


@contextmanager
def serving(root: Path, port: int = 80) -> Iterator[Front]:
    """Start Nginx on what was laid below ``root``; it is gone afterwards."""
    process = subprocess.Popen(_unshared(root, "exec nginx -g 'daemon off;'"), stderr=subprocess.PIPE)
    front = Front(root, process.pid)
    try:
        deadline = time.monotonic() + 60
        while True:
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(f"nginx did not start: {process.stderr.read().decode()}")
            try:
                front.connect(port).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield front
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        if process.stderr:
            process.stderr.close()


class _Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, as JSON, and the name of the release that it plays.

    ``/headers/<n>``: with a header of so many bytes.
    """

    release = ""

    def do_GET(self) -> None:
        names = list(self.headers.keys())
        body = json.dumps({"path": self.path, "names": names, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", self.release)
        if self.path.startswith("/headers/"):
            self.send_header("X-Large", "a" * int(self.path.rpartition("/")[2]))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def site(path: Path, release: str) -> Iterator[None]:
    """An echoing site that listens on the unix socket at ``path``, open to Nginx's user."""
    handler = type("Echo", (_Echo,), {"release": release})
    with ThreadingUnixStreamServer(str(path), handler) as server:
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


def activation(root: Path, number: int, files: Mapping[str, str], link: Callable[[Path], None]) -> Path:
    """``/srv/hello/activations/<number>`` with static files of its own; ``link`` adds what else it needs."""
    here = root / f"srv/hello/activations/{number}"
    release = root / f"srv/hello/releases/r{number}"
    (here / "www").mkdir(parents=True)
    for name, text in files.items():
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        (release / name).write_text(text)
    (here / "release").symlink_to(f"/srv/hello/releases/r{number}")
    (here / "www/static").symlink_to(f"/srv/hello/releases/r{number}/static")
    link(here)
    return here


def switch(root: Path, number: int) -> None:
    """Rename ``current`` to another activation, as a release does."""
    staged = root / "srv/hello/.current"
    staged.symlink_to(f"activations/{number}")
    staged.replace(root / "srv/hello/current")
