"""What a reader gets to see of events: as a log, as JSON, of a story that is told."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import termios
import threading
import time
from typing import Any

from deploy import report
from deploy.engine.events import (
    Diff,
    Event,
    Finished,
    Planned,
)
from deploy.engine.plan import Plan
from deploy.resource import Change
from tests.unit.fakes import storyboard


def shown(*events: Event, close: bool = True, **options: Any) -> str:
    """What a log gets to read of these events."""
    stream = io.StringIO()
    hosts = list(dict.fromkeys(event.host for event in events))
    settings = {"json": False, "verbose": 0, "diff": False} | options
    with report.reporter(stream=stream, hosts=hosts, **settings) as show:
        for event in events:
            show(event)
        if close:
            show.close([event.report for event in events if isinstance(event, Finished)])
    return stream.getvalue()


def story(name: str, **options: Any) -> str:
    events = [one for host in storyboard.story(name, 0).values() for one in host if isinstance(one, Event)]
    return shown(*events, **options)


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def planned(host: str, *changes: Change, number: int = 1, diffs: tuple[Diff, ...] = ()) -> Planned:
    return Planned(host, Plan(host, changes), number, diffs)


def change(id: str, actual: Any = None, expected: Any = None) -> Change:
    return Change(storyboard.Thing(id), actual, expected)


class Terminal:
    """A pty, 100 columns wide, whose other end is read until it is closed."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 100))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self._read: list[bytes] = []
        self._reader = threading.Thread(target=self._drain)
        self._reader.start()

    def _drain(self) -> None:
        try:
            while block := os.read(self._master, 65536):
                self._read.append(block)
        except OSError:  # Linux says EIO when the last writer is gone
            return

    def wait_for(self, said: str) -> None:
        """Until it was shown; ten seconds at most."""
        deadline = time.monotonic() + 60
        while said not in plain(b"".join(self._read).decode(errors="replace")):
            assert time.monotonic() < deadline, f"never shown: {said}"
            time.sleep(0.01)

    def text(self) -> str:
        """All that was written; the terminal is gone after that."""
        self.stream.close()
        self._reader.join()
        os.close(self._master)
        return b"".join(self._read).decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
