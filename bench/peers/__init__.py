"""What is measured, installed as its users install it: Barehost from this checkout, the peers from setup.cfg."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
POSIX = "ansible_collections/ansible/posix/"
"""The collection that has Ansible's synchronize; it comes with the package ansible, of which nothing else is needed."""


PACKAGE = (
    "deploy",
    "roles",
    "templates",
    "tests/testinfra",
    "setup.cfg",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
"""What a package of Barehost is built from."""


def install_barehost(work: Path) -> Path:
    """Barehost's virtual environment, with the checkout as it is now: an editable install starts 10 ms later."""
    venv = work / "barehost"
    if not (venv / "bin" / "pip").is_file():
        _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    print("installing Barehost", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(
        prefix="bench."
    ) as folder:  # a build leaves its own files beside the source
        for name in PACKAGE:
            _copy(CHECKOUT / name, Path(folder, name))
        _run([*_pip(venv), "install", folder])
    return venv


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def install_peers(work: Path) -> tuple[Path, Path]:
    """The peers' virtual environment and the folder of Ansible's collections, made on the first run."""
    venv, collections = work / "peers", work / "collections"
    wanted = [line for line in _extra() if line.strip()]
    mark = venv / "wanted"
    if not mark.is_file() or mark.read_text().splitlines() != wanted:
        print("installing the peers", file=sys.stderr, flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(venv)])
        core = [line for line in wanted if not line.startswith("ansible ")]
        _run([*_pip(venv), "install", *core])
        bundle = next(line for line in wanted if line.startswith("ansible "))
        _run([*_pip(venv), "download", "--no-deps", "--dest", str(venv / "bundle"), bundle])
        with zipfile.ZipFile(next((venv / "bundle").glob("ansible-*.whl"))) as wheel:
            wheel.extractall(collections, [one for one in wheel.namelist() if one.startswith(POSIX)])
        mark.write_text("\n".join(wanted))
    return venv, collections


def _extra() -> list[str]:
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    return parser["options.extras_require"]["bench"].split("\n")


def _pip(venv: Path) -> list[str]:
    return [str(venv / "bin" / "python"), "-m", "pip", "-q", "--disable-pip-version-check"]


def _run(argv: list[str]) -> None:
    subprocess.run(argv, check=True, timeout=600)
