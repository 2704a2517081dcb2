"""What an ssh connection travels on, and how a host that has gone quiet is noticed. Knows no keys."""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import threading
import time
from typing import Any

from paramiko import Transport

SILENCE = 20.0
"""Seconds without a byte from the other side, keepalives unanswered, after which it counts as dead."""
GREETING = 1 << 20
"""Bytes the other side may send before we are logged in: keys, ciphers and a banner take a few kB."""
_PULSE = 5.0
"""Seconds of quiet after which the other side is asked for a sign of life."""


class Wire:
    """A socket that notices when the other side has gone quiet for good.

    paramiko sends and receives with short timeouts again and again; each of them asks here whether anything
    was heard within SILENCE seconds, and a ConnectionAbortedError ends the connection when not. Meanwhile
    :class:`Pulse` asks for signs of life. Before the pulse starts, other deadlines hold, and so many bytes may come
    and no more.
    """

    def __init__(self, sock: socket.socket | Any, program: subprocess.Popen[bytes] | None = None) -> None:
        self._sock = sock
        self._program = program
        self._tcp = isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX
        self.heard = time.monotonic()
        self.watched = False
        self._greeted = 0
        self._closed = False  # by that name, for paramiko asks any socket for it

    def recv(self, size: int) -> bytes:
        try:
            data: bytes = self._sock.recv(size)
        except TimeoutError:
            self._check()
            raise
        if self._tcp:
            # sshd's Nagle holds its next small packet until this one is acknowledged, which the kernel would
            # put off for 40 ms; the option lasts until the next packet only
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.heard = time.monotonic()
        if not self.watched:
            self._greeted += len(data)
            if self._greeted > GREETING:  # paramiko would keep all of it, until a line ends
                raise ConnectionAbortedError(errno.ECONNABORTED, f"{GREETING >> 20} MiB came and no ssh")
        return data

    def send(self, data: bytes) -> int:
        try:
            return int(self._sock.send(data))
        except TimeoutError:
            self._check()
            raise

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    def close(self) -> None:
        self._closed = True
        self._sock.close()
        if self._program is not None:
            self._program.kill()
            self._program.wait()

    def quiet(self) -> float:
        """Seconds since the other side was last heard."""
        return time.monotonic() - self.heard

    def _check(self) -> None:
        if self.watched and self.quiet() > SILENCE:
            # with a number, as a socket's own errors have: paramiko reads it
            raise ConnectionAbortedError(errno.ECONNABORTED, f"nothing was heard for {SILENCE:.0f} s")


class Pulse:
    """Asks the other side for a sign of life whenever it has been quiet; one thread a connection."""

    def __init__(self, wire: Wire, transport: Transport) -> None:
        self._wire, self._transport = wire, transport
        self._over = threading.Event()
        wire.heard, wire.watched = time.monotonic(), True
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(_PULSE):
            if self._wire.quiet() >= _PULSE:
                with contextlib.suppress(Exception):  # the reader learns why the connection ended
                    self._transport.global_request("keepalive@openssh.com", wait=True)
