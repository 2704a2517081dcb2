"""One stack under ``stacks:``: containers by a Compose file. Reads no file, asks no environment."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from deploy.schema.marked import path_from
from deploy.schema.model import After, Frozen, Key, Model
from deploy.site.names import NAME
from deploy.site.values import EnvName, EnvValue, Folder, Package, Seconds, SecretValue, _matching

ROOT = "/srv/stacks"
"""On a host: one folder a stack."""

REFERENCE = re.compile(
    r"(?:[a-z0-9]+(?:[.-][a-z0-9]+)*(?::\d{1,5})?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r":[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
)
"""The name of an image with its tag."""

Reference = Annotated[str, _matching(REFERENCE, "an image's name with its tag, like shop:1")]


class Made(Model, frozen=True, kw_only=True):
    """Where an image comes from, when it is not built by the Compose file and not pulled from a registry."""

    tar: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Key("a file of docker save or podman save, pushed to the host", "a file, relative to the project"),
    ] = None
    debian: Annotated[
        tuple[Package, ...] | None,
        Key(
            "packages: the image is made on the host, of its own Debian with these, and needs no registry",
            "a list of package names",
        ),
    ] = None

    def check(self, written: Collection[str]) -> None:
        if (self.tar is None) == (self.debian is None):
            raise ValueError("expected either tar or debian: where does the image come from?")


class Stack(Model, frozen=True, kw_only=True):
    """One stack on one host. ``name`` is its key under ``stacks:`` and its project's name for Compose."""

    name: Annotated[str, Meta(pattern=rf"^{NAME.pattern}\Z")]
    project: Path = Path()

    state: Annotated[
        Literal["present", "absent"],
        Key("absent removes its containers and files; volumes stay unless purged", "present or absent"),
    ] = "present"
    folder: Annotated[
        str,
        Key("the folder with the Compose file and all that it names", "a folder, relative to the project"),
    ] = ""
    file: Annotated[
        Folder | None,
        Key(
            "the Compose file; default: compose.yaml, compose.yml, docker-compose.yaml or docker-compose.yml",
            "a file in the folder",
        ),
    ] = None
    env_file: Annotated[
        str,
        _matching(re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9_-]"), "the name of a file, like .env"),
        Key("the file in the folder that env and secrets are written to, for root alone", "a file's name"),
    ] = ".env"
    env: Annotated[
        Mapping[EnvName, EnvValue],
        Key("variables of env_file, seen in plans", "a mapping of names to text"),
        After(Frozen),
    ] = Frozen()
    secrets: Annotated[
        Mapping[EnvName, SecretValue],
        Key(
            "variables of env_file that are never shown: text, {env: NAME} of yours, or {file: path}",
            "a mapping of names to text, {env: NAME} or {file: path}",
        ),
        After(Frozen),
    ] = Frozen()
    images: Annotated[
        Mapping[Reference, Made],
        Key("images that are neither built by the Compose file nor pulled", "a mapping of names with tags"),
        After(Frozen),
    ] = Frozen()
    timeout: Annotated[
        Seconds,
        Key(
            "seconds until services that are not up and healthy are given up",
            "a whole number from 1 to 86400",
        ),
    ] = 120

    @property
    def root(self) -> str:
        """Its folder on the host."""
        return f"{ROOT}/{self.name}"

    @property
    def path(self) -> Path:
        """Where its folder lies on this machine."""
        return path_from(self.project, self.folder)

    def check(self, written: Collection[str]) -> None:
        """Keys that make sense only together."""
        if self.state == "present" and not self.folder:
            raise ValueError("expected the key 'folder', found none")
        if both := sorted(self.env.keys() & self.secrets.keys()):
            raise ValueError(f"{both[0]} stands under both env and secrets")
