"""Backups of a site: when, how many, where they lie besides, and when one is tried. Pure: reads no file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta

from deploy.schema.marked import describe
from deploy.schema.model import Before, Key, Model
from deploy.site.values import Absolute, Whole

if TYPE_CHECKING:
    from deploy.site.app import App

_CALENDAR = re.compile(r"[A-Za-z0-9*,./:~ -]+")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_SSH = re.compile(r"ssh://[a-z_][a-z0-9_-]*@[A-Za-z0-9.-]+(?::\d{1,5})?/(?!-)[A-Za-z0-9._/-]*", re.ASCII)
_HOST_KEY = re.compile(r"(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+")
_REPOSITORY = re.compile(r"[A-Za-z0-9:/._@~+,=&?%\[\]-]+")


def _when(value: Any) -> Any:
    """A time of the day, or what systemd takes as a calendar event; the host checks the latter."""
    if isinstance(value, str) and _CALENDAR.fullmatch(value):
        return value
    raise ValueError(
        f"expected a time like 02:30 or a calendar event of systemd's like Sun 04:30, found {describe(value)}"
    )


def _place(value: Any) -> Any:
    """``to: /mnt/backups`` and ``to: restic:…`` are short for a mapping."""
    if isinstance(value, str):
        if value.startswith("/"):
            return {"folder": value}
        if value.startswith("restic:"):
            return {"restic": value.removeprefix("restic:")}
        if value.startswith("ssh://"):
            return {"ssh": value}
        raise ValueError(
            f"expected an absolute folder, ssh://user@host/folder or restic:REPOSITORY, found {describe(value)}"
        )
    return value


def _fits(pattern: re.Pattern[str], expects: str) -> Before:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or (value and not pattern.fullmatch(value)):
            raise ValueError(f"expected {expects}, found {describe(value)}")
        return value

    return Before(check)


class To(Model, frozen=True, kw_only=True):
    """Where backups lie besides the host's own disk: exactly one place."""

    folder: Annotated[
        Absolute | None, Key("a folder of the host, such as a disk that is mounted there", "an absolute path")
    ] = None
    ssh: Annotated[
        Annotated[str, _fits(_SSH, "ssh://user@host/folder")],
        Key("a folder of another host; its key is SSH_KEY of backup_secrets", "ssh://user@host/folder"),
    ] = ""
    host_key: Annotated[
        Annotated[str, _fits(_HOST_KEY, "a host key, as ssh-ed25519 AAAA…")],
        Key("the host key of that host, which must be known", "a host key, as ssh-keyscan prints it"),
    ] = ""
    restic: Annotated[
        Annotated[str, _fits(_REPOSITORY, "a repository of restic's, like s3:https://s3.example.com/shop")],
        Key(
            "a repository of restic's; RESTIC_PASSWORD and what its place wants are in backup_secrets",
            "a repository, like s3:https://s3.example.com/shop",
        ),
    ] = ""

    def check(self, written: Collection[str]) -> None:
        """One place, and a host key where it is another host."""
        if sum(map(bool, (self.folder, self.ssh, self.restic))) != 1:
            raise ValueError("expected exactly one of folder, ssh and restic")
        if bool(self.ssh) != bool(self.host_key):
            raise ValueError("expected ssh together with the host_key of that host: unknown ones are refused")

    def as_json(self) -> dict[str, Any]:
        """As the host's program has it."""
        if self.folder:
            return {"kind": "folder", "folder": self.folder}
        if self.restic:
            return {"kind": "restic", "repository": self.restic}
        url = urlsplit(self.ssh)
        found: Mapping[str, Any] = {"host": url.hostname, "port": url.port or 22, "user": url.username}
        return {"kind": "ssh", **found, "folder": url.path}


class Backup(Model, frozen=True, kw_only=True):
    """Backups of a site's database and of its shared data, SQLite among it."""

    at: Annotated[
        Annotated[str, Before(_when)],
        Key("when, each day", "a time like 02:30, or a calendar event of systemd's"),
    ] = "02:30"
    keep: Annotated[Whole, Key("backups kept", "a whole number from 1 to 1000"), Meta(ge=1, le=1000)] = 14
    to: Annotated[
        To | None,
        Key(
            "where they lie besides the host's own disk",
            "a folder, ssh://user@host/folder, restic:… or a mapping",
        ),
        Before(_place),
    ] = None
    drill: Annotated[
        Annotated[str, Before(_when)],
        Key("when the newest is restored on trial; never: never", "a calendar event of systemd's, or never"),
    ] = "Sun 04:30"
    max_age: Annotated[
        Whole,
        Key("hours from which the newest one is too old; default: 26", "a whole number from 1 to 8784"),
        Meta(ge=1, le=8784),
    ] = 26
    before_migrate: Annotated[bool, Key("one before each migration, too", "true or false")] = True


def calendar(text: str) -> str:
    """The event as a systemd timer has it: a time alone means each day."""
    return f"*-*-* {text}:00" if _CLOCK.fullmatch(text) else text


def _on(value: Any) -> Any:
    """``backup: true`` is a backup with everything as it is by default."""
    if value is True:
        return {}
    return None if value is False else value


BACKUP = Before(_on)


def complete(app: App) -> None:
    """Raise ValueError for a place that wants a secret which is not given, and for secrets that nothing uses."""
    to = app.backup.to if app.backup is not None else None
    if app.backup_secrets and (to is None or to.folder):
        raise ValueError("backup_secrets is for backup: {to: …} with ssh or restic")
    for place, name in ((to and to.restic, "RESTIC_PASSWORD"), (to and to.ssh, "SSH_KEY")):
        if place and name not in app.backup_secrets:
            raise ValueError(f"expected {name} under backup_secrets, found none: {place} wants it")
