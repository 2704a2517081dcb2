"""A site and its host, as roles get them."""

from __future__ import annotations

from typing import Any

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.schema.model import build
from deploy.site.app import App

BOOKWORM = Facts(own={"nginx": "1.22.1"}, cores=2, ipv6=True)


HELLO: dict[str, Any] = {
    "name": "hello",
    "source": ".",
    "wsgi": "hello:app",
    "server_names": ["hello.example.com"],
    "static": {"/static/": "static"},
    "media": {"/media/": "media"},
}


def app(**keys: Any) -> App:
    return build(App, {**HELLO, **keys})


def host(*apps: App) -> Host:
    return Host("web1", apps=apps)
