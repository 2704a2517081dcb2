"""What a release was proven with stays: nothing is put back, lost or replaced behind a report that says it serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from booting import Boot, Clone
from releasing import broken, edit, hello, quick, serving, ship, tidy
from sites import Project, ask, sh

from deploy.staging import Image

Served = Callable[[str], Image]

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
    assert ask(host).status == 200
    ship(project)
    ship(project, task="restart")
    tidy(host)


def test_what_another_tool_deployed_is_neither_deleted_nor_replaced(bare: Boot, project: Project) -> None:
    host = bare("bookworm")
    laid = "releases/20231101120000/app.py shared/log/app.log releases/20231031120000/app.py"
    sh(
        host,
        f"mkdir -p /srv/hello && cd /srv/hello && for file in {laid}; do mkdir -p ${{file%/*}}; : > $file; done",
    )
    sh(host, "ln -s /srv/hello/releases/20231101120000 /srv/hello/current")
    look: Any = "find /srv/hello -printf '%p %u %m %l\\n' | sort"
    before = sh(host, look)
    project.serve(host)
    done = project.fails(code=6)
    assert "current -> /srv/hello/releases/20231101120000" in done.said
    assert sh(host, look) == before
    assert not Path(host.root, "usr/bin/python3").exists(), "something was installed before it was refused"
