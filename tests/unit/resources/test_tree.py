"""A tree on this machine's own disk: what its sh scripts do to a folder, and what they leave alone."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from msgspec import structs

from deploy.errors import ApplyError, InputError, LookError
from deploy.files.folders import anchored
from deploy.resource import Upload
from deploy.resources import tree as module
from deploy.resources.tree import Tree, left_to_the_build, record_of
from deploy.shell import Command, Script
from tests.unit.fakes import local

OWNER = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
HOSTILE = [
    "-rf",
    "a\nb",
    "quo'te",
    'dou"ble',
    "$(touch pwned)",
    "`id`",
    "back\\slash",
    "*",
    "ünïcode",
    " space ",
    "\\n",
    "%s",
]


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "records"
    monkeypatch.setattr(module, "RECORDS", str(folder))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "css").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "css" / "a.css").write_text("a {}")
    (folder / "index.html").write_text("<p>hello")
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o700)
    (folder / "latest.html").symlink_to("index.html")
    return folder


def listing(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): content(path) for path in folder.rglob("*")}


def content(path: Path) -> str:
    if path.is_symlink():
        return f"to {path.readlink()}"
    return path.read_text() if path.is_file() else "folder"


def sent(steps: list[object]) -> set[str]:
    (upload,) = [step for step in steps if isinstance(step, Upload)]
    with tarfile.open(fileobj=BytesIO(b"".join(upload.pack()))) as tar:
        return {
            member.name.removeprefix("new/")
            for member in tar
            if member.isfile() and member.name.startswith("new/")
        }


def test_an_absent_folder_reads_as_absent_and_is_created_whole(tmp_path: Path, source: Path) -> None:
    tree = Tree(str(tmp_path / "srv" / "site"), source, **OWNER)
    assert local.look(tree)[tree.id] is None
    steps = local.settle(tree, tmp_path)
    assert sent(steps) == {"css/a.css", "index.html", "run.sh"}
    assert listing(tmp_path / "srv" / "site") == listing(source)
    assert [path.name for path in (tmp_path / "srv").iterdir()] == ["site"]


def test_modes_are_normalised(tmp_path: Path, source: Path) -> None:
    (source / "index.html").chmod(0o600)
    (source / "css").chmod(0o700)
    local.settle(Tree(str(tmp_path / "site"), source, **OWNER), tmp_path)
    modes = {
        name: (tmp_path / "site" / name).stat().st_mode & 0o7777
        for name in ("index.html", "run.sh", "css", "")
    }
    assert modes == {"index.html": 0o644, "run.sh": 0o755, "css": 0o755, "": 0o755}


def test_a_second_look_says_same_and_little_else(tmp_path: Path, source: Path) -> None:
    tree = Tree(str(tmp_path / "site"), source, **OWNER)
    local.settle(tree, tmp_path)
    assert local.run(Tree.probe([tree])).stdout == b"#0\0same\0end\0"


def test_a_fresh_clone_with_other_times_changes_nothing(tmp_path: Path, source: Path) -> None:
    path = str(tmp_path / "site")
    local.settle(Tree(path, source, **OWNER), tmp_path)
    for name in source.rglob("*"):
        os.utime(name, (1, 1), follow_symlinks=False)
    assert not local.change(Tree(path, source, **OWNER))


def edit_keeping_size_and_time(site: Path) -> None:
    times = (site / "index.html").stat()
    (site / "index.html").write_text("<p>HELLO")
    os.utime(site / "index.html", ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    ("drift", "files"),
    [
        (edit_keeping_size_and_time, {"index.html"}),
        (lambda site: (site / "index.html").unlink(), {"index.html"}),
        (lambda site: (site / "index.html").chmod(0o600), set()),
        (lambda site: (site / "css").chmod(0o700), set()),
        (lambda site: site.chmod(0o2700), set()),
        (lambda site: (site / "foreign").write_text("x"), set()),
        (
            lambda site: (
                (site / "deep" / "er").mkdir(parents=True),
                (site / "deep" / "er" / "x").write_text("x"),
            ),
            set(),
        ),
        (lambda site: (site / "empty").rmdir(), set()),
        (lambda site: ((site / "empty").rmdir(), (site / "empty").write_text("a file now")), set()),
        (
            lambda site: (
                (site / "index.html").unlink(),
                (site / "index.html").mkdir(),
                (site / "index.html" / "x").touch(),
            ),
            {"index.html"},
        ),
        (lambda site: ((site / "latest.html").unlink(), (site / "latest.html").symlink_to("run.sh")), set()),
        (
            lambda site: ((site / "index.html").unlink(), (site / "index.html").symlink_to("run.sh")),
            {"index.html"},
        ),
        (lambda site: [(site / name).touch() for name in HOSTILE], set()),
    ],
)
def test_drift_is_seen_and_repaired_with_no_byte_too_many(tmp_path: Path, source: Path, drift, files) -> None:
    site = tmp_path / "site"
    tree = Tree(str(site), source, **OWNER)
    local.settle(tree, tmp_path)
    drift(site)
    assert local.change(tree).keys == ("intact",)
    assert sent(local.settle(tree, tmp_path)) == files
    assert listing(site) == listing(source)


def test_touching_a_file_is_no_drift(tmp_path: Path, source: Path) -> None:
    tree = Tree(str(tmp_path / "site"), source, **OWNER)
    local.settle(tree, tmp_path)
    os.utime(tmp_path / "site" / "index.html")
    assert not local.change(tree)


def test_only_what_changed_in_the_source_is_sent(tmp_path: Path, source: Path) -> None:
    path = str(tmp_path / "site")
    local.settle(Tree(path, source, **OWNER), tmp_path)
    (source / "css" / "a.css").write_text("a { color: red }")
    (source / "new" / "deep").mkdir(parents=True)
    (source / "new" / "deep" / "file").write_text("x")
    (source / "index.html").unlink()
    (source / "run.sh").chmod(0o600)
    tree = Tree(path, source, **OWNER)
    assert local.change(tree).keys == ("intact", "manifest")
    assert sent(local.settle(tree, tmp_path)) == {"css/a.css", "new/deep/file"}
    assert listing(Path(path)) == listing(source)


def test_hostile_names_travel_as_they_are(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder in HOSTILE:
        (source / folder).mkdir(parents=True)
        for name in HOSTILE:
            (source / folder / name).write_text(name)
    (source / os.fsdecode(b"latin-\xe9")).write_text("bytes that are not UTF-8")
    site = tmp_path / "it's $(here)\n -x"
    tree = Tree(str(site), source, **OWNER)
    local.settle(tree, tmp_path)
    for folder in HOSTILE:
        (source / folder / "$(touch pwned)").write_text("changed")
    tree = Tree(str(site), source, **OWNER)
    assert len(sent(local.settle(tree, tmp_path))) == len(HOSTILE)
    assert listing(site) == listing(source)
    assert not list(tmp_path.rglob("pwned"))


def test_what_others_declare_is_neither_deleted_nor_looked_at(tmp_path: Path, source: Path) -> None:
    site = tmp_path / "site"
    tree = Tree(str(site), source, protect=(f"{site}/me[d]ia/x", f"{site}/robots.txt"), **OWNER)
    local.settle(tree, tmp_path)
    (site / "me[d]ia" / "x").mkdir(parents=True)
    (site / "me[d]ia" / "x" / "upload").write_text("kept")
    (site / "robots.txt").write_text("kept")
    (site / "foreign").write_text("goes")
    local.settle(tree, tmp_path)
    assert (site / "me[d]ia" / "x" / "upload").read_text() == (site / "robots.txt").read_text() == "kept"
    assert not (site / "foreign").exists()
    (site / "robots.txt").write_text("changed")
    assert local.run(Tree.probe([tree])).stdout.split(b"\0")[1].startswith((b"same", b"differs"))
    assert not local.change(tree)


def test_without_delete_foreign_files_stay_and_our_own_drift_is_seen(tmp_path: Path, source: Path) -> None:
    site = tmp_path / "site"
    tree = Tree(str(site), source, delete=False, **OWNER)
    local.settle(tree, tmp_path)
    (site / "build").mkdir()
    (site / "build" / "result").write_text("kept")
    assert local.run(Tree.probe([tree])).stdout == b"#0\0same\0end\0"
    (site / "index.html").write_text("drift")
    (site / "run.sh").unlink()
    assert sent(local.settle(tree, tmp_path)) == {"index.html", "run.sh"}
    assert (site / "build" / "result").read_text() == "kept"


@pytest.mark.parametrize("again", [False, True], ids=["once", "and built again"])
def test_what_a_build_put_in_the_place_of_what_was_shipped_stays(
    tmp_path: Path, source: Path, again: bool
) -> None:
    site = tmp_path / "site"
    tree = Tree(str(site), source, delete=False, **OWNER)
    local.settle(tree, tmp_path)
    shutil.rmtree(site / "css")
    (site / "css").symlink_to(tmp_path)
    (site / "run.sh").unlink()
    (site / "index.html").unlink()
    (site / "index.html").write_text("<p>built")
    assert local.change(tree).keys == ("intact",)
    for _ in range(1 + again):
        assert local.run(left_to_the_build(str(site))).returncode == 0
    assert local.run(Tree.probe([tree])).stdout == b"#0\0same\0end\0"
    (site / "latest.html").unlink()
    (site / "empty").rmdir()
    assert sent(local.settle(tree, tmp_path)) == set()
    assert (site / "latest.html").is_symlink()
    assert (site / "css").readlink() == tmp_path
    assert (site / "index.html").read_text() == "<p>built"
    assert not (site / "run.sh").exists()
    assert local.run(Tree.probe([tree])).stdout == b"#0\0same\0end\0"


def test_a_build_that_left_all_that_was_shipped_changes_no_record(
    tmp_path: Path, source: Path, records: Path
) -> None:
    site = tmp_path / "site"
    local.settle(Tree(str(site), source, delete=False, **OWNER), tmp_path)
    before = {file: file.read_bytes() for file in records.rglob("*") if file.is_file()}
    (site / "css" / "built.css").write_text("b {}")
    assert local.run(left_to_the_build(str(site))).returncode == 0
    assert {file: file.read_bytes() for file in records.rglob("*") if file.is_file()} == before


def test_a_new_release_copies_what_an_intact_base_has(tmp_path: Path, source: Path) -> None:
    first = Tree(str(tmp_path / "releases" / "1"), source, delete=False, **OWNER)
    local.settle(first, tmp_path)
    (source / "css" / "a.css").write_text("new")
    second = Tree(str(tmp_path / "releases" / "2"), source, delete=False, base=first.path, **OWNER)
    assert sent(local.settle(second, tmp_path)) == {"css/a.css"}
    assert listing(Path(second.path)) == listing(source)
    assert (Path(first.path) / "run.sh").stat().st_ino != (Path(second.path) / "run.sh").stat().st_ino
    assert (Path(second.path) / "run.sh").stat().st_mode & 0o777 == 0o755
    (Path(first.path) / "index.html").write_text("drift")
    third = Tree(str(tmp_path / "releases" / "3"), source, delete=False, base=first.path, **OWNER)
    assert "index.html" in sent(local.settle(third, tmp_path))
    assert (Path(third.path) / "index.html").read_text() == "<p>hello"


def test_a_base_that_is_not_there_changes_nothing(tmp_path: Path, source: Path) -> None:
    tree = Tree(str(tmp_path / "2"), source, base=str(tmp_path / "1"), **OWNER)
    assert local.look(tree)[tree.id] is None
    local.settle(tree, tmp_path)


def test_what_somebody_edits_between_look_and_sync_is_not_sealed(tmp_path: Path, source: Path) -> None:
    site = tmp_path / "site"
    tree = Tree(str(site), source, **OWNER)
    local.settle(tree, tmp_path)
    (site / "run.sh").unlink()
    steps = list(Tree.steps([local.change(tree)]))
    (site / "index.html").write_text("edited behind our back")
    (done,) = local.apply(steps, tmp_path)
    assert done.returncode != 0
    assert b"somebody else changed" in done.stderr
    assert local.change(tree).keys == ("intact",)
    local.settle(tree, tmp_path)
    assert (site / "index.html").read_text() == "<p>hello"


@pytest.mark.parametrize(
    "tamper",
    [
        "printf '<p>olleh' > index.html",
        "touch -r index.html was; printf '<p>hello!' > index.html; touch -r was index.html; rm was",
        "truncate -s 0 css/a.css",
    ],
    ids=["same size, other time", "other size, same time", "cut off"],
)
@pytest.mark.parametrize("there", [False, True], ids=["new", "changed"])
def test_what_somebody_edits_while_it_is_put_there_is_not_sealed(
    tmp_path: Path, source: Path, tamper: str, there: bool
) -> None:
    tree = Tree(str(tmp_path / "site"), source, **OWNER)
    if there:
        local.settle(tree, tmp_path)
        (source / "index.html").write_text("<p>another")
        (source / "css" / "a.css").write_text("another")
        tree = replace(tree)
    upload, command = Tree.steps([local.change(tree)])
    assert isinstance(command, Command)
    script = str(command.script)
    at = script.index('sync -f -- "$new"')
    spoilt = structs.replace(command, script=Script(f'{script[:at]}(cd "$new"; {tamper})\n{script[at:]}'))
    (done,) = local.apply([upload, spoilt], tmp_path)
    assert done.returncode != 0
    assert b"somebody else changed" in done.stderr
    local.settle(replace(tree), tmp_path)
    assert listing(tmp_path / "site") == listing(source)


def test_what_was_put_there_is_not_read_again(tmp_path: Path, source: Path) -> None:
    """Neither what was sent nor what was copied from the release before it: nothing is hashed there."""
    loud = tmp_path / "bin" / "sha256sum"
    loud.parent.mkdir()
    loud.write_text("#!/bin/sh\necho hashed >&2\nexit 1\n")
    loud.chmod(0o755)
    first = Tree(str(tmp_path / "releases" / "1"), source, delete=False, **OWNER)
    second = Tree(str(tmp_path / "releases" / "2"), source, delete=False, base=first.path, **OWNER)
    for tree in (first, second):
        upload, command = Tree.steps([local.change(tree)])
        assert isinstance(command, Command)
        script = Script(f"PATH={loud.parent}:$PATH\n{command.script}")
        (done,) = local.apply([upload, structs.replace(command, script=script)], tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
        assert listing(Path(tree.path)) == listing(source)


def test_a_sync_whose_files_did_not_come_leaves_nothing_half_written(tmp_path: Path, source: Path) -> None:
    site = tmp_path / "site"
    tree = Tree(str(site), source, **OWNER)
    steps = list(Tree.steps([local.change(tree)]))
    (upload,) = [step for step in steps if isinstance(step, Upload)]
    assert all(
        done.returncode for done in local.apply([step for step in steps if step is not upload], tmp_path)
    )
    assert not site.exists()
    assert not list(tmp_path.glob(".barehost-*"))
    (tmp_path / ".barehost-site.new").mkdir()  # as a killed run leaves it
    local.settle(tree, tmp_path)


def test_the_same_step_twice_does_no_harm(tmp_path: Path, source: Path) -> None:
    tree = Tree(str(tmp_path / "site"), source, **OWNER)
    steps = list(Tree.steps([local.change(tree)]))
    for _ in range(2):
        assert [done.returncode for done in local.apply(steps, tmp_path)] == [0]
    assert not local.change(tree)


def test_a_folder_that_is_equal_but_unrecorded_is_adopted(
    tmp_path: Path, source: Path, records: Path
) -> None:
    tree = Tree(str(tmp_path / "site"), source, **OWNER)
    local.settle(tree, tmp_path)
    for file in Path(record_of(tree.path)).iterdir():
        file.unlink()
    assert not local.change(tree)


@pytest.mark.parametrize("place", ["file", "link"])
def test_what_is_no_folder_is_an_error_and_not_absent(tmp_path: Path, source: Path, place: str) -> None:
    path = tmp_path / "site"
    path.symlink_to(source) if place == "link" else path.write_text("")
    with pytest.raises(LookError, match="is not a folder"):
        local.look(Tree(str(path), source))


def test_output_that_ends_early_is_an_error_and_not_absent(tmp_path: Path, source: Path) -> None:
    tree = Tree(str(tmp_path / "site"), source)
    for output in (b"", b"#0\0", b"#0\0absent\0"):
        with pytest.raises(LookError, match="ended early"):
            Tree.parse([tree], output)


def link_out(source: Path) -> None:
    (source / "css" / "out").symlink_to("../../etc")


def link_absolute(source: Path) -> None:
    (source / "out").symlink_to("/etc/passwd")


def link_through_links(source: Path) -> None:
    """Neither link leads out by its own words: the second goes up from where the first leads."""
    (source / "css" / "deep").mkdir()
    (source / "css" / "deep" / "up").symlink_to("../..")
    (source / "css" / "deep" / "out").symlink_to("up/../out")


def fifo(source: Path) -> None:
    os.mkfifo(source / "pipe")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (link_out, "outside of"),
        (link_absolute, "outside of"),
        (link_through_links, "outside of"),
        (fifo, "neither a file"),
    ],
)
def test_what_cannot_be_sent_is_an_error_that_names_it(source: Path, spoil, says: str) -> None:
    spoil(source)
    with pytest.raises(InputError, match=says):
        Tree("/srv/x", source).expected()


def test_a_source_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        Tree("/srv/x", tmp_path / "nothing").expected()


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/a/", "/a\0b"])
def test_a_path_that_is_not_normalised_is_an_error(path: str, source: Path) -> None:
    with pytest.raises(InputError, match="absolute and normalised"):
        Tree(path, source)


def test_excluded_names_and_paths_are_left_out(source: Path) -> None:
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "x.pyc").touch()
    (source / "css" / "b.css").touch()
    names = Tree("/srv/x", source, exclude=("__pycache__", "css/b.*")).entries
    assert not [name for name in names if "pyc" in name or "b.css" in name]
    assert "css/a.css" in names


def test_a_file_that_changes_while_it_is_sent_is_an_error(tmp_path: Path, source: Path) -> None:
    steps = list(Tree.steps([local.change(Tree(str(tmp_path / "site"), source))]))
    (source / "index.html").write_text("<p>HELLO")
    with pytest.raises(ApplyError, match="changed while it was being sent"):
        local.apply(steps, tmp_path)


def test_the_stream_is_the_same_every_time_and_small_where_that_pays(tmp_path: Path, source: Path) -> None:
    (source / "photo.jpg").write_bytes(bytes(200_000))
    (source / "page.txt").write_bytes(bytes(200_000))
    uploads = []
    for _ in range(2):
        steps = list(Tree.steps([local.change(Tree(str(tmp_path / "site"), source))]))
        uploads.append(b"".join(next(step.pack() for step in steps if isinstance(step, Upload))))
    assert uploads[0] == uploads[1]
    assert 200_000 < len(uploads[0]) < 220_000


@AS_ROOT
def test_another_owner_is_drift_and_is_set_back(tmp_path: Path, source: Path) -> None:
    site = tmp_path / "site"
    tree = Tree(str(site), source, owner="daemon", group="mail")
    local.settle(tree, tmp_path)
    os.chown(site / "css" / "a.css", 0, -1)
    os.chown(site / "css", -1, 0)
    assert sent(local.settle(tree, tmp_path)) == set()
    assert {(path.owner(), path.group()) for path in [site, *site.rglob("*")]} == {("daemon", "mail")}
    other = Tree(str(site), source, owner="mail", group="mail")
    assert local.change(other).keys == ("intact", "manifest")
    local.settle(other, tmp_path)


@AS_ROOT
def test_an_owner_with_another_number_is_drift(tmp_path: Path, source: Path, records: Path) -> None:
    tree = Tree(str(tmp_path / "site"), source, owner="daemon", group="mail")
    local.settle(tree, tmp_path)
    (Path(record_of(tree.path)) / "owner").write_text("99999 8\n")
    assert not local.run(Tree.probe([tree])).stdout.startswith(b"#0\0same")


@AS_ROOT
def test_an_owner_that_the_host_does_not_have_fails_and_says_so(tmp_path: Path, source: Path) -> None:
    tree = Tree(str(tmp_path / "site"), source, owner="barehost-none")
    (done,) = local.apply(list(Tree.steps([local.change(tree)])), tmp_path)
    assert done.returncode != 0
    assert b"barehost-none" in done.stderr
    assert not (tmp_path / "site").exists()


def test_a_link_of_ours_takes_the_place_of_what_the_source_has(tmp_path: Path, source: Path) -> None:
    (source / "data").mkdir()
    (source / "data" / "kept").write_text("of the source")
    links = (("data", "/srv/x/shared/data"), ("a/b/logs", "/srv/x/shared/a/b/logs"))
    tree = Tree(str(tmp_path / "site"), source, exclude=("/data",), links=links, **OWNER)
    local.settle(tree, tmp_path)
    assert (tmp_path / "site" / "data").readlink() == Path("/srv/x/shared/data")
    assert (tmp_path / "site" / "a" / "b" / "logs").is_symlink()
    (tmp_path / "site" / "data").unlink()
    assert local.change(tree)
    assert tree.manifest != Tree(str(tmp_path / "site"), source, exclude=("/data",), **OWNER).manifest


def test_a_link_below_a_file_is_an_error(source: Path) -> None:
    (source / "data").write_text("a file")
    with pytest.raises(InputError, match="data is no folder"):
        _ = Tree("/srv/x", source, links=(("data/logs", "/srv/x"),)).entries


def test_a_pattern_for_one_path_leaves_the_name_elsewhere(source: Path) -> None:
    for folder in ("a", "b"):
        (source / folder).mkdir(exist_ok=True)
        (source / folder / "x[1]").write_text("1")
    names = Tree("/srv/x", source, exclude=(anchored("a/x[1]"),)).entries
    assert "a/x[1]" not in names
    assert "b/x[1]" in names
