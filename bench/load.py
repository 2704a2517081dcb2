"""A steady load that counts every request: kept-open connections and new ones, quick and slow, GET, POST, uploads.

    python bench/load.py 10.213.0.2 --site hello.example.com --users get=4 slow=8

Runs until its stdin ends (or says anything), waits for the answers that are still due, and prints one JSON object:
by kind of visitor what was sent, what was lost and why, and which releases answered. A request is lost unless its
whole answer came with the status and body it must have. Nothing is tried again. Load only hosts that are yours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field

PATIENCE = 60.0
"""Seconds after which an answer counts as lost."""
KEPT = 12
"""Reasons of lost requests that are told in full, each with its moment."""
FORM = "cut-here"


@dataclass(frozen=True)
class Question:
    """One request and what its answer must be. body None: any. pause: seconds in the middle of sending."""

    method: str
    path: str
    status: int = 200
    sent: bytes = b""
    type: str = "application/octet-stream"
    body: bytes | None = None
    pause: float = 0.0


@dataclass(frozen=True)
class Kind:
    """A kind of visitor. kept: all requests over one connection, as long as the server keeps it open."""

    about: str
    ask: Callable[[], Question]
    kept: bool
    users: int


@dataclass
class Count:
    """What became of the requests of one kind. longest: seconds of the slowest answer."""

    sent: int = 0
    lost: int = 0
    longest: float = 0.0
    reasons: list[str] = field(default_factory=list)
    releases: dict[str, int] = field(default_factory=dict)


class Lost(Exception):
    """The answer did not come, or is not what it must be."""


def echo() -> Question:
    body = secrets.token_hex(1000).encode()
    return Question("POST", "/echo", sent=body, body=body)


def upload() -> Question:
    """A file of 300 kB in two halves, the second half a second after the first."""
    head = f'--{FORM}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()
    sent = head + secrets.token_bytes(300_000) + f"\r\n--{FORM}--\r\n".encode()
    return Question("POST", "/upload", 201, sent, f"multipart/form-data; boundary={FORM}", pause=0.5)


KINDS = {
    "get": Kind("GET /, kept open", lambda: Question("GET", "/"), True, 3),
    "get-new": Kind("GET /, each on a new connection", lambda: Question("GET", "/"), False, 3),
    "post": Kind("POST 2 kB and back, kept open", echo, True, 3),
    "post-new": Kind("POST 2 kB and back, each on a new connection", echo, False, 2),
    "slow": Kind("GET that takes 2 s", lambda: Question("GET", "/slow?s=2"), True, 4),
    "slow-new": Kind(
        "GET that takes 2 s, each on a new connection", lambda: Question("GET", "/slow?s=2"), False, 2
    ),
    "upload": Kind("upload of 300 kB, sent in 0.5 s", upload, False, 2),
    "static": Kind("GET a static file, kept open", lambda: Question("GET", "/static/app.css"), True, 2),
    "queue": Kind(
        "GET that takes 0.3 s, each on a new connection", lambda: Question("GET", "/slow?s=0.3"), False, 0
    ),
}


class Visitor:
    """Asks one question after the other until it is told to stop."""

    def __init__(self, where: tuple[str, int], site: str, kind: Kind, count: Count, rest: float) -> None:
        self.where, self.site, self.kind, self.count, self.rest = where, site, kind, count, rest
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def visit(self, over: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        while not over.is_set():
            began = clock()
            self.count.sent += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._ask(self.kind.ask())
            except (Lost, OSError, EOFError, ValueError, TimeoutError) as error:
                self._lost(f"{type(error).__name__}: {error} after {clock() - began:.3f} s", clock())
                await self._close()
            self.count.longest = max(self.count.longest, clock() - began)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), self.rest)
        await self._close()

    def _lost(self, reason: str, now: float) -> None:
        self.count.lost += 1
        if len(self.count.reasons) < KEPT:
            self.count.reasons.append(f"{now:.2f} {reason}")

    async def _ask(self, question: Question) -> None:
        async with self._connection() as (reader, writer):
            head = (
                f"{question.method} {question.path} HTTP/1.1\r\nHost: {self.site}\r\n"
                f"Connection: {'keep-alive' if self.kind.kept else 'close'}\r\n"
            )
            if question.method == "POST":
                head += f"Content-Type: {question.type}\r\nContent-Length: {len(question.sent)}\r\n"
            half = len(question.sent) // 2
            writer.write(head.encode() + b"\r\n" + question.sent[:half])
            if question.pause:
                await writer.drain()
                await asyncio.sleep(question.pause)
            writer.write(question.sent[half:])
            await writer.drain()
            status, headers, body = await _answer(reader)
            if headers.get("connection") == "close":
                await self._close()
        release = headers.get("x-release", "")
        self.count.releases[release] = self.count.releases.get(release, 0) + 1
        if status != question.status:
            raise Lost(f"{question.path} answered {status}")
        if question.body is not None and body != question.body:
            raise Lost(f"{question.path} answered {len(body)} other bytes")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        if self.streams is None:
            self.streams = await asyncio.open_connection(*self.where)
        yield self.streams
        if not self.kind.kept:
            await self._close()

    async def _close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, and the whole body. Raises Lost or EOFError when it is cut off."""
    first = await reader.readline()
    if not first:
        raise Lost("the connection was closed without an answer")
    status = int(first.split()[1])
    headers: dict[str, str] = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") != "chunked":
        return status, headers, await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return status, headers, body


async def load(where: tuple[str, int], site: str, users: dict[str, int], rest: float) -> dict[str, Count]:
    """Visit until stdin ends; the counts by kind."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    counts = {name: Count() for name in users if users[name]}
    visitors = [
        Visitor(where, site, KINDS[name], count, rest)
        for name, count in counts.items()
        for _ in range(users[name])
    ]
    await asyncio.gather(*(visitor.visit(over) for visitor in visitors))
    return counts


@contextmanager
def beside(
    address: str, site: str, *, only: bool = False, through: Sequence[str] = (), **users: int
) -> Iterator[dict[str, Count]]:
    """The load in a process of its own while the block runs; its counts are there when the block has ended.

    only: no visitors but ``users``. through: words before the command, such as ``ip netns exec NAME``.
    """
    counts: dict[str, Count] = {}
    numbers = dict.fromkeys(KINDS, 0) if only else {}
    numbers |= {name.replace("_", "-"): number for name, number in users.items()}
    words = [f"{name}={number}" for name, number in numbers.items()]
    command = [*through, sys.executable, __file__, address, "--site", site, "--users", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(0.5)  # until it has begun: importing asyncio takes a moment
        try:
            yield counts
        finally:
            told, _ = process.communicate("", timeout=2 * PATIENCE)
    counts |= {name: Count(**count) for name, count in json.loads(told).items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--site", required=True, help="the site's first server name")
    parser.add_argument(
        "--users", nargs="*", default=[], help="KIND=NUMBER; others keep theirs: " + ", ".join(KINDS)
    )
    parser.add_argument("--rest", type=float, default=0.02, help="seconds between a visitor's requests")
    chosen = parser.parse_args()
    users = {name: kind.users for name, kind in KINDS.items()}
    for word in chosen.users:
        name, _, number = word.partition("=")
        if name not in users or not number.isdigit():
            parser.error(f"--users takes KIND=NUMBER, not {word!r}")
        users[name] = int(number)
    counts = asyncio.run(load((chosen.address, chosen.port), chosen.site, users, chosen.rest))
    print(json.dumps({name: asdict(count) for name, count in counts.items()}))


if __name__ == "__main__":
    main()
