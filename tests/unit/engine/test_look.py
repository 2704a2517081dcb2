"""One look: many probes in one script, each in a subshell of its own; its answer taken apart again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.engine import look
from deploy.engine.room import Room, parse_room, room_script
from deploy.errors import LookError
from deploy.resource import Deferred
from deploy.resources.path import File, Link
from deploy.shell import Script, sh
from tests.unit.fakes import local
from tests.unit.fakes.fake import Thing

NONCE = "cafe"
STATUS = "\n\x1ecafe status 0\n"
FACTS = "os debian\n\n\x1ecafe facts 0\n"


def answer(*sections: str) -> bytes:
    return "".join((STATUS, FACTS, *sections)).encode()


def things(*names: str) -> list[Thing]:
    return [Thing(name) for name in names]


def test_real_probes_are_told_apart(tmp_path: Path):
    (tmp_path / "x").write_text("\n\x1ecafe path 0\nfoul play")
    resources = [Thing("a"), File(f"{tmp_path}/x"), Thing("b"), Link(f"{tmp_path}/y", "z")]
    done = local.run(look.script(resources, NONCE))
    told = look.parse(resources, NONCE, done.stdout)
    assert [told.states[one.id] is not None for one in resources] == [True, True, True, False]


def test_one_family_is_probed_once():
    resources = [File("/a"), Link("/b", "c"), File("/d")]
    assert look.script(resources, NONCE).count("find ") == look.script([File("/a")], NONCE).count("find ")


def test_what_is_not_known_yet_is_not_looked_at():
    resources = [Deferred(what="venv", until="python"), Thing("a")]
    assert "deferred" not in look.script(resources, NONCE)
    told = look.parse(resources, NONCE, answer("thing:a\n\n\x1ecafe thing 0\n"))
    assert list(told.states) == ["thing:a"]


class Exiting(Thing):
    """Its probe ends its own shell, and leaves a variable and a folder behind."""

    @classmethod
    def probe(cls, resources: object) -> Script:
        return Script("leak=1; cd /tmp; echo partial; echo why >&2; exit 3")


def test_a_failed_probe_is_an_error_with_what_it_said():
    done = local.run(look.script([Exiting("a"), File("/x")], NONCE))
    with pytest.raises(LookError, match=r"looking at thing failed with exit code 3: why"):
        look.parse([Exiting("a"), File("/x")], NONCE, done.stdout)


def test_a_failed_probe_that_printed_nothing_is_an_error_too():
    output = answer("x\n\x1ecafe path 1\n")
    with pytest.raises(LookError, match=r"looking at path failed with exit code 1: it printed nothing"):
        look.parse([File("/x")], NONCE, output)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (b"", "ends before thing"),
        (answer(), "ends before thing"),
        (answer("thing:a\n"), "ends before thing"),
        (answer("thing:a\n\n\x1eother thing 0\n"), "ends before thing"),
        (b"thing:a\n\n\x1ecafe thing 0\n", "the host's answer is empty"),
        (b"\n\x1ecafe facts 0\n\n\x1ecafe thing 0\n", "did not say which system"),
    ],
)
def test_an_answer_that_ends_early_is_an_error_and_not_absent(output: bytes, says: str):
    with pytest.raises(LookError, match=says):
        look.parse(things("a"), NONCE, output)


def test_the_state_of_the_host_itself():
    told = look.parse(
        [], NONCE, b"running /var/lib/barehost/runs/7\nholder ada@desk x\n" + STATUS.encode() + FACTS.encode()
    )
    assert (told.running, told.holder, told.unfinished) == ("/var/lib/barehost/runs/7", "ada@desk x", None)


@given(st.binary(max_size=200))
def test_any_bytes_within_a_section_stay_in_it(noise: bytes):
    class Any(Thing):
        @classmethod
        def parse(cls, resources: object, output: bytes) -> dict[str, object]:
            return {"thing:a": {"bytes": output.hex()}}

    told = look.parse([Any("a")], NONCE, answer() + noise + b"\n\x1ecafe thing 0\n")
    assert told.states["thing:a"] == {"bytes": noise.hex()}


def test_room_is_asked_for_alone_and_the_largest_service_beside_counts() -> None:
    said = subprocess.run(
        ["sh", "-c", room_script([sh("echo 1000 7"), sh(":"), sh("echo 234 50")])],
        capture_output=True,
        check=True,
    )
    room = parse_room(said.stdout)
    assert room.beside == 1057, "one web process at a time, and all workers that may go on"
    assert room.memory is not None and room.memory > 1 << 20
    assert room.disk is not None and room.disk > 0


def test_a_host_that_tells_nothing_of_its_room_has_unknown_room() -> None:
    assert parse_room(b"beside \nbeside 7\n") == Room(beside=7)
