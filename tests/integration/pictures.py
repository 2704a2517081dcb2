"""Container images for tests, put together from what a staging host has: no engine and no registry is asked."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from sites import CHECKOUT, sh

from deploy.staging import StagingHost

PYTHON = r"""
set -e
v=$(readlink -f /usr/bin/python3); name=${v##*/}
{ echo "$v"; find "/usr/lib/$name" -type f -not -path '*/test/*' -not -name '*.pyc'
  ldd "$v" "/usr/lib/$name"/lib-dynload/*.so | grep -o '/[^ ]*' | grep -v ':$' | sort -u
  echo /bin/sh; echo /usr/bin/env; ldd /bin/sh /usr/bin/env | grep -o '/[^ ]*' | grep -v ':$'; } | sort -u |
  tar --create --dereference --file=/root/python.tar --files-from=- 2>/dev/null
cd /srv/hello/venvs/*/lib/python3*/site-packages
tar --create --exclude='*.pyc' --transform='s|^\.|opt/packages|' --file=/root/packages.tar .
"""
"""What a served host's Python and its packages are made of, as two tars without a single link."""

GUNICORN = """#!{python}
import sys
sys.path.insert(0, "/opt/packages")
from gunicorn.app.wsgiapp import run
sys.exit(run())
"""


class Picture:
    """An image that grows layer by layer, and is written as docker save does. keys: of its configuration."""

    def __init__(self, *layers: bytes, **keys: Any) -> None:
        self.layers = [*layers]
        self.keys = {
            "Env": ["PATH=/opt/bin:/usr/bin", "PYTHONPATH=/opt/packages", "MOOD=of the image"],
            "WorkingDir": "/site",
            "User": "990",
            **keys,
        }

    def save(self, file: Path, *, arch: str = "amd64", wrong: bool = False) -> Path:
        """The image in a file. wrong: its last layer is another than its configuration says."""
        ids = [hashlib.sha256(one).hexdigest() for one in self.layers]
        if wrong:
            ids[-1] = "0" * 64
        rootfs = {"diff_ids": [f"sha256:{one}" for one in ids]}
        about = {"architecture": arch, "os": "linux", "config": self.keys, "rootfs": rootfs}
        config = json.dumps(about).encode()
        names = [f"{number}/layer.tar" for number in range(len(ids))]
        files = {
            f"{hashlib.sha256(config).hexdigest()}.json": config,
            **dict(zip(names, self.layers, strict=True)),
        }
        manifest = [{"Config": next(iter(files)), "RepoTags": ["hello:1"], "Layers": names}]
        with tarfile.open(file, "w") as out:
            for name, data in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                out.addfile(member, io.BytesIO(data))
        return file


def layer(
    files: dict[str, bytes], *, mode: int = 0o644, links: dict[str, str] | None = None, uid: int = 0
) -> bytes:
    """A layer of these files, and of symbolic links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid = len(data), mode, uid
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return out.getvalue()


def code(extra: str = "") -> bytes:
    """A layer with the example site in /site, and a line more."""
    folder = CHECKOUT / "examples/hello"
    found = {
        f"site/{file.relative_to(folder)}": file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    found["site/hello.py"] += f"\n{extra}\n".encode()
    return layer(found)


def hello(host: StagingHost, extra: str = "") -> Picture:
    """The example site in an image, made of the Python and the packages of a host that serves it without one."""
    sh(host, PYTHON, timeout=120)
    python = sh(host, "readlink -f /usr/bin/python3").strip()
    start = layer({"opt/bin/gunicorn": GUNICORN.format(python=python).encode()}, mode=0o755)
    tars = [(host.root / f"root/{name}.tar").read_bytes() for name in ("python", "packages")]
    secret = layer({"site/only-mine": b"read by the site\n"}, mode=0o600, uid=990)
    return Picture(*tars, start, secret, code(extra))
