"""What a release was proven with stays: nothing is put back, lost or replaced behind a report that says it serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from booting import Clone
from releasing import broken, edit, hello, quick, serving, ship, tidy
from sites import CHECKOUT, Project, answers, ask, sh, until, visitors

from deploy.staging import Image

Served = Callable[[str], Image]

TEMPLATES = CHECKOUT / "deploy/templates"

REPLACING = [
    "rm -rf data && mkdir -p /srv/hello/shared/data && ln -s /srv/hello/shared/data data",
    "rm static/app.css && echo 'built {}' > static/app.css",
]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_what_a_build_put_in_the_place_of_what_was_shipped_stays(
    suite: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    project.write("site/data/note.txt", "shipped")
    project.serve(host, hello(build=REPLACING))
    ship(project)
    built = "readlink /srv/hello/current/release/data; cat /srv/hello/current/release/static/app.css"
    assert sh(host, built) == "/srv/hello/shared/data\nbuilt {}\n"
    assert ask(host, "/static/app.css").text == "built {}\n"
    project.settled()
    before = serving(host)
    sh(
        host,
        "cp -p /srv/hello/current/release/hello.py /root; echo drift >> /srv/hello/current/release/hello.py",
    )
    project.provision()
    sh(host, "cmp /root/hello.py /srv/hello/current/release/hello.py")
    assert sh(host, built) == "/srv/hello/shared/data\nbuilt {}\n"
    project.settled()
    edit(project, "# the next one")
    ship(project)
    ship(project, task="rollback")
    assert serving(host) == before
    assert sh(host, built) == "/srv/hello/shared/data\nbuilt {}\n"
    tidy(host)


@pytest.mark.parametrize("task", ["provision", "release"])
def test_a_folder_that_the_release_has_not_is_refused_before_the_switch(
    task: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host, hello(static={"/static/": "nosuchdir"}))
    edit(project, "# another")
    with quick(host):
        done = broken(project, task=task)
    assert "nosuchdir" in done.said
    assert ask(host, "/static/app.css").status == 200
    project.serve(host)
    ship(project)
    tidy(host)


def test_packages_that_are_gone_are_said_where_the_source_cannot_bring_them_back(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    edit(project, "# newer than what serves")
    sh(host, "rm -rf /srv/hello/venvs")
    assert "invoke release" in broken(project, task="provision").said
    ship(project)
    ship(project, task="restart")
    tidy(host)


def test_what_another_tool_deployed_is_neither_deleted_nor_replaced(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    files = "releases/20231101120000/app.py shared/log/app.log releases/20231031120000/app.py"
    sh(host, f"mkdir -p /srv/shop && cd /srv/shop && for f in {files}; do mkdir -p ${{f%/*}}; : > $f; done")
    sh(host, "ln -s /srv/shop/releases/20231101120000 /srv/shop/current")
    find = "find /srv/shop/current /srv/shop/releases -printf '%p %u %m %l\\n' | sort"
    before = sh(host, find)
    project.serve(host, {**hello(), "shop": {**hello()["hello"], "server_names": ["shop.example.com"]}})
    done = project.fails(code=7)
    assert "current -> /srv/shop/releases/20231101120000" in done.said
    assert sh(host, find) == before
    assert ask(host).status == 200


@pytest.mark.parametrize(
    ("suite", "more"),
    [("trixie", {}), ("bookworm", {"env": {"LOG_LEVEL": "debug"}})],
    ids=["alone", "with an env"],
)
def test_a_sites_template_that_nginx_takes_and_that_refuses_every_visitor_goes_back(
    suite: str, more: dict[str, Any], served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    project.serve(host)
    project.settled()
    seen = "sha256sum /etc/nginx/conf.d/*; readlink -f /srv/hello/current"
    before = sh(host, seen)
    sh(host, "echo a complaint of yesterday >> /var/log/nginx/hello.error.log")
    ours = (TEMPLATES / "nginx-site.conf.j2").read_text()
    project.write(
        "templates/nginx-site.conf.j2",
        ours.replace("        proxy_pass", "        return 403;\n        proxy_pass"),
    )
    project.serve(host, hello(**more))
    for _ in range(2):
        done = project.fails(code=7)
        assert "answered 403, expected 200" in done.said, done.said
        assert "yesterday" not in done.said, done.said
        until(lambda: answers(host), what="Nginx has not read the old file again")
        assert sh(host, seen) == before
    (project.folder / "templates/nginx-site.conf.j2").unlink()
    with visitors(host) as wrong:
        project.provision()
    assert wrong == []
    project.settled()
    tidy(host)


def test_where_source_and_configuration_changed_together_release_is_advised(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    (project.folder / "site/hello.py").rename(project.folder / "site/site_of_mine.py")
    project.serve(host, hello(wsgi="site_of_mine:app", health={"path": "/healthz", "timeout": 3}))
    done = project.fails(code=7)
    assert "invoke release" in done.said.partition("to do")[2], done.said
    ship(project)
    project.settled()


NEWER = """
old = app


def app(environ, start):
    import os

    if environ["PATH_INFO"] != "/place":
        return old(environ, start)
    start("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["PLACE"].encode()]
"""
"""Code that answers with a place that its environment names."""


def test_a_release_made_for_another_server_is_refused_before_anything_changes(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    first = serving(host)
    number = "cat /var/lib/barehost/activations/hello"
    begun = sh(host, number)
    edit(project, "# with another server")
    project.serve(host, hello(server="waitress"))
    with quick(host):
        refused = broken(project, task="provision")
        assert "waitress" in refused.said
        assert serving(host) == first
    assert sh(host, number) == begun, "an instance was made that cannot start"
    ship(project)
    second = serving(host)
    assert second != first
    with quick(host):
        back = broken(project, "--to", first, task="rollback")
        assert "waitress" in back.said
        assert serving(host) == second
    project.serve(host)
    ship(project, "--to", first, task="rollback")
    assert serving(host) == first
    tidy(host)


def test_a_file_that_neither_source_nor_build_makes_is_refused_before_anything_changes(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host)
    first = serving(host)
    files = {"/robots.txt": "built/robots.txt"}
    project.serve(host, hello(files=files, build=["true"]))
    edit(project, "# another")
    with visitors(host) as wrong:
        assert "built/robots.txt" in broken(project, task="release").said
        assert "built/robots.txt" in broken(project, task="provision").said  # of the release that serves
    assert wrong == []
    assert serving(host) == first
    assert ask(host, "/robots.txt").status == 404
    project.serve(host, hello(files=files, build=["mkdir built && echo made > built/robots.txt"]))
    ship(project)
    project.provision()  # what Nginx serves is its configuration
    assert ask(host, "/robots.txt").text == "made\n"
    project.settled()
    tidy(host)


def test_a_rollback_takes_the_places_of_the_release_it_goes_to(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host, hello(env={"PLACE": "{release} {venv} {shared}"}))
    releases = []
    for number in range(2):
        edit(project, f"{NEWER}# {number}")
        ship(project)
        releases.append(serving(host))

    def place() -> list[str]:
        return ask(host, "/place").text.split()

    assert place()[0] == f"/srv/hello/releases/{releases[1]}"
    ship(project, task="rollback")
    packages = sh(host, "readlink /srv/hello/current/venv").strip()
    assert place() == [f"/srv/hello/releases/{releases[0]}", packages, "/srv/hello/shared"]
    # its own activation is gone, so it goes by the environment of the one that serves
    ship(project, "--to", releases[1], task="rollback")
    sh(host, "for n in /srv/hello/activations/*; do [ $n -ef /srv/hello/current/ ] || rm -rf $n; done")
    ship(project, "--to", releases[0], task="rollback")
    assert place()[0] == f"/srv/hello/releases/{releases[0]}"
