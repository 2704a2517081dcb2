"""What lies in a folder, here and on a host, and what brings the one to the other. Pure."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from deploy.errors import LookError
from deploy.resource import State

if TYPE_CHECKING:
    from deploy.resources.tree import Tree


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
        stay = above_protected(tree)
        todo["remove"] = [name for name in found if name not in tree.entries and name not in stay]
    return Difference(**{how: tuple(sorted(names)) for how, names in todo.items()})


def state(tree: Tree, answer: Sequence[str]) -> State | None:
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


def above_protected(tree: Tree) -> set[str]:
    inside = [path[len(tree.path) + 1 :] for path in tree.protect if path.startswith(tree.path + "/")]
    return {parent for name in inside for parent in parents(name)}


def parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name
