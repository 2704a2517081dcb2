"""A command on a host with this process's own terminal: what is typed goes there, what it says comes here."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deploy.shell import Script
from deploy.transport import command, refusals, route
from deploy.transport.link import open_link

if TYPE_CHECKING:
    from paramiko import Channel

    from deploy.transport.endpoint import Endpoint

_BLOCK = 1 << 15


def interact(host: Endpoint, script: Script) -> int:
    """Run ``script`` as root on a terminal of the host until it ends; its exit code.

    sudo, where it wants a password, asks for it on that terminal itself. Raises HostError as connect does.
    """
    from paramiko.ssh_exception import SSHException

    hops = route.route(host, route.lookup())
    link = open_link(host.name, hops)
    try:
        sudo = host.sudo and hops[-1].user != "root"
        channel = link.transport.open_session(timeout=host.connect_timeout)
        columns, lines = shutil.get_terminal_size()
        terminal = os.environ.get("TERM", "xterm")
        channel.get_pty(terminal, columns, lines)
        channel.exec_command(command.on_terminal(script, terminal, sudo=sudo))
        with _raw(), _resizing(channel):
            _pump(channel)
        return channel.recv_exit_status()
    except (SSHException, EOFError, OSError) as error:
        raise refusals.no_channel(host.name, hops[-1].user, error) from error
    finally:
        link.close()


def _pump(channel: Channel) -> None:
    """Both ways until the far side closes."""
    waiting: list[Any] = [channel, sys.stdin]
    while True:
        ready, _, _ = select.select(waiting, [], [])
        if channel in ready:
            data = channel.recv(_BLOCK)
            if not data:
                return
            os.write(sys.stdout.fileno(), data)
        if sys.stdin in ready:
            typed = os.read(sys.stdin.fileno(), _BLOCK)
            if typed:
                channel.sendall(typed)
            else:
                channel.shutdown_write()
                waiting.remove(sys.stdin)


@contextmanager
def _raw() -> Iterator[None]:
    """Keys go through one by one, unechoed, ^C included; the terminal is put back however this ends."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def _resizing(channel: Channel) -> Iterator[None]:
    """The far terminal follows the size of this one."""

    def follow(number: int, frame: object) -> None:
        columns, lines = shutil.get_terminal_size()
        channel.resize_pty(columns, lines)

    before = signal.signal(signal.SIGWINCH, follow)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
