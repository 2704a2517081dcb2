"""What a run of the checks says: one line a host and site, and what failed. Prints through deploy.report alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from deploy import report
from deploy.report.words import count, seconds
from deploy.verify.plugin import place_of

ITSELF = "checks without a host"


@dataclass
class Tally:
    """How the checks of one host, or one of its sites, ended."""

    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    began: float = field(default_factory=monotonic)


class Summary:
    """pytest's plugin in place of its terminal reporter."""

    def __init__(self, *, verbose: int) -> None:
        self.verbose = verbose
        self.failed = 0
        self.broken = False
        self._where: dict[str, str] = {}
        self._place: str | None = None
        self._tally = Tally()
        self._blocks: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.unregister(name="terminalreporter")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            place = place_of(item)
            self._where[item.nodeid] = place.words if place is not None else ITSELF

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken = True
            self._blocks.append(f"{report.nodeid}: cannot be loaded\n{_indented(report.longreprtext)}")

    def pytest_internalerror(self, excrepr: object) -> None:
        self.broken = True
        self._blocks.append(f"pytest itself failed\n{_indented(str(excrepr))}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        place = self._where[report.nodeid]
        if place != self._place:
            self._finish()
            self._place, self._tally = place, Tally()
        if report.failed:
            self._fail(report)
        elif report.skipped:
            self._tally.skipped.append(f"{sentence(report)}: {_reason(report)}")
        elif report.when == "call":
            self._tally.passed += 1
            if self.verbose:
                self._blocks.append(f"  ok      {sentence(report)}")

    def close(self) -> None:
        """The last lines."""
        self._finish()
        self._flush()

    def _fail(self, report: pytest.TestReport) -> None:
        self.failed += 1
        self._tally.failed += 1
        why = report.longreprtext if self.verbose > 1 else _why(report)
        path, line, _ = report.location
        name = path if not path.startswith("..") else f"deploy/testinfra/{Path(path).name}"
        where = f"{name}:{(line or 0) + 1}"
        self._blocks.append(f"  FAILED  {sentence(report)} ({where})\n{_indented(why)}")

    def _finish(self) -> None:
        if self._place is None:
            return
        tally = self._tally
        total = tally.passed + tally.failed
        counts = (
            f"{tally.failed} of {count(total, 'check')} failed"
            if tally.failed
            else f"{count(total, 'check')} passed"
        )
        skipped = f", {len(tally.skipped)} skipped" if tally.skipped else ""
        report.say(f"{self._place}: {counts}{skipped} in {seconds(monotonic() - tally.began)}")
        if self.verbose:
            self._blocks += [f"  skipped {one}" for one in tally.skipped]
        self._flush()

    def _flush(self) -> None:
        for block in self._blocks:
            report.say(block)
        self._blocks.clear()


_LINES = 8
"""Lines of a failed check's reason that are shown: a command that failed unexpectedly quotes all of itself."""


def sentence(report: pytest.TestReport) -> str:
    """The check's name as the sentence it is: ``test_nginx_runs[web1]`` is ``nginx runs``."""
    name, _, parameters = report.nodeid.rpartition("::")[2].partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    further = parameters.rstrip("]").partition("-")[2] if "::" in parameters else ""
    return f"{words} {further}".strip()


def _why(report: pytest.TestReport) -> str:
    """What was expected and what was found, without the trace."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    first, _, _ = text.removeprefix("AssertionError: ").partition("\nassert ")
    lines = str(first).splitlines()
    more = [f"… {len(lines) - _LINES} more lines, shown with -v -v"] if len(lines) > _LINES else []
    return "\n".join([*lines[:_LINES], *more])


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return str(text).removeprefix("Skipped: ")


def _indented(text: str) -> str:
    return "\n".join(f"          {line}".rstrip() for line in text.splitlines())
