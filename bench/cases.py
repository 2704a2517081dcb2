"""What is measured: each case with its hosts, what changes before a run, and what must be true after it."""

from __future__ import annotations

import re
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bench import hosts
from bench.contenders import Act, Target
from bench.job import Job, static_content

FAST = ("barehost", "script", "ansible", "mitogen")
ALL = (*FAST, "pyinfra", "pyinfra-nodelay")
SERVED_SECONDS = 10


@dataclass(frozen=True)
class Case:
    """One row of the table.

    count: hosts. peers: who takes part. act: what each is asked to do; it is given the number of the run, other
    in each, and makes the change first. proof: raises AssertionError where the hosts do not show the result.
    quiet: the run must say itself that it changed nothing. before: puts the hosts where a run begins.
    effect: asks a host once, on a connection of its own, whether the change of this run is in force.
    rounds, budget: runs of each peer, at most, and seconds after which it gets no further one, beside the first,
    watched one. once: peers so slow that the watched run must do.
    """

    name: str
    title: str
    count: int
    peers: tuple[str, ...]
    act: Callable[[Job, int], Act]
    proof: Callable[[Sequence[Target], int], None] | None = None
    quiet: bool = False
    before: Callable[[Target], None] | None = None
    effect: Callable[[Target, int], bool] | None = None
    rounds: int = 9
    budget: float = 20.0
    once: tuple[str, ...] = ()


def _first(job: Job, number: int) -> Act:
    return Act("first")


def _nothing(job: Job, number: int) -> Act:
    return Act("provision")


def _template(job: Job, number: int) -> Act:
    return Act("provision", body=f"{11 + number}m")


def _static(job: Job, number: int) -> Act:
    job.change_static(number)
    return Act("release")


def _release(job: Job, number: int) -> Act:
    job.release(number)
    return Act("release")


def _sync(name: str) -> Callable[[Job, int], Act]:
    return lambda job, number: Act("sync", folder=job.fill(name))


def _one_of(name: str) -> Callable[[Job, int], Act]:
    def change(job: Job, number: int) -> Act:
        folder = job.fill(name)
        (folder / "d0" / "0001.txt").write_text(f"{number}")
        return Act("sync", folder=folder)

    return change


def served(targets: Sequence[Target], number: int) -> None:
    """The site answers through Nginx, and so does a static file of it."""
    for host in targets:
        _until(host, b"version", "does not serve the site")
        assert len(_get(host, "/static/d7/0107.bin")) > 10_000, f"{host.name} does not serve its files"


def released(targets: Sequence[Target], number: int) -> None:
    """The version of this run is what is served."""
    for host in targets:
        _until(host, f"version {number}".encode(), "serves another version")


def configured(targets: Sequence[Target], number: int) -> None:
    """Nginx has the new value."""
    for host in targets:
        told = hosts.inside(host, "nginx -T 2>/dev/null")
        assert re.search(rf"client_max_body_size {11 + number}m;", told), f"{host.name} has another value"


def larger_body(host: Target, number: int) -> bool:
    """Whether a body of the new size is asked for; a worker with the value of before refuses it (413)."""
    with socket.create_connection((host.address, 80), timeout=SERVED_SECONDS) as visitor:
        head = f"POST / HTTP/1.1\r\nHost: {host.address}\r\nExpect: 100-continue\r\n"
        visitor.sendall(f"{head}Content-Length: {(11 + number) << 20}\r\n\r\n".encode())
        return b" 100 " in visitor.recv(64)


def shipped(targets: Sequence[Target], number: int) -> None:
    """The file that was changed is served as it is now."""
    for host in targets:
        _until(host, static_content(number), "serves another file", "/static/d3/0103.bin")


def replaced(targets: Sequence[Target], number: int) -> None:
    """The file that was changed is there as it is now."""
    for host in targets:
        told = hosts.inside(host, "cat /srv/assets/d0/0001.txt")
        assert told == f"{number}", f"{host.name} has another file"


def arrived(targets: Sequence[Target], number: int) -> None:
    """All 2,000 files are there."""
    for host in targets:
        told = hosts.inside(host, "find /srv/assets -type f | wc -l")
        assert told.strip() == "2000", f"{host.name} has {told} files"


def _until(host: Target, text: bytes, failure: str, path: str = "/") -> None:
    """Ask until the page has the text: a reload of Nginx is not over when the command is, and not all wait for it."""
    deadline = time.monotonic() + SERVED_SECONDS
    while True:
        with suppress(OSError):
            if text in _get(host, path):
                return
        assert time.monotonic() < deadline, f"{host.name} {failure}"
        time.sleep(0.1)


def _get(host: Target, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{host.address}{path}", timeout=SERVED_SECONDS) as answer:
        content: bytes = answer.read()
        return content


def _away(host: Target) -> None:
    """Nothing at the folder's place. Moved, not deleted: an ext4 without a journal, as hosts may lie on here, does not
    take the inodes of deleted files for some minutes and walks past each; 0.6 ms a new file instead of 0.02."""
    hosts.inside(
        host, '[ ! -e /srv/assets ] || mv /srv/assets "$(mktemp -d /srv/before.XXXXXX)"; sync -f /srv'
    )


def _cases() -> list[Case]:
    slow = ("ansible", "mitogen")
    return [
        Case(
            "first",
            "first run, bare host",
            1,
            ("script-uv", *FAST, "pyinfra-nodelay"),
            _first,
            served,
            before=hosts.again,
            rounds=3,
            budget=45,
            once=("mitogen", "pyinfra-nodelay"),
        ),
        Case("noop", "nothing to do, 1 host", 1, ALL, _nothing, served, quiet=True, rounds=11, budget=40),
        Case("noop-4", "nothing to do, 4 hosts", 4, FAST, _nothing, quiet=True, once=slow),
        Case("noop-8", "nothing to do, 8 hosts", 8, FAST, _nothing, quiet=True, once=slow),
        Case("noop-16", "nothing to do, 16 hosts", 16, FAST, _nothing, quiet=True, once=("mitogen",)),
        Case("noop-64", "nothing to do, 64 hosts", 64, FAST[:2], _nothing, quiet=True, rounds=5),
        Case(
            "template",
            "one template variable changed",
            1,
            (*FAST, "pyinfra-nodelay"),
            _template,
            configured,
            effect=larger_body,
        ),
        Case("static", "1 of 500 static files changed, shipped", 1, FAST, _static, shipped),
        Case("release", "release of code, 1 host", 1, FAST, _release, released),
        Case("release-8", "release of code, 8 hosts", 8, FAST, _release, released, once=slow),
        Case("tree", "5,000 files, none changed", 1, FAST, _sync("5000"), quiet=True),
        Case("tree-1", "5,000 files, 1 changed", 1, FAST, _one_of("5000"), replaced),
        Case("tree-50000", "50,000 files, none changed", 1, FAST, _sync("50000"), quiet=True),
        Case(
            "push",
            "200 MB, first push",
            1,
            ("tar", *FAST),
            _sync("200MB"),
            arrived,
            before=_away,
            rounds=5,
            budget=20,
        ),
    ]


CASE = {case.name: case for case in _cases()}
FLEETS = tuple(name for name in CASE if name.startswith("noop"))
"""The same run on 1 host and on more: what one more costs is read off them."""


def tidy(job: Job) -> None:
    """Remove the folders of many files; they are made again in seconds."""
    shutil.rmtree(job.work / "folders", ignore_errors=True)
