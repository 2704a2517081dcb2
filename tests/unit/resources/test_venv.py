"""The key that names an environment, what the host says about it, and what builds it."""

from __future__ import annotations

import re
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from deploy.errors import InputError, LookError
from deploy.requirements import Requirements, read
from deploy.resource import Change, State, Upload
from deploy.resources.venv import Venv, key
from deploy.shell import Command
from tests.unit.fakes import local


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_toml", ".toml").replace("_lock", ".lock").replace(
            "_txt", ".txt"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_key_follows_every_file_the_python_and_the_wheels_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, requirements_txt="-r base.txt", base_txt="flask", wheels__a_txt="")
    (tmp_path / "wheels" / "a.whl").write_text("1")

    def now(python: str = "3.11", wheels: Path | None = None) -> str:
        return key(read(tmp_path, "requirements.txt"), python, wheels)

    keys = [now(), now("3.13"), now(wheels=tmp_path / "wheels")]
    (tmp_path / "wheels" / "a.whl").write_text("22")
    keys.append(now(wheels=tmp_path / "wheels"))
    (tmp_path / "unrelated.py").write_text("")
    assert now() == keys[0]
    (tmp_path / "base.txt").write_text("django")
    keys.append(now())
    (tmp_path / "base.txt").write_text("# what we are built on\n\ndjango  # the web\n")
    assert now() == keys[-1], "a comment makes no other environment"
    assert len(set(keys)) == 5
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in keys)


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        ("absent", ("complete", "key", "python")),
        ("KEY python3.11", ()),
        ("- python3.11", ("complete", "key")),
        ("KEY python3.13", ("python",)),
        ("KEY ", ("python",)),
        ("other python3.11", ("key",)),
    ],
)
def test_what_differs(answer: str, keys: tuple[str, ...]) -> None:
    venv = Venv("/srv/x/venvs/1", Requirements(), "3.11")
    states = Venv.parse([venv], answer.replace("KEY", venv.key).encode() + b"\n")
    assert Change(venv, states[venv.id], venv.expected()).keys == keys


def test_output_that_ends_early_is_an_error_and_not_absent() -> None:
    with pytest.raises(LookError, match="ended early"):
        Venv.parse([Venv("/srv/x", Requirements(), "3.11")], b"")


def test_a_real_folder_is_read(tmp_path: Path) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    whole, half, broken, absent = (
        Venv(str(tmp_path / name), Requirements(), version) for name in ("whole", "half", "broken", "absent")
    )
    (tmp_path / f"python{version}").touch(mode=0o755)
    for venv in (whole, half, broken):
        (Path(venv.path) / "bin").mkdir(parents=True)
        (Path(venv.path) / "bin" / "python").symlink_to(tmp_path / f"python{version}")
    (Path(whole.path) / ".barehost").write_text(f"{whole.key}\n")
    (Path(broken.path) / "bin" / "python").unlink()
    states: dict[str, State | None] = dict(local.look(whole, half, broken, absent))
    assert states == {
        whole.id: whole.expected(),
        half.id: {"complete": False, "key": "", "python": version},
        broken.id: {"complete": False, "key": "", "python": ""},
        absent.id: None,
    }


def build(venv: Venv) -> tuple[Upload, Command]:
    upload, command = Venv.steps([Change(venv, None, venv.expected())])
    assert isinstance(upload, Upload)
    assert isinstance(command, Command)
    return upload, command


def test_files_and_wheels_go_up_and_no_index_is_asked_for_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, requirements_txt="--index-url https://user:hunter2@example.org/\nflask", wheels__x_txt="")
    (tmp_path / "wheels" / "a.whl").write_bytes(b"wheel")
    venv = Venv(
        "/srv/x", read(tmp_path, "requirements.txt", ("gunicorn",)), "3.11", wheels=tmp_path / "wheels"
    )
    upload, command = build(venv)
    with tarfile.open(fileobj=BytesIO(b"".join(upload.pack()))) as tar:
        assert tar.getnames() == ["own.txt", "source/requirements.txt", "wheels/a.whl"]
    assert "--no-index --find-links=../wheels" in command.script
    assert "install -r ../own.txt -r ./requirements.txt" in command.script
    assert "hunter2" not in command.script + repr(venv) + repr(upload)


def test_without_wheels_the_hosts_index_is_asked() -> None:
    assert "--no-index" not in build(Venv("/srv/x", Requirements(lines=("flask",)), "3.11"))[1].script


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: None])
def test_a_folder_without_wheels_is_an_error(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "wheels")
    with pytest.raises(InputError, match="folder of wheels"):
        key(Requirements(), "3.11", tmp_path / "wheels")


@pytest.mark.parametrize(
    ("path", "version"),
    [("x", "3.11"), ("/a/../b", "3.11"), ("/a b", "3.11"), ("/a#b", "3.11"), ("/a", "3"), ("/a", "2.7")],
)
def test_what_no_venv_can_be_is_an_error(path: str, version: str) -> None:
    with pytest.raises(InputError):
        Venv(path, Requirements(), version)
