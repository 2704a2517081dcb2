"""What lies at a path, told by the real probe in a test's own folder; what is done about it."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deploy.errors import InputError, LookError
from deploy.inventory.hosts import Host
from deploy.resource import Change, Check, Phase, Put, Remove, Resource, Symlink, Text
from deploy.resources.path import Directory, File, Link, Pathlike, Template
from deploy.shell import Command, Secret, key, sh
from tests.unit.fakes import local
from tests.unit.fakes.sandbox import needs_root

ME = {"owner": Path("/").owner(), "group": Path("/").group()}

names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)


# What a look tells


def test_a_missing_path_reads_as_absent(tmp_path: Path):
    there = local.look(File(f"{tmp_path}/x"), Link(f"{tmp_path}/y", "z"), Directory(f"{tmp_path}/no/z"))
    assert list(there.values()) == [None, None, None]


def test_a_path_below_a_file_reads_as_absent(tmp_path: Path):
    (tmp_path / "file").touch()
    assert local.look(one := File(f"{tmp_path}/file/below"))[one.id] is None


def test_every_type_is_told_with_what_counts(tmp_path: Path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o4750)
    (tmp_path / "link").symlink_to("a target\n with all")
    (tmp_path / "dir").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    asked = [File(f"{tmp_path}/{name}") for name in ("file", "link", "dir", "pipe")]
    told = list(local.look(*asked).values())
    assert told == [
        {"type": "file", "mode": "4750", "content": digest("old"), **ME},
        {"type": "link", "target": "a target\n with all"},
        {"type": "directory", "mode": "0700", **ME},
        {"type": "special", "mode": "0600", **ME},
    ]


def test_content_is_hashed_only_where_it_is_compared(tmp_path: Path):
    (tmp_path / "x").write_text("old")
    for one in (
        File(f"{tmp_path}/x", state="absent"),
        Directory(f"{tmp_path}/x"),
        Link(f"{tmp_path}/x", "y"),
    ):
        assert "content" not in (local.look(one)[one.id] or {})


def test_a_secret_is_compared_by_a_keyed_digest(tmp_path: Path):
    (tmp_path / "x").write_text("hunter2")
    one = File(f"{tmp_path}/x", "hunter2", secret=True, **ME)
    state = local.look(one)[one.id]
    assert not Change(one, state, one.expected())
    assert digest("hunter2") not in repr(state)
    assert key() in File.probe([one])


def test_a_folder_that_cannot_be_read_is_an_error_and_not_absent(tmp_path: Path):
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    done = local.run(File.probe([File(f"{loop}/x")]))
    assert done.returncode == 1
    assert b"Too many levels of symbolic links" in done.stderr


@pytest.mark.parametrize("output", [b"", b"f 644 root root \0/x\0"])
def test_output_that_ends_early_is_an_error(output: bytes):
    with pytest.raises(LookError, match="ended early"):
        File.parse([File("/x")], output)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(names, names, names)
@example("=", "0=", "d=")
def test_any_name_is_told_as_it_is(tmp_path: Path, file: str, link: str, folder: str):
    with local.TemporaryDirectory(dir=tmp_path) as where:
        kinds = {f"f {file}"[:90]: "file", f"l {link}"[:90]: "link", f"d {folder}"[:90]: "directory"}
        resources: list[Pathlike] = []
        for name, kind in kinds.items():
            path = Path(where, name)
            if kind == "file":
                path.write_text(name)
                resources.append(File(str(path), name, **ME))
            elif kind == "link":
                path.symlink_to(name)
                resources.append(Link(str(path), name))
            else:
                path.mkdir(mode=0o755)
                resources.append(Directory(str(path), **ME))
        told = local.look(*resources)
        assert [Change(one, told[one.id], one.expected()).keys for one in resources] == [()] * 3


@pytest.mark.parametrize("path", ["", "relative", "/", "/a/../b", "/a//b", "/a/", "//a/.", "/a\0b"])
@pytest.mark.parametrize("kind", [File, Directory, lambda path: Link(path, "x")])
def test_a_path_that_is_not_absolute_and_normalised_is_refused(kind: Any, path: str):
    with pytest.raises(InputError, match="path"):
        kind(path)


@pytest.mark.parametrize("target", ["", "a\0b"])
def test_a_link_needs_a_target(target: str):
    with pytest.raises(InputError, match="needs a target"):
        Link("/x", target)


# What is done about it


OLD = {"type": "file", "content": "0" * 64, "owner": "root", "group": "root", "mode": "0644"}
FILE = File("/etc/x", "new", owner="me", group="us", mode=0o640)


@pytest.mark.parametrize(
    ("resource", "actual", "steps"),
    [
        (FILE, None, [Put("/etc/x", FILE.blob, "me", "us", 0o640)]),
        (FILE, OLD, [Put("/etc/x", FILE.blob, "me", "us", 0o640)]),
        (FILE, {"type": "link", "target": "y"}, [Put("/etc/x", FILE.blob, "me", "us", 0o640)]),
        (File("/etc/x", state="absent"), OLD, [Remove("/etc/x")]),
        (File("/etc/x", state="absent"), {"type": "link", "target": "y"}, [Remove("/etc/x")]),
        (Link("/etc/x", "y"), None, [Symlink("/etc/x", "y")]),
        (Link("/etc/x", "y"), OLD, [Symlink("/etc/x", "y")]),
        (Link("/etc/x", state="absent"), OLD, [Remove("/etc/x")]),
    ],
)
def test_steps(resource: Resource, actual: Any, steps: list[Any]):
    assert list(type(resource).steps([Change(resource, actual, resource.expected())])) == steps


@pytest.mark.parametrize(
    ("resource", "there"),
    [
        (File("/x"), "directory"),
        (File("/x"), "special"),
        (File("/x", state="absent"), "directory"),
        (Link("/x", "y"), "directory"),
        (Directory("/x"), "file"),
        (Directory("/x"), "link"),
        (Directory("/x", state="absent"), "file"),
    ],
)
def test_what_would_take_the_place_of_something_else_is_refused(resource: Resource, there: str):
    with pytest.raises(InputError, match=f"/x is a {there} on the host"):
        list(type(resource).steps([Change(resource, {"type": there}, resource.expected())]))


@pytest.mark.parametrize("name", ["plain", "-rf", "it's $(touch pwned)", "a\nb"])
def test_a_directory_is_made_changed_and_removed(tmp_path: Path, name: str):
    path = f"{tmp_path}/deep/{name}"
    assert len(local.settle(Directory(path, mode=0o2750, **ME), tmp_path)) == 1
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o2750
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o755
    (Path(path) / "kept").touch()
    local.settle(Directory(path, mode=0o700, **ME), tmp_path)
    assert (Path(path) / "kept").exists()
    local.settle(Directory(path, state="absent"), tmp_path)
    assert not Path(path).exists()
    assert not list(tmp_path.rglob("pwned"))


def another(*resources: Directory) -> subprocess.CompletedProcess[bytes]:
    """What a step that makes or removes these folders does, whatever a look would have said of them."""
    changes = [
        Change(one, None if one.expected() else {"type": "directory"}, one.expected()) for one in resources
    ]
    (step,) = Directory.steps(changes)
    assert isinstance(step, Command)
    return local.run(step.script)


@pytest.fixture
def hers(tmp_path: Path) -> Path:
    """A folder that another account may write to, and ``victim`` beside it, which is root's alone."""
    (tmp_path / "victim").mkdir(mode=0o700)
    (tmp_path / "hers").mkdir()
    shutil.chown(tmp_path / "hers", "daemon", "daemon")
    for above in (tmp_path, *tmp_path.parents[:-1]):
        above.chmod(above.stat().st_mode | 0o011)
    return tmp_path / "hers"


@needs_root
@pytest.mark.parametrize("name", ["link", "link/below"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_link_in_a_folder_of_somebody_elses_is_not_followed(hers: Path, name: str, state: Any):
    (hers.parent / "victim/below").mkdir(mode=0o700)
    (hers / "link").symlink_to(hers.parent / "victim")
    done = another(Directory(f"{hers}/{name}", "daemon", "daemon", 0o755, state=state))
    for path in (hers.parent / "victim", hers.parent / "victim/below"):
        assert (path.owner(), stat.S_IMODE(path.stat().st_mode)) == ("root", 0o700)
    assert (done.returncode == 0) == (state == "absent" and name == "link")
    assert done.returncode == 0 or b"is a link, in a folder that not only root" in done.stdout


@needs_root
def test_a_folder_that_was_given_away_in_the_same_step_is_not_trusted_any_more(hers: Path):
    with local.TemporaryDirectory(dir="/var/lib") as where:
        (Path(where) / "site").mkdir()
        (Path(where) / "site/link").symlink_to(hers.parent / "victim")
        folders = [
            Directory(f"{where}/site", "daemon"),
            Directory(f"{where}/site/link", "daemon", mode=0o755),
        ]
        assert another(*folders).returncode != 0
        assert stat.S_IMODE((hers.parent / "victim").stat().st_mode) == 0o700


@needs_root
def test_a_link_that_only_root_can_have_made_is_followed():
    with local.TemporaryDirectory(dir="/var/lib") as where:
        (Path(where) / "disk").mkdir()
        (Path(where) / "data").symlink_to("disk")
        assert another(Directory(f"{where}/data/shop")).returncode == 0
        assert (Path(where) / "disk/shop").is_dir()


@needs_root
def test_a_folder_that_is_swapped_for_a_link_all_the_time_leads_nowhere_else(hers: Path):
    (hers / "media").mkdir()
    shutil.chown(hers / "media", "daemon", "daemon")
    swap = (
        "import ctypes, os, pwd\n"
        "os.setgid(pwd.getpwnam('daemon').pw_gid)\nos.setuid(pwd.getpwnam('daemon').pw_uid)\n"
        f"os.symlink({str(hers.parent / 'victim')!r}, 'link')\n"
        "exchange = ctypes.CDLL(None).renameat2\n"
        "while True:\n    exchange(-100, b'media', -100, b'link', 2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", swap], cwd=hers) as swapping:
        try:
            while not (hers / "media").is_symlink():
                assert swapping.poll() is None
            codes = {
                another(Directory(f"{hers}/media", "daemon", "daemon", 0o755)).returncode for _ in range(60)
            }
        finally:
            swapping.kill()
    victim = hers.parent / "victim"
    assert (victim.owner(), stat.S_IMODE(victim.stat().st_mode)) == ("root", 0o700)
    assert codes <= {0, 1, 2}, codes


def test_a_folder_goes_last_and_comes_before_the_files():
    assert Directory("/x", state="absent").when is Phase.LEAVE
    assert Directory("/x").when < File("/x").when


def test_a_socket_is_not_taken_for_a_file(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        state = local.look(one := File(f"{tmp_path}/s", "x"))[one.id]
    assert state is not None
    assert state["type"] == "special"


# What can be shown


def test_a_diff_is_made_of_content_but_never_of_a_secret():
    assert [*File("/x", "text").content()] == [Text("/x", "content", b"text")]
    assert [*File("/x", b"\xff").content()] == [Text("/x", "content", b"\xff")]
    assert [*File("/x", "text", secret=True).content()] == []
    assert [*File("/x", state="absent").content()] == [Text("/x", "content", None)]
    assert [*Directory("/x").content()] == []


def test_neither_kind_of_content_shows_in_a_repr():
    assert "hunter2" not in repr(File("/x", "hunter2"))
    assert "hunter2" not in repr(File("/x", "hunter2").blob)


def test_a_file_asks_for_its_own_check():
    check = Check("visudo", sh("visudo -c"))
    assert list(File("/x", check=check).checks()) == [check]
    assert list(File("/x").checks()) == []


def test_text_is_what_the_bytes_say():
    assert File("/x", "grün").blob == File("/x", "grün".encode()).blob
    assert File("/x", "grün".encode()).text == File("/x", "grün").text == "grün"


def test_a_template_is_a_file_that_the_users_own_folder_may_replace(tmp_path: Path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "x.j2").write_text("mine for {{ host.name }}: {{ word }}\n")
    one = Template("/etc/x", "x.j2", host=Host("web1", project=tmp_path), word="hi", mode=0o600)
    assert one.text == "mine for web1: hi\n"
    assert one.expected() == {**File("/etc/x", "mine for web1: hi\n", mode=0o600).expected()}  # type: ignore[dict-item]
    assert not one.secret


def test_a_template_with_a_secret_in_it_is_secret(tmp_path: Path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "x.j2").write_text("password={{ word }}\n")
    host = Host("web1", project=tmp_path)
    one = Template("/etc/x", "x.j2", host=host, word=Secret("hunter2"))
    assert (one.text, one.secret, [*one.content()]) == ("password=hunter2\n", True, [])
    assert "hunter2" not in repr(one)
    with pytest.raises(InputError, match=r"no template 'y.j2' in .*templates and ours"):
        Template("/etc/x", "y.j2", host=host)


def digest(text: str) -> str:
    (command,) = [Command("x", sh("printf %s @{text} | sha256sum", text=text))]
    return local.run(command.script).stdout.split()[0].decode()
