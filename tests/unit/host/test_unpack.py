"""What an image may do while it is unpacked: nothing but fill its folder. Each attack is tried for real."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / "deploy/host/unpack.py"
UNPACK = (sys.executable, "-I", "-S", str(PROGRAM))
ROOTS = "root"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners can be given by root alone")


class Entry:
    """One entry of a layer. kind: a letter as find has them, ``h`` for a hard link."""

    def __init__(
        self,
        name: str,
        kind: str = "f",
        data: bytes | str = b"",
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
    ) -> None:
        self.member = tarfile.TarInfo(name)
        kinds = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}
        kinds |= {"c": tarfile.CHRTYPE, "p": tarfile.FIFOTYPE}
        self.member.type, self.member.mode = kinds[kind], mode
        self.member.uid, self.member.gid = uid, gid
        self.data = b""
        if isinstance(data, str):
            self.member.linkname = data
        else:
            self.data = data
            self.member.size = len(data)


def layer(*entries: Entry) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in entries:
            tar.addfile(one.member, io.BytesIO(one.data))
    return out.getvalue()


def unpack(
    folder: Path,
    *layers: bytes,
    user: str = "",
    limit: int = 1 << 30,
    digests: dict[int, str] | None = None,
    mounts: tuple[str, ...] = (),
    program: str = "",
) -> tuple[Path, str]:
    """Where it was unpacked, and what went wrong; nothing else of the folder may have changed."""
    words = []
    for number, data in enumerate(layers):
        file = folder / f"layer{number}"
        file.write_bytes(data)
        plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        digest = (digests or {}).get(number) or hashlib.sha256(plain).hexdigest()
        words.append(f"{digest}={file}")
    canary = folder / "canary"
    canary.write_text("as it was")
    target = folder / "image"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            str(PROGRAM),
            str(target),
            ROOTS,
            user,
            str(limit),
            "/bin:/usr/bin",
            program,
            *mounts,
            "--",
            *words,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert canary.read_text() == "as it was"
    assert sorted(one.name for one in folder.iterdir() if not one.name.startswith("layer")) == [
        "canary",
        "image",
    ]
    assert done.returncode == (1 if done.stderr else 0), done.stderr
    assert done.stderr.count("\n") <= 1
    return target, done.stderr or done.stdout


def test_layers_lie_over_each_other_and_whiteouts_take_away(tmp_path: Path) -> None:
    target, wrong = unpack(
        tmp_path,
        layer(
            Entry("a/one", data=b"1"),
            Entry("a/two", data=b"2"),
            Entry("b/old", data=b"o"),
            Entry("c", data=b"c"),
        ),
        gzip.compress(
            layer(
                Entry("a/.wh.one"),
                Entry("b/new", data=b"n"),
                Entry("b/.wh..wh..opq"),
                Entry(".wh.c"),
                Entry("a/three", "h", "a/two"),
            )
        ),
    )
    assert wrong == ""
    assert sorted(str(one.relative_to(target)) for one in target.rglob("*")) == [
        "a",
        "a/three",
        "a/two",
        "b",
        "b/new",
    ]
    assert (target / "a/three").stat().st_ino == (target / "a/two").stat().st_ino


def test_a_folder_may_become_a_file_and_back(tmp_path: Path) -> None:
    first = layer(Entry("x/y", data=b"1"), Entry("f", data=b"2"))
    target, wrong = unpack(tmp_path, first, layer(Entry("x", data=b"3"), Entry("f/g", data=b"4")))
    assert wrong == ""
    assert ((target / "x").read_bytes(), (target / "f/g").read_bytes()) == (b"3", b"4")


def test_a_path_through_a_link_of_the_image_stays_in_the_image(tmp_path: Path) -> None:
    target, wrong = unpack(
        tmp_path,
        layer(Entry("usr/lib", "d", mode=0o755), Entry("lib", "l", "usr/lib"), Entry("abs", "l", "/usr")),
        layer(Entry("lib/one", data=b"1"), Entry("abs/two", data=b"2")),
    )
    assert wrong == ""
    assert (target / "usr/lib/one").read_bytes() == b"1"
    assert (target / "usr/two").read_bytes() == b"2"
    assert (target / "lib").is_symlink()


@pytest.mark.parametrize(
    "way_out",
    [
        [Entry("x", "l", "../.."), Entry("x/canary", data=b"evil")],
        [Entry("x", "l", "{folder}"), Entry("x/canary", data=b"evil")],
        [Entry("a/b", "l", "../../.."), Entry("a/b/c", "l", "."), Entry("a/b/c/canary", data=b"evil")],
        [Entry("x", "l", "{folder}/canary"), Entry("x", data=b"evil")],
        [Entry("x", "l", "{folder}"), Entry("x/.wh.canary")],
        [Entry("x", "l", ".."), Entry("x/.wh..wh..opq")],
        [Entry("x", "l", "{folder}/canary"), Entry("x", "d", mode=0o777)],
        [Entry("{folder}/canary", data=b"evil")],
    ],
)
def test_a_link_that_leads_out_leads_nowhere(way_out: list[Entry], tmp_path: Path) -> None:
    for one in way_out:
        one.member.name = one.member.name.replace("{folder}", str(tmp_path))
        one.member.linkname = one.member.linkname.replace("{folder}", str(tmp_path))
    unpack(tmp_path, layer(*way_out))


@pytest.mark.parametrize(
    "bad",
    [
        [Entry("../canary", data=b"evil")],
        [Entry("a/../../canary", data=b"evil")],
        [Entry(".wh...")],
        [Entry(".wh..")],
        [Entry("x", "h", "../canary")],
        [Entry("x", "h", "/etc/passwd")],
        [Entry("l", "l", "/etc/passwd"), Entry("x", "h", "l")],
        [Entry("a", "l", "b"), Entry("b", "l", "a"), Entry("a/x", data=b"")],
        [Entry("big", data=b"x" * 5000)],
    ],
)
def test_what_leads_out_or_in_circles_or_is_too_much_is_refused(bad: list[Entry], tmp_path: Path) -> None:
    _, wrong = unpack(tmp_path, layer(*bad), limit=4000)
    assert wrong.startswith("this image cannot be used")


def test_a_layer_that_is_another_or_cut_off_is_refused_and_sent_again_the_next_time(tmp_path: Path) -> None:
    good = layer(Entry("a", data=b"1" * 9000))
    _, wrong = unpack(tmp_path, good, digests={0: "0" * 64})
    assert "not what its configuration says" in wrong
    assert not (tmp_path / "layer0").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_a_layer_that_was_cut_off_is_refused(packed: bool, tmp_path: Path) -> None:
    good = layer(*(Entry(f"a{number}", data=os.urandom(5000)) for number in range(10)))
    cut = gzip.compress(good)[:20000] if packed else good[:20000]
    file = tmp_path / "layer0"
    file.write_bytes(cut)
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            str(PROGRAM),
            str(tmp_path / "i"),
            ROOTS,
            "",
            "9999999",
            "/bin",
            "",
            "--",
            f"{'0' * 64}={file}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "cut off" in done.stderr


def test_nothing_runs_as_root_and_nobody_else_may_write(tmp_path: Path) -> None:
    target, wrong = unpack(
        tmp_path,
        layer(
            Entry("su", data=b"x", mode=0o4755),
            Entry("all", data=b"x", mode=0o666),
            Entry("tmp", "d", mode=0o1777),
            Entry("dev/sda", "c", mode=0o666),
            Entry("pipe", "p"),
        ),
    )
    assert wrong == ""
    assert not (target / "dev/sda").exists()
    assert not (target / "pipe").exists()
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in target.iterdir()}
    assert modes == {"su": 0o755, "all": 0o644, "tmp": 0o755, "dev": 0o755}
    assert {(one.stat().st_uid, one.stat().st_gid) for one in target.rglob("*")} == {(0, 0)}


@pytest.mark.parametrize("user", ["990", "site", "site:site", "990:991"])
def test_what_only_the_image_s_own_account_may_read_the_site_may_read(user: str, tmp_path: Path) -> None:
    target, wrong = unpack(
        tmp_path,
        layer(
            Entry("etc/passwd", data=b"root:x:0:0::/:\nsite:x:990:991::/:/bin/sh\n"),
            Entry("etc/group", data=b"site:x:991:\n"),
            Entry("mine", data=b"m", mode=0o600, uid=990),
            Entry("run", data=b"m", mode=0o700, uid=990),
            Entry("roots", data=b"r", mode=0o600),
            Entry("others", data=b"o", mode=0o600, uid=5),
        ),
        user=user,
    )
    assert wrong == ""
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in target.iterdir() if one.is_file()}
    assert modes == {"mine": 0o640, "run": 0o750, "roots": 0o600, "others": 0o600}


def test_an_account_that_the_image_does_not_know_is_a_sentence(tmp_path: Path) -> None:
    _, wrong = unpack(tmp_path, layer(Entry("a")), user="nobody-here")
    assert "nobody-here" in wrong


def test_zeros_take_no_room(tmp_path: Path) -> None:
    target, wrong = unpack(
        tmp_path, layer(Entry("zeros", data=bytes(8 << 20)), Entry("end", data=bytes(100) + b"x"))
    )
    assert wrong == ""
    assert (target / "zeros").stat().st_size == 8 << 20
    assert (target / "zeros").stat().st_blocks * 512 < 1 << 20
    assert (target / "end").read_bytes() == bytes(100) + b"x"


def test_names_that_are_no_utf8_and_very_long_ones_are_kept(tmp_path: Path) -> None:
    long = "d" * 200 + "/" + "f" * 200
    target, wrong = unpack(tmp_path, layer(Entry(long, data=b"1"), Entry("caf\udce9", data=b"2")))
    assert wrong == ""
    assert (target / long).read_bytes() == b"1"
    assert (target / "caf\udce9").read_bytes() == b"2"


def test_what_systemd_mounts_over_is_there_and_is_no_link(tmp_path: Path) -> None:
    entries = [Entry("etc/resolv.conf", "l", "{folder}/canary"), Entry("tmp", "d", mode=0o700)]
    target, wrong = unpack(
        tmp_path, layer(*entries), mounts=("/etc/resolv.conf", "/srv/shop/shared/", "/tmp/")
    )
    assert wrong == ""
    assert (target / "etc/resolv.conf").read_bytes() == b""
    assert (target / "srv/shop/shared").is_dir()
    assert stat.S_IMODE((target / "tmp").stat().st_mode) == 0o755


@pytest.mark.parametrize("link", ["srv", "srv/shop"])
def test_a_mount_point_that_is_a_link_is_refused(link: str, tmp_path: Path) -> None:
    _, wrong = unpack(tmp_path, layer(Entry(link, "l", str(tmp_path))), mounts=("/srv/shop/shared/",))
    assert "/srv" in wrong


def test_the_program_is_found_along_the_path_by_links_of_the_image_alone(tmp_path: Path) -> None:
    entries = [
        Entry("usr/bin/real", data=b"x", mode=0o755),
        Entry("usr/bin/serve", "l", "/opt/serve"),
        Entry("opt/serve", "l", "../usr/bin/real"),
        Entry("bin", "l", "usr/bin"),
    ]
    assert unpack(tmp_path, layer(*entries), program="serve")[1] == "/bin\n"


@pytest.mark.parametrize("target", ["/bin/sh", "../../../../bin/sh", "x"])
def test_a_program_that_only_the_host_has_is_not_in_the_image(target: str, tmp_path: Path) -> None:
    _, wrong = unpack(tmp_path, layer(Entry("usr/bin/x", "l", target)), program="x")
    assert "no x in its PATH" in wrong
