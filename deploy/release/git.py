"""What git says of a folder of this machine, and checkouts of git URLs. Runs git; contacts no host."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.errors import InputError
from deploy.requirements.project import FILES

GIT_SECONDS = 300
"""How long one git command may take."""

_ASKS_GIT = re.compile(rb"setuptools[-_]scm|hatch-vcs|dynamic-versioning|source *= *[\"'](vcs|scm)[\"']")


def checked_out(place: Path, source: str, ref: str | None, name: str) -> None:
    """A clean work tree at ``place`` of ``source`` at ``ref`` (None: its default branch), submodules and LFS included.

    name: of the site, for errors. Fetched anew; InputError when it cannot be had.
    """
    try:
        if not (place / ".git").is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            _run(["git", "clone", "-q", "--no-checkout", "--", source, str(place)], name)
        else:
            git(place, "fetch", "-q", "--tags", "--force", "--prune", "origin")
        wanted = _resolve(place, ref or "HEAD")
        git(place, "checkout", "-q", "--force", "--detach", wanted)
        git(place, "clean", "-q", "-ffdx")
        if (place / ".gitmodules").is_file():
            _submodules(place, source)
        if git(place, "ls-files", ":(attr:filter=lfs)") and _has_lfs():
            git(place, "lfs", "pull")
    except FileNotFoundError as error:
        raise InputError(f"{name}: git is not installed here, and its source is a git URL") from error


def _submodules(place: Path, source: str) -> None:
    """As the commit has them. From this machine's own disk only where the source is there too, as git itself has it."""
    here = ["-c", "protocol.file.allow=always"] if source.startswith("file://") else []
    git(place, "submodule", "-q", "sync", "--recursive")
    _run(
        ["git", "-C", str(place), *here, "submodule", "-q", "update", "--init", "--recursive", "--force"], ""
    )
    git(place, "submodule", "-q", "foreach", "--recursive", "git clean -q -ffdx")


def _has_lfs() -> bool:
    """Without it files stay pointers, and the one that would be shipped as one is named."""
    done = subprocess.run(
        ["git", "lfs", "version"], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode == 0


def standing(folder: Path) -> tuple[Path, str] | None:
    """The work tree that ``folder`` is in and the commit checked out there; None: it is in none that has one."""
    with suppress(InputError, FileNotFoundError):
        top, commit = git(folder, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        return Path(top), commit
    return None


def ignored(folder: Path) -> tuple[str, ...]:
    """What git ignores below ``folder``: paths from there, folders as a whole; nothing where it ignores all of it."""
    words = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", "."]
    listed = _run(
        ["git", "-C", str(folder), *words], "", "surrogateescape"
    )  # as names are read from a folder
    names = [name.rstrip("/") for name in listed.split("\0") if name]
    return () if "." in names or "" in names else tuple(names)


def empty_submodule(top: Path) -> str | None:
    """The path of a submodule that was never fetched, so that there is nothing to ship of it; None: there is none."""
    if not (top / ".gitmodules").is_file():
        return None
    lines = git(top, "submodule", "status").splitlines()
    return next((line.split()[1] for line in lines if line.startswith("-")), None)


def version(folder: Path, commit: str | None) -> str:
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
        tag, distance, _ = git(folder, "describe", "--tags", "--long", "--abbrev=7").rsplit("-", 2)
    except InputError:  # there is no tag
        return f"0.1.dev{git(folder, 'rev-list', '--count', 'HEAD')}+g{commit[:7]}"
    found = re.search(r"\d+(?:\.\d+)*", tag)
    numbers = [int(one) for one in found[0].split(".")] if found else [0]
    if distance == "0":
        return ".".join(map(str, numbers))
    numbers[-1] += 1
    return f"{'.'.join(map(str, numbers))}.dev{distance}+g{commit[:7]}"


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


def git(folder: Path, *words: str) -> str:
    """What a git command prints; InputError with its last line when it fails, FileNotFoundError without git."""
    return _run(["git", "-C", str(folder), *words], "")


def _run(argv: Sequence[str], name: str, errors: str = "replace") -> str:
    done = subprocess.run(
        argv,
        capture_output=True,
        encoding="utf-8",
        errors=errors,
        timeout=GIT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        command = next(word for word in argv[1:] if re.fullmatch("[a-z][a-z-]+", word))
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise InputError(
            f"{name}: git {command} failed: {reason}" if name else f"git {command} failed: {reason}"
        )
    return done.stdout.strip()
