"""The job that every peer is given, as files: the site, its static files, folders of many. Contacts no host."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

STATIC = 500
STATIC_BYTES = 8 << 20
"""Static files of the site, and what they hold together."""

_SITE = '''"""A page that says which version of the code serves it."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """The version, for the bench to see that a release arrived."""
    return "version {version}"
'''

_ROLE = '''"""A folder of files beside the site, as a role of one's own."""

from collections.abc import Iterator
from pathlib import Path

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.tree import Tree


def assets(host: Host, facts: Facts) -> Iterator[Resource]:
    """The folder that the inventory names, at /srv/assets."""
    yield Tree("/srv/assets", source=Path(str(host.vars["assets"])))
'''

_TASKS = '''"""A project of its own: Barehost's tasks as they come."""

from deploy.tasks import namespace

__all__ = ["namespace"]
'''


@dataclass(frozen=True)
class Job:
    """Where the job's files are; ``work`` is the bench's own folder."""

    work: Path

    @property
    def project(self) -> Path:
        """A Barehost project of its own; its site is what every peer serves."""
        return self.work / "project"

    @property
    def site(self) -> Path:
        return self.project / "site"

    def folder(self, name: str) -> Path:
        """A folder of many files, by its name in :data:`FOLDERS`."""
        return self.work / "folders" / name

    def write(self) -> None:
        """The project with its site, afresh."""
        shutil.rmtree(self.project, ignore_errors=True)
        fill(self.site / "static", STATIC, STATIC_BYTES // STATIC, ".bin")
        (self.site / "requirements.txt").write_text("flask\n")
        (self.project / "roles").mkdir()
        (self.project / "inventory").mkdir()
        (self.project / "roles" / "assets.py").write_text(_ROLE)
        (self.project / "tasks.py").write_text(_TASKS)
        self.release(0)

    def release(self, version: int) -> None:
        """Give the code a new version."""
        (self.site / "shop.py").write_text(_SITE.format(version=version))

    def change_static(self, version: int) -> None:
        """Give one static file new content of the same length."""
        file = self.site / "static" / "d3" / "0103.bin"
        file.write_bytes(static_content(version))

    def fill(self, name: str) -> Path:
        """The folder of that name, made when it is not there."""
        folder = self.folder(name)
        if not folder.is_dir():
            fill(folder, *FOLDERS[name])
        return folder


def static_content(version: int) -> bytes:
    """What :meth:`Job.change_static` writes."""
    return random.Random(version).randbytes(STATIC_BYTES // STATIC)


FOLDERS = {
    "5000": (5_000, 2048, ".txt"),
    "50000": (50_000, 1024, ".txt"),
    "200MB": (2_000, 100_000, ".jpg"),
}
"""Name: how many files, of how many bytes, with what suffix (pictures cannot be compressed, and say so)."""


def fill(folder: Path, count: int, size: int, suffix: str) -> None:
    """Random files, the same in every run, 100 a folder."""
    content = random.Random(count)
    for number in range(count):
        part = folder / f"d{number // 100 if count > 1000 else number % 10}"
        if not part.is_dir():
            part.mkdir(parents=True)
        (part / f"{number:04d}{suffix}").write_bytes(content.randbytes(size))
