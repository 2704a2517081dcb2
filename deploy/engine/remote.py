"""One host as the engine sees it: look, apply, follow, fetch, over one session of the transport."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep

from deploy.engine import look, room
from deploy.engine.apply import Program, compile_plan
from deploy.engine.events import Emit, Sending
from deploy.engine.follow import Follower
from deploy.engine.look import Look
from deploy.engine.plan import Plan
from deploy.engine.reach import Ending, Outcome
from deploy.engine.room import Room
from deploy.errors import HostError
from deploy.resource import Phase, Resource
from deploy.shell import Script, program, sh
from deploy.transport import Session
from deploy.transport.session import LARGE

LOOK_SECONDS = 120
"""How long one look may take: a tree of 50,000 files takes under a second, a host that swaps much longer."""

IDLE_SECONDS = 1200
"""How long an apply may say nothing before it is given up; each step has a deadline of its own on the host."""


GUARDED_IDLE_SECONDS = 20
"""How long an apply of guarded changes may say nothing: what it changed may be why nothing comes."""

CONFIRM_SECONDS = 100
"""How long a new login is tried after a guarded change: longer than the host waits before it goes back by itself."""


@dataclass
class Remote:
    """A host over an open session; the caller closes it by :meth:`close`.

    anew: opens another session, by a login of its own. None: guarded changes cannot be confirmed.
    """

    session: Session
    anew: Callable[[], Session] | None = None

    @property
    def round_trips(self) -> int:
        return self.session.round_trips

    @property
    def sent(self) -> int:
        return self.session.sent

    @property
    def received(self) -> int:
        return self.session.received

    def look(self, resources: Sequence[Resource]) -> Look:
        """One round trip: facts and the state of all resources."""
        nonce = os.urandom(8).hex()
        script = look.script(resources, nonce)
        answer = self.session.run(script, timeout=LOOK_SECONDS, compress=len(script) > LARGE).stdout
        return look.parse(resources, nonce, answer)

    def room(self, beside: Sequence[Script]) -> Room:
        """What the host has left of memory and disk; see :func:`deploy.engine.room.room_script`."""
        return room.parse_room(self.session.run(room.room_script(beside), timeout=LOOK_SECONDS).stdout)

    def apply(
        self,
        plan: Plan,
        about: str,
        emit: Emit,
        through: Phase = Phase.LEAVE,
        *,
        partly: bool = False,
        guarded: bool = False,
    ) -> Outcome:
        """Send the plan as one program, start it as a unit of its own, and follow it to its end.

        partly: scopes have failed earlier in this run. guarded: the plan is of such changes alone; where the connection
        is cut by what was changed, the outcome is HELD as well.
        """
        nonce = os.urandom(8).hex()
        compiled = compile_plan(
            plan,
            id=_run_id(),
            nonce=nonce,
            about=about,
            through=through,
            partly=partly,
            guarded=guarded,
        )
        self._send(plan.host, compiled, emit)
        start = sh(
            program("run-start") + program("run-follow"),
            run=f"/var/lib/barehost/runs/{compiled.id}",
            unit=f"barehost-{compiled.id}.service",
            uploads=[one.name for one in compiled.uploads],
            tidy=program("run-tidy"),
        )
        if not guarded:
            return self._follow(plan.host, nonce, compiled, emit, start)
        try:
            return self._follow(plan.host, nonce, compiled, emit, start, idle=GUARDED_IDLE_SECONDS)
        except HostError:
            return Outcome(Ending.HELD)

    def confirm(self) -> str | None:
        """Log in anew, which lets a guarded change stay; None when it does, else why it has gone back.

        From then on the new session is the one that is used. Raises HostError where nobody can log in at all.
        """
        if self.anew is None:
            raise HostError("a guarded change is made by whoever can log in anew; this run cannot")
        why, end = "no login came about in time", monotonic() + CONFIRM_SECONDS
        while True:
            try:
                fresh = self.anew()
                try:
                    word = fresh.run(sh(program("guard-confirm")), timeout=30).stdout.decode().strip()
                except BaseException:
                    fresh.close()
                    raise
                if word in ("confirmed", "gone"):
                    self._adopt(fresh)
                    return None if word == "confirmed" else why
                fresh.close()
            except HostError as error:
                why = str(error)
                if monotonic() > end:
                    raise
            if monotonic() > end:
                return why
            sleep(0.3)

    def _adopt(self, fresh: Session) -> None:
        """Use this session from here on; what the one before has counted is kept."""
        old, self.session = self.session, fresh
        for name in ("round_trips", "sent", "received"):
            setattr(fresh, name, getattr(fresh, name) + getattr(old, name))
        old.close()

    def _follow(
        self,
        host: str,
        nonce: str | None,
        program: Program | None,
        emit: Emit,
        script: Script,
        idle: float = IDLE_SECONDS,
    ) -> Outcome:
        stream = self.session.stream(script, timeout=None, idle=idle)
        return Follower(host, nonce, program, emit).follow(stream)

    def attach(self, run: str, emit: Emit) -> Outcome:
        """Follow an apply that is running already; its log is read from the start."""
        script = sh(
            "pid=$(systemctl show --value -p MainPID @{unit})\n" + program("run-follow"),
            run=run,
            unit=f"barehost-{run.rpartition('/')[2]}.service",
        )
        host = self.session.host.name
        return self._follow(host, None, None, emit, script)

    def fetch(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """The content of files, for diffs; None for one that is not there or larger than 256 KiB."""
        reply = self.session.run(
            sh(
                program("fetch"),
                paths=paths,
            ),
            timeout=LOOK_SECONDS,
        )
        found: dict[str, bytes | None] = {}
        rest = reply.stdout
        for path in paths:
            line, _, rest = rest.partition(b"\n")
            size = int(line)
            found[path] = None if size < 0 else rest[:size]
            rest = rest[max(size, 0) :]
        return found

    def lock(self, about: str) -> str | None:
        """Hold the host for this session until it ends or :meth:`unlock`: None, or who holds it since when.

        A holder that was not heard for a minute, while nothing of it runs on the host, loses it: its person's
        machine is asleep or gone, and its session ends. :meth:`alive` is how a holder is heard.
        """
        reply = self.session.run(sh(program("lock"), about=about), timeout=LOOK_SECONDS)
        if reply.rc == 0:
            return None
        return reply.stdout.decode(errors="replace").strip() or "another run holds the host"

    def unlock(self) -> None:
        """Give the host back; nothing happens where it is not held."""
        self.session.run(sh(program("unlock")), timeout=LOOK_SECONDS)

    def alive(self) -> None:
        """Let the host hear that the run which holds it goes on, though it has nothing to do here right now."""
        self.session.run(sh(":"), timeout=LOOK_SECONDS)

    def close(self) -> None:
        """End the session, and with it whatever lock it holds."""
        self.session.close()

    def _send(self, host: str, program: Program, emit: Emit) -> None:
        self.session.put("bundle", program.bundle())
        for upload in program.uploads:
            self.session.put(
                upload.name,
                upload.pack(),
                unpack=upload.unpack,
                progress=_progress(host, upload.name, upload.size, emit),
            )


def _progress(host: str, name: str, total: int, emit: Emit) -> Callable[[int], None]:
    def report(done: int) -> None:
        emit(Sending(host, name, done, total))

    return report


def _run_id() -> str:
    """Sortable by time, unique: two runs in one second differ."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"
