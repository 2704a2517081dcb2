"""A second process, forked off before much is imported: it does what SSH costs, while this one does the rest.

Python uses one processor at a time, and half of what a run takes until it has a plan is importing and speaking SSH.
The fork needs no start of its own; it ends with this process, however that ends, and so do its connections.
forked.py is what it does. Imports next to nothing, so that it can come first.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import NoReturn


class Fork:
    """The other process, which ends when it is closed, or with this one. Raises OSError where there can be none."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._pid = os.fork()
            except OSError:
                self._control.close()
                raise
            if self._pid == 0:
                self._control.close()
                _serve(theirs)

    def hand(self, sock: socket.socket) -> None:
        """Let it serve a session to whoever holds the other end. Raises OSError when it is gone."""
        socket.send_fds(self._control, [b"\n"], [sock.fileno()])

    def close(self) -> None:
        """Have it end with every connection that is left; waits for nothing, and it holds nobody up while it goes."""
        self._control.close()
        if self._pid:
            threading.Thread(target=os.waitpid, args=(self._pid, 0), daemon=True).start()
            self._pid = 0


def start() -> Fork | None:
    """The process, where that pays and can be; None: do in this one what it would."""
    try:
        return Fork() if pays() else None
    except OSError:  # as many processes as this user may have
        return None


def pays() -> bool:
    """Whether there is a second processor, and a fork is safe: on Linux, where this process has one thread.

    As the kernel counts them: one that Python has done with may still be ending, with a lock of OpenSSL's that nobody
    would give back in the fork.
    """
    return (
        sys.platform == "linux"
        and len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208, pathlib is not imported here
        and len(os.sched_getaffinity(0)) > 1  # unlike cpu_count, what this process may use
    )


def _serve(control: socket.socket) -> NoReturn:
    """The other process's life; it never returns into what it is a fork of.

    It ignores ^C and a closing terminal, which reach both: it ends when the first process does.
    """
    try:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        from deploy.shortcut import forked

        forked.keep(control)
    finally:
        os._exit(0)
