"""What is known of each staging host: one value, and its file on this machine. Starts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deploy.errors import StagingError
from deploy.staging.machine import LIBRARY, PROJECT, digest, replace, state_folder


@dataclass(frozen=True)
class Space:
    """One project's corner of this machine: its state folder, and the folder of its overlays.

    Two checkouts may both have a `web1`: everything machine-wide carries `key`.
    """

    state: Path
    key: str

    @property
    def folder(self) -> Path:
        return LIBRARY / self.key

    @property
    def private_key(self) -> Path:
        return self.state / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.state / "known_hosts"

    def hosts(self) -> list[Record]:
        """Every host of this project, running or not, by name."""
        return [record for record in records() if record.space == self]

    def host(self, name: str) -> Record | None:
        """The record of one host; None when there is none."""
        return read(self.folder / "hosts" / name / "host.json")

    def image(self, name: str) -> Image:
        """A frozen image by its name; StagingError when there is none."""
        path = self.folder / "images" / name / "image.json"
        if not path.is_file():
            raise StagingError(f"no staging image {name!r}: staging.freeze(host, {name!r}) makes it")
        values = json.loads(path.read_text(encoding="utf-8"))
        return Image(
            name=name,
            suite=values["suite"],
            layers=tuple(values["layers"]),
            containers=values.get("containers", False),
        )


def space() -> Space:
    """This project's, from the folder we stand in or `$BAREHOST_STATE`."""
    state = state_folder()
    return Space(state=state, key=digest(str(state)))


@dataclass(frozen=True)
class Image:
    """Root layers to boot hosts from, the newest first, the bare base last.

    containers: it was a host that runs containers, whose images its clones have.
    """

    name: str
    suite: str
    layers: tuple[str, ...]
    containers: bool = False


@dataclass(frozen=True)
class Record:
    """How a host was asked for and where its parts are; saved before anything is made.

    address: its IPv4 address; network: the machine's staging network when it was given.
    layers: the read-only roots under its own overlay, the newest first.
    containers: whether a container engine can run in it.
    made: False until it has booted once, so that a half-made host is known as one.
    """

    name: str
    state: str
    suite: str
    python: bool
    image: str | None
    user: str
    sudo_password: str | None
    port: int
    behind: str | None
    address: str
    network: str
    layers: tuple[str, ...]
    containers: bool = False
    made: bool = False

    @property
    def space(self) -> Space:
        return Space(Path(self.state), digest(self.state))

    @property
    def folder(self) -> Path:
        return self.space.folder / "hosts" / self.name

    @property
    def root(self) -> Path:
        """Where the merged root is mounted."""
        return self.folder / "root"

    @property
    def upper(self) -> Path:
        """What the host wrote over its layers."""
        return self.folder / "upper"

    @property
    def storage(self) -> Path:
        """Where container engines keep images, on this machine's own file system: overlays don't stack there."""
        return self.folder / "storage"

    @property
    def log(self) -> Path:
        """The host's console."""
        return self.folder / "console.log"

    @property
    def unique(self) -> str:
        """A name no other checkout has: of its namespace, cgroup, unit and locks."""
        return f"barehost-{self.space.key}-{self.name}"

    @property
    def link(self) -> str:
        """The outer end of its network cable; the kernel allows 15 characters."""
        return f"bh{digest(self.unique, 10)}"

    def save(self) -> None:
        replace(self.folder / "host.json", json.dumps(asdict(self), indent=1), mode=0o600)

    def forget(self) -> None:
        """Remove the record; from now on nobody lists the host."""
        (self.folder / "host.json").unlink(missing_ok=True)


def read(path: Path) -> Record | None:
    """The record in one file; None when there is no such file or it was cut while being written.

    What another version of this library has added to it is left out: its checkouts share the machine with ours.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    known = {one.name: values[one.name] for one in fields(Record) if one.name in values}
    return Record(**{**known, "layers": tuple(values["layers"])})


def records() -> Iterator[Record]:
    """Every host of every checkout on this machine."""
    for path in sorted(LIBRARY.glob(f"{PROJECT}/hosts/*/host.json")):
        if record := read(path):
            yield record


def valid_name(name: str) -> str:
    """The name itself; StagingError unless it can be a host name and part of a path."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise StagingError(
            f"{name!r} cannot be the name of a staging host: lower case letters, digits, dashes, at most 40"
        )
    return name
