"""What the rooms of a release have in common: where records lie, how a site's units are told, where scripts are."""

from __future__ import annotations

from pathlib import Path

HOST = Path(__file__).parents[1] / "host"

RECORDS = "/var/lib/barehost/apps"
"""On the host: one folder a site, one file a release in it, with a line for each thing that happened to it."""


def program(name: str) -> str:
    """The text of ``deploy/host/<name>.sh``, whose ``@{…}`` are filled in by :func:`deploy.shell.sh`."""
    return (HOST / f"{name}.sh").read_text()


UNITS = program("units")
