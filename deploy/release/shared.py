"""What the rooms of a release share: where records and numbers lie, how units are listed."""

from __future__ import annotations

from deploy.shell import program

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


UNITS = program("units")
