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
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from msgspec import Struct

from deploy.errors import InputError, LookError
from deploy.files import cache
from deploy.files.archive import Member, mostly_packed, sha256, stamp, stream
from deploy.files.folders import Stamp, walk
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.shell import Command, Script, join, sh

RECORDS = "/var/lib/barehost/trees"
"""On the host: one folder for each tree, named by the SHA-256 of its path."""

EXCLUDE = (
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.py[co]",
    ".venv",
    "node_modules",
    ".barehost",
    ".DS_Store",
)
"""What a folder of code holds and no host needs; matched against each name and each path below the source."""


class Entry(NamedTuple):
    """What lies at one name of a tree.

    type: ``d``, ``f`` or ``l`` (anything else only on a host). content: SHA-256 of a file, target of a link,
    else empty.
    """

    type: str
    mode: int
    owner: str
    group: str
    content: str


Entries = Mapping[str, Entry]
"""By name below the tree's path, ``""`` for the folder itself."""


@dataclass(frozen=True)
class Tree(Resource):
    """The folder at ``path``, with what ``source`` (a folder on this side) holds.

    delete: what the source does not have goes; without it, what others put there is left and not looked at
        (right for release folders, which are made whole and in which builds leave their results).
    mode, dir_mode: of files and folders; a file its owner may run in the source gets the x bits as well.
    exclude: shell patterns against each name, and against each path below the source.
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
            found = walk(os.fspath(self.source), self.exclude)
            return [(name, one.path, one.stat(follow_symlinks=False)) for name, one in found]
        except OSError as error:
            where = error.filename or self.source
            raise InputError(f"cannot read the folder {where}: {error.strerror}") from error

    @cached_property
    def entries(self) -> Entries:
        """What the source holds, hashed once a resource; raises InputError for what cannot be sent."""
        top = Entry("d", self.dir_mode, self.owner, self.group, "")
        return {"": top} | {name: _entry(self, name, path, status) for name, path, status in self._listing}

    @cached_property
    def manifest(self) -> str:
        """SHA-256 of everything that is compared; files that nobody has touched since it was made are not read."""
        began, stamp = time.time_ns(), Stamp()
        for name, _, status in self._listing:
            stamp.add(name, status)
        what = repr((os.fspath(self.source), self.exclude, self.owner, self.group, self.mode, self.dir_mode))
        return cache.digest(what, stamp, began, self._compared)

    def _compared(self) -> str:
        lists = _lists(self, Difference(), {})
        owner = f"{self.owner}:{self.group}\0".encode()
        return hashlib.sha256(owner + lists["shape"] + lists["sums"]).hexdigest()

    def expected(self) -> State | None:
        return {"manifest": self.manifest, "intact": True}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """Says "same" for each tree that is, else its lines, and fresh hashes where a line changed."""
        return join([Script(LISTING + _LOOK), *map(_look, resources, range(len(resources)))])

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
        return {tree.id: _state(tree, answer) for tree, answer in zip(resources, answers, strict=True)}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            yield from _sync(change.resource, change.actual or {})


class Difference(Struct, frozen=True):
    """What one sync has to do, by names below the path: each tuple sorted.

    send, copy: files whose content the host lacks here, from this side or from the base. make: folders and
    links. attributes: right content, wrong mode or owner. clear: the wrong type stands in the way. remove: gone.
    """

    send: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    make: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = {
            "sent": len(self.send),
            "copied": len(self.copy),
            "folders and links": len(self.make),
            "modes and owners": len(self.attributes),
            "removed": len(self.remove),
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "record only"


def difference(
    tree: Tree, found: Entries, offer: Mapping[str, str], built: Collection[str] = ()
) -> Difference:
    """What brings ``found`` to what the tree expects.

    offer: the SHA-256 of the base's files by name. built: names that are a build's, whatever lies there.
    """
    todo: dict[str, list[str]] = {}
    for name, entry in tree.entries.items():
        if name in built:
            continue
        there = found.get(name)
        if there is not None and there.type != entry.type:
            todo.setdefault("clear", []).append(name)
            there = None
        if there is None or there.content != entry.content:
            how = "make" if entry.type != "f" else "copy" if offer.get(name) == entry.content else "send"
            todo.setdefault(how, []).append(name)
        elif there != entry:
            todo.setdefault("attributes", []).append(name)
    if tree.delete:
        stay = _above_protected(tree)
        todo["remove"] = [name for name in found if name not in tree.entries and name not in stay]
    return Difference(**{how: tuple(sorted(names)) for how, names in todo.items()})


def left_to_the_build(path: str) -> Script:
    """What the build of the tree at ``path`` replaced or removed of what was shipped is its own from now on.

    It is neither compared with the source nor put back: what the site was proven with stays.
    """
    return sh(LISTING + _LEFT_TO_THE_BUILD, path=path, record=record_of(path))


def pack(
    tree: Tree,
    change: Difference,
    sizes: Mapping[str, int],
    packed: bool = False,
    built: Collection[str] = (),
) -> Iterator[bytes]:
    """A tar of what the sync needs: ``new/`` with the content, ``lists/`` with names; memory stays small.

    sizes: of the files that are sent or copied. packed: not gzip'd, for nearly all of it is packed already, and
        both sides are spared the work. built: names that are a build's.

    Deterministic: sorted, no times, no owners.
    """
    parents = {parent for name in change.send for parent in _parents(name)}
    members = [
        Member(f"lists/{name}", mode=0o600, data=data)
        for name, data in sorted(_lists(tree, change, sizes, built).items())
    ]
    for name in sorted({"", *parents, *change.make, *change.send}):
        one = tree.entries[name]
        if one.type == "f":
            members.append(
                Member(f"new/{name}", mode=one.mode, source=tree.source / name, sha256=one.content)
            )
        else:
            members.append(Member(f"new/{name}", one.type, one.mode, target=one.content))
    return stream(members, compress=not packed)


def _entry(tree: Tree, name: str, path: str, status: os.stat_result) -> Entry:
    if stat.S_ISLNK(status.st_mode):
        target = os.fspath(Path(path).readlink())
        within = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        source = os.path.realpath(tree.source)
        led = os.path.realpath(path)  # through other links too
        if (
            target.startswith("/")
            or within == ".."
            or within.startswith("../")
            or not f"{led}/".startswith(f"{source}/")
        ):
            raise InputError(
                f"{path} is a link to {target}, outside of {tree.source}: put a file in its place"
            )
        return Entry("l", 0o777, tree.owner, tree.group, target)
    if stat.S_ISDIR(status.st_mode):
        return Entry("d", tree.dir_mode, tree.owner, tree.group, "")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is neither a file, a folder nor a link: exclude it or remove it")
    mode = tree.mode | (tree.mode >> 2 & 0o111 if status.st_mode & stat.S_IXUSR else 0)
    return Entry("f", mode, tree.owner, tree.group, sha256(Path(path), status))


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


def _above_protected(tree: Tree) -> set[str]:
    inside = [path[len(tree.path) + 1 :] for path in tree.protect if path.startswith(tree.path + "/")]
    return {parent for name in inside for parent in _parents(name)}


def _state(tree: Tree, answer: Sequence[str]) -> State | None:
    _, word, *rest = answer
    if word == "other":
        raise LookError(
            f"{tree.path} is not a folder on the host; remove what lies there, or name another path"
        )
    if "Lfailed" in rest or "failed" in rest:
        raise LookError(f"{tree.path} changed while it was listed, or its disk failed; try again")
    if word == "same":
        return {"manifest": tree.manifest, "intact": True}
    if word == "absent":
        offer = _sums(one[1:] for one in rest if one.startswith("B"))
        return {"absent": True, "offer": json.dumps(offer)} if offer else None
    _, recorded, uid, gid = word.split(" ")
    if recorded == tree.manifest:
        sums = {name: entry.content for name, entry in tree.entries.items() if entry.type == "f"}
    else:
        sums = _sums(one[1:] for one in rest if one.startswith("S"))
    sums |= _sums(one[1:] for one in rest if one.startswith("F"))
    found = dict(_found(one[1:], sums) for one in rest if one.startswith("L"))
    names = {uid: tree.owner}, {gid: tree.group}
    found = {
        name: one._replace(owner=names[0].get(one.owner, one.owner), group=names[1].get(one.group, one.group))
        for name, one in found.items()
    }
    built = [one[1:].removeprefix("./") for one in rest if one.startswith("K") and recorded == tree.manifest]
    if difference(tree, found, {}, built) != Difference():
        state: State = {"manifest": recorded, "intact": False, "found": json.dumps(found)}
        return {**state, "built": json.dumps(built)} if built else state
    return {"manifest": tree.manifest, "intact": True}


def _sums(lines: Iterable[str]) -> dict[str, str]:
    """SHA-256 by name, from lines of ``sha256sum -z``."""
    return {line[66:].removeprefix("./"): line[:64] for line in lines}


def _found(line: str, sums: Mapping[str, str]) -> tuple[str, Entry]:
    head, _, rest = line.partition("/")
    # the name comes as ./a/b and the folder itself as ., so the first slash is our own separator
    name, _, target = rest.partition("//")
    name = "" if name == "." else name.removeprefix("./")
    kind, mode, owner, group, *_ = head.split(" ")
    content = {"f": sums.get(name, ""), "l": target}.get(kind, "")
    return name, Entry(kind, int(mode, 8), owner, group, content)


def _sync(tree: Tree, actual: State) -> Iterator[Step]:
    found = {name: Entry(*entry) for name, entry in json.loads(str(actual.get("found", "{}"))).items()}
    offer = json.loads(str(actual.get("offer", "{}")))
    built = frozenset[str](json.loads(str(actual.get("built", "[]"))))
    change = difference(tree, found, offer, built)
    for name in _above_protected(tree).intersection(change.clear):
        raise InputError(
            f"{tree.path}/{name} must give way to a file, but something declares a path below it"
        )
    upload = f"tree-{hashlib.sha256(os.fsencode(tree.path)).hexdigest()[:16]}"
    sizes = {name: os.lstat(f"{tree.source}/{name}").st_size for name in (*change.send, *change.copy)}
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
            LISTING + _SYNC,
            path=tree.path,
            parent=posixpath.dirname(tree.path),
            stage=posixpath.join(
                posixpath.dirname(tree.path), f".barehost-{posixpath.basename(tree.path)}.new"
            ),
            upload=upload,
            record=record_of(tree.path),
            records=RECORDS,
            manifest=tree.manifest,
            dir_mode=_octal(tree.dir_mode),
            owner=f"{tree.owner}:{tree.group}",
            user=tree.owner,
            group=tree.group,
            base=tree.base or "",
            kind="all" if tree.delete else "own",
            prune=_prune(tree),
        ),
        timeout=1800,
    )


def _lists(
    tree: Tree, change: Difference, sizes: Mapping[str, int], built: Collection[str] = ()
) -> dict[str, bytes]:
    """Names for xargs -0, a list for each thing to do; and what must stand at the end: ``sums``, ``shape``.

    ``put`` are the files that the sync itself puts there, as ``size time/name``. ``kept`` are the folders that may
    stand as well, because something protected lies in them. ``built`` are the names that a build took over.
    """
    entries = {name: entry for name, entry in tree.entries.items() if name not in built}
    names: dict[str, Iterable[str]] = {
        "clear": change.clear,
        "copy": change.copy,
        "folders": [name for name in change.make if name and entries[name].type == "d"],
        "own": change.attributes,
        "remove": change.remove[::-1],
        "names": sorted(entries),
        "built": sorted(built),
    }
    modes: dict[str, list[str]] = {}
    for name in change.attributes + change.copy:
        if entries[name].type != "l":
            modes.setdefault(f"mode-{_octal(entries[name].mode)}", []).append(name)
    lists = {key: b"".join(_listed(name) for name in each) for key, each in (names | modes).items()}
    sums = (
        b"%s  " % one.content.encode() + _listed(name) for name, one in entries.items() if one.type == "f"
    )
    lists["sums"] = b"".join(sorted(sums))
    lists["shape"] = b"".join(sorted(map(_shape, entries.items())))
    lists["put"] = b"".join(
        sorted(
            b"%d %d.0000000000/" % (size, stamp(entries[name].content)) + _listed(name)
            for name, size in sizes.items()
        )
    )
    lists["kept"] = b"".join(sorted(os.fsencode(f"./{name}//\0") for name in _above_protected(tree)))
    return lists


def _octal(mode: int) -> str:
    """For chmod: five digits, because with fewer GNU chmod leaves a folder's set-group-ID bit."""
    return f"{mode:05o}"


def _shape(named: tuple[str, Entry]) -> bytes:
    """A line of the listing without owner, size, times and inode."""
    name, entry = named
    target = entry.content if entry.type == "l" else ""
    return f"{entry.type} {entry.mode:o}/".encode() + _listed(name)[:-1] + os.fsencode(f"//{target}\0")


def _listed(name: str) -> bytes:
    return os.fsencode(f"./{name}\0" if name else ".\0")


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


LISTING = r"""
export LC_ALL=C
# The current folder, one record an entry: $1 all, or own: only what we put there; $2 its record; then words
# for find that leave out what is protected. An entry that we put there and that is gone has no record.
# Neither size nor times of a folder: what it holds says it all.
listing() {
  kind=$1 names=$2/names; shift 2
  if [ "$kind" = own ] && [ -e "$names" ]; then
    xargs -0 -r -a "$names" sh -c 'exec find "$@" -maxdepth 0 \( -type d -printf "d %m %U %G/%p//\0" -o \
      -printf "%y %m %U %G %s %T@ %C@ %i/%p//%l\0" \)' sh 2>/dev/null | sort -z
  else
    { find . "$@" \( -type d -printf 'd %m %U %G/%p//\0' -o \
      -printf '%y %m %U %G %s %T@ %C@ %i/%p//%l\0' \) || printf 'failed\0'; } | sort -z
  fi
}
# The numbers of a user $1 and a group $2, as in the listing: find takes four times as long to say names.
numbers() {
  if [ "$1 $2" = 'root root' ]; then echo '0 0'; return; fi
  if [ "$1" = root ]; then uid=0; else uid=$(id -u -- "$1" 2>/dev/null) || uid=-; fi
  gid=$(getent group "$2") || gid=-:-:-
  gid=${gid#*:*:}
  printf '%s %s\n' "$uid" "${gid%%:*}"
}
# Hashes of the files whose line is not in the list $1, from lines on stdin; $2 names files to work with. Left out is
# what the list $3 has with the same size and time. Side by side, each process into a file of its own: what they
# write to one pipe would come mixed.
changed_sums() {
  comm -z -13 -- "$1" - |
    sed -zn 's|^f [^ ]* [^ ]* [^ ]* \([^ ]* [^ ]*\) [^/]*/\(.*\)//$|\1/\2|p' | sort -z |
    comm -z -23 - "$3" | sed -z 's|^[^/]*/||' > "$2"
  xargs -0 -r -a "$2" -n 250 -P "$(nproc)" sh -c 'exec sha256sum -z -- "$@" > "$0.$$"' "$2" || return
  for sums in "$2".*; do
    if [ -e "$sums" ]; then cat -- "$sums" && rm -f -- "$sums"; fi
  done
  rm -f -- "$2"
}
"""

_LOOK = r"""
look() {
  index=$1 path=$2 record=$3 manifest=$4 kind=$5 base=$6 base_record=$7 owner=$8 group=$9; shift 9
  printf '#%s\0' "$index"
  if [ -L "$path" ]; then printf 'other\0end\0'; return; fi
  if [ ! -e "$path" ]; then
    printf 'absent\0'
    if [ -n "$base" ] && [ -d "$base" ] && [ -e "$base_record/listing" ]; then
      if (cd -- "$base" && listing "$kind" "$base_record" | cmp -s -- - "$base_record/listing"); then
        sed -z 's/^/B/' -- "$base_record/sums"
      fi
    fi
    printf 'end\0'
    return
  fi
  if [ ! -d "$path" ]; then printf 'other\0end\0'; return; fi
  (
    cd -- "$path" || exit
    recorded=-
    if [ -e "$record/manifest" ]; then read -r recorded < "$record/manifest"; fi
    old=$record/listing
    if [ ! -e "$old" ]; then old=/dev/null; fi
    ids=$(numbers "$owner" "$group") was=-
    if [ -e "$record/owner" ]; then read -r was < "$record/owner"; fi
    if [ "$recorded" = "$manifest" ] && [ "$was" = "$ids" ] && listing "$kind" "$record" "$@" | cmp -s -- - "$old"; then
      printf 'same\0'
    else
      printf 'differs %s %s\0' "$recorded" "$ids"
      listing "$kind" "$record" "$@" | sed -z 's/^/L/'
      listing "$kind" "$record" "$@" | changed_sums "$old" "$SCRATCH/sums-$index" /dev/null | sed -z 's/^/F/'
      if [ "$recorded" != "$manifest" ] && [ -e "$record/sums" ]; then sed -z 's/^/S/' -- "$record/sums"; fi
      if [ -e "$record/built" ]; then sed -z 's/^/K/' -- "$record/built"; fi
    fi
    printf 'end\0'
  )
}
"""

_LEFT_TO_THE_BUILD = r"""
path=@{path} record=@{record} next=@{record}.new
set -e
rm -rf -- "$next"
mkdir -m 700 -- "$next"
cd -- "$path"
listing own "$record" > "$next/now"
comm -z -23 -- "$record/listing" "$next/now" | sed -z 's|^[^/]*/||; s|//.*$||; /^\.$/d' | sort -z > "$next/taken"
if [ -s "$next/taken" ]; then
  cp -p -- "$record/manifest" "$record/owner" "$next/"
  comm -z -12 -- "$record/listing" "$next/now" > "$next/listing"
  { cat -- "$record/names"; cat -- "$next/taken" "$next/taken"; } | sort -z | uniq -zu > "$next/names"
  { cat -- "$next/taken"; if [ -e "$record/built" ]; then cat -- "$record/built"; fi; } | sort -zu > "$next/built"
  sed -zn 's|^f [^/]*/\(.*\)//$|\1|p' -- "$next/listing" | xargs -0 -r sha256sum -z -- | sort -z > "$next/sums"
  rm -f -- "$next/now" "$next/taken"
  sync -f -- "$next"
  rm -rf -- "$record"
  mv -T -- "$next" "$record"
else
  rm -rf -- "$next"
fi
cd /
"""

_SYNC = r"""
set -eu
umask 022
path=@{path} stage=@{stage} record=@{record} owner=@{owner} base=@{base}
fail() { printf '%s\n' "$1" >&2; exit 1; }
if [ -L "$path" ] || { [ -e "$path" ] && [ ! -d "$path" ]; }; then fail "$path is not a folder"; fi
mkdir -p -- @{parent}
# a rename works within one file system only
if [ -d "$path" ] && [ "$(stat -c %d -- "$path")" != "$(stat -c %d -- @{parent})" ]; then
  stage=$path/.barehost.new
fi
rm -rf -- "$stage"
trap 'rm -rf -- "$stage"' EXIT
trap 'exit 143' HUP INT TERM
mv -T -- "$UPLOAD/"@{upload} "$stage"
new=$stage/new lists=$stage/lists
each() { list=$1; shift; if [ -s "$lists/$list" ]; then xargs -0 -r -a "$lists/$list" "$@"; fi; }
modes() {
  for list in "$lists"/mode-*; do
    if [ -e "$list" ]; then each "${list##*/}" chmod "${list##*-}" --; fi
  done
}

if [ -s "$lists/copy" ]; then
  (cd -- "$base" && each copy cp --parents --reflink=auto --no-dereference --preserve=timestamps -t "$new" --)
fi
chown -hR -- "$owner" "$new"
sync -f -- "$new"
if [ ! -e "$path" ]; then
  (cd -- "$new" && modes)
  mv -T -- "$new" "$path"
else
  cd -- "$path"
  each clear rm -rf --
  each folders mkdir -p --
  each folders chmod @{dir_mode} --
  each folders chown -h -- "$owner"
  (cd -- "$new" && find . -type d -print0 | xargs -0 sh -c '
    path=$1; shift
    for folder do
      find "$folder" -mindepth 1 -maxdepth 1 ! -type d -exec mv -f -t "$path/$folder" -- {} + || exit
    done' sh "$path")
  each own chown -h -- "$owner"
  modes
  each remove rm -df --
fi

cd -- "$path"
next=$record.new
rm -rf -- "$next"
mkdir -p -m 700 -- @{records}
mkdir -m 700 -- "$next"
printf '%s\n' @{manifest} > "$next/manifest"
mv -- "$lists/sums" "$lists/shape" "$lists/kept" "$lists/put" "$next/"
if [ @{kind} = own ]; then mv -- "$lists/names" "$lists/built" "$next/"; fi
rm -rf -- "$stage"
old=$record/listing
if [ ! -e "$old" ]; then old=/dev/null; fi
listing @{kind} "$next" @{prune} > "$next/listing"
# What stands must be what was expected, whoever else was at work here: only that is recorded. A file that was put
# there a moment ago has a time that its content alone gave it (see stamp() in archive.py), so whoever wrote to it
# since has changed its time: it is hashed where its size or time is another, and not read again where it has both.
ids=$(numbers @{user} @{group})
printf '%s\n' "$ids" > "$next/owner"
# a line with another owner keeps it, and so is not as expected
sed -z "s|^\([^ ]* [^ ]*\) $ids [^/]*/|\1/|; t; s|^\([^ ]* [^ ]*\) $ids/|\1/|" -- "$next/listing" |
  sort -z > "$next/stands"
{
  comm -z -13 -- "$next/stands" "$next/shape"
  comm -z -23 -- "$next/stands" "$next/shape" | sed -z 's|^[^/]*/||' | sort -z | comm -z -23 - "$next/kept"
  changed_sums "$old" "$next/fresh" "$next/put" < "$next/listing" | sort -z | comm -z -23 - "$next/sums"
} > "$next/odd"
if [ -s "$next/odd" ]; then
  tr '\0' '\n' < "$next/odd" | head -n 5 >&2
  rm -rf -- "$next"
  fail "somebody else changed $path while it was synced (above: what is not as expected): run again"
fi
rm -rf -- "$next/odd" "$next/shape" "$next/stands" "$next/kept" "$next/put" "$record"
mv -T -- "$next" "$record"
"""
