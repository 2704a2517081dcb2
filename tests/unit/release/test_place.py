"""What another tool deployed where our releases will lie is refused before anything changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.errors import LookError
from deploy.release import Place
from deploy.resource import Change
from deploy.shell import Command
from tests.unit.fakes import local

ONE = Place("hello")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site's folder."""
    monkeypatch.setattr(Place, "path", property(lambda self: str(tmp_path)))
    return tmp_path


def refused(what: str) -> None:
    """The site fails with a sentence that names it."""
    change = Change(ONE, local.look(ONE)[ONE.id], ONE.expected())
    assert change.actual == {"of others": what}
    (step,) = Place.steps([change])
    assert isinstance(step, Command)
    done = local.run(step.script)
    assert done.returncode == 1
    assert f"({what})" in done.stdout.decode()


def test_a_folder_that_is_not_there_is_free(root: Path) -> None:
    root.rmdir()
    assert local.look(ONE)[ONE.id] == ONE.expected()


def test_what_an_interrupted_first_run_left_is_ours(root: Path) -> None:
    for name in (
        "releases/20261123-141502-3fa9c1e",
        "releases/.barehost-20261123-141502.new",
        "venvs/78df6c198d427112",
        "activations/12",
        "activations/.new",
        "shared/uploads",
    ):
        (root / name).mkdir(parents=True)
    (root / "current").symlink_to("activations/12")
    assert local.look(ONE)[ONE.id] == ONE.expected()


@pytest.mark.parametrize(
    "name", ["releases/20231101120000", "releases/7", "activations/blue", "venvs/prod", "current"]
)
def test_what_somebody_else_put_there_is_named(root: Path, name: str) -> None:
    (root / name).mkdir(parents=True)
    refused(name)


@pytest.mark.parametrize("target", ["releases/7", "/srv/hello/releases/20231101120000", "activations/a b"])
def test_a_link_of_another_tool_is_named(root: Path, target: str) -> None:
    (root / "current").symlink_to(target)
    refused(f"current -> {target}")


def test_an_answer_that_was_cut_off_is_an_error() -> None:
    with pytest.raises(LookError, match="look again"):
        Place.parse([ONE], b"")
