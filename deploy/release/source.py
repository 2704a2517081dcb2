"""What is shipped of a site: a folder here, or a commit of a git URL, as a Release. Contacts no host."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from deploy.errors import InputError
from deploy.files.folders import anchored, walk
from deploy.release.git import checked_out, empty_submodule, git, ignored, standing, version
from deploy.resources.tree import EXCLUDE, Tree
from deploy.site.app import App
from deploy.site.release import Release


def release_of(
    app: App, state: Path, *, now: datetime, ship: bool = False, ref: str | None = None
) -> Release:
    """The release of ``app`` as its source stands now.

    state: the project's state folder, where clones of git sources are kept. ref: instead of the site's own.
    Raises InputError when the source cannot be had.
    """
    if app.image is not None:
        from deploy.release.image import release_of_image

        if ref is not None:
            raise InputError(
                f"{app.name}: --ref {ref} needs a git URL as source, and the site comes from an image"
            )
        return release_of_image(app, state, now=now, ship=ship, by=whoami())
    if ref is not None and not app.is_git:
        raise InputError(f"{app.name}: --ref {ref} needs a git URL as source, and {app.source!r} is a folder")
    root = _checkout(app, state, ref or app.ref) if app.is_git else app.source_folder
    folder = root / app.folder if app.folder else root
    if not folder.is_dir():
        key = "folder" if app.folder and root.is_dir() else "source"
        raise InputError(f"{app.name}: the source {folder} is not a folder; mend {key}: in the inventory")
    where = standing(folder)
    top, commit = where or (root if app.folder else folder, None)
    dirty = commit is not None and bool(git(folder, "status", "--porcelain", "--", "."))
    if where and (missing := empty_submodule(top)):
        raise InputError(
            f"{app.name}: the submodule {missing} of {top} was never fetched: run git submodule update --init there"
        )
    parts = [f"{now.astimezone(UTC):%Y%m%d-%H%M%S}"]
    parts += [commit[:7]] if commit else []
    parts += ["dirty"] if dirty else []
    return Release(
        "-".join(parts),
        folder,
        commit,
        ship,
        whoami(),
        version=version(folder, commit),
        within=top,
        left_out=tuple(map(anchored, _left_out(folder, where is not None))),
    )


IGNORE = ".barehostignore"
"""A file in the source's folder that says, as a .gitignore does, what is not shipped; instead of git's own."""


def _left_out(folder: Path, in_git: bool) -> Sequence[str]:
    """Paths below ``folder`` that are not part of a release."""
    file = folder / IGNORE
    if not file.is_file():
        return ignored(folder) if in_git else ()
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    found: list[str] = [IGNORE]
    for name, one in walk(os.fspath(folder), EXCLUDE):
        if spec.match_file(f"{name}/" if one.is_dir(follow_symlinks=False) else name):
            found.append(name)
    return found


def resumed(release: Release, app: App, state: Path, serving: Sequence[str]) -> Release:
    """``release`` under the id it was begun with, where the last rollout of the same code did not reach its end.

    Hosts then go on with what they have of it: nothing is sent, built or migrated twice. serving: the releases
    that its hosts are known to serve; where one is newer, the code gets a new id, and one that sorts after it. From
    here on the release counts as begun, until :func:`completed`.
    """
    assert release.folder is not None
    tree = Tree(
        f"{app.root}/releases",
        source=release.folder,
        delete=False,
        group=app.user,
        exclude=(*EXCLUDE, *release.left_out, *map(anchored, app.writable)),
        within=release.within,
        links=app.links,
    )
    digest = f"{release.commit} {tree.manifest}"
    file = _begun(app, state)
    with suppress(OSError, ValueError, TypeError, KeyError):  # nothing was begun, or another version wrote it
        begun = json.loads(file.read_text(encoding="utf-8"))
        if begun["digest"] == digest and begun["id"] >= max(serving, default=""):
            return replace(release, id=begun["id"])
    release = replace(release, id=_after(max(serving, default=""), release.id))
    write(file, json.dumps({"id": release.id, "digest": digest}))
    return release


def _after(newest: str, id: str) -> str:
    """``id``, with a later time where it would not sort after ``newest``: of the same second, or a clock behind."""
    if id[:15] > newest[:15]:
        return id
    later = datetime.strptime(newest[:15], "%Y%m%d-%H%M%S") + timedelta(seconds=1)
    return f"{later:%Y%m%d-%H%M%S}{id[15:]}"


def completed(app: App, state: Path) -> None:
    """The release of ``app`` that was begun serves on all its hosts: the next one is another."""
    _begun(app, state).unlink(missing_ok=True)
    _migrating(app, state).unlink(missing_ok=True)


def migrating(app: App, release: Release, state: Path) -> dict[str, tuple[str, ...]]:
    """The hosts that began to migrate this release of ``app``, as this machine knows, each with the commands that
    are done there: () when none are."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        known = json.loads(_migrating(app, state).read_text(encoding="utf-8"))
        if known["id"] == release.id:
            return {host: tuple(done) for host, done in known["hosts"].items()}
    return {}


def remember_migrating(app: App, release: Release, host: str, done: Sequence[str], state: Path) -> None:
    """Keep it until the release is :func:`completed`: a later run of the same release must not migrate twice."""
    hosts = migrating(app, release, state) | {host: tuple(done)}
    write(_migrating(app, state), json.dumps({"id": release.id, "hosts": hosts}))


def write(file: Path, text: str) -> None:
    """Keep ``text`` in ``file``, which is replaced as a whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def _migrating(app: App, state: Path) -> Path:
    return _begun(app, state).with_suffix(".migrating.json")


def _begun(app: App, state: Path) -> Path:
    """One file a site; two projects that share a state folder may have a site of one name."""
    place = hashlib.sha256(f"{app.project}\0{app.source}\0{app.ref}".encode()).hexdigest()[:12]
    return state / "begun" / f"{app.name}-{place}.json"


def whoami() -> str:
    """Who does this, from where: ``user@machine``."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _checkout(app: App, state: Path, ref: str | None) -> Path:
    """A clean work tree of the git source at ``ref`` (None: its default branch), fetched anew."""
    place = state / "sources" / f"{app.name}-{hashlib.sha256(app.source.encode()).hexdigest()[:12]}"
    checked_out(place, app.source, ref, app.name)
    return place
