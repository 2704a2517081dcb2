"""The inventory of the site that a Compose file describes, as far as that can be seen in it. Pure: writes nothing."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from deploy.compose import Compose
from deploy.errors import InputError
from deploy.schema.marked import Map, shown

PROXIES = ("nginx", "traefik", "caddy", "haproxy", "httpd", "nginx-proxy")
"""Images whose work the Nginx of the host does."""

DATABASES = {
    "postgres": ("database", "postgresql"),
    "redis": ("redis", "queue"),
    "valkey": ("redis", "queue"),
}
"""Images whose work a service of the host does → the key of the site that asks for it."""

SECRET = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE)", re.I)
VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)[^}]*\}|\$([A-Za-z_]\w*)")
TARGET = re.compile(r"([A-Za-z_][\w.]*:[A-Za-z_]\w*)(?:\(\))?")


class Proposal(Struct, frozen=True):
    """The inventory as YAML, and what could not be taken over, a sentence each."""

    inventory: str
    left: tuple[str, ...]


def proposal(compose: Compose, project: Path) -> Proposal:
    """What the Compose file's web service, database, proxy and static volume are as a site.

    project: the folder from which paths of the inventory start. Raises InputError where no service can be the site.
    """
    kinds = {name: _kind(service) for name, service in compose.services.items()}
    name = _web(compose, kinds)
    left: list[str] = []
    site: dict[str, Any] = {}
    service = compose.services[name]
    site |= _image(name, service, compose, project, left)
    site |= _callable(name, service, left)
    site["server_names"] = [f"{_word(name)}.example.com"]
    left.append("server_names: nothing in the file says which names visitors use; write yours")
    for other, kind in kinds.items():
        if other == name or kind == "proxy":
            continue
        if kind not in DATABASES:
            left.append(f"{other}: {_other(compose.services[other], service)}")
        else:
            key, value = DATABASES[kind]
            site[key] = value
            left.append(f"{other}: its data stays in the stack's volume; bring it over with a dump")
    for other in (one for one, kind in kinds.items() if kind == "proxy"):
        left.append(
            f"{other}: dropped, the Nginx of the host does its work; look for rules of your own in it"
        )
    site |= _environment(name, service, set(kinds), left)
    site |= _volumes(name, service, compose, kinds, left)
    text = yaml.safe_dump(
        {"all": {"hosts": {"web1": None}, "vars": {"apps": {_word(name): site}}}}, sort_keys=False
    )
    return Proposal(text.replace("web1: null", "web1:"), tuple(left))


def _kind(service: Map) -> str:
    image = str(service.get("image", "")).split("@")[0].rpartition("/")[2].partition(":")[0].lower()
    if "build" in service:
        return "site"
    if image.startswith(PROXIES):
        return "proxy"
    return next((known for known in DATABASES if image.startswith(known)), "other" if image else "site")


def _web(compose: Compose, kinds: Mapping[str, str]) -> str:
    """The service that visitors reach: of those that are built, or are none that we know, the one with a port, else the
    first that is called so."""
    sites = [name for name, kind in kinds.items() if kind == "site"] or [
        name for name, kind in kinds.items() if kind == "other" and compose.services[name].get("ports")
    ]
    if not sites:
        raise InputError(
            f"{shown(compose.folder / compose.name)}: none of its services is a site of one's own"
        )

    def rank(name: str) -> tuple[bool, bool]:
        one = compose.services[name]
        return not _served(one), not (one.get("ports") or one.get("expose"))

    for name in sites:
        if name in ("web", "app", "site", "backend"):
            return name
    return min(sites, key=rank)


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-") or "site"


def _image(name: str, service: Map, compose: Compose, project: Path, left: list[str]) -> dict[str, Any]:
    build = service.get("build")
    if build is None:
        left.append(f"{name}: save its image first: docker save {service.get('image')} -o {_word(name)}.tar")
        return {"image": f"{_word(name)}.tar"}
    context = build.get("context", ".") if isinstance(build, Map) else build
    if isinstance(build, Map) and (more := sorted(build.keys() - {"context", "dockerfile"})):
        left.append(f"{name}: build: {', '.join(more)}: give them their values in the Dockerfile")
    image = {"context": os.path.relpath(compose.folder / str(context), project)}
    if isinstance(build, Map) and "dockerfile" in build:
        image = {"dockerfile": build["dockerfile"], **image}
    return {"image": image}


def _served(service: Map) -> tuple[str, str] | None:
    """The server and the callable in a service's command; None where there is none."""
    command = service.get("command") or ""
    words = [str(one) for one in command] if isinstance(command, list) else _words(str(command))
    text = " ".join(words)
    for server, key in (
        ("gunicorn", "wsgi"),
        ("uvicorn", "asgi"),
        ("hypercorn", "asgi"),
        ("granian", "wsgi"),
    ):
        found = TARGET.search(text.partition(server)[2]) if server in text else None
        targets = [one for one in _words(text.partition(server)[2]) if TARGET.fullmatch(one)] if found else []
        if targets:
            return key, targets[-1]
    return None


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _callable(name: str, service: Map, left: list[str]) -> dict[str, str]:
    if found := _served(service):
        return {found[0]: found[1]}
    left.append(f"{name}: wsgi: its command names no callable; write module:callable, or asgi: instead")
    return {"wsgi": "app:app"}


def _other(service: Map, web: Map) -> str:
    if service.get("build") == web.get("build") or service.get("image") == web.get("image"):
        return "runs beside the site in the same image, which Barehost does not do yet: keep it as a stack"
    return "keep it as a stack (stacks:) with a port on 127.0.0.1, and name that in env:"


def _environment(name: str, service: Map, services: set[str], left: list[str]) -> dict[str, Any]:
    written = service.get("environment") or {}
    pairs = written.items() if isinstance(written, Map) else (str(one).partition("=")[::2] for one in written)
    env: dict[str, str] = {}
    secrets: dict[str, Any] = {}
    for key, value in pairs:
        text = "" if value is None else str(value)
        whole = VARIABLE.fullmatch(text)
        if SECRET.search(str(key)) or value in (None, "") or whole:
            secrets[str(key)] = {"env": (whole[1] or whole[2]) if whole else str(key)}
            if not whole and text:
                left.append(f"{name}: {key} is a secret in the file; set ${key} where you run Barehost")
            continue
        env[str(key)] = text
        if host := next(
            (one for one in services if re.search(rf"(//|@|^){re.escape(one)}(:|/|$)", text)), None
        ):
            left.append(
                f"{name}: {key} names the service {host}, which only Compose resolves; name where it is now"
            )
    if service.get("env_file"):
        left.append(f"{name}: env_file: take its values over, into env: and secrets:")
    return ({"env": env} if env else {}) | ({"secrets": secrets} if secrets else {})


def _volumes(
    name: str, service: Map, compose: Compose, kinds: Mapping[str, str], left: list[str]
) -> dict[str, Any]:
    """Volumes that a proxy has too are static files; what else is kept is the site's shared data."""
    shared = {
        source
        for other, kind in kinds.items()
        if kind == "proxy"
        for source, _ in _mounts(compose.services[other])
    }
    static: dict[str, str] = {}
    for source, target in _mounts(service):
        folder = target.rstrip("/").rpartition("/")[2]
        if source in shared and folder:
            static[f"/{folder}/"] = folder
            left.append(
                f"{name}: static: {folder} is meant from the image's working folder on; see that it is there"
            )
        else:
            left.append(
                f"{name}: the volume {source} at {target}: what it keeps belongs to the site's shared data"
            )
    return {"static": static} if static else {}


def _mounts(service: Map) -> Iterator[tuple[str, str]]:
    for one in service.get("volumes") or ():
        if isinstance(one, Map):
            yield str(one.get("source", "")), str(one.get("target", ""))
        else:
            source, _, target = str(one).partition(":")
            yield source, target.partition(":")[0] or source
