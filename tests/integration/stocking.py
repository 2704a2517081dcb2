"""A site with a database and both caches, and images of hosts that one provision has given it, for tests to clone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from booting import Freeze
from sites import Project, ask, new_project, sh

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]

SHOP = """import os

import psycopg
import redis


def app(environ, start):
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        if environ["PATH_INFO"] == "/add":
            database.execute("INSERT INTO visit DEFAULT VALUES")
        (count,) = database.execute("SELECT count(*) FROM visit").fetchone()
    times = [redis.from_url(os.environ[name]).incr("times") for name in ("REDIS_CACHE_URL", "REDIS_QUEUE_URL")]
    start("200 OK", [("Content-Type", "text/plain")])
    return [f"{count} visits {times}".encode()]
"""
"""A site that needs its database and both of its caches for each page."""

MIGRATE = (
    "python -c \"import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)"
    ".execute('CREATE TABLE IF NOT EXISTS visit (id serial)')\""
)


def shop(project: Project, name: str = "shop", **keys: Any) -> dict[str, Any]:
    """The site of the inventory, its code in a folder of its name."""
    project.write(f"{name}/shop.py", SHOP)
    project.write(f"{name}/requirements.txt", "psycopg[binary]\nredis\n")
    site = {
        "source": name,
        "wsgi": "shop:app",
        "server_names": [f"{name}.example.com"],
        "workers": 1,
        "migrate": [MIGRATE],
        "database": "postgresql",
        "redis": ["cache", "queue"],
    }
    return {name: site | keys}


def page(host: StagingHost, path: str = "/", name: str = "shop") -> str:
    return ask(host, path, name=f"{name}.example.com").text


def sql(host: StagingHost, text: str, database: str = "postgres") -> str:
    """What the administrator of PostgreSQL is answered."""
    return sh(
        host,
        f"setpriv --reuid postgres --regid postgres --init-groups psql -XAtq -d '{database}' -c \"{text}\"",
    )


@pytest.fixture(scope="session")
def stocked(frozen: Freeze, state: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Image]:
    """`stocked("trixie")`: a bare host that one provision has given a site with its database and its caches."""

    def image(suite: str) -> Image:
        def provision(host: StagingHost) -> None:
            own = new_project(tmp_path_factory.mktemp("stocking") / "project", state)
            own.serve(host, shop(own))
            done = own.provision("--host", host.name)
            print(done.out)

        return frozen(f"stocked-{suite}", suite, provision)

    return image
