"""What roles say of a host."""

from __future__ import annotations

from typing import Any

from deploy.engine.declare import declared
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.roles import Role
from deploy.roles.base import base
from deploy.roles.nginx import nginx
from deploy.roles.python import python
from deploy.roles.static import static
from deploy.schema.model import build
from deploy.site.app import App

ROLES: list[Role] = [base, python, nginx, static]


def app(**keys: Any) -> App:
    site = {
        "name": "hello",
        "source": ".",
        "wsgi": "hello:app",
        "server_names": ["hello.example.com"],
        "media": {"/media/": "media"},
    }
    return build(App, {**site, **keys})


def said(host: Host, facts: Facts, *roles: Role) -> dict[str, Resource]:
    return {one.id: one for one in declared(roles or ROLES, host, facts)}
