"""What runs of a site besides its web process, as units of its activation: its processes and timers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from deploy.render.systemd import environment_file
from deploy.render.templates import render
from deploy.shell import program
from deploy.site.app import App
from deploy.site.processes import Process, Timer
from deploy.site.schedule import calendars


class Beside(Struct, frozen=True):
    """What an activation gets for them: each field as :class:`deploy.release.Activation` has it."""

    files: tuple[tuple[str, str], ...] = ()
    units: tuple[tuple[str, str], ...] = ()
    jobs: tuple[tuple[str, str], ...] = ()
    timers: tuple[tuple[str, str], ...] = ()
    alone: tuple[str, ...] = ()
    settle: int = 0
    stopping: int = 0


def beside(app: App, processes: Mapping[str, Process], project: Path | None, *, first: bool) -> Beside:
    """The units of a site's processes and timers on one host.

    first: the host is the first of those that share the site, so that it runs what is for one host alone.
    """
    running = {name: one for name, one in processes.items() if first or one.hosts == "all"}
    timed = {name: one for name, one in app.timers.items() if first or one.hosts == "all"}
    values = {"app": app}
    units = [
        (
            unit,
            render("process@.service.j2", project, values | {"name": name, "one": one, "number": number})[0],
        )
        for name, one in running.items()
        for number, unit in enumerate(copies(app, name, one), 1)
    ]
    jobs, timers = [], []
    for name, one in timed.items():
        inside = values | {"name": name, "one": one}
        jobs.append((f"{app.name}-{name}@.service", render("job@.service.j2", project, inside)[0]))
        inside |= {"calendars": calendars(one.schedule), "script": program("timer")}
        timers.append((f"{app.name}-{name}.timer", render("timer.j2", project, inside)[0]))
        timers.append((f"{app.name}-{name}.service", render("timer.service.j2", project, inside)[0]))
    single = [one for one in running.values() if one.hosts == "first"]
    return Beside(
        files=tuple(_environments({**running, **timed})),
        units=tuple(units),
        jobs=tuple(jobs),
        timers=tuple(timers),
        alone=tuple(_alone(app, running, timed)),
        settle=max((one.settle for one in running.values()), default=0),
        stopping=max((one.stop.timeout for one in single), default=0),
    )


def copies(app: App, name: str, one: Process) -> list[str]:
    """The units of a process, one for each that runs: ``shop-beat@.service``, or ``shop-worker.1@.service`` and on."""
    if one.count == 1:
        return [f"{app.name}-{name}@.service"]
    return [f"{app.name}-{name}.{number}@.service" for number in range(1, one.count + 1)]


def _environments(named: Mapping[str, Process | Timer]) -> Iterator[tuple[str, str]]:
    for name, one in named.items():
        if one.env:
            yield f"{name}.env", environment_file(one.env)


def _alone(app: App, processes: Mapping[str, Process], timers: Mapping[str, Timer]) -> Iterator[str]:
    for name, process in processes.items():
        if process.hosts == "first":
            yield f"{app.name}-{name}@.service"
    for name, timer in timers.items():
        if timer.hosts == "first":
            yield f"{app.name}-{name}.timer"
