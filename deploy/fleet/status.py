"""What runs where: one round trip a host, side by side. Reads the hosts, never the sources; changes nothing.

Whether a host is what the inventory says is for `plan`; here the question is what serves now, and since when.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy import transport
from deploy.engine import look
from deploy.engine.look import Look
from deploy.errors import BarehostError, LookError
from deploy.fleet.run import in_threads
from deploy.inventory.hosts import Host
from deploy.release import Activation
from deploy.release.activation import MEMORY
from deploy.release.shared import RECORDS
from deploy.resource import State
from deploy.shell import Script, Secret, join, key, program, sh

SECONDS = 60
"""How long one host may take to say what runs on it."""


@dataclass(frozen=True)
class Standing:
    """What runs of one site on one host.

    release, activation: None when it was never deployed. state: a few words, starting with ``running``,
    ``stopped``, ``failed`` or ``not deployed``. since: when the process that serves was started; commit: of the
    source; memory: bytes its processes hold; each None when it is not known.
    """

    host: str
    site: str
    release: str | None
    activation: int | None
    state: str
    since: datetime | None = None
    commit: str | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Status:
    """What a fleet showed. standings: in the order of the hosts. failures: one for each host that did not tell.

    notes: what concerns more than one row: releases that differ between hosts, runs that are under way. alarms: what is
    not well on a host, as its alerts would say it: a failed unit, a full disk, a certificate that nobody renews.
    """

    standings: tuple[Standing, ...]
    failures: tuple[BarehostError, ...]
    notes: tuple[str, ...]
    alarms: tuple[str, ...] = ()


def status_of(hosts: Sequence[Host], *, password: Callable[[str], Secret] | None = None) -> Status:
    """Ask every host, :data:`deploy.fleet.run.WORKERS` at once."""
    answers = in_threads(lambda host: _ask(host, password) if host.address else _not_up(host), hosts)
    standings: list[Standing] = []
    notes: list[str] = []
    alarms: list[str] = []
    for answer in answers:
        if not isinstance(answer, BarehostError):
            standings += answer[0]
            notes += answer[1]
            alarms += answer[2]
    failures = tuple(one for one in answers if isinstance(one, BarehostError))
    return Status(tuple(standings), failures, (*notes, *differing(standings)), tuple(alarms))


def differing(standings: Sequence[Standing]) -> Iterator[str]:
    """A sentence for each site that runs more than one release."""
    for site in dict.fromkeys(one.site for one in standings):
        where: dict[str, list[str]] = {}
        for one in standings:
            if one.site == site and one.release is not None:
                where.setdefault(one.release, []).append(one.host)
        if len(where) > 1:
            told = "; ".join(f"{release} on {', '.join(hosts)}" for release, hosts in sorted(where.items()))
            yield f"{site} runs {len(where)} releases at once: {told}"


Answer = tuple[list[Standing], list[str], list[str]]


def _not_up(host: Host) -> Answer:
    """A staging host that was taken down, or was never up: that is how it is meant to be, and no failure."""
    return [Standing(host.name, app.name, None, None, "not up") for app in host.apps], [], []


def _ask(host: Host, password: Callable[[str], Secret] | None) -> Answer | BarehostError:
    nonce = secrets.token_hex(8)
    try:
        with transport.connect(host, password=password) as session:
            reply = session.run(script(host, nonce), timeout=SECONDS)
        return parse(host, nonce, reply.stdout)
    except BarehostError as error:
        return error


def script(host: Host, nonce: str) -> Script:
    """A look at no resource, for the facts, and then what systemd and the records say of every site there."""
    names = [app.name for app in host.apps]
    sites = sh(
        program("activation-look") + MEMORY + program("status") + "sites @{names}\n",
        key=key(),
        records=RECORDS,
        nonce=nonce,
        names=names,
    )
    return join([look.script((), nonce), sites, Script(f"(\n{program('alarms')})")])


def parse(host: Host, nonce: str, output: bytes) -> Answer:
    """The standing of every site of the inventory and of the host, notes and alarms. Raises LookError."""
    seen = look.parse((), nonce, output)
    parts = output.split(f"\n\x1e{nonce} ".encode())[-1].partition(b"\n")[2].split(f"\x1d{nonce}\n".encode())
    if len(parts) != 3:
        raise LookError(f"{host.name}: the host's answer ends before its sites; look again")
    states = Activation.parse((), parts[0])
    told = _blocks(parts[1])
    wanted = {app.name: app.state for app in host.apps}
    standings = [
        _standing(host.name, name, seen, states.get(f"activation:{name}"), told[name], wanted.get(name))
        for name in told
    ]
    notes = [f"{host.name}: a run is under way: {seen.holder or seen.running}"] if seen.running else []
    if seen.unfinished:
        notes.append(
            f"{host.name}: a run of {seen.unfinished} was cut short; the next provision takes it back"
        )
    alarms = [f"{host.name}: {line.partition(chr(9))[2]}" for line in _lines(parts[2]) if "\t" in line]
    return [one for one in standings if one.state != "absent"], notes, alarms


def _lines(output: bytes) -> list[str]:
    return output.decode(errors="replace").splitlines()


def _standing(
    host: str, site: str, seen: Look, state: State | None, told: Mapping[str, str], wanted: str | None
) -> Standing:
    known = seen.facts.app(site)
    aside = str((state or {}).get("left over") or "")
    if known.activation is None:
        said = ["absent" if wanted == "absent" else "not deployed", *_left_over(aside)]
        return Standing(host, site, None, None, ", ".join(said))
    assert state is not None
    said = [_ACTIVE.get(str(state["active"]), str(state["active"])), *_troubles(state, told)]
    said += _left_over(aside)
    said += {None: ["not in the inventory"], "absent": ["absent in the inventory"]}.get(wanted, [])
    memory = told.get("memory")
    return Standing(
        host=host,
        site=site,
        release=known.release,
        activation=known.activation,
        state=", ".join(said),
        since=_since(told.get("ExecMainStartTimestamp", "")) if said[0] == "running" else None,
        commit=told.get("commit") or None,
        memory=int(memory) if memory else None,
    )


_ACTIVE = {"active": "running", "inactive": "stopped", "reloading": "running"}


def _troubles(state: State, told: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with an instance apart from whether it runs."""
    if not state["enabled"]:
        yield "not started at boot"
    if timers := [unit for unit in str(state.get("down") or "").split() if unit.endswith(".timer")]:
        yield f"{', '.join(timers)} does not run"
    if not state["proven"]:
        yield "never proven through Nginx"
    if told.get("NeedDaemonReload") == "yes":
        yield "needs daemon-reload"
    if state["active"] == "active" and told.get("newer"):
        yield "older than its configuration"
    yield from _processes(told)
    if told.get("nginx") != "active":
        yield f"not served: nginx is {told.get('nginx') or 'not there'}"


def _processes(told: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a site's processes, and which of its timers' commands failed when they ran last."""
    for name, value in told.items():
        kind, _, unit = name.partition(" ")
        if kind != "unit":
            continue
        active, restarts, code = (*value.split(" "), "", "")[:3]
        short, is_process, _ = unit.removesuffix(".service").partition("@")
        if is_process and active != "active":
            yield f"{short} is down ({active or 'not started'}, exit code {code})"
        elif is_process and restarts not in ("", "0"):
            yield f"{short} was started again {restarts} times"
        elif not is_process and active == "failed":
            yield f"the timer {short} failed at its last run"


def _left_over(units: str) -> list[str]:
    return [f"{units.replace(' ', ', ')} left over from an interrupted switch"] if units else []


def _since(text: str) -> datetime | None:
    """systemd's ``Mon 2026-11-23 09:09:49.123456 UTC``; before 248 without the fraction."""
    for form in ("%a %Y-%m-%d %H:%M:%S.%f UTC", "%a %Y-%m-%d %H:%M:%S UTC"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC)
    return None


def _blocks(output: bytes) -> dict[str, dict[str, str]]:
    """``site NAME`` and the ``key=value`` lines below it."""
    found: dict[str, dict[str, str]] = {}
    for block in output.decode(errors="replace").split("site=")[1:]:
        name, *lines = block.splitlines()
        found[name] = dict(line.split("=", 1) for line in lines if "=" in line)
    return found
