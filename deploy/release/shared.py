"""What the rooms of a release share: where records and numbers lie, how units are listed, where scripts are."""

from __future__ import annotations

from pathlib import Path

HOST = Path(__file__).parents[1] / "host"

RECORDS = "/var/lib/barehost/apps"
"""On the host: one folder a site, one file a release in it, with a line for each thing that happened to it."""


def program(name: str) -> str:
    """The text of ``deploy/host/<name>.sh``, whose ``@{…}`` are filled in by :func:`deploy.shell.sh`."""
    return (HOST / f"{name}.sh").read_text()


NUMBERS = "/var/lib/barehost/activations"
"""On the host: one file a site, with the number of its newest activation. No number is used twice."""

UNITS = program("units")
