"""Connections begun before they are needed, each with a question asked already: hosts answer while Python imports.

Imports nothing heavy; what is asked is decided elsewhere. An error waits until its host is asked for. A guess, a host
that will probably be wanted, is logged in to and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING

from deploy import transport
from deploy.engine.answers import Opened, Question
from deploy.errors import HostError
from deploy.files import reads
from deploy.shell import Secret
from deploy.shortcut.fork import Apart
from deploy.transport import forked
from deploy.transport.endpoint import Endpoint
from deploy.transport.session import LARGE

if TYPE_CHECKING:
    from deploy.transport import Session

AT_ONCE = 20
"""Connections that are opened at once."""

SECONDS = 120
"""How long an early question may take on the host."""


class Openings:
    """Hosts on their way; those that nobody took are closed with it.

    password: see :func:`deploy.transport.connect`. asking: whether the hosts are to be asked, once that is known.
    apart: who keeps the sessions; None: this process.
    """

    def __init__(
        self, password: Callable[[str], Secret] | None, asking: Future[bool], apart: Apart | None = None
    ) -> None:
        self._password = password
        self._asking = asking
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="opening")
        self._begun: dict[Endpoint, Future[Opened]] = {}
        self._guesses: dict[Endpoint, tuple[Future[bool], Future[Opened]]] = {}
        self._apart = apart

    def connect(self, host: Endpoint) -> Session:
        """A session of its own, for the caller to close. Raises HostError."""
        return self._connect(host, self._password)

    def _connect(self, host: Endpoint, password: Callable[[str], Secret] | None) -> Session:
        with reads.aside():
            if self._apart is None:
                return transport.connect(host, password=password)
            return forked.connect(self._apart.hand, host, password=password)

    def guess(self, hosts: Mapping[Endpoint, Question | None], mark: str) -> None:
        """Log in to hosts that will probably be begun, where another process does that; returns at once.

        They are asked nothing, and nobody is asked for their password, until they are begun with the same question.
        """
        if self._apart and hosts:
            pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="guess")
            for host, question in hosts.items():
                wanted: Future[bool] = Future()
                self._guesses[host] = wanted, pool.submit(self._open, host, question, mark, wanted)
            pool.shutdown(wait=False)

    def begin(self, hosts: Mapping[Endpoint, Question | None], mark: str) -> None:
        """Connect, and ask when that is right; returns at once. A host that was begun goes on, other guesses end."""
        for host, question in hosts.items():
            if host in self._guesses:
                wanted, self._begun[host] = self._guesses.pop(host)
                wanted.set_result(True)
            elif host not in self._begun:
                self._begun[host] = self._pool.submit(self._open, host, question, mark)
        self._forget_guesses()

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
        self._forget_guesses()
        for begun in self._begun.values():
            begun.add_done_callback(_close)
        self._begun.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _forget_guesses(self) -> None:
        for wanted, guess in self._guesses.values():
            wanted.set_result(False)
            guess.add_done_callback(_close)
        self._guesses.clear()

    def _open(
        self, host: Endpoint, question: Question | None, mark: str, wanted: Future[bool] | None = None
    ) -> Opened:
        """wanted: whether the host is, once that is known; None: it is."""

        def password(sentence: str) -> Secret:
            if self._password is None or (wanted and not wanted.result()):
                raise HostError(f"{host.name}: there is nobody to ask for the {sentence}")
            return self._password(sentence)

        began = monotonic()
        session = self._connect(host, password if self._password else None)
        with reads.aside():
            if question is None or (wanted and not wanted.result()) or not self._asking.result():
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
