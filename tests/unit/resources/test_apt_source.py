"""A package source as apt reads it, what is refused before a host sees it, and what a host says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.errors import InputError, LookError
from deploy.resource import Change
from deploy.resources.apt_source import AptSource

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxyz\n-----END PGP PUBLIC KEY BLOCK-----\n"
DOCKER = AptSource("docker", "https://example.com/debian", ("bookworm",), ("stable", "test"), KEY, ("amd64",))


def test_it_is_written_in_deb822_and_believes_its_own_key_alone() -> None:
    fields = dict(line.split(": ", 1) for line in DOCKER.text.splitlines())
    assert fields == {
        "Types": "deb",
        "URIs": "https://example.com/debian",
        "Suites": "bookworm",
        "Components": "stable test",
        "Architectures": "amd64",
        "Signed-By": DOCKER.keyring,
    }
    assert "Components" not in AptSource("flat", "file:/srv/repo", ("./",), key=KEY).text


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../x"},
        {"name": "Docker"},
        {"uri": "https://example.com/a b"},
        {"uri": "https://example.com/a\nTrusted: yes"},
        {"uri": "example.com"},
        {"suites": ()},
        {"components": ()},
        {"suites": ("./",)},
        {"suites": ("bookworm trixie",)},
        {"key": ""},
        {"key": "\x99\x01"},
    ],
)
def test_what_apt_would_read_otherwise_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(DOCKER, **wrong)  # type: ignore[arg-type]


def test_it_differs_until_its_index_was_fetched_by_this_very_text_and_key() -> None:
    expected = DOCKER.expected()
    assert expected is not None
    whole = " ".join(str(expected[key]) for key in ("source", "key", "fetched"))
    assert AptSource.parse([DOCKER], f"{whole}\n".encode()) == {DOCKER.id: expected}
    unfetched = AptSource.parse([DOCKER], f"{expected['source']} {expected['key']} -\n".encode())[DOCKER.id]
    assert Change(DOCKER, unfetched, expected).keys == ("fetched",)
    assert AptSource.parse([DOCKER], b"- - -\n") == {DOCKER.id: None}
    other = replace(DOCKER, key=KEY.replace("xyz", "abc")).expected()
    assert other is not None
    assert other["fetched"] != expected["fetched"]


def test_a_look_that_ends_early_is_an_error() -> None:
    with pytest.raises(LookError):
        AptSource.parse([DOCKER], b"")
