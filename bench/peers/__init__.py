"""The peers in an environment of their own, from the extra `bench` of setup.cfg; never in Barehost's."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
POSIX = "ansible_collections/ansible/posix/"
"""The collection that has Ansible's synchronize; it comes with the package ansible, of which nothing else is needed."""


def install(work: Path) -> tuple[Path, Path]:
    """Their virtual environment and the folder of Ansible's collections, made on the first run."""
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
