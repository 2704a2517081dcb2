"""The release of a site from an image: another when the image is, and built only where its folder has changed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError
from deploy.release.source import release_of
from deploy.resources.tree import Tree
from deploy.schema.model import build
from deploy.site.app import App
from deploy.site.release import Release
from tests.unit.oci.test_oci import saved, tar

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def site(folder: Path, image: Any) -> App:
    keys = {"name": "shop", "image": image, "wsgi": "shop:app", "server_names": ["shop.example.com"]}
    return build(App, {**keys, "project": folder})


def released(folder: Path, image: Any) -> Release:
    return release_of(site(folder, image), folder / "state", now=NOW)


def manifest(release: Release) -> str:
    assert release.folder is not None
    return Tree("/srv/shop/releases/x", release.folder).manifest


def test_another_image_is_another_release_and_the_same_one_is_not(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", saved())
    first = released(tmp_path, "a.tar")
    assert first.image == tmp_path / "a.tar"
    assert first.id.startswith("20260102-030405-")
    same = manifest(first)
    assert manifest(released(tmp_path, "a.tar")) == same
    tar(tmp_path / "a.tar", saved(config={"Cmd": ["other"]}))
    assert manifest(released(tmp_path, "a.tar")) != same


def test_a_ref_belongs_to_git(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", saved())
    with pytest.raises(InputError, match="--ref"):
        release_of(site(tmp_path, "a.tar"), tmp_path, now=NOW, ref="main")


BUILDER = """#!/bin/sh
echo "$0 $*" >> {log}
[ "$1" = build ] || cp {image} "$3"
"""


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where only podman is installed: a program that notes how it was called. The file of its notes."""
    log, program = tmp_path / "log", tmp_path / "bin/podman"
    program.parent.mkdir()
    program.write_text(BUILDER.format(log=log, image=tar(tmp_path / "built.tar", saved())))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr("deploy.release.image.BUILDERS", ("no-such-builder", "podman"))
    (tmp_path / "site").mkdir()
    (tmp_path / "site/Dockerfile").write_text("FROM scratch\n")
    return log


def test_a_dockerfile_is_built_by_what_is_there_and_only_when_its_folder_has_changed(
    tmp_path: Path, builder: Path
) -> None:
    recipe = {"context": "site"}
    first = manifest(released(tmp_path, recipe))
    assert manifest(released(tmp_path, recipe)) == first
    assert [line.split()[1] for line in builder.read_text().splitlines()] == ["build", "save"]
    (tmp_path / "site/app.py").write_text("app = 1\n")
    released(tmp_path, recipe)
    assert len(builder.read_text().splitlines()) == 4


def test_a_build_that_fails_says_why_and_is_tried_again(tmp_path: Path, builder: Path) -> None:
    podman = tmp_path / "bin/podman"
    works = podman.read_text()
    podman.write_text("#!/bin/sh\necho no such base; exit 1\n")
    with pytest.raises(InputError, match="no such base"):
        released(tmp_path, {"context": "site"})
    podman.write_text(works)
    assert released(tmp_path, {"context": "site"}).image


def test_where_nothing_can_build_or_nothing_is_to_be_built_one_sentence_says_so(
    tmp_path: Path, builder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="Containerfile"):
        released(tmp_path, {"context": "site", "dockerfile": "Containerfile"})
    Path(tmp_path / "bin/podman").unlink()
    with pytest.raises(InputError, match="none of"):
        released(tmp_path, {"context": "site"})
