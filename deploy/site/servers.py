"""What each of our servers understands of a site's keys. A table: how a server is run stands in roles/servers/."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

KEYS = ("workers", "threads", "worker_class", "timeout", "max_requests", "max_requests_jitter")
"""A site's keys that not every server understands."""


class Takes(Struct, frozen=True):
    """interfaces: the kinds of callable that it runs, its own first. keys: those of :data:`KEYS` that it heeds."""

    interfaces: tuple[str, ...]
    keys: frozenset[str]


def _takes(interfaces: str, keys: str) -> Takes:
    return Takes(tuple(interfaces.split()), frozenset(keys.split()))


SERVERS: Mapping[str, Takes] = {
    "apache": _takes("wsgi", "workers threads timeout max_requests"),
    "cheroot": _takes("wsgi", "threads"),
    "granian": _takes("asgi wsgi", "workers threads"),
    "gunicorn": _takes("wsgi asgi", " ".join(KEYS)),
    "hypercorn": _takes("asgi wsgi", "workers max_requests max_requests_jitter"),
    "uvicorn": _takes("asgi", "workers max_requests max_requests_jitter"),
    "uwsgi": _takes("wsgi", "workers threads timeout max_requests max_requests_jitter"),
    "waitress": _takes("wsgi", "threads"),
}
"""By name. A server of a project's own, in its roles/servers/, is not among them and may use every key."""


def fits(server: str, interface: str, written: Collection[str]) -> None:
    """Raise ValueError, the whole sentence, for a callable or a key that the server does not understand.

    interface: ``wsgi`` or ``asgi``. written: the keys that have their value from a user, not from a default.
    """
    takes = SERVERS.get(server)
    if takes is None:
        return
    if interface not in takes.interfaces:
        others = ", ".join(name for name, one in SERVERS.items() if interface in one.interfaces)
        raise ValueError(f"{server} runs no {interface} callable; choose one of these servers: {others}")
    for key in KEYS:
        if key in written and key not in takes.keys:
            others = ", ".join(name for name, one in SERVERS.items() if key in one.keys)
            raise ValueError(f"{server} has no {key}; leave it out, or choose one of these servers: {others}")
