"""Connections begun before they are needed, each with a question asked already: hosts answer while Python imports.

Imports nothing heavy; what is asked is decided elsewhere. An error waits until its host is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from msgspec import Struct

from deploy import inputs, transport
from deploy.endpoint import Endpoint
from deploy.shell import Script, Secret
from deploy.transport.apart import Apart
from deploy.transport.session import LARGE

if TYPE_CHECKING:
    from deploy.transport import Session

AT_ONCE = 20
"""Connections that are opened at once."""

SECONDS = 120
"""How long an early question may take on the host."""

BLANK = "0" * 16
"""Stands for a look's mark, which is another in each look, in what is kept of it."""


class Question(Struct, frozen=True):
    """A look and how it was answered, both without the look's mark: two looks can be compared.

    script: what was asked. digest: SHA-256 of the answer.
    """

    script: str
    digest: str

    @classmethod
    def of(cls, script: Script, mark: str, answer: bytes) -> Question:
        blanked = answer.replace(mark.encode(), BLANK.encode())
        return cls(script.replace(mark, BLANK), hashlib.sha256(blanked).hexdigest())

    def asked(self, mark: str) -> Script:
        """The look again, with a mark of its own."""
        return Script(self.script.replace(BLANK, mark))


class Opened(Struct, frozen=True):
    """A host that is there. script: what it was asked already, with which ``mark``; None: nothing. answer: to that."""

    session: Session
    began: float
    script: Script | None = None
    mark: str = ""
    answer: bytes = b""

    def same(self, question: Question) -> bool:
        """Whether it answered as it did then."""
        return self.script is not None and Question.of(self.script, self.mark, self.answer) == question


class Openings:
    """Hosts on their way; those that nobody took are closed with it.

    password: see :func:`deploy.transport.connect`. asking: whether the hosts are to be asked, once that is known.
    Sessions are this process's own, unless it has gone :meth:`apart`.
    """

    def __init__(self, password: Callable[[str], Secret] | None, asking: Future[bool]) -> None:
        self._password = password
        self._asking = asking
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="opening")
        self._begun: dict[Endpoint, Future[Opened]] = {}
        self._apart: Apart | None = None

    def apart(self) -> bool:
        """From now on another process keeps the sessions, where that pays and can be; whether it does."""
        if self._apart is None and Apart.pays():
            with suppress(OSError):  # as many processes as this user may have: then it is done in this one
                self._apart = Apart()
        return self._apart is not None

    def connect(self, host: Endpoint) -> Session:
        """A session of its own, for the caller to close. Raises HostError."""
        connect = self._apart.connect if self._apart else transport.connect
        with inputs.aside():
            return connect(host, password=self._password)

    def begin(self, host: Endpoint, question: Question | None, mark: str) -> None:
        """Connect, and ask when that is right; returns at once. A host that was begun goes on."""
        if host not in self._begun:
            self._begun[host] = self._pool.submit(self._open, host, question, mark)

    def take(self, host: Endpoint) -> Opened | None:
        """The host when it is there, for the caller to close; None: it was not begun. Raises HostError."""
        begun = self._begun.pop(host, None)
        return begun.result() if begun else None

    def peek(self, host: Endpoint) -> Opened:
        """The same, and it stays here."""
        return self._begun[host].result()

    def close(self) -> None:
        """Close all that were not taken, whenever they are there; waits for none."""
        if not self._asking.done():
            self._asking.set_result(False)
        for begun in self._begun.values():
            begun.add_done_callback(_close)
        self._begun.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._apart is not None:
            self._apart.close()

    def _open(self, host: Endpoint, question: Question | None, mark: str) -> Opened:
        began = monotonic()
        session = self.connect(host)
        with inputs.aside():
            if question is None or not self._asking.result():
                return Opened(session, began)
            script = question.asked(mark)
            try:
                reply = session.run(script, timeout=SECONDS, compress=len(script) > LARGE)
                return Opened(session, began, script, mark, reply.stdout)
            except BaseException:
                session.close()
                raise


def _close(begun: Future[Opened]) -> None:
    if not begun.cancelled() and begun.exception() is None:
        begun.result().session.close()
