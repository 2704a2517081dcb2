"""Where a run's sessions come from: each is opened when it is asked for. Keeps none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from deploy import transport

if TYPE_CHECKING:
    from deploy.shell import Secret
    from deploy.transport.endpoint import Endpoint
    from deploy.transport.session import Session

Password = Callable[[str], "Secret"]
"""Asks for sudo's password, with a sentence to show."""


class Connections:
    """Sessions with hosts; a context. deploy/shortcut/ has one that logs in ahead.

    password: see :func:`deploy.transport.connect`.
    """

    def __init__(self, password: Password | None) -> None:
        self.password = password

    def expect(self, hosts: Sequence[Endpoint]) -> None:
        """These will be connected to: what can be done for that ahead may begin."""

    def connect(self, host: Endpoint) -> Session:
        """A session, for the caller to close. Raises HostError."""
        return transport.connect(host, password=self.password)

    def close(self) -> None:
        """Unclaimed connections are closed; no more is asked for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
