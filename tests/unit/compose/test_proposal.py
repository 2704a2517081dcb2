"""What a Compose file is as a site: what is taken over, and that whatever is not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose import read
from deploy.compose.proposal import proposal
from deploy.errors import InputError
from deploy.inventory.inventory import Inventory

EXAMPLE = Path(__file__).parents[3] / "examples/stack"

FILE = """
services:
  web:
    build: {context: ., dockerfile: docker/Dockerfile, args: {A: b}}
    command: gunicorn -w 4 --bind 0.0.0.0:8000 shop.wsgi:application
    environment:
      DEBUG: "false"
      DATABASE_URL: postgres://db:5432/shop
      SECRET_KEY: hunter2
      API: ${API_URL}
    volumes: ["static:/code/static", "media:/code/media"]
  worker: {image: celery:1}
  db: {image: "postgres:16"}
  cache: {image: "docker.io/library/redis:7"}
  proxy: {image: "nginx:1.25", ports: ["80:80"], volumes: ["static:/static:ro"]}
"""


def proposed(folder: Path, text: str = FILE) -> tuple[dict[str, Any], str, str]:
    """The site, what was left, and the whole text."""
    (folder / "docker-compose.yml").write_text(text)
    found = proposal(read(folder), folder)
    ((_, site),) = yaml.safe_load(found.inventory)["all"]["vars"]["apps"].items()
    return site, "\n".join(found.left), found.inventory


def test_services_become_keys_of_one_site(tmp_path: Path) -> None:
    site, left, _ = proposed(tmp_path)
    assert site["image"] == {"dockerfile": "docker/Dockerfile", "context": "."}
    assert site["wsgi"] == "shop.wsgi:application"
    assert (site["database"], site["redis"]) == ("postgresql", "queue")
    assert site["static"] == {"/static/": "static"}
    assert site["env"] == {"DEBUG": "false", "DATABASE_URL": "postgres://db:5432/shop"}
    assert site["secrets"] == {"SECRET_KEY": {"env": "SECRET_KEY"}, "API": {"env": "API_URL"}}
    for word in ("args", "worker", "proxy", "media", "DATABASE_URL", "server_names", "SECRET_KEY"):
        assert word in left


def test_no_secret_of_the_file_is_printed(tmp_path: Path) -> None:
    _, left, text = proposed(tmp_path)
    assert "hunter2" not in left + text


def test_the_example_s_proposal_is_an_inventory_that_loads(tmp_path: Path) -> None:
    found = proposal(read(EXAMPLE), tmp_path)
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/hosts.yml").write_text(found.inventory)
    (host,) = Inventory.load(tmp_path / "inventory", project=tmp_path).select("web1")
    assert host.app("web").wsgi == "notes:app"
    assert any(line.startswith("db:") for line in found.left)


def test_a_file_without_a_site_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"docker-compose\.yml"):
        proposed(tmp_path, "services: {db: {image: 'postgres:16'}}")
