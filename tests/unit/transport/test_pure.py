"""The pure parts of the transport: frames, known_hosts, routes, and how refusals are worded."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import HostError
from deploy.inventory.hosts import Host
from deploy.shell import Script
from deploy.transport import command, frames, hostkeys, refusals, route
from deploy.transport.hostkeys import HostKey
from deploy.transport.route import Hop
from deploy.transport.session import Reply

NONCE = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


# Frames


def test_a_header_says_what_comes_and_how_much() -> None:
    digest = hashlib.sha256(b"echo hi").hexdigest()
    assert frames.header("run", "script", b"echo hi", 30) == f"run script 7 {digest} 30\n".encode()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-n", "a b", "a\n", "ä"])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a plain file name"):
        frames.header("file", name, b"")


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_pieces_keep_every_byte_and_are_never_too_large(blocks: list[bytes], size: int) -> None:
    pieces = list(frames.pieces(blocks, size))
    assert b"".join(pieces) == b"".join(blocks)
    assert pieces
    longest = max(map(len, blocks), default=0)
    assert all(size <= len(one) < size + longest for one in pieces[:-1])
    assert len(pieces[-1]) < size + longest


def _answer(stdout: bytes, rc: int, stderr: bytes) -> bytes:
    """What the loop sends."""
    if not stderr:
        return stdout + f"{NONCE} {rc} 0\n".encode()
    return stdout + f"{NONCE} {rc} 1\n".encode() + stderr + f"{NONCE}\n".encode()


@given(
    st.one_of(st.binary(), st.integers(0, 36).map(lambda n: b"x\n" + NONCE[:n].encode())),
    st.integers(0, 255),
    st.binary(max_size=60),
    st.integers(1, 50),
)
def test_a_reply_is_found_however_it_is_cut(stdout: bytes, rc: int, stderr: bytes, size: int) -> None:
    sent = _answer(stdout, rc, stderr)
    incoming = frames.Incoming(NONCE)
    got = b"".join(incoming.feed(sent[at : at + size]) for at in range(0, len(sent), size))
    assert got == stdout
    assert incoming.reply == Reply(rc, b"", stderr)


def test_a_line_is_given_out_as_soon_as_it_is_there() -> None:
    incoming = frames.Incoming(NONCE)
    assert incoming.feed(b"one\n") == b"one\n"
    assert incoming.feed(b"two" + NONCE[:5].encode()) == b"two"
    assert incoming.feed(b"!") == NONCE[:5].encode() + b"!"
    assert incoming.reply is None


@pytest.mark.parametrize(
    "noise", [b"", b"Welcome!\n", b"barehost ready soon\n", b"no line break", b"\xff\0\n"]
)
def test_what_a_login_shell_prints_first_is_skipped(noise: bytes) -> None:
    assert frames.ready(noise) is None
    assert frames.ready(noise + f"\nbarehost ready {NONCE}\nrest".encode()) == (NONCE, b"rest")


def test_a_script_is_squeezed_and_comes_back() -> None:
    script = b"echo hello\n" * 1000
    assert len(frames.squeeze(script)) < 200
    assert frames.unsqueeze(frames.squeeze(script), len(script)) == script


def test_an_answer_that_unpacks_to_more_than_may_come_is_refused() -> None:
    with pytest.raises(OverflowError):
        frames.unsqueeze(frames.squeeze(bytes(1001)), 1000)


@pytest.mark.parametrize(
    "before", [b"", f"answer\n{NONCE} 0 0\n".encode(), f"x{NONCE} 1 1\noops\n{NONCE}\n".encode()]
)
def test_the_last_words_are_what_came_after_the_last_reply(before: bytes) -> None:
    assert frames.last_words(before + b"mkdir: no\nbarehost: bye\n", NONCE) == b"mkdir: no\nbarehost: bye\n"


def test_a_command_on_a_terminal_begins_with_an_environment_of_its_own() -> None:
    line = command.on_terminal(Script('env; echo "it\'s"'), "xterm", sudo=False)
    hostile = {"POSIXLY_CORRECT": "1", "LD_PRELOAD": "/no.so", "PATH": "/no"}
    done = subprocess.run(["/bin/sh", "-c", line], env=hostile, capture_output=True, text=True, check=False)
    assert sorted(one for one in done.stdout.splitlines() if not one.startswith("PWD=")) == sorted(
        ["HOME=/root", "LC_ALL=C", f"PATH={command.PATH}", "TERM=xterm", "it's"]
    )


def test_the_loop_is_one_line_that_any_login_shell_leaves_alone() -> None:
    loop = frames.loop()
    assert "\n" not in loop and "#" not in loop.replace("##", "")
    checked = subprocess.run(["sh", "-n", "-c", loop], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("program", ["echo 'a'", "[ ! -e x ]", 'printf "\\\\n"'])
def test_a_program_that_a_login_shell_would_change_is_refused(program: str) -> None:
    with pytest.raises(ValueError, match="every login shell"):
        frames.one_line(program)


# Host keys

A, B = "AAAAC3NzaC1lZDI1NTE5AAAAIAAA", "AAAAC3NzaC1lZDI1NTE5AAAAIBBB"
FILE = Path("known_hosts")


def key(name: str = "shop", text: str = A) -> HostKey:
    """A host key as a host would present it."""
    (known,) = hostkeys.parse(f"x ssh-ed25519 {text}", FILE)
    return HostKey(name, "ssh-ed25519", known.blob)


def test_a_fingerprint_is_what_ssh_keygen_prints(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    line = (tmp_path / "key.pub").read_text()
    (known,) = hostkeys.parse(f"shop {line}", FILE)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "key.pub")], capture_output=True, text=True, check=True
    )
    assert HostKey("shop", known.kind, known.blob).fingerprint == shown.stdout.split()[1]


@pytest.mark.parametrize(
    ("names", "name", "matches"),
    [
        ("shop", "shop", True),
        ("Shop", "shop", True),
        ("shop", "shop2", False),
        ("a,shop,b", "shop", True),
        ("*.example.com", "shop.example.com", True),
        ("*.example.com,!shop.example.com", "shop.example.com", False),
        ("shop?", "shop1", True),
        ("[10.0.0.5]:2222", "[10.0.0.5]:2222", True),
        ("10.0.0.5", "[10.0.0.5]:2222", False),
        ("[*]:2222", "[10.0.0.5]:2222", True),
        # ssh-keygen -H made it of shop.example.com
        ("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=", "192.168.1.61", True),
        ("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=", "192.168.1.62", False),
        ("|1|garbage", "shop", False),
    ],
)
def test_the_names_of_an_entry(names: str, name: str, matches: bool) -> None:
    (known,) = hostkeys.parse(f"{names} ssh-ed25519 {A} comment here", FILE)
    assert known.matches(name) is matches


def test_lines_that_are_no_entry_are_skipped_and_the_rest_keeps_its_number() -> None:
    text = f"# a comment\n\nshop\nshop ssh-ed25519 ???\n@cert-authority * ssh-ed25519 {A}\nshop ssh-ed25519 {A}\n"
    assert [one.line for one in hostkeys.parse(text, FILE)] == [6]


@pytest.mark.parametrize(
    ("files", "stands"),
    [
        ([], "unknown"),
        ([f"other ssh-ed25519 {A}"], "unknown"),
        ([f"shop ssh-ed25519 {A}"], "trusted"),
        ([f"shop ssh-ed25519 {B}\nshop ssh-ed25519 {A}"], "trusted"),
        ([f"shop ssh-ed25519 {B}"], "changed"),
        # the project's pin wins over the user's file, both ways
        ([f"shop ssh-ed25519 {B}", f"shop ssh-ed25519 {A}"], "changed"),
        ([f"shop ssh-ed25519 {A}", f"shop ssh-ed25519 {B}"], "trusted"),
        ([f"shop ssh-ed25519 {A}", f"@revoked * ssh-ed25519 {A}"], "revoked"),
        ([f"@revoked * ssh-ed25519 {B}"], "unknown"),
    ],
)
def test_what_the_files_say_of_a_key(files: list[str], stands: str) -> None:
    assert hostkeys.standing([hostkeys.parse(one, FILE) for one in files], key()) == stands


def test_the_refusal_of_a_changed_key_names_file_line_and_both_fingerprints() -> None:
    files = [hostkeys.parse(f"\nshop ssh-ed25519 {B}", FILE)]
    with pytest.raises(HostError) as caught:
        hostkeys.check(files, key(), "web1")
    assert "web1: the host key of shop has changed" in str(caught.value)
    assert key().fingerprint in str(caught.value)
    assert f"known_hosts:2 has {key(text=B).fingerprint}" in str(caught.value)


def test_pinning_adds_what_is_new_and_keeps_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "state/known_hosts"
    assert hostkeys.pin(file, [key("a")]) == [key("a")]
    assert hostkeys.pin(file, [key("a"), key("b")]) == [key("b")]
    assert file.read_text() == f"a ssh-ed25519 {A}\nb ssh-ed25519 {A}\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_replacing_takes_all_that_the_file_had_for_the_host(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"# mine\nshop ssh-ed25519 {A}\nother ssh-ed25519 {A}\n")
    hostkeys.pin(file, [key(text=B)], replace=True)
    assert file.read_text() == f"# mine\nother ssh-ed25519 {A}\nshop ssh-ed25519 {B}\n"


@pytest.mark.parametrize(
    ("files", "replace", "refused"),
    [
        ([], False, False),
        ([f"shop ssh-ed25519 {A}"], False, False),
        ([f"shop ssh-rsa {B}"], False, False),  # another kind of key is known, of this kind none
        ([f"shop ssh-ed25519 {B}"], False, True),
        ([f"shop ssh-ed25519 {B}"], True, False),
        # the user's own file counts as well as the project's
        (["other ssh-ed25519 AAAA", f"shop ssh-ed25519 {B}"], False, True),
        ([f"@revoked * ssh-ed25519 {A}"], False, True),
        ([f"@revoked * ssh-ed25519 {A}"], True, True),
    ],
)
def test_a_key_that_contradicts_what_is_known_is_not_pinned(
    files: list[str], replace: bool, refused: bool
) -> None:
    known = [hostkeys.parse(one, FILE) for one in files]
    with pytest.raises(HostError) if refused else nullcontext():
        hostkeys.refuse_unsafe(known, [key()], replace=replace)


def test_a_known_hosts_file_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    assert hostkeys.read([tmp_path / "missing"]) == []
    with pytest.raises(HostError, match="cannot read the known host keys"):
        hostkeys.read([tmp_path])


# Routes


def config(**hosts: Mapping[str, Any]) -> Callable[[str], Mapping[str, Any]]:
    """ssh_config by name; a name without an entry stands for itself."""
    return lambda name: {"hostname": name, **hosts.get(name, {})}


def test_without_anything_said_it_is_port_22_and_the_usual_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    (hop,) = route.route(Host(name="shop", address="shop"), config())
    assert (hop.address, hop.port, hop.user, hop.keys, hop.agent, hop.usual) == (
        "shop",
        22,
        "me",
        (),
        True,
        True,
    )
    assert hop.pin == "shop"
    assert hop.timeout == 10


def test_ssh_config_fills_in_and_the_inventory_wins() -> None:
    said = {
        "hostname": "10.0.0.5",
        "port": "2222",
        "user": "deploy",
        "identityfile": ["/keys/shop"],
        "identitiesonly": "yes",
        "connecttimeout": "3",
        "userknownhostsfile": "/keys/known /keys/more",
    }
    (hop,) = route.route(Host(name="shop", address="shop"), config(shop=said))
    assert (hop.address, hop.port, hop.user, hop.keys) == ("10.0.0.5", 2222, "deploy", (Path("/keys/shop"),))
    assert (hop.agent, hop.usual, hop.timeout, hop.pin) == (False, False, 3, "[10.0.0.5]:2222")
    assert hop.known_hosts[1:3] == (Path("/keys/known"), Path("/keys/more"))
    host = Host(
        name="shop", address="shop", port=23, user="root", key=Path("/mine"), known_hosts=Path("/pins")
    )
    (hop,) = route.route(host, config(shop=said))
    assert (hop.port, hop.user, hop.keys[0], hop.known_hosts[1]) == (23, "root", Path("/mine"), Path("/pins"))


def test_jump_hosts_come_in_order_each_with_its_own_settings() -> None:
    host = Host(name="shop", address="shop", user="root", jump=("ann@gate:2222", "inner"), key=Path("/mine"))
    hops = route.route(host, config(gate={"hostname": "1.2.3.4", "user": "ignored"}, inner={"user": "bob"}))
    assert [str(hop) for hop in hops] == ["ann@1.2.3.4:2222", "bob@inner", "root@shop"]
    assert [hop.keys for hop in hops] == [(Path("/mine"),)] * 3
    assert [hop.usual for hop in hops] == [True, True, False]


def test_proxyjump_of_ssh_config_is_followed_and_the_inventory_can_say_none() -> None:
    said = config(shop={"proxyjump": "a,b", "user": "u"}, a={"proxyjump": "first", "user": "u"})
    hops = route.route(Host(name="shop", address="shop"), said)
    assert [hop.address for hop in hops] == ["first", "a", "b", "shop"]
    assert [hop.address for hop in route.route(Host(name="shop", address="shop", jump=()), said)] == ["shop"]


def test_a_proxycommand_belongs_to_the_first_hop_only() -> None:
    said = config(shop={"proxycommand": "nc shop 22"}, gate={"proxycommand": "nc gate 22"})
    assert [hop.command for hop in route.route(Host(name="s", address="shop"), said)] == ["nc shop 22"]
    hops = route.route(Host(name="s", address="shop", jump=("gate",)), said)
    assert [hop.command for hop in hops] == ["nc gate 22", None]


@pytest.mark.parametrize(
    ("jump", "sentence"), [("a b", r"is not \[user@\]host"), ("loop", "is reached through itself")]
)
def test_jump_hosts_that_lead_nowhere_are_an_error(jump: str, sentence: str) -> None:
    with pytest.raises(HostError, match=sentence):
        route.route(Host(name="shop", address="shop", jump=(jump,)), config(loop={"proxyjump": "loop"}))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gate", (None, "gate", None)),
        ("ann@gate:2222", ("ann", "gate", 2222)),
        ("ssh://ann@gate:2222", ("ann", "gate", 2222)),
        ("[::1]:22", (None, "::1", 22)),
    ],
)
def test_a_jump_host_is_user_host_port(text: str, parts: tuple[str | None, str, int | None]) -> None:
    assert route.split(text) == parts


@pytest.mark.parametrize("text", ["", "a b", "a@b@gate", "gate:port", "::1"])
def test_what_is_no_jump_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"not \[user@\]host"):
        route.split(text)


def test_included_files_stand_where_they_are_included(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("Host a\n  Port 1")
    (tmp_path / "two").write_text("User root")
    text = "Include one\nPort 3\nHost b\n  Include=two\n  Port 2"
    assert [line.strip() for line in route.expand(text, tmp_path).splitlines()] == [
        "Host a",
        "Port 1",
        "Host *",
        "Port 3",
        "Host b",
        "User root",
        "Host b",
        "Port 2",
    ]


# Refusals

HOP = Hop("10.0.0.5", 22, "ann", (), True, True, "10.0.0.5", (), None, 10.0)


@pytest.mark.parametrize(
    ("output", "asked", "sentence"),
    [
        ("bash: line 1: sudo: command not found", False, "there is no sudo"),
        ("env: 'sudo': No such file or directory", False, "there is no sudo"),
        ("sh: 1: sudo: not found", False, "there is no sudo"),
        ("fish: Unknown command: sudo", False, "there is no sudo"),
        ("sudo: Command not found.", False, "there is no sudo"),
        ("ann is not in the sudoers file.", True, "ann may not use sudo"),
        ("Sorry, user ann may not run sudo on shop.", True, "ann may not use sudo"),
        ("Sorry, user ann is not allowed to execute '/bin/sh' as root", True, "ann may not use sudo"),
        ("sudo: sorry, you must have a tty to run sudo", False, "requiretty"),
        ("Sorry, try again.\nsudo: no password was provided", True, "did not accept the password of ann"),
        ("sudo: 1 incorrect password attempt", True, "did not accept the password of ann"),
        ("barehost: missing sha256sum", False, "the host has no sha256sum"),
        ("barehost: not root", False, "ann is not root there"),
        ("mkdir: cannot create directory\nbarehost: no folder", False, "no folder could be made"),
        ("bash: line 1: sh: command not found", False, "finds no sh"),
        ("This account is currently not available.", False, "has no login shell"),
        ("", False, "ended the session before it began without a word"),
        ("the moon is full", False, "it said 'the moon is full'"),
    ],
)
def test_what_the_far_side_said_at_the_start_becomes_one_sentence(
    output: str, asked: bool, sentence: str
) -> None:
    said = str(refusals.start("shop", "ann", output, sudo=True, asked=asked))
    assert said.startswith("shop: ")
    assert sentence in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("tee: a: No space left on device\nbarehost: broken a", "no space left on the host"),
        (
            "tar: new/x: Wrote only 5120 of 10240 bytes\nbarehost: cannot store a in /var/x",
            "no space left on the host in /var/x, nothing",
        ),
        (
            "tar: This does not look like a tar archive\nbarehost: cannot store a in /var/x",
            "a could not be stored in /var/x (This does not look like a tar archive), nothing was changed",
        ),
        (
            "head: error writing: No space left on device\nbarehost: cannot store a in /var/x",
            "no space left on the host in /var/x, nothing",
        ),
        ("barehost: broken tree.tar", "tree.tar did not arrive as it was sent"),
        ("barehost: unknown frame x", "the host ended the session: barehost: unknown frame x"),
    ],
)
def test_the_last_words_of_the_far_side_become_one_sentence(output: str, sentence: str) -> None:
    assert sentence in str(refusals.rejected("shop", output))


def test_a_login_that_failed_names_the_user_and_every_key() -> None:
    said = str(refusals.not_let_in("shop", HOP, ["/k/a", "b (agent)"], ["/k/c is encrypted"]))
    assert "did not let ann in" in said
    assert "/k/a, b (agent)" in said
    assert "/k/c is encrypted" in said
