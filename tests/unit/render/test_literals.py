"""Values as words of Nginx and of Python: each reads back as it was, or is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.render import literals


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="$")))
def test_what_is_quoted_for_nginx_is_one_word_that_reads_back(value: str) -> None:
    written = literals.nginx(value)
    if written.startswith('"'):
        assert written.endswith('"')
        inner = written[1:-1]
        assert inner.replace("\\\\", "").replace('\\"', "").count('"') == 0
        assert inner.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\") == value
    else:
        assert written == value
        assert not set(written) & set(" ;{}#\"'\\")


@pytest.mark.parametrize("value", ["$host", "a\nb", "a\0b", "\x7f"])
def test_what_nginx_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        literals.nginx(value)


@pytest.mark.parametrize("value", ["plain", "it's", 'quo"te', "new\nline", "{{ x }}", 7, True, None])
def test_a_python_literal_evaluates_to_its_value(value: object) -> None:
    assert eval(literals.python(value), {"__builtins__": {}}) == value


def test_what_has_no_python_literal_is_refused() -> None:
    with pytest.raises(ValueError, match="not a value"):
        literals.python(object())
