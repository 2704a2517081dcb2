"""What is shipped of a site from a container image: the image's identity as a Release. Builds one where it is asked to.

The image itself does not lie in the release: its layers travel beside it, where a host has not got them. What is
compared is the image's ID, so a release is another when the image is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from deploy import oci
from deploy.errors import InputError
from deploy.resources.tree import Tree
from deploy.schema.marked import path_from
from deploy.site.app import App
from deploy.site.image import Recipe
from deploy.site.release import Release

BUILDERS = ("buildah", "podman", "docker")
"""What can build a Dockerfile, the first that is there."""

BUILD_SECONDS = 3600
"""How long a build may take."""

NAME = "image.json"
"""The one file of such a release."""


def release_of_image(app: App, state: Path, *, now: datetime, ship: bool, by: str) -> Release:
    """The release of a site with ``image:`` as that stands now.

    state: the project's state folder, where what is built is kept. Raises InputError where there is no image, or it
    cannot be built.
    """
    image = oci.read(file_of(app, state))
    folder = _place(app, state) / "release"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"image": image.id, "layers": [one.diff_id for one in image.layers]}, indent=1) + "\n"
    file = folder / NAME
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    id = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{image.id.removeprefix('sha256:')[:7]}"
    return Release(id, folder, None, ship, by, within=folder, image=file_of(app, state, build=False))


def file_of(app: App, state: Path, *, build: bool = True) -> Path:
    """The image's file or folder on this machine; one that is built is built anew where its context has changed."""
    if not isinstance(app.image, Recipe):
        assert app.image is not None
        return path_from(app.project, app.image)
    file = _place(app, state) / "image.tar"
    return _built(app, app.image, file) if build else file


def _place(app: App, state: Path) -> Path:
    key = hashlib.sha256(f"{app.project}\0{app.image!r}".encode()).hexdigest()[:12]
    return state / "images" / f"{app.name}-{key}"


def _built(app: App, recipe: Recipe, file: Path) -> Path:
    context = path_from(app.project, recipe.context)
    if not (context / recipe.dockerfile).is_file():
        raise InputError(
            f"{app.name}: there is no {recipe.dockerfile} in {context}; mend image: in the inventory"
        )
    made_of = Tree("/context", source=context, exclude=(".git",)).manifest + recipe.dockerfile
    stamp = file.with_suffix(".made-of")
    if file.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == made_of:
        return file
    builder = next((one for one in BUILDERS if shutil.which(one)), None)
    if builder is None:
        raise InputError(
            f"{app.name}: image: names a Dockerfile, and none of {', '.join(BUILDERS)} is installed here to build it; "
            "install one, or name the file of an image that was built elsewhere (docker save)"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name("new.tar")
    new.unlink(missing_ok=True)
    name = f"barehost-{app.name}:latest"
    build, save = _commands(builder, name, context, recipe.dockerfile, new)
    _run(app, build)
    _run(app, save)
    new.replace(file)
    stamp.write_text(made_of, encoding="utf-8")
    return file


def _commands(
    builder: str, name: str, context: Path, dockerfile: str, file: Path
) -> tuple[list[str], list[str]]:
    """What builds the image, and what writes it to a file."""
    what = ["-t", name, "-f", str(context / dockerfile), str(context)]
    if builder == "buildah":
        return ["buildah", "build", "--layers", *what], [
            "buildah",
            "push",
            name,
            f"docker-archive:{file}:{name}",
        ]
    return [builder, "build", *what], [builder, "save", "-o", str(file), name]


def _run(app: App, argv: list[str]) -> None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{app.name}: {argv[0]} {argv[1]} took longer than {BUILD_SECONDS} s") from None
    if done.returncode != 0:
        reason = " / ".join(done.stdout.strip().splitlines()[-4:]) or "it gave no reason"
        raise InputError(f"{app.name}: {argv[0]} {argv[1]} failed: {reason}")
