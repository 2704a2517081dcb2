"""What the rooms of a release share: where records and numbers lie, how units are listed, where scripts are."""

from __future__ import annotations

from pathlib import Path

from deploy.shell import Script

HOST = Path(__file__).parents[1] / "host"

PACKAGES = ".barehost/packages"
"""Below a release: where its own projects are installed; a Python of ours finds it by BAREHOST_PACKAGES."""

RECORDS = "/var/lib/barehost/apps"
"""On the host: one folder a site, one file a release in it, with a line for each thing that happened to it."""

HASHED = r"[.-](?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}\.[^/]+$"
"""How a name with a hash of the content in it ends: ``.`` or ``-``, 8 to 64 hexadecimal digits, a suffix.

A letter and a digit must be among them, so that neither a date (``-20240131.jpg``) nor a word (``-facade.css``)
counts: what is taken for hashed is cached for a year.
"""


NUMBERS = "/var/lib/barehost/activations"
"""On the host: one file a site, with the number of its newest activation. No number is used twice."""

PROVEN = "/var/lib/barehost/proven"
"""On the host: one file a site, with the digest of the files in front of it that it was last proven with."""


def program(name: str) -> str:
    """The text of ``deploy/host/<name>.sh``, whose ``@{…}`` are filled in by :func:`deploy.shell.sh`."""
    return (HOST / f"{name}.sh").read_text(encoding="utf-8")


def embedded(name: str) -> Script:
    """The text of ``deploy/host/<name>.py``, which stands in a step as it is: the system's Python reads it there."""
    return Script((HOST / f"{name}.py").read_text(encoding="utf-8"))


UNITS = program("units")
