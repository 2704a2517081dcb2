"""Sites that attack their host, for tests: packages, builds and pages that try to become somebody else."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from typing import Any

from sites import Project

PAGE = """import os
def app(environ, start_response):
    page = PAGES.get(environ['PATH_INFO'])
    body = page() if page else 'ok'
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body.encode()]
PAGES = {}
"""
"""A site that answers ``ok``, and what ``PAGES`` has for a path."""


def wheel(project: Project, site: str, files: Mapping[str, str], name: str = "evil") -> str:
    """Puts a wheel with these files into the site's source; the line of a requirements file that names it."""
    file = project.folder / site / f"{name}-1.0-py3-none-any.whl"
    file.parent.mkdir(parents=True, exist_ok=True)
    about = f"{name}-1.0.dist-info"
    content = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in content.items()
    )
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in {**content, f"{about}/RECORD": f"{record}{about}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return f"./{file.name}\n"


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def site(
    project: Project, name: str, pages: str = "", *, requirements: str = "", **keys: Any
) -> dict[str, Any]:
    """A site of the project with its own code, as the inventory has it; ``pages`` is Python that fills ``PAGES``."""
    project.write(f"{name}/{name}.py", PAGE + pages)
    project.write(f"{name}/requirements.txt", requirements)
    return {
        "source": name,
        "wsgi": f"{name}:app",
        "server_names": [f"{name}.example.com"],
        "health": {"timeout": 20},
        **keys,
    }
