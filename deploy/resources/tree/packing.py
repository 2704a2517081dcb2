"""What one sync sends: a tar of content and of the lists that the script on the host goes by. Contacts no host."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from deploy.files.archive import Member, stamp, stream
from deploy.resources.tree.compare import Difference, Entry, above_protected, parents

if TYPE_CHECKING:
    from deploy.resources.tree import Tree


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
    folders = {parent for name in change.send for parent in parents(name)}
    members = [
        Member(f"lists/{name}", mode=0o600, data=data)
        for name, data in sorted(lists_of(tree, change, sizes, built).items())
    ]
    for name in sorted({"", *folders, *change.make, *change.send}):
        one = tree.entries[name]
        if one.type == "f":
            members.append(
                Member(f"new/{name}", mode=one.mode, source=tree.source / name, sha256=one.content)
            )
        else:
            members.append(Member(f"new/{name}", one.type, one.mode, target=one.content))
    return stream(members, compress=not packed)


def lists_of(
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
            modes.setdefault(f"mode-{octal(entries[name].mode)}", []).append(name)
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
    lists["kept"] = b"".join(sorted(os.fsencode(f"./{name}//\0") for name in above_protected(tree)))
    return lists


def octal(mode: int) -> str:
    """For chmod: five digits, because with fewer GNU chmod leaves a folder's set-group-ID bit."""
    return f"{mode:05o}"


def _shape(named: tuple[str, Entry]) -> bytes:
    """A line of the listing without owner, size, times and inode."""
    name, entry = named
    target = entry.content if entry.type == "l" else ""
    return f"{entry.type} {entry.mode:o}/".encode() + _listed(name)[:-1] + os.fsencode(f"//{target}\0")


def _listed(name: str) -> bytes:
    return os.fsencode(f"./{name}\0" if name else ".\0")
