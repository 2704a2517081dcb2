"""The files of one apply as scripts: kept, renamed into place, taken back, laid into the candidate /etc. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from deploy.resource import Put, Remove, Symlink
from deploy.shell import Script, join, program, sh

Staged = Put | Symlink | Remove


def _beside(path: str, prefix: str) -> str:
    folder, name = posixpath.split(path)
    return posixpath.join(folder, prefix + name)


def new(path: str) -> str:
    """Where the new file lies until all are checked."""
    return _beside(path, ".barehost-new.")


def old(path: str) -> str:
    """The second name of the file that is replaced, until all are proven."""
    return _beside(path, ".barehost-old.")


def each(commands: Iterable[Script]) -> Script:
    """One after the other, up to the first that fails. Not ``set -e``, which a shell ignores where a command is
    asked for its outcome; and these files are read by the shell that asks."""
    return join([join(commands, " &&\n") or Script(":"), Script("")])


def keep(staged: Sequence[Staged]) -> Iterator[Script]:
    """What is there gets a second name, and what is new is on the disk, before any is renamed."""
    for one in staged:
        yield sh(
            "if [ -e @{path} ] || [ -L @{path} ]; then ln -fPT -- @{path} @{old}; fi",
            path=one.path,
            old=old(one.path),
        )
    written = [new(one.path) for one in staged if isinstance(one, Put)]
    if written:
        yield sh("sync -- @{written}", written=written)


def rename(one: Staged) -> Script:
    """The new file takes its place."""
    if isinstance(one, Remove):
        return sh("rm -f -- @{path}", path=one.path)
    return sh("mv -fT -- @{new} @{path}", new=new(one.path), path=one.path)


UNDO = program("undo")
"""How an undo begins."""


def undo(one: Staged) -> Script:
    """The old inode back in its place; where there was none, the new file goes.

    Safe to repeat after being cut off: the old one stays until the sweep, a second link to it is renamed. The
    sweep must not come before all are back: a file without an old one is taken for new, and goes.
    """
    return sh(
        "if [ -e @{old} ] || [ -L @{old} ]; then\n"
        "  same @{old} @{path} || { ln -fPT -- @{old} @{new} && mv -fT -- @{new} @{path}; } || stuck=1\n"
        "else rm -f -- @{path} || stuck=1; fi",
        old=old(one.path),
        new=new(one.path),
        path=one.path,
    )


def candidate(staged: Sequence[Staged]) -> Iterator[Script]:
    """Lay the staged changes into ``$CANDIDATE``, the upper folder of that /etc; paths elsewhere are left out."""
    inside = [(one, one.path.removeprefix("/etc/")) for one in staged if one.path.startswith("/etc/")]
    if not inside:
        return
    folders = sorted({posixpath.dirname(path) or "." for _, path in inside})
    yield sh('cd -- "$CANDIDATE" && mkdir -p -- @{folders}', folders=folders)
    for one, path in inside:
        if isinstance(one, Remove):
            yield sh("mknod @{path} c 0 0", path=f"./{path}")
        else:
            yield sh("cp -a -- @{new} @{path}", path=f"./{path}", new=new(one.path))
