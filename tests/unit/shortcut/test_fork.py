"""Sessions that another process keeps: the fork is real, what it connects to is not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from deploy import transport
from deploy.errors import HostError
from deploy.shell import Script, Secret
from deploy.shortcut import fork as forking
from deploy.shortcut import forked as over_there
from deploy.shortcut.ahead import Ahead
from deploy.shortcut.fork import Fork
from deploy.staging.machine import wait
from deploy.transport import Session
from deploy.transport.endpoint import Endpoint
from deploy.transport.session import Packing, Reply

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


class Far:
    """What the other process has of a host: answers with what it was asked, and with its own process."""

    def __init__(self, host: Endpoint) -> None:
        self.host = host
        self.round_trips = self.sent = self.received = 0
        self.stored: dict[str, bytes] = {}

    def run(self, script: Script, *, timeout: float, compress: bool = False) -> Reply:
        self.round_trips += 1
        if script == "lost":
            raise HostError(f"{self.host.name}: the connection was lost")
        if script == "stored":
            return Reply(0, repr(self.stored).encode(), b"")
        return Reply(3, f"{script} {timeout} {compress} {os.getpid()}".encode(), b"told")

    def put(
        self,
        name: str,
        blocks: Iterable[bytes],
        *,
        unpack: Packing = "",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        if name == "full":
            next(iter(blocks))
            raise HostError(f"{self.host.name}: the disk is full")
        self.stored[f"{name}/{unpack}"] = b"".join(blocks)
        self.sent += len(self.stored[f"{name}/{unpack}"])

    def stream(
        self, script: Script, *, timeout: float | None = None, idle: float | None = None
    ) -> Generator[bytes, None, Reply]:
        for number in range(3):
            self.received += 1
            yield f"{script} {number}\n".encode()
        if script == "breaks":
            raise HostError(f"{self.host.name}: too quiet")
        return Reply(0, b"", f"{timeout} {idle}".encode())

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def there(fork: Fork, host: Endpoint, password: Callable[[str], Secret] | None = None) -> Session:
    return over_there.connect(fork.hand, host, password=password)


def connect(host: Endpoint, *, password: Callable[[str], Secret] | None = None) -> Far:
    if host.name == "dead":
        raise HostError("dead: nobody answers")
    if host.name == "sudo":
        assert password is not None
        assert [password(f"{number}?").reveal() for number in (1, 2)] == ["secret 1?", "secret 2?"]
    return Far(host)


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fork]:
    monkeypatch.setattr(transport, "connect", connect)
    process = Fork()
    yield process
    process.close()


def test_a_script_runs_in_the_other_process_and_its_reply_comes_back(fork: Fork) -> None:
    with there(fork, Endpoint("web1")) as session:
        reply = session.run(Script("uname"), timeout=5, compress=True)
        asked, timeout, compress, pid = reply.stdout.decode().split()
        assert (reply.rc, reply.stderr, asked, timeout, compress) == (3, b"told", "uname", "5", "True")
        assert int(pid) != os.getpid()
        assert session.host == Endpoint("web1")
        assert session.round_trips == 1


def test_hosts_are_answered_side_by_side(fork: Fork) -> None:
    with ExitStack() as stack:
        hosts = [Endpoint(f"web{number}") for number in range(3)]
        sessions = [stack.enter_context(there(fork, host)) for host in hosts]
        streams = [session.stream(Script(session.host.name)) for session in sessions]
        told = [[next(stream) for stream in streams] for _ in range(3)]
    assert told[2] == [b"web0 2\n", b"web1 2\n", b"web2 2\n"]


def test_blocks_arrive_whole_and_their_progress_is_told(fork: Fork) -> None:
    blocks = [b"one", b"", b"two" * 100_000]
    seen: list[int] = []
    with there(fork, Endpoint("web1")) as session:
        session.put("bundle", iter(blocks), unpack="tar", progress=seen.append)
        assert seen == [3, 300_000]
        assert session.sent == 300_003
        session.put("empty", iter(()))
        stored = session.run(Script("stored"), timeout=5).stdout.decode()
        assert stored == repr({"bundle/tar": b"".join(blocks), "empty/": b""})


def test_an_upload_that_fails_over_there_is_an_error_here_and_the_next_question_is_understood(
    fork: Fork,
) -> None:
    with there(fork, Endpoint("web1")) as session:
        with pytest.raises(HostError, match="web1: the disk is full"):
            session.put("full", iter([b"x" * 1_000_000] * 5))
        assert session.run(Script("id"), timeout=5).rc == 3


def test_lines_come_while_a_script_runs_and_then_its_reply(fork: Fork) -> None:
    with there(fork, Endpoint("web1")) as session:
        stream = session.stream(Script("tail"), timeout=7, idle=2)
        lines = []
        while True:
            try:
                lines.append(next(stream))
            except StopIteration as end:
                assert end.value == Reply(0, b"", b"7 2")
                break
        assert lines == [b"tail 0\n", b"tail 1\n", b"tail 2\n"]
        assert session.received == 3


def test_errors_come_back_as_they_are(fork: Fork) -> None:
    with pytest.raises(HostError, match=r"^dead: nobody answers$"):
        there(fork, Endpoint("dead"))
    with there(fork, Endpoint("web1")) as session:
        with pytest.raises(HostError, match=r"^web1: the connection was lost$"):
            session.run(Script("lost"), timeout=5)
        with pytest.raises(HostError, match=r"^web1: too quiet$"):
            list(session.stream(Script("breaks")))


def test_a_password_is_asked_for_in_the_first_process(fork: Fork) -> None:
    with there(fork, Endpoint("sudo"), password=lambda sentence: Secret(f"secret {sentence}")) as session:
        assert session.host.name == "sudo"


def test_leaving_a_stream_early_closes_the_session(fork: Fork) -> None:
    session = there(fork, Endpoint("web1"))
    stream = session.stream(Script("tail"))
    next(stream)
    stream.close()
    with pytest.raises(HostError, match="web1"):
        session.run(Script("id"), timeout=5)


def test_a_process_that_is_gone_is_a_lost_connection(fork: Fork) -> None:
    with there(fork, Endpoint("web1")) as session:
        pid = _keeper(session)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(
            HostError, match=r"web1: the connection was lost .*process that kept it has ended"
        ):
            session.run(Script("id"), timeout=5)
        with pytest.raises(HostError, match="web2"):
            there(fork, Endpoint("web2"))


def test_it_ends_when_it_is_closed_with_what_waits_for_it(fork: Fork) -> None:
    with there(fork, Endpoint("web1")) as session:
        pid = _keeper(session)
        fork.close()
        fork.close()
        assert wait(lambda: _gone(pid), 5)
        with pytest.raises(HostError, match="web1"):
            session.run(Script("id"), timeout=5)


def test_it_ends_with_the_first_process_however_that_ends() -> None:
    script = (
        "import os, time; from deploy.shortcut.fork import Fork; fork = Fork();"
        "print(fork._pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(pid, number)
        assert Path(f"/proc/{pid}").exists()
        process.kill()
    assert wait(lambda: _gone(pid), 10)


def _gone(pid: int) -> bool:
    """No such process, or one that only waits for its parent to take note."""
    try:
        return re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) is not None
    except OSError:
        return True


def test_it_does_not_pay_once_there_are_threads_or_where_there_is_one_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "listdir", lambda path: {"/proc/self/task": ["1"]}[path])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    assert forking.pays()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert not forking.pays()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(os, "listdir", lambda path: {"/proc/self/task": ["1", "2"]}[path])
    assert not forking.pays()


def test_where_no_process_can_be_started_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(forking, "pays", lambda: True)
    monkeypatch.setattr(os, "fork", refused)
    assert forking.start() is None


def test_without_another_process_sessions_are_in_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "connect", connect)
    with Ahead(None) as connections, connections.connect(Endpoint("web1")) as session:
        assert _keeper(session) == os.getpid()


def test_hosts_that_are_expected_are_connected_to_before_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: dict[str, int] = {}

    def counted(host: Endpoint, *, password: Callable[[str], Secret] | None = None) -> Far:
        opened[host.name] = opened.get(host.name, 0) + 1
        return connect(host, password=password)

    monkeypatch.setattr(transport, "connect", counted)
    hosts = [Endpoint("web1", "192.0.2.1"), Endpoint("dead", "192.0.2.2"), Endpoint("down")]
    with Ahead(None) as connections:
        connections.expect(hosts)
        assert wait(lambda: opened == {"web1": 1, "dead": 1}, 5)  # one without an address is not tried
        connections.connect(hosts[0]).close()
        with pytest.raises(HostError, match="dead"):
            connections.connect(hosts[1])
        assert opened == {"web1": 1, "dead": 1}
        connections.connect(hosts[0]).close()  # a second time is another session
    assert opened == {"web1": 2, "dead": 1}


def test_sessions_that_nobody_asked_for_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(transport, "connect", connect)
    monkeypatch.setattr(Far, "close", lambda self: closed.append(self.host.name))
    with Ahead(None) as connections:
        connections.expect([Endpoint("web1", "192.0.2.1"), Endpoint("web2", "192.0.2.2")])
        taken = connections.connect(Endpoint("web2", "192.0.2.2"))
    assert wait(lambda: closed == ["web1"], 5)
    taken.close()


def test_with_another_process_all_sessions_are_there(fork: Fork) -> None:
    with Ahead(None, fork) as connections:
        connections.expect([Endpoint("web1", "192.0.2.1")])
        with connections.connect(Endpoint("web1")) as first, connections.connect(Endpoint("web2")) as second:
            pids = {_keeper(session) for session in (first, second)}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert wait(lambda: all(map(_gone, pids)), 5)


def _keeper(session: Session) -> int:
    """The process that a session is in."""
    return int(session.run(Script("id"), timeout=5).stdout.split()[-1])
