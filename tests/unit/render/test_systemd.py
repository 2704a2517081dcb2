"""Values as words of a unit and lines of an environment file."""

from __future__ import annotations

import pytest

from deploy.render import systemd


@pytest.mark.parametrize(
    ("value", "written", "in_a_command"),
    [
        ("/srv/a-b_c", "/srv/a-b_c", "/srv/a-b_c"),
        ("100%", '"100%%"', '"100%%"'),
        ("$HOME", '"$HOME"', '"$$HOME"'),
        ('a "b" \\c', '"a \\"b\\" \\\\c"', '"a \\"b\\" \\\\c"'),
        ("a\nPrivateTmp=no", '"a\\nPrivateTmp=no"', '"a\\nPrivateTmp=no"'),
        ("", '""', '""'),
    ],
)
def test_a_word_of_a_unit_stays_one_word(value: str, written: str, in_a_command: str) -> None:
    assert systemd.word(value) == written
    assert systemd.command_word(value) == in_a_command


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"B": "2", "A": "1"}, 'A="1"\nB="2"\n'),
        ({"A": 'it\'s "so" \\ `x` $HOME %i'}, 'A="it\'s \\"so\\" \\\\ \\`x\\` \\$HOME %i"\n'),
        ({"A": "two\nB=lines\t"}, 'A="two\nB=lines\t"\n'),
        ({"A": ""}, 'A=""\n'),
        ({}, ""),
    ],
)
def test_an_environment_file_holds_exactly_the_values(values: dict[str, str], text: str) -> None:
    assert systemd.environment_file(values) == text


@pytest.mark.parametrize(
    "values", [{"A": "\0"}, {"A": "\r"}, {"A B": "x"}, {"": "x"}, {"1A": "x"}, {"A=": "x"}]
)
def test_an_environment_file_refuses_what_systemd_would_drop(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"cannot hold|not the name"):
        systemd.environment_file(values)
