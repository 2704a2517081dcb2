"""Host keys: fingerprints, entries of known_hosts, what they say of a key, pinning."""

from __future__ import annotations

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from deploy.errors import HostError
from deploy.transport import hostkeys
from deploy.transport.hostkeys import HostKey

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
