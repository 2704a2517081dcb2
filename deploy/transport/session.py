"""What the engine sees of a host: replies and the protocol of a session. Pure: holds no socket."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Literal, Protocol, Self

from msgspec import Struct

from deploy.shell import Script

if TYPE_CHECKING:
    from deploy.transport.endpoint import Endpoint


LARGE = 64 << 10
"""Bytes of a look's script from which on it travels compressed, and its answer too: a look at hundreds of things.
A choice, not a measurement: below it, gzip's two processes on the host are for a few kB."""


Packing = Literal["", "tar", "tgz"]
"""How an upload that the host unpacks as it comes is packed; empty: it is stored as one file."""


class Reply(Struct, frozen=True):
    """What one script answered. stderr: its last 64 KiB at most; stdout: all of it."""

    rc: int
    stdout: bytes
    stderr: bytes


class Session(Protocol):
    """One host, logged in as root, answering scripts one after another.

    Every method raises HostError when the connection is lost, a deadline passes, or the host cannot store
    what it was sent; after that the session is over and a new one is needed.

    host: as the inventory has it.
    round_trips: scripts that were sent and waited for.
    sent, received: payload bytes, as they travelled (after compression).
    """

    host: Endpoint
    round_trips: int
    sent: int
    received: int

    def run(self, script: Script, *, timeout: float, compress: bool = False) -> Reply:
        """Run a script on the host and wait for its whole reply: one round trip.

        It runs from a file as root, in ``/``, with /dev/null on stdin, LC_ALL=C, umask 022 and a full PATH.
        ``$SESSION`` names this session's private folder: it is there once something was :meth:`put`, and
        goes when the session ends. A non-zero rc is a reply, not an error.

        timeout: seconds; the host ends the script then, and HostError says so.
        compress: gzip the script and what it prints on stdout; pays for large text over slow links.
        """

    def put(
        self,
        name: str,
        blocks: Iterable[bytes],
        *,
        unpack: Packing = "",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Stream blocks into the file ``$SESSION/<name>``, replacing what is there.

        Returns when everything is on its way; the host checks each piece, and the next :meth:`run` fails
        with HostError before it starts when one did not arrive whole.

        unpack: ``tar`` or ``tgz`` (gzip'd): an archive that the host unpacks as it comes, into the folder
            ``$SESSION/<name>``; nothing is hashed on its way, so whoever takes it from there checks what came.
        name: letters, digits and ``._-``, not starting with a dot or a dash; else ValueError.
        progress: called with the number of bytes of each piece that left.
        """

    def stream(
        self, script: Script, *, timeout: float | None = None, idle: float | None = None
    ) -> Generator[bytes, None, Reply]:
        """Like :meth:`run`, but yields stdout line by line while it comes; ends with the reply, its stdout empty.

        Each line keeps its newline; the last may lack it. Leaving the generator early closes the session.

        timeout: seconds for all of it, None for no limit. idle: seconds without a line, None for no limit.
        """

    def close(self) -> None:
        """End the session; the host removes its folder. Never raises, never waits for a dead host."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def each(stream: Generator[bytes, None, Reply], act: Callable[[str], None]) -> Reply:
    """Give every line of a :meth:`Session.stream` to ``act``, without its line break; the reply at its end."""
    while True:
        try:
            line = next(stream)
        except StopIteration as end:
            reply: Reply = end.value
            return reply
        act(line.decode(errors="replace").rstrip("\r\n"))
