"""Sessions that another process of ours keeps (deploy/shortcut/fork.py). Errors and answers come back as they are."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Self

from deploy import shell, transport
from deploy.shell import Script, Secret
from deploy.transport import refusals
from deploy.transport.session import Packing, Reply, Session

if TYPE_CHECKING:
    from deploy.transport.endpoint import Endpoint

_LENGTH = struct.Struct("!Q")
_GOING = 0.3
"""Seconds to close connections in order when the first process is gone; one that is being made is not waited for."""


def connect(
    hand: Callable[[socket.socket], None], host: Endpoint, *, password: Callable[[str], Secret] | None = None
) -> Session:
    """As :func:`deploy.transport.connect`, which the other process does. hand: gives it one end of a socket."""
    ours, theirs = socket.socketpair()
    with theirs, suppress(OSError):  # the session will find nobody there
        hand(theirs)
    return _Session(host, _Wire(ours), password)


class _Wire:
    """Values and bytes over a socket between two processes that trust each other: one is a fork of the other."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._incoming = sock.makefile("rb")

    def send(self, value: object) -> None:
        with shell.secrets_travel():
            self.write(pickle.dumps(value))

    def receive(self) -> Any:
        """The next value; EOFError when the other side is gone."""
        return pickle.loads(self.read())

    def write(self, data: bytes) -> None:
        self._sock.sendall(_LENGTH.pack(len(data)))
        self._sock.sendall(data)

    def read(self) -> bytes:
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return self._exactly(length)

    def close(self) -> None:
        """Also ends a read that waits in another thread."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._incoming.close()
        self._sock.close()

    def _exactly(self, length: int) -> bytes:
        data = self._incoming.read(length)
        if len(data) < length:
            raise EOFError
        return data


class _Session:
    """This side of a session; see :class:`deploy.transport.session.Session` for what it promises."""

    def __init__(self, host: Endpoint, wire: _Wire, password: Callable[[str], Secret] | None) -> None:
        self.host = host
        self.round_trips = self.sent = self.received = 0
        self._wire = wire
        self._lock = threading.RLock()
        try:
            self._tell((host, password is not None), "it was connected to")
            while (asked := self._hear("it was connected to")) is not None:
                assert password is not None
                self._tell(password(asked), "it was connected to")
        except BaseException:
            self.close()
            raise

    def run(self, script: Script, *, timeout: float, compress: bool = False) -> Reply:
        with self._lock:
            self._tell(("run", str(script), timeout, compress), "a script was sent")
            reply: Reply = self._hear("a script ran")
            return reply

    def put(
        self,
        name: str,
        blocks: Iterable[bytes],
        *,
        unpack: Packing = "",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        with self._lock:
            doing = f"{name} was uploaded"
            self._tell(("put", name, unpack), doing)
            try:
                for block in blocks:
                    if block:
                        self._wire.write(block)
                        if progress is not None:
                            progress(len(block))
                self._wire.write(b"")
            except OSError:
                self._lost(doing)
            self._hear(doing)

    def stream(
        self, script: Script, *, timeout: float | None = None, idle: float | None = None
    ) -> Generator[bytes, None, Reply]:
        with self._lock:
            self._tell(("stream", str(script), timeout, idle), "a script was sent")
            try:
                while isinstance(heard := self._hear("a script ran"), bytes):
                    yield heard
            except GeneratorExit:
                self.close()
                raise
            reply: Reply = heard
            return reply

    def close(self) -> None:
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _tell(self, value: object, doing: str) -> None:
        try:
            self._wire.send(value)
        except OSError:
            self._lost(doing)

    def _hear(self, doing: str) -> Any:
        """The next answer; raises what the other process did."""
        try:
            value, *counted = self._wire.receive()
        except (EOFError, OSError, ValueError):  # ValueError: closed here, by another thread
            self._lost(doing)
        self.round_trips, self.sent, self.received = counted
        if isinstance(value, BaseException):
            raise value
        return value

    def _lost(self, doing: str) -> NoReturn:
        raise refusals.lost(self.host.name, doing, "the process that kept it has ended") from None


def keep(control: socket.socket) -> None:
    """All that the other process does: a session for each socket that it is handed, until there is nobody to hand one.

    Raises OSError where ``control`` fails, which ends all sessions too.
    """
    import deploy.transport.channel  # noqa: F401 (before anybody asks)

    serving = []
    while True:
        message, descriptors, *_ = socket.recv_fds(control, 1, 1)
        if not message:
            break
        wire = _Wire(socket.socket(fileno=descriptors[0]))
        serving.append(threading.Thread(target=_serve, args=(wire,), daemon=True))
        serving[-1].start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # whoever reads our complaints need not wait for the rest
    deadline = time.monotonic() + _GOING
    for thread in serving:
        thread.join(max(deadline - time.monotonic(), 0))


def _serve(wire: _Wire) -> None:
    """One session, until the first process closes it or is gone."""
    counted = (0, 0, 0)
    try:
        host, asks = wire.receive()

        def password(sentence: str) -> Secret:
            wire.send((sentence, *counted))
            secret: Secret = wire.receive()
            return secret

        try:
            session = transport.connect(host, password=password if asks else None)
        except Exception as error:
            wire.send((error, *counted))
            return
        with session:
            wire.send((None, *_counts(session)))
            while True:
                _answer(wire, session, *wire.receive())
    except (EOFError, OSError):
        return
    finally:
        wire.close()


def _answer(wire: _Wire, session: Session, what: str, *words: Any) -> None:
    try:
        if what == "run":
            script, timeout, compress = words
            value: object = session.run(Script(script), timeout=timeout, compress=compress)
        elif what == "put":
            _put(wire, session, *words)
            value = None
        else:
            script, timeout, idle = words
            lines = session.stream(Script(script), timeout=timeout, idle=idle)
            value = _lines(wire, session, lines)
    except Exception as error:
        value = error
    wire.send((value, *_counts(session)))


def _put(wire: _Wire, session: Session, name: str, unpack: Packing) -> None:
    """All blocks, also those that come after it has failed: what follows them is no block."""
    blocks = iter(wire.read, b"")
    try:
        session.put(name, blocks, unpack=unpack)
    finally:
        for _ in blocks:
            pass


def _lines(wire: _Wire, session: Session, lines: Generator[bytes, None, Reply]) -> Reply:
    while True:
        try:
            line = next(lines)
        except StopIteration as end:
            reply: Reply = end.value
            return reply
        wire.send((line, *_counts(session)))


def _counts(session: Session) -> tuple[int, int, int]:
    return session.round_trips, session.sent, session.received
