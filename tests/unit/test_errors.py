"""Errors and their exit codes."""

from __future__ import annotations

import re
from pathlib import Path

from deploy import errors

ROOT = Path(__file__).parents[2]


def test_every_error_has_its_exit_code_documented() -> None:
    text = (ROOT / "docs/exit-codes.md").read_text()
    documented = {
        (int(code), name) for code, name in re.findall(r"^\| (\d+) \| (?:`(\w+)`)? ?\|", text, re.MULTILINE)
    }
    kinds = [errors.BarehostError, *_all_below(errors.BarehostError)]
    ours = {(kind.exit_code, kind.__name__) for kind in kinds if kind.__module__ == "deploy.errors"}
    assert documented == ours | {(0, ""), (2, ""), (130, "")}


def test_no_two_errors_share_an_exit_code() -> None:
    codes = [
        kind.exit_code for kind in errors.BarehostError.__subclasses__() if kind.__module__ == "deploy.errors"
    ]
    assert len(codes) == len(set(codes))


def _all_below(kind: type[errors.BarehostError]) -> list[type[errors.BarehostError]]:
    return [one for below in kind.__subclasses__() for one in (below, *_all_below(below))]
