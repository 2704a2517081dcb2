"""What a look tells about a host itself: pure; a script and a parser of what it prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct, field, to_builtins
from msgspec.structs import replace

from deploy.errors import LookError
from deploy.shell import Script, program


class AppFacts(Struct, frozen=True):
    """What runs of one site, from the record its current activation keeps on the host.

    activation: its number; None when the site was never activated.
    release: id of the release that serves; venv: name of its folder under ``venvs/``; None as above.
    manifest: digest of the code it was staged from, as its tree recorded it; None when not recorded.
    procfile: the text of the Procfile in the release that serves; empty where it has none.
    """

    name: str
    activation: int | None = None
    release: str | None = None
    venv: str | None = None
    manifest: str | None = None
    procfile: str = ""


class Facts(Struct, frozen=True):
    """Ride in every probe reply; cached per host between runs. None: not known, or not installed.

    os: ``ID`` of /etc/os-release (``debian``, ``ubuntu``); version: ``VERSION_ID``; codename: ``VERSION_CODENAME``.
    arch: Debian's name (``amd64``). python: version of /usr/bin/python3, such as ``3.11``.
    cores: processors a process may use.
    memory: MiB of RAM. ipv6: whether its kernel speaks it. container: which kind, None on a machine of its own.
    clock: the daemon that keeps the time, ``none`` when there is none. apps: the sites that this tool set up, by name.
    own: what roles asked themselves, see :class:`deploy.resource.Fact`.
    """

    os: str | None = None
    version: str | None = None
    codename: str | None = None
    arch: str | None = None
    hostname: str | None = None
    python: str | None = None
    cores: int | None = None
    memory: int | None = None
    ipv6: bool | None = None
    container: str | None = None
    clock: str | None = None
    apps: tuple[AppFacts, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)

    def app(self, name: str) -> AppFacts:
        """What runs of that site; all None when it was never set up."""
        return next((app for app in self.apps if app.name == name), AppFacts(name))

    def as_json(self) -> str:
        """For the cache between runs."""
        return json.dumps(to_builtins(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of :meth:`as_json`; ValueError or TypeError when the text is something else."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "apps": tuple(AppFacts(**app) for app in values["apps"])})


PROBE = Script(program("facts"))
"""Prints one fact a line."""


def parse(output: bytes) -> Facts:
    """Facts from what :data:`PROBE` printed; raises LookError when it did not even name an OS."""
    found: dict[str, str] = {}
    apps: list[AppFacts] = []
    for line in output.decode(errors="replace").splitlines():
        key, _, value = line.partition(" ")
        if key == "app":
            apps.append(_app(value))
        elif key == "procfile" and apps:  # of the site before it
            apps[-1] = replace(apps[-1], procfile=f"{apps[-1].procfile}{value}\n")
        elif value:
            found[key] = value.strip()
    if "os" not in found:
        raise LookError(
            "the host did not say which system it runs (/etc/os-release); only Linux hosts are served"
        )
    return Facts(
        os=found.get("os"),
        version=found.get("version"),
        codename=found.get("codename"),
        arch=found.get("arch"),
        hostname=found.get("hostname"),
        python=found["python"].removeprefix("python") if "python" in found else None,
        cores=int(found["cores"]) if "cores" in found else None,
        memory=int(found["memory"]) // 1024 if "memory" in found else None,
        ipv6=found["ipv6"] == "yes" if "ipv6" in found else None,
        container=found.get("container"),
        clock=found.get("clock"),
        apps=tuple(apps),
    )


def _app(line: str) -> AppFacts:
    name, *fields = line.split(" ")
    current, release, venv, manifest = (None if field == "-" else field for field in fields)
    return AppFacts(
        name=name,
        activation=int(current) if current is not None else None,
        release=release,
        venv=venv,
        manifest=manifest,
    )
