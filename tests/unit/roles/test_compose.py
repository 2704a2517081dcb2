"""What the compose role says of a host's stacks, without a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deploy.engine.declare import declared
from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Remark, Resource
from deploy.resources.containers import ContainerImage, Stack, StackBuilt
from deploy.roles import roles_of
from deploy.schema.model import build
from deploy.site.release import Delivery
from deploy.site.stacks import Stack as Wanted

TRIXIE = Facts(os="debian", version="13", codename="trixie", arch="amd64", own={"compose": "2"})
BOOKWORM = replace(TRIXIE, version="12", codename="bookworm", own={"compose": "1"})
FILE = "services: {web: {build: .}, db: {image: 'db:1'}}\n"


def stack(folder: Path, **keys: Any) -> Wanted:
    (folder / "stack").mkdir(exist_ok=True)
    (folder / "stack/compose.yaml").write_text(FILE)
    return build(Wanted, {"name": "shop", "folder": "stack", **keys, "project": folder})


def said(facts: Facts, *stacks: Wanted, purge: bool = False) -> dict[str, Resource]:
    host = Host("web1", stacks=stacks, roles=("compose",))
    return {one.id: one for one in declared(roles_of(host, Delivery(purge=purge)), host, facts)}


def test_a_host_without_stacks_gets_no_engine() -> None:
    assert said(TRIXIE) == {}


def test_what_depends_on_compose_s_version_waits_for_it(tmp_path: Path) -> None:
    ids = said(replace(TRIXIE, own={}), stack(tmp_path))
    assert {"package:docker.io", "package:docker-compose", "deferred:the stack shop"} <= ids.keys()
    assert "stack:shop" not in ids


def test_each_debian_gets_the_packages_it_has(tmp_path: Path) -> None:
    assert "package:docker-cli" in said(TRIXIE, stack(tmp_path))
    assert "package:docker-cli" not in said(BOOKWORM, stack(tmp_path))
    assert "package:mmdebstrap" not in said(TRIXIE, stack(tmp_path))
    assert "package:mmdebstrap" in said(TRIXIE, stack(tmp_path, images={"base:1": {"debian": []}}))


def test_values_reach_each_compose_in_its_own_words_and_are_in_no_tree(tmp_path: Path) -> None:
    wanted = stack(tmp_path, env={"A": "${B}"}, secrets={"S": "geheim"})
    (tmp_path / "stack/.env").write_text("S=of a developer\n")
    first, second = (said(facts, wanted)["stack:shop"] for facts in (BOOKWORM, TRIXIE))
    assert isinstance(first, Stack)
    assert isinstance(second, Stack)
    assert b"A='${BAREHOST_NOTHING:-$}{B}'" in first.env
    assert b"A='${B}'" in second.env
    assert b"geheim" in second.env
    assert "geheim" not in repr(second)
    tree: Any = said(TRIXIE, wanted)["path:/srv/stacks/shop/files"]
    assert ".env" not in tree.entries


def test_another_base_image_is_another_stack(tmp_path: Path) -> None:
    def of(*packages: str) -> StackBuilt:
        found = said(TRIXIE, stack(tmp_path, images={"base:1": {"debian": list(packages)}}))
        assert isinstance(found["image:base:1"], ContainerImage)
        built = found["stack images:shop"]
        assert isinstance(built, StackBuilt)
        return built

    assert of("python3").files == of("python3").files != of("python3", "libstdc++6").files
    assert of().builds


def test_orphans_are_shown_and_go_only_in_a_purge(tmp_path: Path) -> None:
    facts = replace(TRIXIE, own={"compose": "2", "orphans-shop": "old"})
    remarks = [one for one in said(facts, stack(tmp_path)).values() if isinstance(one, Remark)]
    assert ["old" in one.text and "--purge" in one.text for one in remarks] == [True]
    purging = said(facts, stack(tmp_path), purge=True)["stack:shop"]
    assert isinstance(purging, Stack)
    assert purging.purge


def test_an_absent_stack_leaves_and_brings_no_engine(tmp_path: Path) -> None:
    assert list(said(TRIXIE, build(Wanted, {"name": "shop", "state": "absent"}))) == ["stack left:shop"]


def test_an_image_for_another_machine_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    from tests.unit.oci.test_oci import saved, tar

    tar(tmp_path / "a.tar", saved())
    wanted = stack(tmp_path, images={"a:1": {"tar": "a.tar"}})
    assert said(TRIXIE, wanted)["image:a:1"].expected()
    with pytest.raises(InputError, match="arm64"):
        said(replace(TRIXIE, arch="arm64"), wanted)
