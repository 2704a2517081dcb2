"""Whether a host has room for what a plan brings: memory and disk, asked for and compared. Never connects."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from deploy.resource import Change, Phase, Resource, Upload
from deploy.shell import Script, join, program, sh

SPARE = 32 << 20
"""Bytes of disk that stay free whatever is sent: logs, sockets and the undo need some."""

_ROOM = program("room")


class Room(Struct, frozen=True):
    """What a host has left, in bytes; None: it did not say.

    memory: what new processes may use without pushing out others. disk: what is free below /srv.
    beside: the memory of what goes on running beside what a plan starts. One is started after another, so of what ends
    as soon as the new one has its place, the largest counts; of what may end later, all.
    """

    memory: int | None = None
    disk: int | None = None
    beside: int = 0


def room_script(beside: Sequence[Script]) -> Script:
    """Asks for a host's :class:`Room`. beside: each prints the bytes that one service holds, or nothing.

    Not part of a look: no look would be like the one before it, and few plans need to know.
    """
    asked = (sh("printf 'beside %s\\n' \"$( @{question}\n)\"", question=one) for one in beside)
    return join([Script(_ROOM), *asked, Script(":")])


def parse_room(output: bytes) -> Room:
    """What the host answered to :func:`room_script`."""
    told = [line.split(" ", 1) for line in output.decode(errors="replace").splitlines()]
    numbers = [(pair[0], int(pair[1])) for pair in told if len(pair) == 2 and pair[1].isdigit()]
    left = dict(numbers)
    both = [[int(one) for one in pair[1].split() if one.isdigit()] for pair in told if pair[0] == "beside"]
    beside = max((one[0] for one in both if one), default=0) + sum(sum(one[1:]) for one in both)
    return Room(left.get("memory"), left.get("disk"), beside)


def sending(changes: Sequence[Change[Resource]]) -> int:
    """Bytes that the builds among these changes bring to the host, unpacked."""
    return sum(
        step.size
        for change in changes
        if change.resource.when == Phase.BUILD
        for step in type(change.resource).steps([change])
        if isinstance(step, Upload)
    )


def shortage(room: Room, sent: int) -> str | None:
    """Why the host has no room, as a sentence; None when it has, or when it did not say.

    Memory: a second instance needs what the one that serves uses, and they are changed one by one. Disk: what is sent,
    unpacked, with as much again for copies, and :data:`SPARE` beside it.
    """
    if room.memory is not None and room.beside > room.memory:
        return (
            f"a new instance beside the old one needs about {room.beside >> 20} MiB of memory and "
            f"{room.memory >> 20} MiB are available; nothing was changed: free some, or use fewer workers"
        )
    if sent and room.disk is not None and 2 * sent + SPARE > room.disk:
        return (
            f"the plan needs about {2 * sent + SPARE >> 20} MiB of disk below /srv and {room.disk >> 20} MiB are "
            "free; nothing was changed: free some, or keep fewer releases"
        )
    return None
