"""What a long step is doing, read from the lines that it prints (apt, pip, uv); prints nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

from deploy.report import words


class Progress:
    """The progress of one running step: feed it lines, read :attr:`text`. Lines are neutralised already."""

    def __init__(self) -> None:
        self.text = ""
        self._packages = 0
        self._done = 0

    def feed(self, line: str) -> None:
        """Take one line into account; one that says nothing leaves the last word standing."""
        for pattern, say in _RULES:
            if match := pattern.match(line):
                self.text = say(self, match) or self.text
                return
        self.text = line.strip() or self.text

    def _expect(self, match: re.Match[str]) -> str:
        self._packages = int(match[1]) + int(match[2])
        return ""

    def _set_up(self, match: re.Match[str]) -> str:
        self._done += 1
        known = f" ({self._done} of {self._packages})" if self._packages >= self._done else ""
        return f"setting up {match[1]}{known}"


_QUIET = (
    r"Selecting previously|Preparing to unpack|\(Reading database|Reading |Building dependency|Processing t"
    r"|debconf:|The following|Need to get|After this|Suggested|Recommended|Requirement already|  "
    r"|Using cached|\s*\[?notice|\s*━"
)

_RULES: tuple[tuple[re.Pattern[str], Callable[[Progress, re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        # apt
        (r"Get:\d+ \S+ \S+ \S+ (\S+) \S+ \S+ \[", lambda _, m: f"fetching {m[1]}"),
        (r"(?:Get|Hit|Ign):(\d+) ", lambda _, m: f"reading index {m[1]}"),
        (r"(\d+) upgraded, (\d+) newly installed", Progress._expect),
        (r"Fetched (.*?) in ", lambda _, m: f"fetched {m[1]}"),
        (r"Unpacking ([^\s:]+)", lambda _, m: f"unpacking {m[1]}"),
        (r"Setting up ([^\s:]+)", Progress._set_up),
        (r"Removing ([^\s:]+)", lambda _, m: f"removing {m[1]}"),
        # pip
        (r"Collecting ([^\s<>=!~\[;(]+)", lambda _, m: f"collecting {m[1]}"),
        (r"\s*Downloading (?:\S*/)?(\S+?)(?:-\d\S*)? (\(.*\))", lambda _, m: f"downloading {m[1]} {m[2]}"),
        (r"\s*Building wheel for ([^\s(]+)", lambda _, m: f"building {m[1]}"),
        (
            r"Installing collected packages: (.*)",
            lambda _, m: "installing " + words.count(m[1].count(",") + 1, "package"),
        ),
        # uv
        (r"(?:Resolved|Prepared|Installed|Audited) \d+ packages?", lambda _, m: m[0].lower()),
        (_QUIET, lambda _, m: ""),
    )
)
