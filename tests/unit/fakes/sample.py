"""A host with two sites and everything a role can say of it, for tests that look at all of it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from deploy.engine.declare import declared
from deploy.facts import AppFacts, Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.roles import Role
from deploy.roles.app import app as app_role
from deploy.roles.base import base
from deploy.roles.nginx import nginx
from deploy.roles.python import python
from deploy.roles.static import static
from deploy.schema.model import build
from deploy.site.app import App
from deploy.site.release import Delivery, Release

ROLES: list[Role] = [base, python, nginx, static]
KNOWN = Facts(
    os="debian",
    version="12",
    codename="bookworm",
    arch="amd64",
    hostname="web1",
    python="3.11",
    own={"nginx": "1.22.1"},
    cores=2,
    memory=4096,
    ipv6=True,
    clock="none",
)
BARE = replace(KNOWN, python=None, own={})
SECRET = "correct horse $(battery) 'staple'"
NEW = "20261123-141502-3fa9c1e"
OLD = "20260101-000000-aaaaaaa"


def site(folder: Path, **keys: Any) -> App:
    """A site whose source lies in ``folder``, with something under every key that matters to a release."""
    (folder / "site" / "static").mkdir(parents=True, exist_ok=True)
    (folder / "site" / "app.py").write_text("app = None\n")
    (folder / "site" / "static" / "a.css").write_text("a {}\n")
    (folder / "site" / "requirements.txt").write_text("flask\n")
    values = {
        "name": "hello",
        "source": "site",
        "wsgi": "app:app",
        "server_names": ["hello.example.com"],
        "requirements": "requirements.txt",
        "static": {"/static/": "static"},
        "media": {"/media/": "media"},
        "env": {"LOG_LEVEL": "info"},
        "secrets": {"SECRET_KEY": SECRET},
        "processes": {
            "worker": {"command": "work", "count": 2},
            "beat": {"command": "beat", "hosts": "first"},
        },
        "timers": {"clear": {"schedule": "15 3 * * 1,5", "command": "clear $HOME", "env": {"A": "b"}}},
        "build": ["python -m compileall ."],
        "migrate": ["python -c 'print(1)'"],
    }
    return build(App, {**values, **keys, "project": folder})


def host(folder: Path, *apps: App) -> Host:
    """The host with these sites, else one that is there and one that leaves."""
    return Host("web1", apps=apps or (site(folder), App(name="old", state="absent")), project=folder)


def delivery(one: Host, **release: Any) -> Delivery:
    """A release for each of its sites that is present."""
    return Delivery(
        {
            app.name: Release(NEW, app.source_folder, by="ada@desk", **release)
            for app in one.apps
            if app.server_names
        }
    )


def serving(manifest: str | None = None) -> Facts:
    """Facts of a host where the old release serves."""
    return replace(KNOWN, apps=(AppFacts("hello", 3, OLD, "4f6bc2ad", manifest),))


def said(one: Host, facts: Facts, brought: Delivery | None = None, **release: Any) -> dict[str, Resource]:
    """What all roles say. brought: None: :func:`delivery`."""
    app = functools.partial(app_role, delivery=brought or delivery(one, **release))
    return {resource.id: resource for resource in declared([*ROLES, app], one, facts)}
