"""A client of a host's Nginx, on the host itself: sends exactly the bytes that it is given. Changes only logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import testinfra.host

from deploy.shell import embedded
from deploy.site.app import App

_SCRIPT = embedded("visit")


@dataclass(frozen=True)
class Answer:
    """What came back. status: None when the connection was closed without an answer, as 444 does.

    headers: by lower-case name. size, sha256: of the whole body. text: its first 64 KiB, as Latin-1.
    problem: why there was no answer, when it was not that; None otherwise.
    """

    status: int | None
    headers: Mapping[str, str]
    size: int
    sha256: str
    text: str
    problem: str | None = None


class Visitor:
    """Asks a site by its first name, over TLS where it has a certificate, unless the request says otherwise."""

    def __init__(self, host: testinfra.host.Host, site: App | None) -> None:
        self._host = host
        self._site = site

    @property
    def _proof(self) -> Mapping[str, str]:
        """A site with passwords lets the proof of a release in, from the host itself."""
        return {"User-Agent": "barehost-health"} if self._site and self._site.auth else {}

    def get(self, path: str, **how: Any) -> Answer:
        """One page; see :meth:`get_all`."""
        return self.get_all([path], **how)[0]

    def get_all(
        self,
        paths: Sequence[str],
        *,
        name: str | None = None,
        port: int | None = None,
        tls: bool | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[Answer]:
        """Pages, each over a connection of its own, in one round trip; a path goes out exactly as it is given."""
        site = self._site
        secured = bool(site and site.tls) if tls is None else tls
        if port is None:
            port = site.tls.port if site and site.tls and secured else site.listen[0] if site else 80
        asked = {
            "port": port,
            "tls": secured,
            "name": name or first_name(site),
            "headers": {**self._proof, **(headers or {})},
            "paths": list(paths),
        }
        output = self._host.check_output("/usr/bin/python3 -I -c %s %s", _SCRIPT, json.dumps(asked))
        return [Answer(**one) for one in json.loads(output)]


def first_name(site: App | None) -> str:
    """The name a site is asked by; a wildcard stands for one name."""
    return site.server_names[0].replace("*", "barehost") if site else "localhost"
