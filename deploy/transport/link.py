"""Connects and logs in: TCP, jump hosts, host keys, keys and agent, through Fabric. Runs nothing on a host."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from typing import Any

from fabric import Config, Connection
from paramiko import PKey, SSHConfig, Transport
from paramiko.ssh_exception import IncompatiblePeer

from deploy.errors import HostError
from deploy.transport import hostkeys, refusals
from deploy.transport.hostkeys import HostKey, Known, Presented
from deploy.transport.login import Login
from deploy.transport.route import Hop
from deploy.transport.wire import Pulse, Wire

_HANDSHAKE = 5.0
"""Seconds for the key exchange, on top of a hop's timeout for the banner before it."""
_WINDOW = 4 << 20
"""Bytes the host may send before we acknowledge; the window the other way is the host's choice (2 MiB in OpenSSH)."""

_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
_KEX = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521")
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")

logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Link:
    """A way to a host that is open and logged in, jump hosts included; closed as a whole."""

    def __init__(self) -> None:
        self._connections: list[Connection] = []
        self._pulses: list[Pulse] = []
        self.wire: Wire | None = None

    @property
    def transport(self) -> Transport:
        """The last hop's."""
        transport: Transport = self._connections[-1].transport
        return transport

    def add(self, connection: Connection, wire: Wire) -> None:
        self._connections.append(connection)
        self._pulses.append(Pulse(wire, connection.transport))
        self.wire = wire

    def close(self) -> None:
        """Close the farthest hop first; neither raises nor waits for a host that is gone."""
        for pulse in self._pulses:
            pulse.stop()
        for connection in reversed(self._connections):
            connection.close()
        self._connections, self._pulses = [], []


def open_link(host: str, hops: tuple[Hop, ...]) -> Link:
    """Connect through every hop and log in at each. host: the name that errors carry.

    Raises HostError, one sentence for each way it can fail; a jump host that fails is named.
    """
    link = Link()
    try:
        for position, hop in enumerate(hops):
            where = host if position == len(hops) - 1 else f"{host}: jump host {hop.address}"
            wire = _carrier(where, hop, link if position else None)
            link.add(_login(where, host, hop, wire), wire)
    except BaseException:
        link.close()
        raise
    return link


def fetch(host: str, hops: tuple[Hop, ...]) -> Presented:
    """Every key of the first hop that is not trusted yet, or of the host itself; logs in only before it.

    A jump host that is not trusted hides what is behind it: trust its keys, and fetch again.
    """
    link = Link()
    *jumps, last = hops
    try:
        for hop in jumps:
            keys = _keys(host, hop, link if link.wire else None)
            known = hostkeys.read(hop.known_hosts)
            if not any(hostkeys.standing(known, key) == "trusted" for key in keys):
                return Presented(keys, str(hop))
            wire = _carrier(host, hop, link if link.wire else None)
            link.add(_login(f"{host}: jump host {hop.address}", host, hop, wire), wire)
        return Presented(_keys(host, last, link if link.wire else None), None)
    finally:
        link.close()


def _keys(host: str, hop: Hop, before: Link | None) -> tuple[HostKey, ...]:
    keys: dict[bytes, HostKey] = {}
    for kind in _KINDS:
        wire = _carrier(host, hop, before)
        transport = _transport(wire, (kind,), only=True)
        transport.banner_timeout = transport.handshake_timeout = hop.timeout
        try:
            transport.start_client(timeout=hop.timeout + _HANDSHAKE)
            key = transport.get_remote_server_key()
            keys[key.asbytes()] = HostKey(hop.pin, key.get_name(), key.asbytes())
        except IncompatiblePeer:
            continue
        except Exception as error:
            raise refusals.handshake(host, hop, error) from error
        finally:
            transport.close()
    return tuple(keys.values())


def _carrier(where: str, hop: Hop, before: Link | None) -> Wire:
    """What carries the next ssh connection: a channel of the hop before, a program, or a TCP socket."""
    if before is not None:
        try:
            return Wire(
                before.transport.open_channel(
                    "direct-tcpip",
                    (hop.address, hop.port),
                    ("127.0.0.1", 0),
                    window_size=_WINDOW,
                    timeout=hop.timeout,
                )
            )
        except Exception as error:
            raise refusals.beyond(where, hop, error) from error
    if hop.command is not None:
        return _program(hop.command)
    return Wire(_tcp(where, hop))


def _program(command: str) -> Wire:
    """A program that carries the connection on its stdin and stdout; its own complaints go to our stderr."""
    ours, theirs = socket.socketpair()
    with theirs:
        shell = ["/bin/sh", "-c", f"exec {command}"]
        return Wire(ours, subprocess.Popen(shell, stdin=theirs.fileno(), stdout=theirs.fileno()))


def _tcp(where: str, hop: Hop) -> socket.socket:
    """A connected socket within the hop's timeout, every address of the name tried in turn."""
    deadline = time.monotonic() + hop.timeout
    # as bytes where it is plain ASCII: for text, Python imports what encodes international names (5 ms)
    name = hop.address.encode() if hop.address.isascii() else hop.address
    try:
        addresses = socket.getaddrinfo(name, hop.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise refusals.unresolved(where, hop) from error
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(deadline - time.monotonic(), 0.1))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
            continue
        # Nagle's algorithm against delayed acknowledgements costs 40 ms a round trip
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise refusals.unreachable(where, hop, failure) from failure


def _transport(wire: Wire, kinds: tuple[str, ...], *, only: bool = False) -> Transport:
    """paramiko's transport with our order of algorithms; ``kinds`` of host key first, or nothing else."""
    transport = Transport(wire, default_window_size=_WINDOW)  # type: ignore[arg-type]
    options = transport.get_security_options()
    options.ciphers = _first(_CIPHERS, options.ciphers)
    options.kex = _first(_KEX, options.kex)
    wanted = [name for kind in kinds for name in _algorithms(kind)]
    options.key_types = (
        [one for one in wanted if one in options.key_types] if only else _first(wanted, options.key_types)
    )
    return transport


def _first(wanted: tuple[str, ...] | list[str], offered: Any) -> list[str]:
    head = [one for one in wanted if one in offered]
    return head + [one for one in offered if one not in head]


def _algorithms(kind: str) -> tuple[str, ...]:
    """Signature algorithms for a kind of key: an RSA key signs with SHA-2 today."""
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _login(where: str, host: str, hop: Hop, wire: Wire) -> Connection:
    known = hostkeys.read(hop.known_hosts)
    login = Login(where, hop)
    connection = Connection(
        hop.address,
        user=hop.user,
        port=hop.port,
        gateway=False,
        config=Config(lazy=True, ssh_config=SSHConfig()),
        connect_kwargs={
            "sock": wire,
            "auth_strategy": login,
            "timeout": hop.timeout + _HANDSHAKE,
            "banner_timeout": hop.timeout,
            "auth_timeout": hop.timeout,
            "channel_timeout": hop.timeout,
            "transport_factory": lambda sock, **_: _transport(sock, hostkeys.kinds(known, hop.pin)),
        },
    )
    connection.client.set_missing_host_key_policy(_Pinned(known, hop, host))
    try:
        connection.open()
    except HostError:
        connection.client.close()
        raise
    except Exception as error:
        connection.client.close()
        raise refusals.handshake(where, hop, error) from error
    return connection


class _Pinned:
    """paramiko's policy for host keys: it is asked about every key, for we give paramiko none of its own."""

    def __init__(self, known: list[list[Known]], hop: Hop, host: str) -> None:
        self._known, self._hop, self._host = known, hop, host

    def missing_host_key(self, _client: Any, _name: str, key: PKey) -> None:
        hostkeys.check(self._known, HostKey(self._hop.pin, key.get_name(), key.asbytes()), self._host)
