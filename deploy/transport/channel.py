"""One exec on a connected host: becomes root, starts the far side's loop, and speaks in frames with it."""

from __future__ import annotations

import contextlib
import math
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, NoReturn, Self

from paramiko import Channel
from paramiko.ssh_exception import SSHException

from deploy.errors import HostError
from deploy.shell import Script, Secret
from deploy.transport import command, frames, refusals
from deploy.transport.link import Link
from deploy.transport.session import Packing, Reply

if TYPE_CHECKING:
    from deploy.transport.endpoint import Endpoint

BLOCK = 32 << 10
"""Bytes given to the channel at once: one packet of OpenSSH; what is longer is copied again for each packet."""
_MOST = 1 << 20
"""Bytes taken from the channel at once, if that many are there."""
_GRACE = 15.0
"""Seconds a reply may be late after the host should have ended the script itself."""
NOISE = 1 << 20
"""Bytes that a login may print before the session begins: a thousand screens, and nothing that fills our memory."""
ANSWER = 256 << 20
"""Bytes that one script may answer to :meth:`LoopSession.run`; a look at 50,000 files takes 10 MB."""
_TAIL = 4096
"""Bytes of what came last that are kept to explain how a session ended."""
_LAST_WORDS = 5.0
"""Seconds to wait for what the far side had to say when it ended the session."""
_KILLED = (124, 137)
"""What timeout(1) returns for a script that it ended."""

Password = Callable[[], Secret | None]


class LoopSession:
    """A session over deploy/host/loop.sh; see :class:`deploy.transport.session.Session` for what it promises."""

    def __init__(self, host: Endpoint, user: str, link: Link, password: Password) -> None:
        self.host = host
        self.round_trips = self.sent = self.received = 0
        self._user, self._link = user, link
        self._lock = threading.RLock()
        self._tail = b""
        self._channel = self._open()
        self._nonce = ""
        self._nonce, self._spare = self._start(password)

    def run(self, script: Script, *, timeout: float, compress: bool = False) -> Reply:
        with self._lock:
            began = time.monotonic()
            incoming = self._ask(script, timeout, compress)
            stdout = bytearray()
            for part in self._answer(incoming, began + timeout + _GRACE, None, timeout):
                stdout += part
                if len(stdout) > ANSWER:
                    raise self._too_much()
            reply = self._finished(incoming, began, timeout)
            if not compress:
                return Reply(reply.rc, bytes(stdout), reply.stderr)
            try:
                return Reply(reply.rc, frames.unsqueeze(bytes(stdout), ANSWER), reply.stderr)
            except OverflowError:
                raise self._too_much() from None

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
            kind: str = unpack or "file"
            for piece in frames.pieces(blocks):
                self._send(frames.header(kind, name, piece, hashed=not unpack), doing)
                self._send(piece, doing)
                kind = "part" if unpack else "more"
                if progress is not None:
                    progress(len(piece))
            if unpack:
                self._send(frames.header("over", name, b"", hashed=False), doing)

    def stream(
        self, script: Script, *, timeout: float | None = None, idle: float | None = None
    ) -> Generator[bytes, None, Reply]:
        with self._lock:
            began = time.monotonic()
            incoming = self._ask(script, timeout or 0, False)
            deadline = began + timeout + _GRACE if timeout else None
            rest = b""
            try:
                for part in self._answer(incoming, deadline, idle, timeout or 0):
                    *lines, rest = (rest + part).split(b"\n")
                    for line in lines:
                        yield line + b"\n"
                if rest:
                    yield rest
            except GeneratorExit:
                self.close()
                raise
            return self._finished(incoming, began, timeout or 0)

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _open(self) -> Channel:
        try:
            channel = self._link.transport.open_session(timeout=self.host.connect_timeout)
        except (SSHException, EOFError, OSError) as error:
            raise refusals.no_channel(self.host.name, self._user, error) from error
        # sudo's prompt and what a login shell complains about come in order with everything else; the
        # stderr of scripts comes in their replies
        channel.set_combine_stderr(True)
        return channel

    def _start(self, password: Password) -> tuple[str, bytes]:
        """Start the loop, as root; the nonce it made, and what followed it."""
        sudo = self.host.sudo and self._user != "root"
        prompt = f"barehost-{secrets.token_hex(8)}:"
        try:
            self._channel.exec_command(command.loop(prompt if sudo else None))
        except (SSHException, EOFError, OSError) as error:
            raise refusals.no_channel(self.host.name, self._user, error) from error
        deadline = time.monotonic() + max(self.host.connect_timeout, 10) + _GRACE
        heard, prompts = b"", 0
        while (found := frames.ready(heard)) is None:
            try:
                data = self._receive(deadline)
            except TimeoutError:
                raise refusals.slow_start(self.host.name, self._user, sudo=sudo) from None
            if not data:
                self._ended_at_start(heard.replace(prompt.encode(), b""), sudo=sudo, asked=prompts > 0)
            heard += data
            if len(heard) > NOISE:
                raise refusals.too_noisy(
                    self.host.name, self._user, NOISE, heard[-200:].decode(errors="replace")
                )
            if heard.count(prompt.encode()) > prompts:
                prompts += 1
                self._answer_prompt(prompts, password)
        return found

    def _answer_prompt(self, prompts: int, password: Password) -> None:
        if prompts > 1:
            raise refusals.wrong_password(self.host.name, self._user)
        secret = password()
        if secret is None:
            raise refusals.no_password(self.host.name, self._user)
        self._send(secret.reveal().encode() + b"\n", "sudo was given the password")

    def _ask(self, script: Script, timeout: float, compress: bool) -> frames.Incoming:
        payload = frames.squeeze(script.encode()) if compress else script.encode()
        self._send(
            frames.frame("zrun" if compress else "run", "script", payload, math.ceil(timeout)),
            "a script was sent",
        )
        self.round_trips += 1
        return frames.Incoming(self._nonce)

    def _answer(
        self, incoming: frames.Incoming, deadline: float | None, idle: float | None, timeout: float
    ) -> Generator[bytes, None, None]:
        """stdout in parts as it comes, until the reply is whole."""
        data, self._spare = self._spare, b""
        while True:
            part = incoming.feed(data)
            if part:
                yield part
            if incoming.reply is not None:
                return
            until = deadline
            if idle is not None:
                until = min(time.monotonic() + idle, deadline or float("inf"))
            try:
                data = self._receive(until)
            except TimeoutError:
                self.close()
                if idle is not None and until != deadline:
                    raise refusals.too_quiet(self.host.name, idle) from None
                raise refusals.too_long(self.host.name, timeout) from None
            if not data:
                raise self._ended("a script ran")

    def _too_much(self) -> HostError:
        self.close()
        return refusals.too_much(self.host.name, ANSWER)

    def _finished(self, incoming: frames.Incoming, began: float, timeout: float) -> Reply:
        reply = incoming.reply
        assert reply is not None
        if timeout and reply.rc in _KILLED and time.monotonic() - began >= timeout:
            raise refusals.too_long(self.host.name, timeout)
        return reply

    def _ended_at_start(self, heard: bytes, *, sudo: bool, asked: bool) -> NoReturn:
        if not self._link.transport.is_active():
            raise self._ended("the session began")
        output = heard.decode(errors="replace")
        raise refusals.start(self.host.name, self._user, output, sudo=sudo, asked=asked)

    def _send(self, data: bytes, doing: str) -> None:
        """All of it, in blocks; waits as long as the host takes it and shows signs of life."""
        view = memoryview(data)
        self._channel.settimeout(None)
        try:
            while view:
                view = view[self._channel.send(bytes(view[:BLOCK])) :]
        except (OSError, EOFError, SSHException):
            raise self._ended(doing) from None
        self.sent += len(data)

    def _receive(self, deadline: float | None) -> bytes:
        """What comes next; empty at the end of the session. TimeoutError when the deadline passes first, or has passed
        while data kept coming."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._channel.settimeout(left)
        data: bytes = self._channel.recv(_MOST)
        self.received += len(data)
        self._tail = (self._tail + data)[-_TAIL:]
        return data

    def _ended(self, doing: str) -> HostError:
        """Why the session is over: the far side's own last words, or that the connection was lost."""
        deadline = time.monotonic() + _LAST_WORDS
        with contextlib.suppress(TimeoutError):
            while self._receive(deadline):
                pass
        output = frames.last_words(self._tail, self._nonce).decode(errors="replace")
        error = self._link.transport.get_exception() if not self._link.transport.is_active() else None
        self.close()
        if "barehost: " in output:
            return refusals.rejected(self.host.name, output)
        why = getattr(error, "strerror", None) or error or "the host closed it"
        return refusals.lost(self.host.name, doing, str(why))
