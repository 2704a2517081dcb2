"""What slow clients cost the others: uploads at 10 bytes a second, and wrk beside them, against a staging host.

    python bench/slow_clients.py web1 --site hello.example.com

Loads only staging hosts of this machine: web1, which must be up and serve the site, and a host "clients", booted
for the occasion, whose network the clients come from. For each number of slow clients wrk measures `/` four
times: alone; beside as many clients of a socket that nobody reads, on the clients' own host, which is what they
cost this machine whoever serves; beside slow uploaders of the site; and alone again. The score is the site's
throughput beside its uploaders over that beside the control. With --tls all of them but the control's come over TLS.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import re
import resource
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy import staging

COUNTS = (100, 1_000, 10_000)
LENGTH = 1_000_000
"""Bytes each slow client announces; at 10 a second none is ever done."""
SINK = 9
"""The discard port, for the control."""
_NETWORK = 0x40000000


@dataclass(frozen=True)
class Load:
    """One run of wrk. requests: a second; p99: milliseconds; failed: answers other than 2xx, and socket errors."""

    requests: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Row:
    """One number of slow clients. held: those still connected at the end; memory: MiB of Nginx's processes."""

    slow: int
    alone: Load
    control: Load
    beside: Load
    again: Load
    held: int
    memory: int

    @property
    def score(self) -> float:
        return self.beside.requests / self.control.requests


def main() -> None:
    """Boot the clients' host, measure, print a table (``--json``: one object)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("host", help="a staging host that serves the site")
    parser.add_argument("--site", required=True, help="the site's first server name")
    parser.add_argument(
        "--slow", type=int, nargs="+", default=COUNTS, help="how many slow clients, each a row"
    )
    parser.add_argument("--seconds", type=int, default=8, help="of each run of wrk")
    parser.add_argument("--tls", action="store_true", help="over TLS, to port 443")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    known = {host.name: host for host in staging.running()}
    if chosen.host not in known:
        parser.error(f"no staging host {chosen.host!r} runs here: only such hosts are loaded")
    if any(not 0 < slow <= max(COUNTS) for slow in chosen.slow):
        parser.error(f"between 1 and {max(COUNTS)} slow clients")
    clients = staging.up("clients")
    try:
        assert clients.pid is not None
        _limit_files()
        address = known[chosen.host].address
        with _network_of(clients.pid):
            rows = [
                _measure(address, chosen.host, chosen.site, slow, chosen.seconds, chosen.tls)
                for slow in chosen.slow
            ]
    finally:
        staging.down("clients")
    print(json.dumps([asdict(row) for row in rows]) if chosen.json else _table(rows))


def _measure(address: str, host: str, site: str, slow: int, seconds: int, tls: bool) -> Row:
    alone = _wrk(address, site, seconds, tls)
    with Sink() as sink, Slow(sink.address, site, slow):
        control = _wrk(address, site, seconds, tls)
    with Slow((address, 443 if tls else 80), site, slow, tls=tls) as uploaders:
        beside = _wrk(address, site, seconds, tls)
        held, memory = uploaders.held(), _memory(host)
    return Row(slow, alone, control, beside, _wrk(address, site, seconds, tls), held, memory)


class Slow:
    """Uploaders that send 10 bytes a second each, from one thread of their own."""

    def __init__(self, address: tuple[str, int], site: str, count: int, *, tls: bool = False) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        head = f"POST / HTTP/1.1\r\nHost: {site}\r\nContent-Length: {LENGTH}\r\n\r\n".encode()
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)
        self._thread.start()  # the first of them must not wait for the last: 10,000 handshakes take their time
        for _ in range(count):
            one = socket.create_connection(address, timeout=30)
            if tls:
                one = context.wrap_socket(one, server_hostname=site)
            one.sendall(head)
            one.setblocking(False)
            self._sockets.append(one)

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _drip(self) -> None:
        """In each second, a hundredth of the clients every hundredth, so that they never send all at once."""
        turn = 0
        while not self._over.wait(0.01):
            for one in self._sockets[turn::100]:
                with suppress(OSError):
                    one.send(b"x" * 10)
            turn = (turn + 1) % 100

    def held(self) -> int:
        """How many the server still listens to: neither closed nor answered."""
        return sum(map(_silent, self._sockets))


def _silent(one: socket.socket) -> bool:
    """Whether nothing of an answer, nor an end, has come; what TLS itself says (tickets) is neither."""
    try:
        one.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


class Sink:
    """A socket on the clients' own host that is accepted and never read, by a process of its own."""

    address = ("127.0.0.1", SINK)

    def __enter__(self) -> Sink:
        self._listener = socket.create_server(self.address, backlog=4096)
        self._process = multiprocessing.get_context("fork").Process(target=self._accept)
        self._process.start()
        return self

    def _accept(self) -> None:
        kept = []
        while True:
            kept.append(self._listener.accept()[0])

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._listener.close()


def _wrk(address: str, site: str, seconds: int, tls: bool) -> Load:
    # by its name, which TLS wants to know: in a hosts file of its own
    named = [
        "unshare",
        "-m",
        "sh",
        "-c",
        'printf "%s %s\\n" "$0" "$1" > /dev/shm/hosts-$$ && '
        'mount --bind /dev/shm/hosts-$$ /etc/hosts && rm /dev/shm/hosts-$$ && shift && exec "$@"',
        address,
        site,
    ]
    command = [
        *(named if tls else []),
        "wrk",
        "-t1",
        "-c16",
        f"-d{seconds}s",
        "--latency",
        "-H",
        f"Host: {site}",
        f"https://{site}/" if tls else f"http://{address}/",
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    rate, percentile = (
        re.search(r"Requests/sec:\s+([\d.]+)", told),
        re.search(r"99%\s+([\d.]+)(us|ms|s)", told),
    )
    assert rate is not None and percentile is not None, told
    failed = sum(
        int(number) for number in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", told)
    )
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}[percentile[2]]
    return Load(float(rate[1]), round(float(percentile[1]) * unit, 2), failed)


def _memory(host: str) -> int:
    """MiB that Nginx's processes hold, as the host counts it (Pss: what they share counts once)."""
    asked = staging.inside(host, "sh", "-c", "cat $(pgrep -x nginx | sed 's|.*|/proc/&/smaps_rollup|')")
    return sum(int(size) for size in re.findall(r"^Pss:\s+(\d+)", asked.stdout, re.MULTILINE)) // 1024


def _limit_files() -> None:
    """As many open files as this machine gives; one a client is needed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _network_of(pid: int) -> Iterator[None]:
    """This thread, and what it starts meanwhile, in the network of a process."""
    with Path(f"/proc/{pid}/ns/net").open() as theirs, Path("/proc/thread-self/ns/net").open() as ours:
        if ctypes.CDLL(None, use_errno=True).setns(theirs.fileno(), _NETWORK):
            sys.exit("entering the clients' network needs root")
        try:
            yield
        finally:
            ctypes.CDLL(None, use_errno=True).setns(ours.fileno(), _NETWORK)


def _table(rows: list[Row]) -> str:
    head = "| slow | alone | control | beside | again | score | p99 control → beside | failed | held | Nginx MiB |"
    lines = [
        f"| {row.slow} | {row.alone.requests:.0f} | {row.control.requests:.0f} | {row.beside.requests:.0f}"
        f" | {row.again.requests:.0f} | {row.score:.2f} | {row.control.p99} → {row.beside.p99} ms"
        f" | {row.beside.failed} | {row.held} | {row.memory} |"
        for row in rows
    ]
    return "\n".join([head, "|---" * 10 + "|", *lines])


if __name__ == "__main__":
    main()
