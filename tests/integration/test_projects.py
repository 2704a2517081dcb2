"""Python projects in the forms that they come in, all served by the first run, on one host."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from booting import Clone
from sites import Project, ask, sh

from deploy.staging import Image

LOCKS = Path(__file__).parents[1] / "data" / "locks"

SHOWING = """import json
from importlib.metadata import PackageNotFoundError, entry_points, version

def found(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None

def app(environ, start):
    names = ["bottle", "redis", "gunicorn", "shop", "iniconfig"]
    points = [point.load()() for point in entry_points(group="shop.words")]
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({name: found(name) for name in names} | {"points": points, "file": __file__}).encode()]
"""
"""A site that shows which packages it finds, itself among them."""

PACKAGE = """[build-system]
requires = ["setuptools>=77", "setuptools-scm"]
build-backend = "setuptools.build_meta"
[project]
name = "shop"
dynamic = ["version"]
dependencies = ["bottle"]
[project.entry-points."shop.words"]
word = "shop:word"
[project.scripts]
shop = "shop:main"
[tool.setuptools_scm]
"""


WORDS = """def word():
    return "here"

def main():
    print("command of the shop")
"""


def committed(folder: Path, tag: str) -> None:
    """Make ``folder`` a git work tree with one commit behind ``tag``."""
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "one"],
        ["tag", tag],
        ["commit", "-qm", "two", "--allow-empty"],
    ):
        subprocess.run([*git, *words], check=True, capture_output=True)


def site(project: Project, name: str, files: dict[str, str], **keys: object) -> dict[str, object]:
    for path, text in files.items():
        project.write(f"{name}/{path}", text)
    return {"source": name, "wsgi": "show:app", "server_names": [f"{name}.example.com"]} | keys


def locked(project: Project, name: str, tool: str) -> dict[str, object]:
    """A site with the lock of ``tool``, without the package whose server is made up."""
    shutil.copytree(LOCKS / tool, project.folder / name)
    for file in (project.folder / name).iterdir():
        text = re.sub(r'^.*(\{ name = "own" \}|own @|"?own"? *[=:]).*\n', "", file.read_text(), flags=re.M)
        file.write_text(text)
    if tool == "pipenv":
        lock = json.loads((LOCKS / tool / "Pipfile.lock").read_text())
        del lock["default"]["own"]
        project.write(f"{name}/Pipfile.lock", json.dumps(lock))
    return site(project, name, {"show.py": SHOWING})


def archive(path: Path) -> None:
    """A package that must be compiled."""
    files = {
        "setup.py": "from setuptools import Extension, setup\n"
        "setup(name='native', version='1', ext_modules=[Extension('native', ['native.c'])])\n",
        "native.c": "#include <Python.h>\n",
    }
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"native-1/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))


REDIRECTING = """def app(environ, start):
    start("302 Found", [("Location", "/login")])
    return [b""]
"""

WRITING = """import os
os.makedirs("instance", exist_ok=True)
with open("instance/started", "a") as file:
    file.write(os.environ["STARTED"])

def app(environ, start):
    start("200 OK", [])
    with open("instance/started") as file:
        return [file.read().encode()]
"""


def test_what_a_project_lacks_is_said_with_the_key_that_gives_it(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    """A redirect as health, a folder that the code writes to, a compiler: each fails its own site, and at once."""
    host = clone(served("trixie"))
    archive(project.folder / "compiled/vendor/native-1.tar.gz")
    long = {"timeout": 3600}  # of which none is waited for
    apps = {
        "redirect": site(project, "redirect", {"show.py": REDIRECTING}, requirements=None, health=long),
        "writing": site(
            project,
            "writing",
            {"show.py": WRITING},
            requirements=None,
            health=long,
            env={"STARTED": "{root}"},
        ),
        "compiled": site(
            project, "compiled", {"show.py": SHOWING, "requirements.txt": "./vendor/native-1.tar.gz\n"}
        ),
    }
    project.serve(host, apps)
    failed = project.run("provision", timeout=600)
    assert failed.code == 7, failed.said
    for key in ("health: {expect: 302}", "writable: [instance]", "packages: [build-essential"):
        assert key in failed.said

    apps["redirect"]["health"] = {"expect": 302}
    apps["writing"]["writable"] = ["instance"]
    del apps["compiled"]
    project.serve(host, apps)
    assert project.run("provision", timeout=600).code == 0
    project.settled()
    assert ask(host, "/", name="writing.example.com").text.startswith("/srv/writing")
    assert sh(host, "cat /srv/writing/shared/instance/started").startswith("/srv/writing")


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_projects_of_every_form_are_served_by_the_first_run(
    suite: str, served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    """Locks that pin hashes and name no server; packages of their own, with src/ and git's version, or setup.py."""
    host = clone(served(suite))
    apps = {
        "uvlock": locked(project, "uvlock", "uv"),
        "pipenv": locked(project, "pipenv", "pipenv"),
        "package": site(
            project,
            "package",
            {
                "pyproject.toml": PACKAGE,
                "requirements.txt": "# ourselves\n-e .\n",
                "src/shop/__init__.py": WORDS,
                "src/shop/show.py": SHOWING,
            },
            wsgi="shop.show:app",
            build=["shop > built.txt"],
        ),
        "setup": site(
            project,
            "setup",
            {
                "setup.py": "from setuptools import setup\n"
                "setup(name='shop', version='7', py_modules=['show'], install_requires=['bottle'])\n",
                "show.py": SHOWING,
            },
        ),
    }
    committed(project.folder / "package", "v1.2.0")
    project.serve(host, apps)

    done = project.run("provision", timeout=600)
    assert done.code == 0, done.said

    shown = {name: json.loads(ask(host, "/", name=f"{name}.example.com").text) for name in apps}
    for name in ("uvlock", "pipenv"):
        assert (shown[name]["bottle"], shown[name]["redis"]) == ("0.13.4", "8.1.0")
        assert shown[name]["gunicorn"], "the server, which no lock names"
        assert shown[name]["iniconfig"] is None, "a package for developers"
    assert re.fullmatch(r"1\.2\.1\.dev1\+g[0-9a-f]{7}", shown["package"]["shop"])
    assert shown["package"]["points"] == ["here"]
    assert re.fullmatch(r"/srv/package/(releases|activations)/.*/src/shop/show.py", shown["package"]["file"])
    assert (shown["setup"]["shop"], bool(shown["setup"]["bottle"])) == ("7", True)
    assert sh(host, "cat /srv/package/releases/*/built.txt") == "command of the shop\n"

    project.settled()
