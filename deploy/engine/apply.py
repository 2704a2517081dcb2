"""A plan as one sh program with its files: what is sent to a host in one go. Pure: never connects."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from msgspec import Struct

from deploy.engine.plan import Plan
from deploy.files.archive import Member, stream
from deploy.resource import Blob, Change, Check, Phase, Put, Remove, Resource, Step, Symlink, Upload
from deploy.resources.unit import Unit
from deploy.shell import Command, Script, join, sh

RUNTIME = Path(__file__).parents[1] / "host" / "apply.sh"

CHECK_SECONDS = 120
"""How long a check of the candidate /etc may take."""


class Numbered(Struct, frozen=True):
    """A step as the host knows it. ``resource``: id of what it changes, None where it serves several."""

    label: str
    script: Script
    timeout: int
    resource: str | None = None


@dataclass(frozen=True)
class Program:
    """Everything one apply needs.

    text: the sh program. files: further small scripts by name. steps: by number, as ``steps/<n>``.
    blobs: contents of the files phase. uploads: streams that steps unpack by themselves.
    """

    id: str
    text: Script
    files: dict[str, Script]
    steps: tuple[Numbered, ...]
    blobs: tuple[Blob, ...] = field(repr=False, default=())
    uploads: tuple[Upload, ...] = ()

    def bundle(self) -> Iterator[bytes]:
        """The program, its steps and its blobs as one compressed tar stream, in blocks."""
        named = {"program": self.text, **self.files}
        named |= {f"steps/{number}": one.script for number, one in enumerate(self.steps)}
        scripts = (Member(name, mode=0o600, data=_bytes(text)) for name, text in named.items())
        blobs = (
            Member(
                f"blobs/{blob.sha256}",
                mode=0o600,
                data=blob.data or b"",
                source=blob.source,
                sha256=blob.sha256,
            )
            for blob in self.blobs
        )
        return stream([*scripts, *blobs])


def compile_plan(plan: Plan, *, id: str, nonce: str, about: str, through: Phase = Phase.LEAVE) -> Program:
    """The program that carries out ``plan``'s changes up to and including phase ``through``.

    id: names the run's folder and unit on the host. nonce: marks events in its log. about: the line of the
    host's own log (who, from where, what), one line. An empty plan gives a program that only recovers.
    """
    changes = [change for change in plan.changes if change.resource.when <= through]
    early = [change for change in changes if change.resource.when < Phase.FILES]
    files = [change for change in changes if change.resource.when == Phase.FILES]
    units = [change for change in changes if change.resource.when == Phase.UNITS]
    late = [change for change in changes if change.resource.when > Phase.UNITS]
    builder = _Builder()
    builder.run(early)
    builder.transaction(files, units)
    builder.run(late)
    lines = [
        sh("RUN=@{run} NONCE=@{nonce}", run=f"/var/lib/barehost/runs/{id}", nonce=nonce),
        Script(RUNTIME.read_text()),
        *builder.lines,
        Script("finish done"),
    ]
    return Program(
        id=id,
        text=join([*lines, Script("")]),
        files={
            **builder.files,
            "about": Script(about.replace("\n", " ") + "\n"),
            "failed": join(script for change in changes if (script := change.resource.failed())),
        },
        steps=tuple(builder.steps),
        blobs=tuple({blob.sha256: blob for blob in builder.blobs}.values()),
        uploads=tuple(builder.uploads),
    )


class _Builder:
    """Collects the program's lines while the changes are read in order."""

    def __init__(self) -> None:
        self.lines: list[Script] = []
        self.steps: list[Numbered] = []
        self.blobs: list[Blob] = []
        self.uploads: list[Upload] = []
        self.files: dict[str, Script] = {}

    def run(self, changes: Sequence[Change[Resource]]) -> None:
        for step, resource in _steps(changes):
            if isinstance(step, Upload):
                self.uploads.append(step)
            elif isinstance(step, Command):
                self.step("step", Numbered(step.label, step.script, step.timeout, resource))
            else:
                raise TypeError(f"{resource}: {type(step).__name__} belongs into the files phase")

    def step(self, function: str, numbered: Numbered) -> None:
        self.lines.append(
            sh(
                "@{function} @{number} @{timeout}",
                function=function,
                number=len(self.steps),
                timeout=numbered.timeout,
            )
        )
        self.steps.append(numbered)

    def transaction(self, files: Sequence[Change[Resource]], units: Sequence[Change[Resource]]) -> None:
        """Stage, check, switch; then the units, each proven; then commit. Any failure takes the files back."""
        staged: list[Put | Symlink | Remove] = []
        for step, resource in _steps(files):
            if not isinstance(step, Put | Symlink | Remove):
                raise TypeError(f"{resource}: {type(step).__name__} cannot be part of the files transaction")
            staged.append(step)
        if staged:
            self._stage(staged, units)
            for check in _checks([*files, *units]):
                self.step("candidate", Numbered(f"check: {check.label}", check.script, CHECK_SECONDS))
            self.lines.append(Script("switch"))
            if any(_is_unit_file(step.path) for step in staged):
                self.step("step", Numbered("systemctl daemon-reload", Script("systemctl daemon-reload"), 60))
        self.run(units)
        if staged:
            self.lines.append(Script("commit"))

    def _stage(self, staged: Sequence[Put | Symlink | Remove], units: Sequence[Change[Resource]]) -> None:
        self.files |= {
            "sweep": sh(
                "rm -f -- @{left}\n",
                left=[name for one in staged for name in (_new(one.path), _old(one.path))],
            ),
            "keep": _each(_keep(staged)),
            "rename": _each(_rename(one) for one in staged),
            "undo": join(
                [
                    Script(_SAME),
                    *(_undo(one) for one in reversed(staged)),
                    *_reload(staged, units),
                    Script('[ -z "${stuck-}" ]\n'),
                ]
            ),
            "candidate": _each(_candidate(staged)),
        }
        self.lines.append(Script("announce"))
        for one in staged:
            if isinstance(one, Put):
                self.blobs.append(one.content)
                self.lines.append(
                    sh(
                        "stage_file @{blob} @{owner} @{group} @{mode} @{path}",
                        blob=one.content.sha256,
                        owner=one.owner,
                        group=one.group,
                        mode=f"{one.mode:04o}",
                        path=one.path,
                    )
                )
            elif isinstance(one, Symlink):
                self.lines.append(sh("stage_link @{target} @{path}", target=one.target, path=one.path))


def _steps(changes: Sequence[Change[Resource]]) -> Iterator[tuple[Step, str | None]]:
    """All steps in order, each with the id of what it changes where that is one resource."""
    for kind, group in groupby(changes, key=lambda change: type(change.resource)):
        together = list(group)
        only = together[0].resource.id if len(together) == 1 else None
        for step in kind.steps(together):
            yield step, only


def _checks(changes: Sequence[Change[Resource]]) -> list[Check]:
    return list(dict.fromkeys(check for change in changes for check in change.resource.checks()))


def _beside(path: str, prefix: str) -> str:
    folder, name = posixpath.split(path)
    return posixpath.join(folder, prefix + name)


def _new(path: str) -> str:
    return _beside(path, ".barehost-new.")


def _old(path: str) -> str:
    return _beside(path, ".barehost-old.")


def _each(commands: Iterable[Script]) -> Script:
    """One after the other, up to the first that fails. Not ``set -e``, which a shell ignores where a command is
    asked for its outcome; and these files are read by the shell that asks."""
    return join([join(commands, " &&\n") or Script(":"), Script("")])


def _keep(staged: Sequence[Put | Symlink | Remove]) -> Iterator[Script]:
    for one in staged:
        yield sh(
            "if [ -e @{path} ] || [ -L @{path} ]; then ln -fPT -- @{path} @{old}; fi",
            path=one.path,
            old=_old(one.path),
        )
    written = [_new(one.path) for one in staged if isinstance(one, Put)]
    if written:
        yield sh("sync -- @{written}", written=written)


def _rename(one: Put | Symlink | Remove) -> Script:
    if isinstance(one, Remove):
        return sh("rm -f -- @{path}", path=one.path)
    return sh("mv -fT -- @{new} @{path}", new=_new(one.path), path=one.path)


_SAME = r"""same() { [ "$(stat -c %d:%i -- "$1")" = "$(stat -c %d:%i -- "$2" 2>/dev/null)" ]; }"""
"""Whether two names are one file already: mv calls that an error."""


def _undo(one: Put | Symlink | Remove) -> Script:
    """The old inode back in its place; where there was none, the new file goes.

    Safe to repeat after being cut off: the old one stays until the sweep, a second link to it is renamed. The
    sweep must not come before all are back: a file without an old one is taken for new, and goes.
    """
    return sh(
        "if [ -e @{old} ] || [ -L @{old} ]; then\n"
        "  same @{old} @{path} || { ln -fPT -- @{old} @{new} && mv -fT -- @{new} @{path}; } || stuck=1\n"
        "else rm -f -- @{path} || stuck=1; fi",
        old=_old(one.path),
        new=_new(one.path),
        path=one.path,
    )


def _candidate(staged: Sequence[Put | Symlink | Remove]) -> Iterator[Script]:
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
            yield sh("cp -a -- @{new} @{path}", path=f"./{path}", new=_new(one.path))


def _reload(staged: Sequence[Put | Symlink | Remove], units: Sequence[Change[Resource]]) -> Iterator[Script]:
    """After an undo: the services that may have loaded what was taken back load the old again."""
    if any(_is_unit_file(one.path) for one in staged):
        yield Script("systemctl daemon-reload")
    for change in units:
        if isinstance(change.resource, Unit) and change.resource.watched:
            yield sh("systemctl try-reload-or-restart -- @{name}", name=change.resource.name)


def _is_unit_file(path: str) -> bool:
    return path.startswith(("/etc/systemd/system/", "/run/systemd/system/", "/usr/local/lib/systemd/system/"))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
