"""A folder kept equal to one on this side: one listing, one stream of what differs. Never a half-written file.

A host is compared with what it recorded itself after the last sync: one line an entry of (type, mode, owner,
group, size, mtime, ctime, inode, name, link target), and the SHA-256 of every file. A look that finds the
same lines says "same" and nothing else (5,000 files: 27 to 40 ms, linear; with the names of owners instead of
their numbers it was 135); else it sends the lines, and hashes the files whose line changed (85 ms). Times of
the source are never compared: a fresh clone has others.

A new folder is filled beside its place and renamed as a whole, so one that is there is complete. In one that
exists, each changed file is renamed into place, then what is unwanted goes, then the lines are recorded: only
after every file whose line changed was hashed on the host and had the expected SHA-256, so that what somebody
edits between a look and the sync is never sealed as ours.

What a build replaces or removes of what was shipped is the build's from then on, see :func:`left_to_the_build`.

After a restore from a backup every inode differs: such a folder is equal, but every look hashes it again
until the next sync.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.files import cache
from deploy.files.archive import mostly_packed
from deploy.files.folders import Stamp
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.resources.tree.compare import (
    Difference,
    Entries,
    Entry,
    above_protected,
    difference,
    parents,
    state,
)
from deploy.resources.tree.packing import lists_of, octal, pack
from deploy.resources.tree.source import EXCLUDE, entry_of, found_below
from deploy.shell import Command, Script, join, program, sh

__all__ = ["EXCLUDE", "LISTING", "Tree", "left_to_the_build", "record_of"]

LISTING = program("tree-listing")

RECORDS = "/var/lib/barehost/trees"
"""On the host: one folder for each tree, named by the SHA-256 of its path."""


@dataclass(frozen=True)
class Tree(Resource):
    """The folder at ``path``, with what ``source`` (a folder on this side) holds.

    delete: what the source does not have goes; without it, what others put there is left and not looked at
        (right for release folders, which are made whole and in which builds leave their results).
    mode, dir_mode: of files and folders; a file its owner may run in the source gets the x bits as well.
    exclude: shell patterns against each name, and against each path below the source, see :func:`walk`.
    links: (name below the path, where it leads) of links beside what the source holds, in the place of what has the
        same name there.
    within: a folder around the source; what a link leads to there is sent in the place of the link. None: a link that
        leads out of the source is an error.
    protect: absolute paths below ``path`` that something else declares; never deleted, never looked at.
    base: a tree on the host whose equal files are copied instead of sent, when ``path`` is not there yet.
        Copied, not hard-linked: an edit or a chmod in one release must not reach another.
    """

    path: str
    source: Path
    delete: bool = True
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    dir_mode: int = 0o755
    exclude: tuple[str, ...] = EXCLUDE
    protect: tuple[str, ...] = ()
    base: str | None = None
    within: Path | None = None
    links: tuple[tuple[str, str], ...] = ()

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "tree"

    def __post_init__(self) -> None:
        for path in (self.path, *self.protect, *([self.base] if self.base else [])):
            if not path.startswith("/") or posixpath.normpath(path) != path or path == "/" or "\0" in path:
                raise InputError(
                    f"the path of a tree must be absolute and normalised, and not / itself: {path!r}"
                )

    @property
    def id(self) -> str:
        return f"path:{self.path}"

    @cached_property
    def _listing(self) -> list[tuple[str, str, os.stat_result]]:
        """Name, path and status of what lies in the source; raises InputError where that cannot be read."""
        if not self.source.is_dir():
            raise InputError(f"the source of {self.path} is not a folder: {self.source}")
        try:
            return list(found_below(self, "", os.fspath(self.source), ()))
        except OSError as error:
            where = error.filename or self.source
            raise InputError(f"cannot read the folder {where}: {error.strerror}") from error

    @cached_property
    def entries(self) -> Entries:
        """What the source holds, hashed once a resource; raises InputError for what cannot be sent."""
        top = Entry("d", self.dir_mode, self.owner, self.group, "")
        found = {"": top} | {name: entry_of(self, name, path, status) for name, path, status in self._listing}
        for name, target in self.links:
            for parent in parents(name):
                if found.setdefault(parent, top).type != "d":
                    raise InputError(f"{self.source / parent} is no folder, and {name} is to lie in it")
            found[name] = Entry("l", 0o777, self.owner, self.group, target)
        return found

    @cached_property
    def manifest(self) -> str:
        """SHA-256 of everything that is compared; files that nobody has touched since it was made are not read."""
        began, stamp = time.time_ns(), Stamp()
        for name, _, status in self._listing:
            stamp.add(name, status)
        shape = self.exclude, self.links, self.owner, self.group, self.mode, self.dir_mode
        what = repr((os.fspath(self.source), *shape))
        return cache.digest(what, stamp, began, self._compared)

    def _compared(self) -> str:
        lists = lists_of(self, Difference(), {})
        owner = f"{self.owner}:{self.group}\0".encode()
        return hashlib.sha256(owner + lists["shape"] + lists["sums"]).hexdigest()

    def expected(self) -> State | None:
        return {"manifest": self.manifest, "intact": True}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """Says "same" for each tree that is, else its lines, and fresh hashes where a line changed."""
        return join([Script(LISTING + program("tree-look")), *map(_look, resources, range(len(resources)))])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        """``found`` (only when something differs) is what the host holds, ``offer`` what its base holds."""
        records = output.decode(errors="surrogateescape").split("\0")
        answers: list[list[str]] = []
        for record in records:
            if record.startswith("#"):
                answers.append([record[1:]])
            elif answers:
                answers[-1].append(record)
        if len(answers) != len(resources) or any("end" not in answer for answer in answers):
            raise LookError("the listing of a tree ended early; try again")
        return {tree.id: state(tree, answer) for tree, answer in zip(resources, answers, strict=True)}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            yield from _sync(change.resource, change.actual or {})


def left_to_the_build(path: str) -> Script:
    """What the build of the tree at ``path`` replaced or removed of what was shipped is its own from now on.

    It is neither compared with the source nor put back: what the site was proven with stays.
    """
    return sh(LISTING + program("tree-built"), path=path, record=record_of(path))


def record_of(path: str) -> str:
    """Where a host keeps what it knows about the tree at ``path``."""
    return f"{RECORDS}/{hashlib.sha256(os.fsencode(path)).hexdigest()}"


def _look(tree: Tree, index: int) -> Script:
    return sh(
        "look @{index} @{path} @{record} @{manifest} @{kind} @{base} @{base_record} @{owner} @{group} @{prune} || exit",
        index=index,
        path=tree.path,
        record=record_of(tree.path),
        manifest=tree.manifest,
        kind="all" if tree.delete else "own",
        base=tree.base or "",
        base_record=record_of(tree.base) if tree.base else "",
        owner=tree.owner,
        group=tree.group,
        prune=_prune(tree),
    )


def _prune(tree: Tree) -> list[str]:
    """The words that make find leave out what is protected; its -path takes a pattern, so those are escaped."""
    inside = [path for path in tree.protect if path.startswith(tree.path + "/")]
    if not inside:
        return []
    words = ["("]
    for path in sorted(inside):
        escaped = "".join("\\" + char if char in "\\*?[" else char for char in path[len(tree.path) :])
        words += ["-path", f".{escaped}", "-o"]
    return [*words[:-1], ")", "-prune", "-o"]


def _sync(tree: Tree, actual: State) -> Iterator[Step]:
    found = {name: Entry(*entry) for name, entry in json.loads(str(actual.get("found", "{}"))).items()}
    offer = json.loads(str(actual.get("offer", "{}")))
    built = frozenset[str](json.loads(str(actual.get("built", "[]"))))
    change = difference(tree, found, offer, built)
    for name in above_protected(tree).intersection(change.clear):
        raise InputError(
            f"{tree.path}/{name} must give way to a file, but something declares a path below it"
        )
    upload = f"tree-{hashlib.sha256(os.fsencode(tree.path)).hexdigest()[:16]}"
    sizes = {name: Path(tree.source, name).stat().st_size for name in (*change.send, *change.copy)}
    sent = {name: sizes[name] for name in change.send}
    packed = mostly_packed(sent)
    yield Upload(
        upload,
        lambda: pack(tree, change, sizes, packed, built),
        len(sent),
        sum(sent.values()),
        "tar" if packed else "tgz",
    )
    yield Command(
        f"{'sync' if found else 'create'} {tree.path}: {change}",
        sh(
            LISTING + program("tree-sync"),
            path=tree.path,
            parent=posixpath.dirname(tree.path),
            stage=posixpath.join(
                posixpath.dirname(tree.path), f".barehost-{posixpath.basename(tree.path)}.new"
            ),
            upload=upload,
            record=record_of(tree.path),
            records=RECORDS,
            manifest=tree.manifest,
            dir_mode=octal(tree.dir_mode),
            owner=f"{tree.owner}:{tree.group}",
            user=tree.owner,
            group=tree.group,
            base=tree.base or "",
            kind="all" if tree.delete else "own",
            prune=_prune(tree),
        ),
        timeout=1800,
    )
