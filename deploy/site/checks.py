"""What holds between the keys of one site, and between the sites of one host. Pure: reads no file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from deploy.site import edge, image
from deploy.site.backup import complete
from deploy.site.names import check_unit, is_address
from deploy.site.servers import fits
from deploy.site.services import taken

if TYPE_CHECKING:
    from deploy.site.app import App


def together(app: App, written: Collection[str]) -> None:
    """Raise ValueError, the whole sentence, for keys of one site that do not go together.

    written: the keys that have their value from a user, not from a default.
    """
    image.fits(app, written)
    for key, value in (("source", app.source or app.image), ("server_names", app.server_names)):
        if app.state == "present" and not value:
            raise ValueError(f"expected the key {key!r}, found none")
    if app.wsgi and app.asgi:
        raise ValueError("expected either wsgi or asgi, found both")
    if app.state == "present" and not app.callable:
        raise ValueError("expected the key 'wsgi' or 'asgi', found none")
    fits(app.runs_by, app.interface, written)
    if app.ref and not app.is_git:
        raise ValueError(f"ref belongs to a git source, but source is the folder {app.source!r}")
    if "://" in app.source and not app.is_git:
        raise ValueError(
            f"expected a folder or an https, ssh, git or file URL as source, found {app.source!r}"
        )
    if "threads" in written and app.worker_class == "sync" and app.threads > 1:
        raise ValueError(f"a sync worker has one thread, found threads: {app.threads}; choose gthread")
    if both := sorted(app.env.keys() & app.secrets.keys()):
        raise ValueError(f"{both[0]} stands under both env and secrets")
    taken(app)
    complete(app)
    if both := sorted(app.static.keys() & app.media.keys()):
        raise ValueError(f"{both[0]} stands under both static and media")
    for outer, inner in ((a, b) for a in app.static for b in app.static if a != b and b.startswith(a)):
        raise ValueError(f"the static prefix {inner} lies below {outer}; choose prefixes beside each other")
    for url in (*app.static, *app.media, *app.files):
        if url.startswith(("/.well-known/acme-challenge/", "/.barehost/")):
            raise ValueError(f"the URL {url} is kept for certificates and for Barehost itself")
    for prefix in app.fallback:
        if prefix not in app.static:
            raise ValueError(f"fallback names {prefix}, which is no prefix of static")
    for key, inner, outer in (
        *(("static", folder, one) for folder in app.static.values() for one in app.writable),
        *(("writable", a, b) for a in app.writable for b in app.writable if a != b),
    ):
        if f"{inner}/".startswith(f"{outer}/"):
            raise ValueError(f"the {key} folder {inner} lies in {outer}, which is writable as a whole")
    for name in named(app):
        check_unit(app.name, name)
    if both := sorted((app.processes or {}).keys() & app.timers.keys()):
        raise ValueError(
            f"{both[0]} stands under both processes and timers, and their units would have one name"
        )
    if app.tls and app.tls.port in app.listen:
        raise ValueError(f"port {app.tls.port} is both in listen and the TLS port")
    edge.together(app)


def named(app: App) -> tuple[str, ...]:
    """The names of what a site runs besides its web process: each is a unit ``<site>-<name>``."""
    return (*(app.processes or {}), *app.timers)


def distinct(apps: Iterable[App]) -> None:
    """Raise ValueError, with the sentence and the site's name, for units that two sites would have."""
    apps = list(apps)
    units = {app.name: f"the site {app.name!r}" for app in apps}
    for app in apps:
        for name in named(app):
            unit, mine = f"{app.name}-{name}", f"{name!r} of the site {app.name!r}"
            if (theirs := units.setdefault(unit, mine)) != mine:
                raise ValueError(
                    f"the units of {mine} would be called {unit}, as those of {theirs} are", app.name
                )


def beside(apps: Sequence[App]) -> None:
    """Raise ValueError, with the sentence and the site's name, for a site that another one leaves no place."""
    taken: dict[tuple[str, int], App] = {}
    nameless: dict[int, App] = {}
    distinct(apps)
    for app in apps:
        ports = (*app.listen, *([app.tls.port] if app.tls else []))
        for name, port in [
            (name, port)
            for name in (*app.server_names, *app.redirects)
            for port in ports
            if app.state == "present"
        ]:
            other = taken.setdefault((name, port), app)
            if other is not app:
                raise ValueError(f"{name} port {port} belongs to the site {other.name!r} already", app.name)
        if app.state == "present" and app.tls and any(map(is_address, app.server_names)):
            other = nameless.setdefault(app.tls.port, app)
            if edge.pair(other) != edge.pair(app):
                raise ValueError(
                    f"who asks for an address names no site, and port {app.tls.port} shows the certificate of the site"
                    f" {other.name!r} then; give this one the same certificate, another port, or no address",
                    app.name,
                )
    edge.beside(apps)
