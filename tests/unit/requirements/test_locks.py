"""The locks that real tools wrote (tests/data/locks/) for one project, as the lines that pip installs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.requirements import Requirements, find, read

LOCKS = Path(__file__).parents[2] / "data" / "locks"
EVERYWHERE = {
    "bottle==0.13.4",
    "markdown-it-py==4.3.0",
    "mdit-py-plugins==0.7.0",
    "mdurl==0.1.2",
    "redis==8.1.0",
}
OWN = "own @ git+https://git.example.com/own.git@2164e7a9c713194718615af2a776934852d34e09"
TOOLS = {
    "uv": "uv.lock",
    "pylock": "pylock.toml",
    "poetry1": "poetry.lock",
    "poetry2": "poetry.lock",
    "pdm": "pdm.lock",
    "pipenv": "Pipfile.lock",
}


def pins(needs: Requirements) -> set[str]:
    """The packages of a lock, each of which must carry a hash, without their markers."""
    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}", line) for line in needs.locked)
    return {line.split(" ")[0] for line in needs.locked}


@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize("tool", TOOLS)
def test_every_tools_lock_gives_the_same_for_production_on_this_host(tool: str, python: str) -> None:
    """colorama is for Windows, iniconfig for developers, async-timeout for a Python before 3.11.3."""
    folder = LOCKS / tool
    assert find(folder) == TOOLS[tool]
    needs = read(folder, TOOLS[tool], ("gunicorn",), python=python)
    chosen = {"iniconfig==2.3.1"} if tool == "pylock" else set()  # uv export writes its default groups too
    chosen |= {"async-timeout==5.0.1"} if python == "3.11" and tool != "pipenv" else set()  # locked on 3.11.7
    assert pins(needs) == EVERYWHERE | chosen
    assert needs.apart == ("gunicorn",)
    assert needs.lines == ()
    if tool != "pdm":
        assert OWN in needs.direct
        assert needs.system == ("git",)


@pytest.mark.parametrize("tool", [one for one in TOOLS if one != "pipenv"])
def test_what_only_the_host_knows_of_its_python_is_left_to_pip(tool: str) -> None:
    """Debian 12 has Python 3.11.2, which this side knows as 3.11."""
    (line,) = [one for one in read(LOCKS / tool, TOOLS[tool]).locked if one.startswith("async-timeout")]
    assert re.search(r"; .*python_full_version < .3\.11\.3.* --hash", line)


def test_a_pipfile_without_a_lock_gives_its_lines(tmp_path: Path) -> None:
    shutil.copy(LOCKS / "pipenv" / "Pipfile", tmp_path)
    assert find(tmp_path) == "Pipfile"
    needs = read(tmp_path, "Pipfile", ("gunicorn",))
    assert needs.lines == (
        "bottle>=0.13",
        "redis",
        "markdown-it-py[plugins]",
        "colorama ; sys_platform == 'win32'",
        "own @ git+https://git.example.com/own.git@HEAD",
        "gunicorn",
    )


@pytest.mark.parametrize(
    ("tool", "before", "after", "says"),
    [
        ("pdm", '"inherit_metadata"', '"cross_platform"', "pdm lock --strategy inherit_metadata"),
        ("poetry1", 'lock-version = "2.0"', 'lock-version = "1.1"', "run poetry lock with a newer one"),
        ("pylock", 'lock-version = "1.0"', "", "is no pylock"),
        ("pipenv", '"_meta"', "_meta", "is not JSON"),
        ("uv", 'virtual = "."', 'virtual = "other"', "does not hold the project"),
    ],
)
def test_a_lock_that_cannot_be_installed_says_what_to_do(
    tmp_path: Path, tool: str, before: str, after: str, says: str
) -> None:
    shutil.copytree(LOCKS / tool, tmp_path, dirs_exist_ok=True)
    file = tmp_path / TOOLS[tool]
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(InputError, match=says):
        read(tmp_path, TOOLS[tool])


def test_a_package_in_two_versions_is_one_of_them_only_where_the_lock_says_which(tmp_path: Path) -> None:
    shutil.copytree(LOCKS / "poetry1", tmp_path, dirs_exist_ok=True)
    file = tmp_path / "poetry.lock"
    older = '[[package]]\nname = "redis"\nversion = "7.0"\nfiles = []\n\n'
    file.write_text(file.read_text().replace("[extras]\nprod", f"{older}[extras]\nprod"))
    with pytest.raises(InputError, match="redis in 2 versions"):
        read(tmp_path, "poetry.lock")


def test_an_index_that_a_lock_names_is_asked_too(tmp_path: Path) -> None:
    shutil.copytree(LOCKS / "pipenv", tmp_path, dirs_exist_ok=True)
    file = tmp_path / "Pipfile.lock"
    lock = json.loads(file.read_text())
    lock["_meta"]["sources"].append({"name": "own", "url": "https://pypi.example.com/simple"})
    file.write_text(json.dumps(lock))
    needs = read(tmp_path, "Pipfile.lock")
    assert needs.locked[0] == "--extra-index-url https://pypi.example.com/simple"
    assert "pypi.example.com" not in repr(needs)


def test_members_of_a_uv_workspace_are_packages_of_the_release(tmp_path: Path) -> None:
    text = (LOCKS / "uv" / "uv.lock").read_text()
    text = text.replace('    { name = "own" },', '    { name = "own" },\n    { name = "core" },')
    (tmp_path / "uv.lock").write_text(
        text + '\n[[package]]\nname = "core"\nversion = "1"\nsource = { editable = "libs/core" }\n'
    )
    needs = read(tmp_path, "uv.lock")
    assert needs.projects == ("libs/core",)
    assert not any("core" in line for line in needs.locked + needs.direct)
