"""What a series found, as JSON, as tables in Markdown and as a picture. Measures nothing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from statistics import linear_regression, median

from bench import picture
from bench.cases import CASE, FLEETS
from bench.contenders import PEER, Place, Said
from bench.series import CALM, Sample


@dataclass(frozen=True)
class Cell:
    """One peer in one case. wall: of every run that counts; the rest: medians, or of the watched run."""

    wall: tuple[float, ...]
    cpu: float
    memory: float | None
    sessions: int | None
    connections: int | None
    kilobytes: float | None
    said: Said | None = None
    late: bool = False
    failure: str = ""
    effective: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        return median(self.wall)


@dataclass(frozen=True)
class Results:
    """All samples, what they were measured on, and the cases that were asked for."""

    machine: dict[str, str]
    samples: Sequence[Sample]
    cases: tuple[str, ...] = ()

    @cached_property
    def cells(self) -> dict[tuple[str, str], Cell]:
        """By case and peer."""
        keys = dict.fromkeys((one.case, one.peer) for one in self.samples)
        return {key: _cell([one for one in self.samples if (one.case, one.peer) == key]) for key in keys}

    @property
    def missing(self) -> list[str]:
        """Cases that the run did not come to."""
        return [name for name in self.cases if all(name != case for case, _ in self.cells)]

    @property
    def failed(self) -> list[str]:
        return [
            f"{case}, {peer}: {cell.failure}" for (case, peer), cell in self.cells.items() if cell.failure
        ]


def _cell(samples: list[Sample]) -> Cell:
    counted = [one for one in samples if not one.watched] or samples
    seen = next((one for one in samples if one.watched), None)
    traffic = seen.traffic if seen else None
    return Cell(
        wall=tuple(round(one.wall, 3) for one in counted),
        cpu=median(one.cpu for one in counted),
        memory=seen.memory if seen else None,
        sessions=traffic.sessions if traffic else None,
        connections=traffic.connections if traffic else None,
        kilobytes=(traffic.sent + traffic.received) / 1000 if traffic else None,
        said=seen.said if seen else None,
        late=any(one.late for one in samples),
        failure=next((one.failure for one in samples if one.failure), ""),
        effective=tuple(round(one.effective, 3) for one in counted if one.effective is not None),
    )


def machine(place: Place) -> dict[str, str]:
    """What the figures depend on: processors, memory, kernel, versions, date, commit."""
    found, ours = _installed(place.venv), _installed(place.barehost)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    checkout = str(Path(__file__).parent)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _told(["git", "-C", checkout, "describe", "--always", "--dirty", "--exclude=*"]).strip(),
        "machine": f"{os.cpu_count()} processors, {memory} GiB, Linux {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "OpenSSH": _told(["ssh", "-V"]).split(",")[0].removeprefix("OpenSSH_"),
        "rsync": _told(["rsync", "--version"]).split()[2],
        "Barehost": f"{ours['barehost']} with paramiko {ours['paramiko']}",
        "ansible-core": found["ansible-core"],
        "mitogen": found["mitogen"],
        "pyinfra": found["pyinfra"],
        "uv": found["uv"],
    }


def _installed(venv: Path) -> dict[str, str]:
    listed = _told([str(venv / "bin" / "pip"), "--disable-pip-version-check", "list", "--format=json"])
    return {one["name"]: one["version"] for one in json.loads(listed)}


def _told(argv: list[str]) -> str:
    return subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, timeout=60
    ).stdout


def write(results: Results, folder: Path) -> str:
    """Write the raw samples, the tables and the picture; the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = results.machine["date"][:16].replace(" ", "-").replace(":", "")
    raw = {
        "machine": results.machine,
        "command": sys.argv[1:],
        "samples": [asdict(one) for one in results.samples],
    }
    (folder / f"{stamp}.json").write_text(json.dumps(raw, indent=1) + "\n")
    text = "\n".join(_text(results, f"{stamp}.svg"))
    (folder / f"{stamp}.md").write_text(text)
    medians = {
        CASE[case].title: {
            peer.title: ((), False) if cell.failure else (cell.wall, cell.late)
            for name, peer in PEER.items()
            if (cell := results.cells.get((case, name)))
        }
        for case in dict.fromkeys(case for case, _ in results.cells)
    }
    (folder / f"{stamp}.svg").write_text(picture.draw(medians, results.machine))
    return text


Show = Callable[[Cell, Cell | None], str]
"""A cell as text; the second is Barehost's in the same case."""


def _text(results: Results, image: str) -> Iterator[str]:
    yield f"# Measured {results.machine['date']}\n"
    yield ", ".join(f"{name} {value}" for name, value in results.machine.items() if name != "date") + "\n"
    yield _disturbed(results.samples) + "\n"
    if results.missing:
        yield f"The run was ended before: {', '.join(CASE[name].title for name in results.missing)}.\n"
    yield f"![medians and ranges]({image})\n"
    yield "## Seconds of the whole process: median (range, runs)\n"
    yield from _table(results, _wall)
    asked = {key: replace(cell, wall=cell.effective) for key, cell in results.cells.items() if cell.effective}
    if asked:
        yield "\n## Seconds until the change is in force for every visitor: median (range, runs)\n"
        yield from _rows(asked, _wall)
    yield "\n## How many times Barehost's median\n"
    yield from _table(results, _ratio)
    yield "\n## CPU seconds of the control side, with all it started: median\n"
    yield from _table(results, lambda cell, ours: f"{cell.cpu:.2f}")
    yield "\n## Peak memory of the control side, MiB, shared pages counted once\n"
    yield from _table(results, lambda cell, ours: "–" if cell.memory is None else f"{cell.memory:.0f}")
    yield "\n## Over all hosts: connections / sessions in them / kB on port 22, both ways\n"
    yield from _table(
        results,
        lambda cell, ours: (
            "–" if cell.kilobytes is None else f"{cell.connections} / {cell.sessions} / {cell.kilobytes:.0f}"
        ),
    )
    yield from _own(results)
    yield from _further(results)
    yield "\nHow each sees that a file of a folder is unchanged: " + "; ".join(
        f"{peer.title}: {peer.compares}"
        for peer in PEER.values()
        if any(name == peer.name for _, name in results.cells)
    )
    yield "".join(f"\nfailed: {one}\n" for one in results.failed)


def _own(results: Results) -> Iterator[str]:
    """What Barehost says of itself, beside what the hosts' kernels counted above."""
    said = {case: cell.said for (case, _), cell in results.cells.items() if cell.said}
    if said:
        yield "\n## As Barehost itself reports it, over all hosts: round trips / kB, both ways, without TCP's own\n"
        yield "| | round trips | kB |"
        yield "|---|---|---|"
    for case, took in said.items():
        yield f"| {CASE[case].title} | {took.round_trips} | {took.bytes / 1000:.0f} |"


@dataclass(frozen=True)
class Line:
    """The straight line that fits best (least squares) through a figure of runs on 1 and more hosts."""

    each: float
    fixed: float

    def at(self, hosts: int) -> float:
        return self.fixed + self.each * hosts


def fit(points: Sequence[tuple[int, float]]) -> Line:
    """Through (hosts, figure), of at least two numbers of hosts."""
    each, fixed = linear_regression([hosts for hosts, _ in points], [figure for _, figure in points])
    return Line(each, fixed)


THOUSAND = 1000
FURTHER = (
    "measured on hosts",
    "CPU s",
    "MiB at the peak",
    "s",
    "kB",
    "connections / sessions",
    "round trips",
    "1,000 hosts",
)


def _further(results: Results) -> Iterator[str]:
    """What one more host costs, by the runs with nothing to do; empty unless they were on several numbers of hosts."""
    rows = []
    for name, peer in PEER.items():
        cells = {
            CASE[case].count: cell
            for case in FLEETS
            if (cell := results.cells.get((case, name))) and not cell.failure and not cell.late
        }
        if len(cells) > 1:
            rows.append(f"| {peer.title} | {', '.join(map(str, cells))} | {' | '.join(_slopes(cells))} |")
    if not rows:
        return
    yield "\n## What one more host costs, where there is nothing to do\n"
    yield f"| | {' | '.join(FURTHER)} |"
    yield "|---" * (len(FURTHER) + 1) + "|"
    yield from rows
    yield (
        "\nCPU, memory and seconds: the slope of the straight line that fits the medians best (least squares), "
        "memory that of the watched runs; one more host beside others, not the first. kB, connections, sessions, and "
        "the round trips that Barehost reports: those of the largest run, divided by its hosts. "
        "1,000 hosts: the same lines drawn on that far. They were not measured."
    )


def _slopes(cells: dict[int, Cell]) -> Iterator[str]:
    cpu = fit([(count, cell.cpu) for count, cell in cells.items()])
    wall = fit([(count, cell.median) for count, cell in cells.items()])
    watched = [(count, cell.memory) for count, cell in cells.items() if cell.memory is not None]
    memory = fit(watched) if len(watched) > 1 else None
    most = max(cells)
    traffic = cells[most]
    yield f"{cpu.each:.3f}"
    yield "–" if memory is None else f"{memory.each:.2f}"
    yield f"{wall.each:.3f}"
    yield "–" if traffic.kilobytes is None else f"{traffic.kilobytes / most:.1f}"
    yield (
        "–"
        if traffic.connections is None or traffic.sessions is None
        else f"{traffic.connections / most:.3g} / {traffic.sessions / most:.3g}"
    )
    yield "–" if traffic.said is None else f"{traffic.said.round_trips / most:.3g}"
    yield f"{wall.at(THOUSAND):.0f} s, {cpu.at(THOUSAND):.0f} CPU s" + (
        "" if memory is None else f", {memory.at(THOUSAND):.0f} MiB"
    )


def _disturbed(samples: Sequence[Sample]) -> str:
    busy = sum(one.busy > CALM for one in samples)
    if not busy:
        return "The machine did nothing else."
    return (
        f"Of {len(samples)} runs {busy} began while the machine was busy with something else: measure again."
    )


def _table(results: Results, show: Show) -> Iterator[str]:
    yield from _rows(results.cells, show)


def _rows(cells: Mapping[tuple[str, str], Cell], show: Show) -> Iterator[str]:
    peers = [name for name in PEER if any(peer == name for _, peer in cells)]
    yield "| | " + " | ".join(PEER[name].title for name in peers) + " |"
    yield "|---" * (len(peers) + 1) + "|"
    for case in dict.fromkeys(case for case, _ in cells):
        row = [cells.get((case, peer)) for peer in peers]
        ours = cells.get((case, "barehost"))
        yield f"| {CASE[case].title} | " + " | ".join(_shown(cell, ours, show) for cell in row) + " |"


def _shown(cell: Cell | None, ours: Cell | None, show: Show) -> str:
    if cell is None:
        return "–"
    return "failed" if cell.failure else show(cell, ours)


def _wall(cell: Cell, ours: Cell | None) -> str:
    if cell.late:
        return f"> {cell.median:.0f}"
    digits = 2 if cell.median < 10 else 1
    if len(cell.wall) == 1:
        return f"{cell.median:.{digits}f} (1)"
    return f"{cell.median:.{digits}f} ({min(cell.wall):.{digits}f}–{max(cell.wall):.{digits}f}, {len(cell.wall)})"


def _ratio(cell: Cell, ours: Cell | None) -> str:
    if ours is None or ours.failure or ours.late:
        return "–"
    times = cell.median / ours.median
    return (
        f"{'> ' if cell.late else ''}{times:.0f}"
        if times >= 10
        else f"{'> ' if cell.late else ''}{times:.2g}"
    )
