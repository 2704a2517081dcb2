"""Images as Docker, Podman and an OCI layout write them; and what is refused with one sentence."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError
from deploy.oci import read

LAYER = b"a layer" * 1000
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "Env": ["PATH=/usr/bin", "A=b=c"],
        "Entrypoint": ["/start"],
        "Cmd": ["web"],
        "WorkingDir": "/site",
        "User": "990:990",
    },
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(LAYER).hexdigest()}"]},
}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """A tar of these files; text instead of bytes is where a link leads."""
    with tarfile.open(path, "w") as out:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                out.addfile(member)
            else:
                member.size = len(data)
                out.addfile(member, io.BytesIO(data))
    return path


def saved(**changes: Any) -> dict[str, bytes | str]:
    """What an older docker save writes."""
    config = json.dumps({**CONFIG, **changes}).encode()
    manifest = [{"Config": f"{sha(config)}.json", "RepoTags": ["shop:1"], "Layers": ["aa/layer.tar"]}]
    return {
        f"{sha(config)}.json": config,
        "aa/layer.tar": LAYER,
        "manifest.json": json.dumps(manifest).encode(),
    }


def layout(layer: bytes = LAYER, media: str = "application/vnd.oci.image.layer.v1.tar") -> dict[str, bytes]:
    """What podman save --format oci-archive and skopeo write."""
    config = json.dumps(CONFIG).encode()
    manifest = json.dumps(
        {
            "config": {"digest": f"sha256:{sha(config)}"},
            "layers": [{"digest": f"sha256:{sha(layer)}", "mediaType": media}],
        }
    ).encode()
    index = {"manifests": [{"digest": f"sha256:{sha(manifest)}", "platform": {"architecture": "amd64"}}]}
    blobs = {f"blobs/sha256/{sha(one)}": one for one in (config, layer, manifest)}
    return {"oci-layout": b"{}", "index.json": json.dumps(index).encode(), **blobs}


def test_a_saved_image_is_read_with_its_configuration(tmp_path: Path) -> None:
    image = read(tar(tmp_path / "a.tar", saved()))
    assert image.id == f"sha256:{sha(json.dumps(CONFIG).encode())}"
    assert (image.arch, image.entrypoint, image.cmd) == ("amd64", ("/start",), ("web",))
    assert (image.env, image.workdir, image.user) == (
        (("PATH", "/usr/bin"), ("A", "b=c")),
        "/site",
        "990:990",
    )
    (layer,) = image.layers
    assert b"".join(layer.place.blocks()) == LAYER
    assert (layer.diff_id, layer.packing) == (sha(LAYER), "")


def test_a_layer_that_is_a_link_to_another_is_that_one(tmp_path: Path) -> None:
    files = saved()
    files["bb/layer.tar"] = files.pop("aa/layer.tar")
    files["aa/layer.tar"] = "../bb/layer.tar"
    assert b"".join(read(tar(tmp_path / "a.tar", files)).layers[0].place.blocks()) == LAYER


def test_an_oci_layout_is_read_from_a_tar_and_from_a_folder(tmp_path: Path) -> None:
    packed = gzip.compress(LAYER)
    files = layout(packed, "application/vnd.oci.image.layer.v1.tar+gzip")
    for name, data in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    for image in (read(tar(tmp_path / "a.tar", files)), read(tmp_path / "folder")):
        assert image.layers[0].packing == "gzip"
        assert b"".join(image.layers[0].place.blocks()) == packed


def test_of_several_architectures_the_one_for_the_host_is_taken(tmp_path: Path) -> None:
    files = layout()
    index = json.loads(files["index.json"])
    index["manifests"].append({"digest": f"sha256:{'0' * 64}", "platform": {"architecture": "arm64"}})
    files["index.json"] = json.dumps(index).encode()
    path = tar(tmp_path / "a.tar", files)
    assert read(path, "amd64").arch == "amd64"
    with pytest.raises(InputError, match="riscv64"):
        read(path, "riscv64")


def broken(name: str, folder: Path) -> Path:
    """A file that is no whole image."""
    path = folder / "a.tar"
    files = saved()
    if name == "cut":
        tar(path, files)
        path.write_bytes(path.read_bytes()[:4000])
    elif name == "no tar":
        path.write_bytes(b"hello" * 1000)
    elif name == "gzip":
        path.write_bytes(gzip.compress(tar(path, files).read_bytes()))
    elif name == "no layer":
        tar(path, {name: data for name, data in files.items() if name != "aa/layer.tar"})
    elif name == "other system":
        tar(path, saved(os="windows"))
    elif name == "no digest":
        tar(path, saved(rootfs={"diff_ids": ["sha256:../../etc"]}))
    elif name == "more layers":
        tar(path, saved(rootfs={"diff_ids": []}))
    elif name == "two images":
        both = json.loads(files["manifest.json"]) * 2
        tar(path, {**files, "manifest.json": json.dumps(both).encode()})
    elif name == "no json":
        tar(path, {**files, "manifest.json": b"{"})
    elif name == "no image":
        tar(path, {"hello": b"world"})
    return path


@pytest.mark.parametrize(
    "name",
    [
        "cut",
        "no tar",
        "gzip",
        "no layer",
        "other system",
        "no digest",
        "more layers",
        "two images",
        "no json",
        "no image",
        "absent",
    ],
)
def test_what_is_no_whole_image_is_one_sentence_that_names_the_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(broken(name, tmp_path))
    assert "a.tar" in str(caught.value)
    assert "\n" not in str(caught.value)
