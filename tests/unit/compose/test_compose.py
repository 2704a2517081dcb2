"""What is read of a Compose file, and what is refused before any host is contacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.compose import read
from deploy.errors import InputError


def written(folder: Path, text: str, name: str = "docker-compose.yml") -> Path:
    (folder / name).write_text(text)
    return folder


def test_services_are_read_with_anchors_and_merges(tmp_path: Path) -> None:
    text = "x-all: &all {restart: always}\nservices:\n  web: {<<: *all, build: .}\n  db: {<<: *all, image: db:1}\n"
    found = read(written(tmp_path, text))
    assert (found.name, set(found.services), found.builds) == ("docker-compose.yml", {"web", "db"}, True)
    assert found.services["db"]["restart"] == "always"


def test_the_first_of_compose_s_own_names_counts(tmp_path: Path) -> None:
    written(tmp_path, "services: {a: {image: a}}", "compose.yaml")
    assert set(read(written(tmp_path, "services: {b: {image: b}}")).services) == {"a"}
    assert set(read(tmp_path, "docker-compose.yml").services) == {"b"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "services"),
        ("services: [web]", "services"),
        ("services: {web: nginx}", "web"),
        ("services: {web: {build: ../other}}", "../other"),
        ("services: {web: {build: {context: ../../x}}}", "../../x"),
        ("services: {web: {image: a, volumes: ['../data:/data']}}", "../data"),
        ("services: {web: {image: a, env_file: ../.env}}", "../.env"),
        ("services: {web: {image: a", "YAML"),
    ],
)
def test_what_is_no_stack_or_lies_elsewhere_is_a_sentence_with_its_file(
    text: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, text))
    assert says in str(caught.value)
    assert "docker-compose.yml" in str(caught.value)


def test_paths_of_the_host_and_names_of_volumes_are_let_be(tmp_path: Path) -> None:
    text = "services: {web: {image: a, volumes: ['data:/d', '/etc/localtime:/etc/localtime:ro', './x:/x'], build: ./b}}"
    assert read(written(tmp_path, text)).builds


def test_a_folder_without_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"compose\.yaml"):
        read(tmp_path)
