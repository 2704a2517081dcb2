"""Hosts are logged in to before they are asked for, while Python imports. An error waits for that, too."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING

from deploy.transport.connections import Connections, Password
from deploy.transport.endpoint import Endpoint

if TYPE_CHECKING:
    from deploy.shortcut.fork import Fork
    from deploy.transport import Session

AT_ONCE = 20
"""Hosts that are logged in to ahead; the others when they are asked for."""


class Ahead(Connections):
    """Sessions that are opened as soon as their hosts are expected. process: who keeps them; None: this one."""

    def __init__(self, password: Password | None, process: Fork | None = None) -> None:
        super().__init__(password)
        self._fork = process
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="connecting")
        self._opening: dict[str, Future[Session]] = {}

    def expect(self, hosts: Sequence[Endpoint]) -> None:
        if self._fork is None:
            import deploy.transport.channel  # noqa: F401 (before what the run imports next, which can wait for hosts)

        for host in hosts[:AT_ONCE]:
            if host.address is not None and host.name not in self._opening:
                self._opening[host.name] = self._pool.submit(self._open, host)

    def connect(self, host: Endpoint) -> Session:
        opening = self._opening.pop(host.name, None)
        return opening.result() if opening else self._open(host)

    def close(self) -> None:
        """Waits for none: what is still being opened is closed once it is there."""
        for opening in self._opening.values():
            opening.add_done_callback(_close)
        self._opening.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._fork is not None:
            self._fork.close()

    def _open(self, host: Endpoint) -> Session:
        if self._fork is None:
            return super().connect(host)
        from deploy.shortcut import forked

        only = Endpoint(
            **{one.name: getattr(host, one.name) for one in fields(Endpoint)}
        )  # no more of it travels
        return forked.connect(self._fork.hand, only, password=self.password)


def _close(opening: Future[Session]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
