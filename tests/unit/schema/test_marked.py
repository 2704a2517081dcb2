"""YAML as marked values: what would take the machine's memory, or hide something, is one sentence."""

from __future__ import annotations

import pytest

from deploy.errors import InputError
from deploy.schema import marked
from deploy.schema.marked import DEEPEST, Vaulted, parsed


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_anchors_that_stand_for_far_more_than_the_file_holds_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(marked, "REPEATED", 2000)
    assert len(parsed(bomb(3), "f")["a2"]) == 10
    with pytest.raises(InputError, match=r"^f:\d+:\d+: "):
        parsed(bomb(30), "f")


def test_merged_mappings_count_as_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(marked, "REPEATED", 50)
    text = "base: &b {k1: 1, k2: 2, k3: 3}\n" + "\n".join(f"h{n}: {{<<: *b}}" for n in range(100))
    with pytest.raises(InputError):
        parsed(text, "f")


@pytest.mark.parametrize(
    "text",
    [
        "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        "[" * 100_000,
        "\n".join("  " * n + f"g{n}:" for n in range(300)),
        "\n".join("  " * n + f"g{n}:" for n in range(3000)),
    ],
    ids=["a level too deep", "never closed", "300 mappings", "3000 mappings"],
)
def test_what_is_too_deep_is_a_sentence(text: str):
    with pytest.raises(InputError, match=r"^f:\d+:\d+: "):
        parsed(text, "f")


def test_what_is_deep_and_sane_is_read():
    assert parsed("[" * DEEPEST + "]" * DEEPEST, "f")


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object:os.system [x]",
        "!!python/object/apply:os.system [x]",
        "!!python/name:os.system ''",
        "!!python/tuple [1, 2]",
        "!!something {a: 1}",
        "!!omap [a: 1]",
        "!!set {a, b}",
        "!something x",
        "!<tag:example.com,2026:x> {a: 1}",
    ],
)
def test_a_tag_that_is_not_understood_is_refused_though_nobody_uses_it(value: str):
    with pytest.raises(InputError, match=r"^f:1:4: a: "):
        parsed(f"a: {value}\n", "f")


def test_the_standard_s_own_collections_are_plain_values():
    text = "c: !!map {x: 1}\nd: !!seq [1]\ne: !!str 5\n"
    assert parsed(text, "f") == {
        "c": {"x": 1},
        "d": [1],
        "e": "5",
    }


@pytest.mark.parametrize("text", ["a: {b: [}", "a: 1\n---\nb: 2", "a: b: c", "\tx", "%X\n---\n", "a: \x01"])
def test_what_is_no_yaml_reads_as_a_sentence(text: str):
    with pytest.raises(InputError) as caught:
        parsed(text, "f")
    assert str(caught.value).startswith("f:")
    assert "but but" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tag", ["!vault", "!vault-encrypted"])
def test_what_ansible_vault_has_encrypted_is_kept_as_it_is(tag: str):
    value = parsed(f"a: {tag} |\n  $ANSIBLE_VAULT;1.1;AES256\n  6166\n", "f")["a"]
    assert isinstance(value, Vaulted)
    assert value.startswith("$ANSIBLE_VAULT;1.1;AES256\n6166")
