"""The folders whose files Nginx serves itself, and which of those files never change. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Fact, Resource
from deploy.resources.account import Group, User
from deploy.resources.path import Directory
from deploy.shell import sh
from deploy.site.app import App

BROTLI = Fact(
    "brotli",
    sh(
        "for module in /etc/nginx/modules-enabled/*brotli-static.conf; do\n"
        '  [ ! -e "$module" ] || [ ! -x /usr/bin/brotli ] || { echo yes; break; }\n'
        "done"
    ),
)
"""``yes`` where Nginx serves .br siblings (its module is enabled) and the host can make them; else nothing."""


def static(host: Host, facts: Facts) -> Iterator[Resource]:
    """Each site's root, its pool of old assets, and its shared data with the media in it."""
    for app in host.apps:
        if app.state == "present":
            yield Group(app.user, scope=app.name)
            yield User(app.user, group=app.user, home=f"{app.root}/shared", scope=app.name)
            yield Directory(app.root, scope=app.name)
            yield Directory(f"{app.root}/assets", scope=app.name)
            yield from (Directory(path, app.user, app.user, 0o750, scope=app.name) for path in shared(app))


def shared(app: App) -> list[str]:
    """The folders of a site's shared data, parents first: the site writes there, Nginx's group reads."""
    root = PurePosixPath(app.root, "shared")
    wanted = (root / folder for folder in (*app.media.values(), *app.writable))
    below = {str(one) for path in wanted for one in (path, *path.parents) if one.is_relative_to(root)}
    return sorted({str(root), *below})


def hidden_below(prefix: str) -> str:
    """The regular expression of URLs below a prefix with a part that starts with a dot."""
    return rf"^{re.escape(prefix)}(?:.*/)?\."


def without_suffix_below(prefix: str) -> str:
    """The regular expression of URLs below a prefix whose last part has no dot; the prefix itself is one."""
    return rf"^{re.escape(prefix)}(?:.*/)?[^./]*$"
