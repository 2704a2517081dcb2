"""A site from a container image: where the image comes from, and what of a site's keys belongs to one without. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from deploy.schema.model import Key, Model
from deploy.site.values import Folder

if TYPE_CHECKING:
    from deploy.site.app import App

Path = Annotated[str, Meta(min_length=1)]


class Recipe(Model, frozen=True, kw_only=True):
    """An image that is built on this machine, by whichever of buildah, podman and docker is there."""

    dockerfile: Annotated[Folder, Key("the Dockerfile", "a file in the context")] = "Dockerfile"
    context: Annotated[Path, Key("the folder that it is built of", "a folder, relative to the project")] = "."


WITHOUT = (
    "source",
    "ref",
    "folder",
    "requirements",
    "python",
    "wheels",
    "packages",
    "build",
    "migrate",
    "writable",
    "processes",
    "timers",
)
"""Keys of a site that is made on its host; what else runs of it than its web process is not run in an image yet."""


def fits(app: App, written: Collection[str]) -> None:
    """Raise ValueError, the whole sentence, for a key that means nothing to a site from an image."""
    for key in WITHOUT:
        if app.image is not None and key in written:
            raise ValueError(
                f"{key} belongs to a site that is made on its host; leave it out, or leave out image"
            )
    if app.image is not None and app.runs_by in ("apache", "uwsgi"):
        raise ValueError(
            f"{app.runs_by} is Debian's own and not in an image; choose gunicorn or another server that pip installs"
        )
