"""Where strings become shell: whatever a value holds, it stays one word; secrets never show."""

from __future__ import annotations

import copy
import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.shell import (
    KEYED,
    Command,
    Script,
    Secret,
    assignments,
    join,
    key,
    keyed,
    quote,
    secrets_travel,
    sh,
    words,
)
from tests.unit.fakes import local

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@settings(max_examples=40)
@given(st.lists(texts, min_size=1, max_size=5))
def test_words_arrive_as_they_are(values: list[str]):
    script = sh("printf '%s\\0' @{values}; printf %s @{last}", values=values, last=values[-1])
    *told, last = local.run(script).stdout.decode(errors="surrogateescape").split("\0")
    assert told == values
    assert last == values[-1]


@settings(max_examples=20)
@given(texts)
def test_a_command_line_and_a_variable_keep_a_value_too(value: str):
    script = join(
        [assignments({"it": value}), Script('printf "%s\\0" "$it"'), words(["printf", "%s", value])]
    )
    assert local.run(script).stdout == f"{value}\0{value}".encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", "''"),
        ("a b", "'a b'"),
        (Path("/x y"), "'/x y'"),
        (7, "7"),
        ([], ""),
        (["a", "b c"], "a 'b c'"),
        (Script("$(date)"), "$(date)"),
        ("-rf", "-rf"),
    ],
)
def test_how_values_go_in(value: Any, text: str):
    script = sh("[@{it}]", it=value)
    assert script == f"[{text}]"
    assert isinstance(script, Script)


@pytest.mark.parametrize(("template", "values"), [("@{a}", {}), ("x", {"a": 1}), ("@{a}", {"b": 1})])
def test_a_name_that_does_not_match_is_a_mistake(template: str, values: dict[str, Any]):
    with pytest.raises(KeyError, match="template and values differ"):
        sh(template, **values)


def test_a_nul_byte_is_refused():
    with pytest.raises(ValueError, match="NUL byte"):
        quote("a\0b")


def test_only_scripts_are_joined():
    with pytest.raises(TypeError, match="quote it first"):
        join([Script("a"), "b; rm"])  # type: ignore[list-item]
    assert join([Script("a"), Script("b")], " && ") == "a && b"


@pytest.mark.parametrize("name", ["", "1a", "a b", "a;b", "a-b", "a=$(x)"])
def test_a_variable_has_a_plain_name(name: str):
    with pytest.raises(ValueError, match="not a shell variable name"):
        assignments({name: "x"})


SECRET = "correct horse battery staple"


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{:>40}".format, lambda one: f"{[one]}"])
def test_a_secret_never_shows(show: Any):
    assert "correct" not in show(Secret(SECRET))
    assert "***" in show(Secret(SECRET))


def test_a_secret_is_compared_and_hashed_without_its_value():
    assert Secret(SECRET) == Secret(SECRET)
    assert Secret(SECRET) != Secret("other")
    assert Secret(SECRET) != SECRET
    assert len({Secret(SECRET), Secret(SECRET), Secret("other")}) == 2


def test_a_secret_that_was_copied_is_the_same_secret():
    for again in (copy.copy(Secret(SECRET)), copy.deepcopy([Secret(SECRET)])[0]):
        assert again == Secret(SECRET)
        assert again.reveal() == SECRET


def test_a_secret_is_not_pickled_by_accident():
    with pytest.raises(TypeError, match="only where that is meant") as caught:
        pickle.dumps({"key": Secret(SECRET)})
    assert "correct" not in str(caught.value)


def test_a_secret_travels_where_that_is_said_and_only_there():
    with secrets_travel():
        data = pickle.dumps(Secret(SECRET))
        with secrets_travel():
            pass
        assert pickle.dumps(Secret(SECRET)) == data
        with ThreadPoolExecutor(1) as other, pytest.raises(TypeError):
            other.submit(pickle.dumps, Secret(SECRET)).result()
    assert pickle.loads(data).reveal() == SECRET
    with pytest.raises(TypeError):
        pickle.dumps(Secret(SECRET))


def test_a_host_makes_the_same_digest_of_a_secret(tmp_path: Path):
    (tmp_path / "x").write_text(SECRET)
    script = sh("{ printf %s @{key}; cat @{path}; } | sha256sum", key=key(), path=tmp_path / "x")
    told = KEYED + local.run(script).stdout.split()[0].decode()
    assert told == keyed(SECRET.encode()) == Secret(SECRET).digest()
    assert keyed(SECRET.encode()) != KEYED + hashlib.sha256(SECRET.encode()).hexdigest()


def test_a_command_has_a_deadline():
    assert Command("x", Script(":")).timeout == 600
