"""The file system of a container image on a host: its layers, unpacked once, and never written to again. Pure.

A layer is known by the SHA-256 of its tar. A host keeps the layers that its images are made of, packed, so that of the
next image only those travel that are new. An image lies at ``/srv/<site>/images/<digest>``; beside it a folder among
the site's venvs says what runs it, and is made last: what has none was never whole, and is used by nobody.
"""

from __future__ import annotations

import posixpath
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.oci import Image, Layer
from deploy.render.systemd import environment_file, holds
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.shell import Command, Script, embedded, join, program, sh

UNPACK_SECONDS = 1800
"""How long it may take to unpack an image."""

PREFIX = "image-"
"""How the name of the folder among the venvs begins."""


@dataclass(frozen=True)
class ImageRoot(Resource):
    """The site ``app`` has the file system of ``image``, and in its PATH is the program ``server``.

    mounts: paths that systemd mounts something over: folders end in ``/``, the others are files. They are made in it.
    """

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "image root"

    app: str
    image: Image = field(repr=False)
    server: str
    mounts: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if "\0" in self.app + self.server + "".join(self.mounts):
            raise InputError(
                f"a NUL byte cannot be part of a site's name, its server or its mounts: {self.app!r}"
            )

    @property
    def id(self) -> str:
        return f"path:{self.path}"

    @property
    def path(self) -> str:
        """Where the file system lies."""
        return f"/srv/{self.app}/images/{self.image.name}"

    @property
    def venv(self) -> str:
        """The name of the folder among the site's venvs that says what runs it."""
        return PREFIX + self.image.name

    def expected(self) -> State | None:
        return {"image": self.image.id}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (sh("image_root @{app} @{name}", app=one.app, name=one.image.name) for one in resources)
        return join([Script(program("image-root-look")), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").splitlines()
        if len(answers) != len(resources):
            raise LookError("the host did not tell which images its sites have; look again")
        states: dict[str, State | None] = {}
        for one, answer in zip(resources, answers, strict=True):
            image, _, layers = answer.partition(" ")
            states[one.id] = {"image": image} if image != "-" else _absent(layers)
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            there = str((change.actual or {}).get("layers", "")).split()
            yield from change.resource._steps(there)

    def _steps(self, there: Sequence[str]) -> Iterator[Step]:
        layers = {one.diff_id: one for one in self.image.layers}
        missing = [one for one in layers.values() if one.diff_id not in there]
        for one in missing:
            yield Upload(f"layer-{one.diff_id[:24]}", partial(packed, one), 1, max(one.place.size, 1))
        about = {"image": self.image.id, "layers": " ".join(layers)}
        yield Command(
            f"unpack the image of {self.app}, {len(missing)} of {len(layers)} layers new",
            sh(
                program("image-unpack"),
                app=self.app,
                name=self.image.name,
                image=about["image"],
                layers=[one.diff_id for one in self.image.layers],
                sent=[one.diff_id for one in missing],
                user=self.image.user,
                path=dict(self.image.env).get("PATH", "/usr/local/bin:/usr/bin:/bin"),
                server=self.server,
                workdir=posixpath.join("/", self.image.workdir),
                env=environment_file({name: value for name, value in self.image.env if holds(name, value)}),
                mounts=self.mounts,
                unpack=embedded("unpack"),
            ),
            UNPACK_SECONDS,
        )


def _absent(layers: str) -> State | None:
    """The state of an image that a host has only layers of."""
    return {"absent": True, "layers": layers} if layers else None


def packed(layer: Layer) -> Iterator[bytes]:
    """A layer as it travels: gzip'd, in blocks."""
    if layer.packing == "gzip":
        yield from layer.place.blocks()
        return
    pack = zlib.compressobj(1, wbits=31)
    for block in layer.place.blocks():
        if done := pack.compress(block):
            yield done
    yield pack.flush()


@dataclass(frozen=True)
class FromImage(Resource):
    """Files of an image that Nginx serves lie in a release: path in the image → path in the release.

    Links in the image are left out: what they lead to is not this site's to serve.
    """

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "from image"

    app: str
    release: str
    image: Image = field(repr=False)
    paths: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", self.release):
            raise InputError(f"not the id of a release: {self.release!r}")

    @property
    def id(self) -> str:
        return f"static files:{self.app} {self.release}"

    def expected(self) -> State | None:
        return {"image": self.image.id}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh(
                'mark=; if [ -f @{mark} ]; then read -r mark < @{mark}; fi; echo "$mark"',
                mark=f"/srv/{one.app}/releases/{one.release}/.barehost/from-image",
            )
            for one in resources
        )
        return join(asked)

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").splitlines()
        if len(answers) != len(resources):
            raise LookError("the host did not tell which files its releases have of their images; look again")
        return {
            one.id: {"image": answer} if answer else None
            for one, answer in zip(resources, answers, strict=True)
        }

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            yield Command(
                f"take the static files of {one.app} {one.release} out of its image",
                sh(
                    "/usr/bin/python3 -I -S - @{root} @{release} @{image} @{paths} <<'TAKE'\n@{take}\nTAKE\n",
                    root=f"/srv/{one.app}/images/{one.image.name}",
                    release=f"/srv/{one.app}/releases/{one.release}",
                    image=one.image.id,
                    paths=[word for pair in one.paths for word in pair],
                    take=embedded("take"),
                ),
                UNPACK_SECONDS,
            )
