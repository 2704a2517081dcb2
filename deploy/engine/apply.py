"""A plan as one sh program with its files: what is sent to a host in one go. Pure: never connects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from msgspec import Struct

from deploy.engine import transaction
from deploy.engine.plan import Plan
from deploy.engine.transaction import Staged
from deploy.files.archive import Member, stream
from deploy.resource import Blob, Change, Check, Phase, Put, Resource, Step, Symlink, Upload
from deploy.shell import Command, Script, join, program, sh

RUNTIME = program("apply")

CHECK_SECONDS = 120
"""How long a check of the candidate /etc may take."""

REFUSED = "The candidate was refused before any file took its place; what served before serves on."


class Numbered(Struct, frozen=True):
    """A step as the host knows it. ``resource``: id of what it changes, None where it serves several.

    scope: what ends where it fails; empty: the run. proves: see :class:`deploy.shell.Command`.
    stands: what is true on the host when it fails; empty: nothing of its own.
    """

    label: str
    script: Script
    timeout: int
    resource: str | None = None
    scope: str = ""
    proves: bool = False
    stands: str = ""


@dataclass(frozen=True)
class Program:
    """Everything one apply needs.

    text: the sh program. files: further small scripts by name. steps: by number, as ``steps/<n>``.
    scopes: by the number that the host knows them by; the first is the host itself, without a name.
    blobs: contents of the files phase. uploads: streams that steps unpack by themselves.
    """

    id: str
    text: Script
    files: dict[str, Script]
    steps: tuple[Numbered, ...]
    scopes: tuple[str, ...] = ("",)
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


def compile_plan(
    plan: Plan,
    *,
    id: str,
    nonce: str,
    about: str,
    through: Phase = Phase.LEAVE,
    partly: bool = False,
    guarded: bool = False,
) -> Program:
    """The program that carries out ``plan``'s changes up to and including phase ``through``.

    id: names the run's folder and unit on the host. nonce: marks events in its log. about: the line of the
    host's own log (who, from where, what), one line. partly: scopes have failed earlier in this run, so that its last
    line there does not say that all is done. An empty plan gives a program that only recovers. guarded: the plan holds
    nothing but guarded changes, which stay open until they are confirmed.
    """
    changes = [change for change in plan.changes if change.resource.when <= through]
    early = [change for change in changes if change.resource.when < Phase.SERVICES]
    services = [change for change in changes if change.resource.when == Phase.SERVICES]
    builds = [change for change in changes if Phase.SERVICES < change.resource.when < Phase.FILES]
    files = [change for change in changes if change.resource.when == Phase.FILES]
    units = [change for change in changes if change.resource.when == Phase.UNITS]
    late = [change for change in changes if change.resource.when > Phase.UNITS]
    scopes = tuple(dict.fromkeys(["", *(change.resource.scope for change in changes)]))
    builder = _Builder(scopes)
    builder.run(early)
    if services:
        if builder.transaction("services", *_parted(services)):
            builder.commit()
        builder.lines.append(Script("event services"))
    builder.run(builds)
    staged = builder.transaction("files", files, units, guarded=guarded)
    open = staged & {change.resource.scope for change in late} - {""}
    if open:
        builder.keep(staged - open)
        builder.run(late)
        builder.commit()
    else:
        if staged and not guarded:
            builder.commit()
        builder.run(late)
    lines = [
        sh(
            "RUN=@{run} NONCE=@{nonce} scopes=@{scopes}",
            run=f"/var/lib/barehost/runs/{id}",
            nonce=nonce,
            scopes=" ".join(str(number) for number in range(1, len(scopes))),
        ),
        Script(RUNTIME),
        *([Script(program("guard"))] if guarded else []),
        *builder.lines,
        Script("hold") if guarded else sh("finish @{outcome}", outcome="partly" if partly else "done"),
    ]
    return Program(
        id=id,
        text=join([*lines, Script("")]),
        files={
            **builder.files,
            "about": Script(about.replace("\n", " ") + "\n"),
            **_by_scope("failed", scopes, changes),
            **(_guard(changes) if guarded else {}),
        },
        steps=tuple(builder.steps),
        scopes=scopes,
        blobs=tuple({blob.sha256: blob for blob in builder.blobs}.values()),
        uploads=tuple(builder.uploads),
    )


def _guard(changes: Sequence[Change[Resource]]) -> dict[str, Script]:
    """What is kept beside files until the change is confirmed, and how all goes back."""
    kept = [pair for change in changes if (pair := change.resource.kept())]
    return {
        "guard.save": transaction.each(save for save, _ in kept),
        "guard.restore": transaction.each(restore for _, restore in kept),
        "guard.revert": Script(program("guard-revert")),
    }


def _by_scope(name: str, scopes: Sequence[str], changes: Sequence[Change[Resource]]) -> dict[str, Script]:
    """What the resources of each scope want done when it fails, as ``failed.<number>``."""
    found: dict[str, list[Script]] = {}
    for change in changes:
        if script := change.resource.failed():
            found.setdefault(f"{name}.{scopes.index(change.resource.scope)}", []).append(script)
    return {name: join(scripts) for name, scripts in found.items()}


class _Builder:
    """Collects the program's lines while the changes are read in order."""

    def __init__(self, scopes: Sequence[str]) -> None:
        self.scopes = scopes
        self.lines: list[Script] = []
        self.steps: list[Numbered] = []
        self.blobs: list[Blob] = []
        self.uploads: list[Upload] = []
        self.files: dict[str, Script] = {}

    def numbers(self, scopes: Collection[str]) -> list[str]:
        """How the host calls these scopes, in its order."""
        return [str(number) for number, scope in enumerate(self.scopes) if scope in scopes]

    def run(self, changes: Sequence[Change[Resource]]) -> None:
        for step, resource, scope in _steps(changes):
            if isinstance(step, Upload):
                self.uploads.append(step)
            elif isinstance(step, Command):
                self.step(
                    "step", Numbered(step.label, step.script, step.timeout, resource, scope, step.proves)
                )
                if step.proves:
                    self.lines.append(sh("proved @{scope}", scope=self.scopes.index(scope)))
            else:
                raise TypeError(f"{resource}: {type(step).__name__} belongs into the files phase")

    def step(self, function: str, numbered: Numbered) -> None:
        self.lines.append(
            sh(
                "@{function} @{number} @{timeout} @{scope} @{label}",
                function=function,
                number=len(self.steps),
                timeout=numbered.timeout,
                scope=self.scopes.index(numbered.scope),
                label=" ".join(numbered.label.split()),  # a line of the log is one event
            )
        )
        self.steps.append(numbered)

    def keep(self, scopes: Collection[str]) -> None:
        """These scopes have nothing left that could show their files to be wrong."""
        if scopes:
            self.lines.append(sh("kept @{scopes}", scopes=self.numbers(scopes)))

    def commit(self) -> None:
        """What is in its place by now stays."""
        self.lines.append(Script("commit"))

    def transaction(
        self,
        name: str,
        files: Sequence[Change[Resource]],
        units: Sequence[Change[Resource]],
        *,
        guarded: bool = False,
    ) -> set[str]:
        """Stage, check, switch; then the units, each proven. Returns the scopes that have files in it.

        name: the folder of its scripts. units: whatever takes effect once the files are in their places.
        They stay open until they are kept or committed: a failure of the host takes all back that are open, one of
        a scope its own. guarded: the old state is armed on the disk before anything takes effect.
        """
        staged: dict[str, list[Staged]] = {}
        for step, resource, scope in _steps(files):
            if not isinstance(step, Staged):
                raise TypeError(f"{resource}: {type(step).__name__} cannot be part of the files transaction")
            staged.setdefault(scope, []).append(step)
        whole = [step for steps in staged.values() for step in steps]
        if staged:
            self.lines.append(sh("transaction @{name} @{scopes}", name=name, scopes=self.numbers(staged)))
            self._stage(name, staged, units)
            for scope in self.numbers(staged):
                ids = [
                    one.resource.id for one in files if str(self.scopes.index(one.resource.scope)) == scope
                ]
                self.files[f"{name}/ids.{scope}"] = Script("".join(f"{id}\n" for id in ids))
            for check in _checks([*files, *units]):
                self.step(
                    "candidate",
                    Numbered(f"check: {check.label}", check.script, CHECK_SECONDS, stands=REFUSED),
                )
            if guarded:
                self.lines.append(Script("arm"))
            self.lines.append(Script("switch"))
            if any(_is_unit_file(step.path) for step in whole):
                self.step("step", Numbered("systemctl daemon-reload", Script("systemctl daemon-reload"), 60))
        elif guarded:
            for check in _checks(units):
                self.step(
                    "step", Numbered(f"check: {check.label}", check.script, CHECK_SECONDS, stands=REFUSED)
                )
            self.lines.append(Script("arm"))
        self.run(units)
        return set(staged)

    def _stage(
        self, name: str, staged: Mapping[str, Sequence[Staged]], units: Sequence[Change[Resource]]
    ) -> None:
        whole = [one for steps in staged.values() for one in steps]
        self.files |= {
            f"{name}/sweep": sh(
                "rm -f -- @{left}\n",
                left=[
                    path for one in whole for path in (transaction.new(one.path), transaction.old(one.path))
                ],
            ),
            f"{name}/undo": join(
                [Script(transaction.UNDO), *self._undo(staged, units), Script('[ -z "${stuck-}" ]\n')]
            ),
        }
        self.lines.append(Script("announce"))
        for scope, steps in staged.items():
            number = self.scopes.index(scope)
            self.files |= {
                f"{name}/keep.{number}": transaction.each(transaction.keep(steps)),
                f"{name}/rename.{number}": transaction.each(transaction.rename(one) for one in steps),
                f"{name}/candidate.{number}": transaction.each(transaction.candidate(steps)),
            }
            for one in steps:
                if isinstance(one, Put):
                    self.blobs.append(one.content)
                    self.lines.append(
                        sh(
                            "stage_file @{scope} @{blob} @{owner} @{group} @{mode} @{path}",
                            scope=number,
                            blob=one.content.sha256,
                            owner=one.owner,
                            group=one.group,
                            mode=f"{one.mode:04o}",
                            path=one.path,
                        )
                    )
                elif isinstance(one, Symlink):
                    self.lines.append(
                        sh(
                            "stage_link @{scope} @{target} @{path}",
                            scope=number,
                            target=one.target,
                            path=one.path,
                        )
                    )

    def _undo(
        self, staged: Mapping[str, Sequence[Staged]], units: Sequence[Change[Resource]]
    ) -> Iterator[Script]:
        """The files of each scope back; then what may have loaded them loads the old again."""
        for scope, steps in staged.items():
            yield self._for([scope], [transaction.undo(one) for one in reversed(steps)])
        yield self._for(
            [scope for scope, steps in staged.items() if any(_is_unit_file(one.path) for one in steps)],
            [Script("systemctl daemon-reload")],
        )
        paths = {scope: {one.path for one in steps} for scope, steps in staged.items()}
        for change in units:
            wanted = {scope: change.resource.after_undo(paths[scope]) for scope in staged}
            for script in dict.fromkeys(script for script in wanted.values() if script is not None):
                yield self._for([scope for scope in staged if wanted[scope] == script], [script])

    def _for(self, scopes: Sequence[str], scripts: Sequence[Script]) -> Script:
        """What is done only where one of these scopes goes back."""
        if not scopes:
            return Script("")
        return sh(
            "if back @{scopes}; then\n@{scripts}\nfi", scopes=self.numbers(scopes), scripts=join(scripts)
        )


def _steps(changes: Sequence[Change[Resource]]) -> Iterator[tuple[Step, str | None, str]]:
    """All steps in order, each with the id of what it changes where that is one resource, and its scope."""
    for (kind, scope), group in groupby(changes, key=lambda one: (type(one.resource), one.resource.scope)):
        together = list(group)
        only = together[0].resource.id if len(together) == 1 else None
        for step in kind.steps(together):
            yield step, only, scope


def _parted(changes: Sequence[Change[Resource]]) -> tuple[list[Change[Resource]], list[Change[Resource]]]:
    """Those of kinds that are staged and take their places together, and all others, each in order."""
    files = [change for change in changes if change.resource.phase == Phase.FILES]
    return files, [change for change in changes if change.resource.phase != Phase.FILES]


def _checks(changes: Sequence[Change[Resource]]) -> list[Check]:
    return list(dict.fromkeys(check for change in changes for check in change.resource.checks()))


def _is_unit_file(path: str) -> bool:
    return path.startswith(("/etc/systemd/system/", "/run/systemd/system/", "/usr/local/lib/systemd/system/"))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
