"""What of an image travels to a host, in which form; and that what is not whole is not there."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import LookError
from deploy.oci import Image, Layer, Place
from deploy.resource import Change, Upload
from deploy.resources.image import FromImage, ImageRoot, packed
from deploy.shell import Command


def root(folder: Path, *layers: bytes, **about: Any) -> ImageRoot:
    found = []
    for data in layers:
        file = folder / hashlib.sha256(data).hexdigest()
        file.write_bytes(data)
        found.append(Layer(file.name, Place(file, 0, len(data))))
    return ImageRoot(
        "shop", Image(f"sha256:{'a' * 64}", "amd64", tuple(found), **about), "gunicorn", ("/tmp/",)
    )


def uploads(one: ImageRoot, actual: Any) -> list[Upload]:
    return [step for step in one.steps([Change(one, actual, one.expected())]) if isinstance(step, Upload)]


def test_only_layers_that_the_host_has_not_travel_each_once(tmp_path: Path) -> None:
    one = root(tmp_path, b"base" * 1000, b"code" * 10, b"code" * 10)
    base = one.image.layers[0].diff_id
    assert [step.size for step in uploads(one, None)] == [4000, 40]
    assert [step.size for step in uploads(one, {"absent": True, "layers": f"{base} {'0' * 64}"})] == [40]


def test_a_layer_travels_packed_and_is_not_packed_twice(tmp_path: Path) -> None:
    data = b"x" * 1_000_000
    (plain,) = root(tmp_path, data).image.layers
    sent = b"".join(packed(plain))
    assert gzip.decompress(sent) == data
    assert len(sent) < 10_000
    file = tmp_path / "packed"
    file.write_bytes(sent)
    again = b"".join(packed(Layer(plain.diff_id, Place(file, 0, len(sent)), "gzip")))
    assert again == sent


def test_what_a_host_says_of_an_image_is_whole_or_absent(tmp_path: Path) -> None:
    one = root(tmp_path, b"base")
    assert not Change(one, ImageRoot.parse([one], f"{one.image.id}\n".encode())[one.id], one.expected())  # type: ignore[arg-type]
    layers = ImageRoot.parse([one], b"- 00 11\n")[one.id]
    assert Change(one, layers, one.expected()).action == "create"  # type: ignore[arg-type]
    assert ImageRoot.parse([one], b"-\n")[one.id] is None
    with pytest.raises(LookError):
        ImageRoot.parse([one], b"")


def test_variables_that_systemd_would_drop_are_left_out(tmp_path: Path) -> None:
    env = (("GOOD", "1 $x"), ("two words", "2"), ("BAD", "\x01"))
    (step,) = (one for one in root(tmp_path, b"x", env=env)._steps([]) if isinstance(one, Command))
    assert 'GOOD="1 \\$x"' in step.script
    assert "BAD" not in step.script
    assert "two words" not in step.script


def test_static_files_are_taken_by_the_image_they_come_from(tmp_path: Path) -> None:
    image = root(tmp_path, b"x").image
    one = FromImage("shop", "20260101-000000", image, (("/site/static", "static"),))
    assert FromImage.parse([one], b"\n")[one.id] is None
    assert Change(one, FromImage.parse([one], b"sha256:other\n")[one.id], one.expected())  # type: ignore[arg-type]
