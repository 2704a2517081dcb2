"""A site from an image, as the app role says it: no venv, the image's root in the unit, and what is refused."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deploy.engine.declare import declared
from deploy.errors import InputError
from deploy.facts import AppFacts, Facts
from deploy.inventory.hosts import Host
from deploy.release import Activation
from deploy.release.source import release_of
from deploy.resource import Resource
from deploy.resources.image import FromImage, ImageRoot
from deploy.roles.app import app as app_role
from deploy.schema.model import Faulty, build
from deploy.site.app import App
from deploy.site.release import Delivery, Release
from tests.unit.fakes.sample import KNOWN
from tests.unit.oci.test_oci import CONFIG, saved, sha, tar

IMAGE = f"image-{sha(json.dumps(CONFIG).encode())[:32]}"


def site(folder: Path, **keys: Any) -> App:
    tar(folder / "a.tar", saved())
    values = {"name": "shop", "image": "a.tar", "wsgi": "shop:app", "server_names": ["shop.example.com"]}
    return build(App, {**values, "static": {"/static/": "static"}, **keys, "project": folder})


def said(one: App, facts: Facts = KNOWN, release: Release | None = None) -> dict[str, Resource]:
    release = release or release_of(one, one.project / "state", now=datetime(2026, 1, 2, tzinfo=UTC))
    role = functools.partial(app_role, delivery=Delivery({"shop": release}))
    return {
        found.id: found for found in declared([role], Host("web1", apps=(one,), project=one.project), facts)
    }


def activation(found: dict[str, Resource]) -> Activation:
    one = found["activation:shop"]
    assert isinstance(one, Activation)
    return one


def test_the_image_takes_the_place_of_the_venv(tmp_path: Path) -> None:
    found = said(site(tmp_path))
    (root,) = (one for one in found.values() if isinstance(one, ImageRoot))
    (files,) = (one for one in found.values() if isinstance(one, FromImage))
    assert root.server == "gunicorn"
    assert files.paths == (("/site/static", "static"),)
    assert activation(found).venv == IMAGE
    assert not [id for id in found if "venvs/" in id]
    (_, unit), *_ = activation(found).units
    assert f"RootDirectory=/srv/shop/images/{IMAGE.removeprefix('image-')}\n" in unit
    assert "BindPaths=/srv/shop/shared" in unit
    for name in ("/srv/shop/activations/", "/srv/shop/shared/", f"/srv/shop/venvs/{IMAGE}/"):
        assert name in root.mounts


def test_a_release_that_is_gone_back_to_runs_on_what_it_was_made_of(tmp_path: Path) -> None:
    one = site(tmp_path)
    for venv, rooted in ((IMAGE, True), ("0123456789abcdef", False)):
        found = said(one, release=Release("20260101-000000", None, venv=venv))
        (_, unit), *_ = activation(found).units
        assert ("RootDirectory=" in unit) is rooted


def test_an_image_that_has_changed_waits_for_a_release(tmp_path: Path) -> None:
    serves = replace(KNOWN, apps=(AppFacts("shop", 3, "20260101-000000", IMAGE, "another"),))
    found = said(site(tmp_path), serves)
    assert activation(found).release == "20260101-000000"
    assert not [one for one in found.values() if isinstance(one, ImageRoot)]


def test_an_image_for_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="arm64"):
        said(site(tmp_path), replace(KNOWN, arch="arm64"))


@pytest.mark.parametrize(
    "keys",
    [
        {"source": "."},
        {"build": ["make"]},
        {"requirements": None},
        {"python": "python3.12"},
        {"server": "apache"},
    ],
)
def test_keys_of_a_site_that_is_made_on_its_host_are_refused(keys: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Faulty):
        site(tmp_path, **keys)
