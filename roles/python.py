"""Python and what the sites' packages need from apt. Pure: connects to nothing."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.package import Package


def python(host: Host, facts: Facts) -> Iterator[Resource]:
    """The distribution's Python with venv, a site's own version of it, and the packages a site names."""
    yield Package("python3")
    yield Package("python3-venv")
    for app in host.apps:
        if app.state == "present":
            if app.python.startswith("python3."):
                yield Package(app.python, scope=app.name)
                yield Package(f"{app.python}-venv", scope=app.name)
            yield from (Package(name, scope=app.name) for name in app.packages)
