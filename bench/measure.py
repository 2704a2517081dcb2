"""Run one command and say what it cost: wall, CPU and memory of it and all it started. Knows no peer.

    python bench/measure.py RESULT LIMIT WATCH -- COMMAND...

The result is one JSON object in the file RESULT. A process of its own, so that whatever the command leaves behind
(ssh's masters do) becomes this one's child: it is counted, and ended, and nothing else on the machine is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

_SUBREAPER = 36
GRACE = 5.0
"""Seconds between the signal that asks and the one that does not."""
_PAUSE = 0.02
"""Seconds between two looks at memory, at least; four times as long as a look takes, where that is more."""


def main() -> None:
    """Run the command; LIMIT in seconds, WATCH 1 to sample its memory."""
    result, limit, watch, _, *command = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        sys.exit("this kernel does not let a process adopt what its children leave behind")
    signal.signal(signal.SIGTERM, _stop)
    memory = Memory() if watch == "1" else None
    limited = Limit(float(limit))
    began = time.monotonic()
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
    except BaseException:
        left_behind()
        raise
    finally:
        late = limited.stop()
        peak = memory.stop() if memory else None
    cpu = usage.ru_utime + usage.ru_stime + left_behind()
    told = {
        "wall": seconds,
        "ended": began + seconds,
        "cpu": cpu,
        "memory": peak,
        "code": os.waitstatus_to_exitcode(status),
        "late": late,
    }
    Path(result).write_text(json.dumps(told))


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def family(root: int) -> list[int]:
    """Every process below ``root``, however deep; those that end meanwhile are left out."""
    found, pending = [], [root]
    while pending:
        one = pending.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                pending += [int(child) for child in (task / "children").read_text().split()]
        if one != root:
            found.append(one)
    return found


def end(number: int) -> None:
    """Send a signal to all that runs below this process."""
    for one in family(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


def left_behind() -> float:
    """End what outlived the command; the CPU seconds it took."""
    seconds = 0.0
    end(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return seconds
        if pid:
            seconds += usage.ru_utime + usage.ru_stime
        elif time.monotonic() > deadline:
            end(signal.SIGKILL)
        else:
            time.sleep(0.005)


class Limit(threading.Thread):
    """Ends all that runs below this process when the time is up, at first gently."""

    def __init__(self, seconds: float) -> None:
        super().__init__(daemon=True)
        self._seconds = seconds
        self._over = threading.Event()
        self._late = False
        self.start()

    def run(self) -> None:
        if not self._over.wait(self._seconds):
            self._late = True
            end(signal.SIGTERM)
            if not self._over.wait(GRACE):
                end(signal.SIGKILL)

    def stop(self) -> bool:
        """Whether the time was up."""
        self._over.set()
        self.join()
        return self._late


class Memory(threading.Thread):
    """Samples the memory of all processes below this one, each page counted once however many share it (Pss)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._peak = 0
        self.start()

    def run(self) -> None:
        pause = _PAUSE
        while not self._over.wait(pause):
            began = time.monotonic()
            self._peak = max(self._peak, sum(map(_proportional, family(os.getpid()))))
            pause = max(_PAUSE, 4 * (time.monotonic() - began))

    def stop(self) -> float:
        """MiB at the highest."""
        self._over.set()
        self.join()
        return self._peak / 1024


def _proportional(pid: int) -> int:
    """KiB of one process; 0 when it has ended."""
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/smaps_rollup").open() as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
