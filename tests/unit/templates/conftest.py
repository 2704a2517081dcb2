"""What the tests of this room share."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.roles.nginx import nginx
from tests.unit.fakes.front import Front, activation, lay, serving, site, switch
from tests.unit.fakes.site import BOOKWORM, app, host


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder with a name short enough for a socket, that Nginx's user may enter."""
    with tempfile.TemporaryDirectory(prefix="front-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    """The site hello before Nginx, with static files, old assets, and media that strangers have filled."""
    with tempfile.TemporaryDirectory(prefix="front-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        lay(root, nginx(host(app()), BOOKWORM))
        for number in (1, 2):
            files = {
                "static/site.css": f"/* release {number} */",
                "static/app.0123456789ab.css": "hashed",
                f"static/only{number}.0123456789ab.css": f"of {number}",
                "static/.env": "SECRET=1",
                "static/.git/config": "SECRET=1",
                "hello.py": "SECRET=1",
                "env": "SECRET=1",
            }
            here = activation(root, number, files, lambda here: None)
            (here / "env").write_text("SECRET=1")
            (here / "app.sock").symlink_to(f"/srv/hello/run/{number}.sock")
            packed = root / f"srv/hello/releases/r{number}/static/site.css.gz"
            packed.write_bytes(gzip.compress(f"/* release {number} */".encode()))
        (root / "srv/hello/run").mkdir()
        old = root / "srv/hello/assets/static/old.ba9876543210.css"
        old.parent.mkdir(parents=True)
        old.write_text("old")
        media = root / "srv/hello/shared/media"
        (media / "folder").mkdir(parents=True)
        for name in ("photo.png", "page.html", "drawing.svg", "noext", ".hidden", "page.html.gz"):
            (media / name).write_text("<script>alert(1)</script>")
        (media / "passwd.txt").symlink_to("/etc/passwd")
        (media / "etc").symlink_to("/etc")
        (media / "env.txt").symlink_to("../../activations/1/env")
        switch(root, 1)
        sockets = root / "srv/hello/run"
        with site(sockets / "1.sock", "r1"), site(sockets / "2.sock", "r2"), serving(root) as front:
            yield front


@pytest.fixture(autouse=True)
def on_release_one(request: pytest.FixtureRequest) -> None:
    """Every test that asks the shared front begins on release 1."""
    if "front" in request.fixturenames:
        switch(request.getfixturevalue("front").root, 1)
