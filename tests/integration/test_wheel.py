"""The wheel: what is in it, and that it works where no checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git tracks or would, so that nothing is written into the checkout."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    known = subprocess.run(
        ["git", "-C", CHECKOUT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    names = [name for name in known.decode().split("\0")[:-1] if os.path.lexists(CHECKOUT / name)]
    packed = subprocess.run(
        ["tar", "-C", CHECKOUT, "-cf", "-", "--", *names], capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-C", copy, "-xf", "-"], input=packed, check=True)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(out), str(copy))
    (built,) = out.glob("barehost-*.whl")
    return built


def run(*argv: str, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_the_package_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"deploy", "barehost"}
    for folder in ("deploy", "roles", "templates"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(".pyc"):
                inside = path.relative_to(CHECKOUT)
                expected = str(inside) if folder == "deploy" else f"deploy/{inside}"
                assert expected in names, f"{expected} is missing in the wheel"
    assert "deploy/py.typed" in names, "whoever writes roles has no types to check them with"
    assert not [name for name in names if name.endswith(".pyc") or "/tests/" in name]


def test_it_works_in_an_empty_folder_far_from_the_checkout(wheel: Path, tmp_path: Path):
    venv, project = tmp_path / "venv", tmp_path / "project"
    project.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    python = str(venv / "bin" / "python")
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    run(
        sys.executable,
        "-m",
        "pip",
        "-q",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    )
    # what it depends on comes from here: this test is about the wheel; the checkout itself must not be seen
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "barehost" not in path.name and not (site / path.name).exists() and path.suffix != ".pth":
            (site / path.name).symlink_to(path)
    clean = {"PYTHONPATH": "", "PYTHONSAFEPATH": "1"}
    assert run(python, "-c", "import deploy; print(deploy.__file__)", **clean).startswith(str(site))
    assert "Written to" in run(str(venv / "bin" / "barehost"), "init", cwd=project, **clean)
    assert (project / ".gitignore").exists()
    listed = run(python, "-m", "invoke", "--list", cwd=project, PYTHONPATH="")
    assert "provision" in listed
    assert "demo" not in listed
    (project / "site").mkdir(exist_ok=True)
    assert "web1" in run(python, "-m", "invoke", "hosts.list", cwd=project, PYTHONPATH="")
    roles = run(python, "-c", "from deploy.roles.app import app; print(app.__module__)", cwd=project, **clean)
    assert roles == "deploy.roles.app\n"
