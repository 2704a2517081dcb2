"""What a site from a container image is made of on its host, and what its unit says of it. No role by itself."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from deploy import oci
from deploy.errors import InputError
from deploy.facts import Facts
from deploy.release import Built
from deploy.resource import Resource
from deploy.resources.image import PREFIX, FromImage, ImageRoot
from deploy.roles.servers import Server
from deploy.site.app import App
from deploy.site.release import Release

SYSTEM = (
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/systemd/",
    "/tmp/",
    "/var/tmp/",
    "/etc/resolv.conf",
    "/run/systemd/notify",
)
"""Where systemd mounts something in each root directory."""


def of_image(app: App, facts: Facts, wanted: Release, server: Server) -> ImageRoot:
    """The image of the release that is shipped. Raises InputError for one that this host, or server, cannot run."""
    assert wanted.image is not None
    image = oci.read(wanted.image, facts.arch)
    if facts.arch is not None and image.arch != facts.arch:
        raise InputError(
            f"{app.name}: the image {wanted.image} is for {image.arch}, and this host is {facts.arch}; build it for "
            f"{facts.arch} (--platform)"
        )
    if server.packages:
        raise InputError(
            f"{app.name}: the server {app.runs_by} takes packages of Debian ({', '.join(server.packages)}), which are "
            "not in an image; choose another"
        )
    _, _, program = server.command.split(" ")[0].rpartition("/")
    mounts = (
        *SYSTEM,
        *(f"{app.root}/{one}/" for one in ("activations", "shared", "venvs")),
        f"/run/{app.name}/",
    )
    return ImageRoot(
        app.name,
        image,
        program,
        (*mounts, f"{app.root}/venvs/{PREFIX}{image.name}/", *(f"{one}/" for one in app.sandbox.writable)),
        scope=app.name,
    )


def shipped(
    app: App, facts: Facts, wanted: Release, id: str, root: ImageRoot, env: bytes
) -> Iterator[Resource]:
    """The image, what Nginx serves of it, and the record of the release."""
    yield root
    yield FromImage(app.name, id, root.image, tuple(served(app, root.image).items()), scope=app.name)
    yield Built(
        app=app.name,
        release=id,
        venv=root.venv,
        commands=(),
        env=env,
        static=tuple(app.static.items()),
        keep_assets=app.keep_assets,
        brotli="brotli" in facts.own,
        by=wanted.by,
        commit="",
        scope=app.name,
    )


def served(app: App, image: oci.Image) -> Mapping[str, str]:
    """What Nginx serves: path in the image, from its working folder on, → path in the release."""
    named = (*app.static.values(), *app.files.values(), *app.error_pages.values())
    return {posixpath.join("/", image.workdir, one): one for one in dict.fromkeys(named)}


def rooted(app: App, packages: str) -> Mapping[str, str] | None:
    """For the unit: where the image's files lie, and the folder that says what runs it; None for a venv.

    packages: the folder among the venvs, whose name says which of the two it is. All else that systemd must know of the
    image lies there on the host, for a release that is gone back to is known here by its name alone.
    """
    if not packages.startswith(PREFIX):
        return None
    return {
        "root": f"{app.root}/images/{packages.removeprefix(PREFIX)}",
        "venv": f"{app.root}/venvs/{packages}",
    }
