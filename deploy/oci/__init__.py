"""A container image in a file or a folder: its configuration, and where its layers lie. Unpacks nothing.

Read are what ``docker save`` and ``podman save`` write (before and after it became an OCI layout), an OCI layout in a
tar and one in a folder. What an image says of itself is another's word: digests are held against what is there.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from deploy.errors import InputError
from deploy.schema.marked import shown

BLOCK = 1 << 18
MANIFEST_BYTES = 4 << 20
"""The largest JSON document of an image that is read; Docker's own limit for a manifest."""

Packing = Literal["", "gzip", "zstd"]


class Place(Struct, frozen=True):
    """Bytes of a file: where they begin, and how many they are."""

    file: Path
    offset: int
    size: int

    def blocks(self) -> Iterator[bytes]:
        """The bytes, in blocks."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            left = self.size
            while left:
                block = file.read(min(BLOCK, left))
                if not block:
                    raise InputError(f"{shown(self.file)} ends early: save the image again")
                left -= len(block)
                yield block

    def text(self) -> bytes:
        """All of the bytes of a small document."""
        if self.size > MANIFEST_BYTES:
            raise InputError(
                f"{shown(self.file)}: a document of the image is larger than {MANIFEST_BYTES >> 20} MiB"
            )
        return b"".join(self.blocks())


class Layer(Struct, frozen=True):
    """One layer. diff_id: SHA-256 of its tar, by which a host knows it. packing: of the tar, where it lies."""

    diff_id: str
    place: Place
    packing: Packing = ""


class Image(Struct, frozen=True):
    """An image. id: ``sha256:`` and the digest of its configuration, as Docker names it. arch: Debian's name.

    The rest is what its configuration says: how it is run, with which variables, where, as whom.
    """

    id: str
    arch: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = "/"
    user: str = ""

    @property
    def name(self) -> str:
        """What its folder on a host is called: half of the digest, which is long enough that no two are the same."""
        return self.id.removeprefix("sha256:")[:32]


ARCHITECTURES = {
    "amd64": "amd64",
    "arm64": "arm64",
    "386": "i386",
    "arm": "armhf",
    "ppc64le": "ppc64el",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
"""What images call an architecture → Debian's name."""

_PACKINGS: Mapping[str, Packing] = {"tar": "", "tar+gzip": "gzip", "tar.gzip": "gzip", "tar+zstd": "zstd"}


def read(path: Path, arch: str | None = None) -> Image:
    """The image in a tar or a folder. arch: which one, where there are several; Debian's name.

    Raises InputError, one sentence, for what is no image, or not whole.
    """
    try:
        files = _folder(path) if path.is_dir() else _tar(path)
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such image file") from None
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from None
    try:
        if "manifest.json" in files:
            return _saved(path, files)
        if "index.json" in files:
            return _layout(path, files, arch)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InputError(
            f"{shown(path)}: this image is broken ({type(error).__name__}: {error}): save it again"
        ) from None
    raise InputError(
        f"{shown(path)}: this is no image: expected what docker save or podman save writes, or an OCI layout"
    )


def _folder(path: Path) -> dict[str, Place]:
    return {
        str(one.relative_to(path)): Place(one, 0, one.stat().st_size)
        for one in path.rglob("*")
        if one.is_file() and not one.is_symlink()
    }


def _tar(path: Path) -> dict[str, Place]:
    """Where each file of a tar lies in it. A link leads to another of its files: older Dockers save a layer once."""
    found: dict[str, Place] = {}
    links: dict[str, str] = {}
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            raise InputError(f"{shown(path)} is packed by gzip: unpack it first, with gunzip")
    try:
        with tarfile.open(path, "r:") as tar:
            for one in tar:
                name = posixpath.normpath(one.name)
                if one.isreg():
                    if one.offset_data + one.size > size:
                        raise InputError(f"{shown(path)} ends early, in {name}: save the image again")
                    found[name] = Place(path, one.offset_data, one.size)
                elif one.islnk() or one.issym():
                    base = "" if one.islnk() else posixpath.dirname(name)
                    links[name] = posixpath.normpath(posixpath.join(base, one.linkname))
    except tarfile.TarError as error:
        raise InputError(
            f"{shown(path)}: this is no image, or not all of it ({error}): save it again"
        ) from None
    found |= {name: found[target] for name, target in links.items() if target in found}
    return found


def _saved(path: Path, files: Mapping[str, Place]) -> Image:
    """What docker save writes, older and newer."""
    (*others, manifest) = json.loads(files["manifest.json"].text())
    if others:
        raise InputError(
            f"{shown(path)} holds {len(others) + 1} images: save one alone, by its name with a tag"
        )
    config = files[posixpath.normpath(manifest["Config"])].text()
    places = [files.get(posixpath.normpath(one)) for one in manifest["Layers"]]
    if None in places:
        raise InputError(f"{shown(path)}: a layer of the image is not in it: save it again")
    return _image(path, config, [(place, _packed(place)) for place in places if place is not None])


def _layout(path: Path, files: Mapping[str, Place], arch: str | None) -> Image:
    """An OCI layout: an index of manifests, of which one is for the architecture."""
    document = json.loads(files["index.json"].text())
    for _ in range(4):  # an index may name another index
        if "manifests" not in document:
            break
        chosen = [one for one in document["manifests"] if _fits(one, arch)]
        if len(chosen) != 1:
            found = ", ".join(
                str(one.get("platform", {}).get("architecture", "?")) for one in document["manifests"]
            )
            raise InputError(
                f"{shown(path)} holds {len(document['manifests'])} images ({found}), and not exactly one "
                f"is for {arch or 'this host'}"
            )
        document = json.loads(_blob(path, files, chosen[0]["digest"]).text())
    config = _blob(path, files, document["config"]["digest"]).text()
    layers: list[tuple[Place, Packing]] = []
    for one in document["layers"]:
        word = str(one["mediaType"]).rpartition(".")[2] if "rootfs" not in str(one["mediaType"]) else ""
        packing = _PACKINGS.get(word)
        place = _blob(path, files, one["digest"])
        layers.append((place, _packed(place) if packing is None else packing))
    return _image(path, config, layers)


def _fits(described: Mapping[str, Any], arch: str | None) -> bool:
    named = described.get("platform", {}).get("architecture")
    if described.get("annotations", {}).get("vnd.docker.reference.type"):
        return False  # what a builder says of an image
    return named is None or arch is None or ARCHITECTURES.get(named) == arch


def _blob(path: Path, files: Mapping[str, Place], digest: str) -> Place:
    place = files.get(f"blobs/{digest.replace(':', '/')}")
    if place is None:
        raise InputError(f"{shown(path)}: {digest} of the image is not in it: save it again")
    return place


def _packed(place: Place) -> Packing:
    """How a layer is packed, by its first bytes."""
    begin = next(place.blocks(), b"")[:4]
    return "gzip" if begin[:2] == b"\x1f\x8b" else "zstd" if begin == b"\x28\xb5\x2f\xfd" else ""


def _image(path: Path, config: bytes, layers: list[tuple[Place, Packing]]) -> Image:
    about = json.loads(config)
    if about.get("os", "linux") != "linux":
        raise InputError(f"{shown(path)} is an image for {about['os']}, not for Linux")
    ids = about["rootfs"]["diff_ids"]
    if len(ids) != len(layers):
        raise InputError(
            f"{shown(path)}: its configuration names {len(ids)} layers, and it has {len(layers)}"
        )
    run = about.get("config") or {}
    return Image(
        id=f"sha256:{hashlib.sha256(config).hexdigest()}",
        arch=ARCHITECTURES.get(about["architecture"], about["architecture"]),
        layers=tuple(
            Layer(_hex(id), place, packing) for id, (place, packing) in zip(ids, layers, strict=True)
        ),
        entrypoint=tuple(map(str, run.get("Entrypoint") or ())),
        cmd=tuple(map(str, run.get("Cmd") or ())),
        env=tuple(
            (name, value) for name, _, value in (str(one).partition("=") for one in run.get("Env") or ())
        ),
        workdir=str(run.get("WorkingDir") or "/"),
        user=str(run.get("User") or ""),
    )


def _hex(digest: str) -> str:
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError(f"not a digest: {digest!r}")
    return value
