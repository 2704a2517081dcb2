"""What is shipped of a site: a folder here, or a commit of a git URL, as a Release. Runs git; contacts no host."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from deploy.errors import InputError
from deploy.requirements.project import FILES
from deploy.resources.tree import Tree
from deploy.site.app import App
from deploy.site.release import Release

GIT_SECONDS = 300
"""How long one git command may take."""


def release_of(
    app: App, state: Path, *, now: datetime, ship: bool = False, ref: str | None = None
) -> Release:
    """The release of ``app`` as its source stands now.

    state: the project's state folder, where clones of git sources are kept. ref: instead of the site's own.
    Raises InputError when the source cannot be had.
    """
    if ref is not None and not app.is_git:
        raise InputError(f"{app.name}: --ref {ref} needs a git URL as source, and {app.source!r} is a folder")
    folder = _checkout(app, state, ref or app.ref) if app.is_git else app.folder
    if not folder.is_dir():
        raise InputError(f"{app.name}: the source {folder} is not a folder; mend source: in the inventory")
    commit = _commit(folder)
    dirty = commit is not None and bool(_git(folder, "status", "--porcelain", "--", "."))
    parts = [f"{now.astimezone(UTC):%Y%m%d-%H%M%S}"]
    parts += [commit[:7]] if commit else []
    parts += ["dirty"] if dirty else []
    return Release("-".join(parts), folder, commit, ship, whoami(), version=_version(folder, commit))


_ASKS_GIT = re.compile(rb"setuptools[-_]scm|hatch-vcs|dynamic-versioning|source *= *[\"'](vcs|scm)[\"']")


def _version(folder: Path, commit: str | None) -> str:
    """What a project that asks git for its version would hear, as setuptools-scm counts; empty where it does not ask.

    A host has no .git. Without a tag it is 0.1.dev and the number of commits, without git 0.0.dev0.
    """
    asks = False
    for name in FILES:
        with suppress(OSError):
            asks = asks or bool(_ASKS_GIT.search((folder / name).read_bytes()))
    if not asks:
        return ""
    if commit is None:
        return "0.0.dev0"
    try:
        tag, distance, _ = _git(folder, "describe", "--tags", "--long", "--abbrev=7").rsplit("-", 2)
    except InputError:  # there is no tag
        return f"0.1.dev{_git(folder, 'rev-list', '--count', 'HEAD')}+g{commit[:7]}"
    found = re.search(r"\d+(?:\.\d+)*", tag)
    numbers = [int(one) for one in found[0].split(".")] if found else [0]
    if distance == "0":
        return ".".join(map(str, numbers))
    numbers[-1] += 1
    return f"{'.'.join(map(str, numbers))}.dev{distance}+g{commit[:7]}"


def resumed(release: Release, app: App, state: Path, serving: Sequence[str]) -> Release:
    """``release`` under the id it was begun with, where the last rollout of the same code did not reach its end.

    Hosts then go on with what they have of it: nothing is sent, built or migrated twice. serving: the releases
    that its hosts are known to serve; where one is newer, the code gets a new id, and one that sorts after it. From
    here on the release counts as begun, until :func:`completed`.
    """
    assert release.folder is not None
    tree = Tree(f"{app.root}/releases", source=release.folder, delete=False, group=app.user)
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


def _commit(folder: Path) -> str | None:
    """The commit that is checked out, or None where ``folder`` is not in a git work tree with a commit."""
    try:
        return _git(folder, "rev-parse", "--verify", "-q", "HEAD") or None
    except (InputError, FileNotFoundError):
        return None


def _checkout(app: App, state: Path, ref: str | None) -> Path:
    """A clean work tree of the git source at ``ref`` (None: its default branch), fetched anew."""
    place = state / "sources" / f"{app.name}-{hashlib.sha256(app.source.encode()).hexdigest()[:12]}"
    try:
        if not (place / ".git").is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            _run(["git", "clone", "-q", "--no-checkout", "--", app.source, str(place)], app)
        else:
            _git(place, "fetch", "-q", "--tags", "--force", "--prune", "origin")
        wanted = _resolve(place, ref or "HEAD")
        _git(place, "checkout", "-q", "--force", "--detach", wanted)
        _git(place, "clean", "-q", "-ffdx")
    except FileNotFoundError as error:
        raise InputError(f"{app.name}: git is not installed here, and its source is a git URL") from error
    return place


def _resolve(place: Path, ref: str) -> str:
    for name in (f"refs/remotes/origin/{ref}", f"refs/tags/{ref}", ref):
        found = subprocess.run(
            ["git", "-C", str(place), "rev-parse", "--verify", "-q", f"{name}^{{commit}}"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
        )
        if found.returncode == 0:
            return found.stdout.strip()
    raise InputError(f"{place.name}: the source has no branch, tag or commit {ref!r}")


def _git(folder: Path, *words: str) -> str:
    return _run(["git", "-C", str(folder), *words], None)


def _run(argv: Sequence[str], app: App | None) -> str:
    done = subprocess.run(
        argv,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=GIT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        name = f"{app.name}: " if app else ""
        command = argv[3] if argv[1] == "-C" else argv[1]
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise InputError(f"{name}git {command} failed: {reason}")
    return done.stdout.strip()
