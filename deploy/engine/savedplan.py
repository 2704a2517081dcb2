"""A plan as a file: what was shown today is done tomorrow, or nothing where something has changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from deploy.engine.events import Report
from deploy.errors import InputError

FORMAT = 1
"""Raised when a file of before could not be understood."""


class SavedPlan(Struct, frozen=True):
    """What the file holds: plans as JSON by host, and the ids of releases that they name."""

    plans: Mapping[str, Any]
    releases: Mapping[str, str]


def write(file: Path, releases: Mapping[str, str], reports: Sequence[Report]) -> None:
    """Save the plans of a check, with the ids of its releases; a host that could not be looked at is left out."""
    plans = {report.host: report.plan.as_json() for report in reports if report.plan is not None}
    text = json.dumps({"barehost plan": FORMAT, "releases": dict(releases), "plans": plans}, indent=1)
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"the plan cannot be written to {file}: {error.strerror}") from error


def read(file: Path) -> SavedPlan:
    """Raises InputError for a file that is not there or that plan --out did not write."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the plan {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file} is no plan: {error}; write one with invoke plan --out") from error
    if not isinstance(saved, dict) or saved.get("barehost plan") != FORMAT:
        raise InputError(f"{file} is no plan of this version; write one with invoke plan --out")
    return SavedPlan(saved["plans"], saved["releases"])
