"""pyinfra with TCP_NODELAY on its sockets, which paramiko leaves off: what a one-line fix would make of it."""

import socket
import sys

from paramiko import Transport
from pyinfra_cli.main import main

begin = Transport.__init__


def without_delay(self: Transport, sock: socket.socket, *rest: object, **options: object) -> None:
    """paramiko's own, after the socket is told not to wait for the acknowledgement of what it sent before."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begin(self, sock, *rest, **options)  # type: ignore[arg-type]


Transport.__init__ = without_delay  # type: ignore[method-assign,assignment]
sys.argv[0] = "pyinfra"
main()
