"""The example site with its posts in MongoDB: its server comes by a role, its data outlives releases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from booting import Boot
from sites import CHECKOUT, Project, ask, leftovers, sh

NAME = "blog.example.com"
PASSWORD = "a long pass/word"
URL = "mongodb://blog:a%20long%20pass%2Fword@127.0.0.1:27017/blog"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def example(tmp_path: Path, state: Path) -> Project:
    folder = tmp_path / "mongo"
    shutil.copytree(CHECKOUT / "examples/mongo", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(folder, state, {"MONGO_URL": URL})


def test_a_blog_with_its_posts_in_mongodb_is_served_by_one_role(example: Project, bare: Boot) -> None:
    host = bare("trixie")
    inventory = example.folder / "inventory/hosts.yml"
    inventory.write_text(inventory.read_text().replace("web1", host.name))
    example.hosts = [host.name]
    done = example.provision()
    assert "a%20long" not in done.said and PASSWORD not in done.said
    example.settled()

    for title in ("first", "second"):
        assert (
            ask(host, "/posts", name=NAME, method="POST", body=f"title={title}".encode(), headers=FORM).status
            == 201
        )
    assert ask(host, "/export", name=NAME, method="POST").text.strip() == "2"
    assert json.loads(ask(host, name=NAME).text) == ["first", "second"]

    example.write("blog/app/blog/more.py", "")
    assert example.run("release").code == 0
    sh(host, "systemctl restart secantus.service")
    assert json.loads(ask(host, name=NAME).text) == ["first", "second"]
    assert len(json.loads(ask(host, "/export", name=NAME).text)) == 2, (
        "what it has written outlives a release"
    )
    example.settled()

    python = "$(sed -n 's/^ExecStart=\\([^ ]*\\)\\/secantusd-py.*/\\1/p' /etc/systemd/system/secantus.service)/python"
    asked = "import pymongo; print(pymongo.MongoClient('127.0.0.1', 27017)['blog']['post'].find_one())"
    told = sh(
        host, f'setpriv --reuid www-data --regid www-data --clear-groups {python} -I -c "{asked}" 2>&1; true'
    )
    assert "requires authentication" in told, told
    listening = sh(host, "ss -Hltn")
    assert "127.0.0.1:27017" in listening
    assert "27099" not in listening
    seen = sh(host, "journalctl --no-pager; cat /etc/systemd/system/*.service; ps axww")
    assert "a%20long" not in seen and PASSWORD not in seen
    score = sh(host, "systemd-analyze security --no-pager secantus.service | tail -n 1")
    assert float(score.split("secantus.service: ")[1].split()[0]) < 2.5, score
    assert leftovers(host) == ""
