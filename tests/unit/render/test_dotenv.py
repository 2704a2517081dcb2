"""A .env file says to Compose exactly what was meant; what Compose itself makes of it is asked on hosts."""

from __future__ import annotations

import pytest

from deploy.render.dotenv import dotenv

CASES = [
    ("plain", "'plain'", "'plain'"),
    ("two words # no comment", "'two words # no comment'", "'two words # no comment'"),
    ("it's", '"it\'s"', '"it\'s"'),
    ("back\\slash", '"back\\\\slash"', '"back\\\\slash"'),
    ('it\'s "x"', '"it\'s \\"x\\""', '"it\'s \\"x\\""'),
    ("a$b", "'a$b'", "'a$b'"),
    ("it's $HOME", '"it\'s $HOME"', '"it\'s \\$HOME"'),
    ("${HOME}", "'${BAREHOST_NOTHING:-$}{HOME}'", "'${HOME}'"),
]


@pytest.mark.parametrize(("value", "first", "second"), CASES)
def test_each_compose_is_given_what_it_reads_as_the_value(value: str, first: str, second: str) -> None:
    assert dotenv({"A": value}, 1).splitlines()[1:] == [f"A={first}"]
    assert dotenv({"A": value}, 2).splitlines()[1:] == [f"A={second}"]
