"""What lies at a path: File, Template, Directory, Link. Content is compared by hash, replaced and never edited."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, Self

from deploy.errors import InputError, LookError
from deploy.render import templates as render
from deploy.resource import Blob, Change, Check, Phase, Put, Remove, Resource, State, Step, Symlink, Text
from deploy.shell import Command, Script, join, key, keyed, program, sh

Presence = Literal["present", "absent"]

LOCKS = (
    "/etc/ssh/",
    "/etc/sudoers",
    "/etc/network/",
    "/etc/netplan/",
    "/etc/systemd/network/",
    "/etc/NetworkManager/system-connections/",
)
"""What lets people in, or the host be reached: files and links there are guarded by themselves."""


@dataclass(frozen=True)
class Pathlike(Resource):
    """What all kinds of path share: one identity, the normalised path, and one probe."""

    phase: ClassVar[Phase] = Phase.FILES
    family: ClassVar[str] = "path"

    path: str

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or posixpath.normpath(self.path) != self.path or self.path == "/":
            raise InputError(f"a path on a host is absolute and normalised, unlike {self.path!r}")
        if "\0" in self.path:
            raise InputError(f"a path cannot hold a NUL byte: {self.path!r}")

    @property
    def id(self) -> str:
        return f"path:{self.path}"

    @property
    def locks_out(self) -> bool:
        return self.guarded or self.path.startswith(LOCKS)

    @property
    def hashed(self) -> Literal["", "plain", "keyed"]:
        """How a look compares what it holds: not at all, by SHA-256, or with a key because it is secret."""
        return ""

    @classmethod
    def probe(cls, resources: Sequence[Pathlike]) -> Script:
        return sh(
            program("path-look"),
            paths=[one.path for one in resources],
            hashed=[one.path for one in resources if one.hashed == "plain"],
            secret=[one.path for one in resources if one.hashed == "keyed"],
            key=key(),
        )

    @classmethod
    def parse(cls, resources: Sequence[Pathlike], output: bytes) -> dict[str, State | None]:
        # between two NULs, so that no name that ends in = looks like it
        listing, mark, hashes = (b"\0" + output).partition(b"\0=\0")
        if not mark:
            raise LookError("the look at paths ended early")
        digests = {}
        for line in hashes.split(b"\0")[:-1]:
            digest, _, name = line.partition(b"  ")
            digests[name.decode(errors="surrogateescape")] = digest.decode()
        found: dict[str, State] = {}
        fields = listing[1:].split(b"\0") if listing else []
        for about, name in zip(fields[::2], fields[1::2], strict=True):
            state = cls._state(about.decode(errors="surrogateescape"))
            path = name.decode(errors="surrogateescape")
            if path in digests:
                state["content"] = digests[path]
            found[f"path:{path}"] = state
        return {one.id: found.get(one.id) for one in resources}

    @staticmethod
    def _state(about: str) -> dict[str, str | int | bool | None]:
        kind, _, rest = about.partition(" ")
        mode, owner, group, target = rest.split(" ", 3)
        state: dict[str, str | int | bool | None] = {"type": _TYPES.get(kind, "special")}
        if kind == "l":
            state["target"] = target
        else:
            state |= {"mode": f"{int(mode, 8):04o}", "owner": owner, "group": group}
        return state


_TYPES = {"f": "file", "d": "directory", "l": "link"}


@dataclass(frozen=True)
class File(Pathlike):
    """A regular file with exactly this content, owner, group and mode.

    content: text (UTF-8) or bytes. secret: never shown, compared all the same. state: ``absent`` removes a
    file or link (never a directory). check: a command that must accept the candidate /etc first.
    """

    body: bytes | str = field(default=b"", repr=False)
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    secret: bool = False
    state: Presence = "present"
    check: Check | None = None

    @property
    def hashed(self) -> Literal["", "plain", "keyed"]:
        return "" if self.state == "absent" else "keyed" if self.secret else "plain"

    @cached_property
    def blob(self) -> Blob:
        """The content as it travels."""
        return Blob.of(self.body.encode() if isinstance(self.body, str) else self.body)

    @property
    def text(self) -> str:
        """The content as text."""
        return self.body if isinstance(self.body, str) else self.body.decode()

    @property
    def digest(self) -> str:
        """What the content is compared by: SHA-256, keyed when it is secret."""
        return keyed(self.blob.data or b"") if self.secret else self.blob.sha256

    def expected(self) -> State | None:
        if self.state == "absent":
            return None
        return {
            "type": "file",
            "content": self.digest,
            "owner": self.owner,
            "group": self.group,
            "mode": f"{self.mode:04o}",
        }

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            _refuse_directory(change)
            if one.state == "absent":
                yield Remove(one.path)
            else:
                yield Put(one.path, one.blob, one.owner, one.group, one.mode)

    def content(self) -> Iterable[Text]:
        if not self.secret:
            yield Text(self.path, "content", None if self.state == "absent" else self.blob.data)

    def checks(self) -> Iterable[Check]:
        return () if self.check is None else (self.check,)


@dataclass(frozen=True, init=False)
class Template(File):
    """A File rendered from ``templates/<name>``; the user's own template of that name wins over ours.

    values: what the template may use; ``host`` among them tells which project's folder comes first. A value
    that is a Secret makes the whole file secret. Rendered at once, so that a mistake shows before any host
    is contacted; raises InputError with the template's name and line.
    """

    template: str = ""

    def __init__(
        self,
        path: str,
        template: str,
        *,
        owner: str = "root",
        group: str = "root",
        mode: int = 0o644,
        check: Check | None = None,
        scope: str = "",
        after: tuple[Resource, ...] = (),
        when: Phase | None = None,
        guarded: bool = False,
        **values: Any,
    ) -> None:
        project: Path | None = getattr(values.get("host"), "project", None)
        text, secret = render.render(template, project, values)
        for name, value in {
            "path": path,
            "body": text,
            "owner": owner,
            "group": group,
            "mode": mode,
            "secret": secret,
            "state": "present",
            "check": check,
            "template": template,
            "scope": scope,
            "after": after,
            "when": when,
            "guarded": guarded,
        }.items():
            object.__setattr__(self, name, value)
        self.__post_init__()


@dataclass(frozen=True)
class Link(Pathlike):
    """A symbolic link at ``path`` to ``target``, taken as written; ``absent`` removes a link or a file."""

    target: str = ""
    state: Presence = "present"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.state == "present" and (not self.target or "\0" in self.target):
            raise InputError(f"the link {self.path!r} needs a target, not {self.target!r}")

    def expected(self) -> State | None:
        return None if self.state == "absent" else {"type": "link", "target": self.target}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            _refuse_directory(change)
            yield Remove(one.path) if one.state == "absent" else Symlink(one.path, one.target)


@dataclass(frozen=True)
class Directory(Pathlike):
    """A directory with this owner, group and mode; what lies in it is left alone.

    ``absent`` removes it with everything in it, so a role says that only of folders that are its own.
    """

    phase: ClassVar[Phase] = Phase.FOLDERS

    locks_out = False
    """A folder is made ahead and left alone: what lies in it is guarded."""

    owner: str = "root"
    group: str = "root"
    mode: int = 0o755
    state: Presence = "present"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.state == "absent":
            self.__dict__["when"] = Phase.LEAVE

    def expected(self) -> State | None:
        if self.state == "absent":
            return None
        return {"type": "directory", "owner": self.owner, "group": self.group, "mode": f"{self.mode:04o}"}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        made = [change for change in changes if change.expected is not None]
        if made:
            yield Command(_title(made), join([_reaching(made), *(_make(change) for change in made)]))
        for change in changes:
            if change.expected is None:
                path = _directory(change).path
                yield Command(
                    f"remove {path}", join([_reaching([change]), sh("(remove @{path}) || exit", path=path)])
                )


def _reaching(changes: Sequence[Change[Directory]]) -> Script:
    paths = [PurePosixPath(_directory(change).path) for change in changes]
    return sh(_DIRECTORY, above=sorted({str(above) for path in paths for above in path.parents}))


def _make(change: Change[Directory]) -> Script:
    """Whoever may write to this folder, or to one above it, is thought of in those that follow."""
    one = _directory(change)
    return sh(
        "(make @{mode} @{owner} @{path}) || exit\n@{lent}",
        path=one.path,
        owner=f"{one.owner}:{one.group}",
        mode=f"{one.mode:05o}",  # with fewer digits chmod keeps a folder's setgid bit
        lent=sh('others="$others\n"@{path}', path=one.path)
        if one.owner != "root" or one.mode & 0o022
        else Script(":"),
    )


def _title(changes: Sequence[Change[Directory]]) -> str:
    first = _directory(changes[0]).path
    return f"directory {first}" if len(changes) == 1 else f"{len(changes)} directories, {first} first"


def _directory(change: Change[Directory]) -> Directory:
    """The resource, unless something that is no directory lies at its place."""
    one = change.resource
    there = (change.actual or {}).get("type", "directory")
    if there != "directory":
        raise InputError(f"{one.path} is a {there} on the host where a directory should be; move it away")
    return one


def _refuse_directory(change: Change[Pathlike]) -> None:
    """A file or link never takes the place of a directory, or of a device: that is a person's decision."""
    one = change.resource
    there = (change.actual or {}).get("type")
    if there in ("directory", "special"):
        raise InputError(f"{one.path} is a {there} on the host where a file or link should be; move it away")


_DIRECTORY = program("directory")
