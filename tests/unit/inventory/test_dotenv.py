"""The variables of an env_file, and what is said of a line that is none."""

from __future__ import annotations

import pytest

from deploy.inventory.dotenv import variables


def test_what_is_read() -> None:
    text = (
        '# ours\n\nA=1\nexport B = two words # a remark\nC=\'it # is\'\nD="a\\n\\"b\\"" # so\nE=\nF=a#b\nG=x=y\nA=2\n'
        "H='\"'\n"
    )
    assert variables(text) == {
        "A": "2",
        "B": "two words",
        "C": "it # is",
        "D": 'a\n"b"',
        "E": "",
        "F": "a#b",
        "G": "x=y",
        "H": '"',
    }


@pytest.mark.parametrize(
    "line", ["secret", "1A=secret", "A B=secret", "A='secret", 'A="secret', "A='x' secret"]
)
def test_what_is_no_variable_is_named_by_its_line_and_not_shown(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2: ") as caught:
        variables(f"A=1\n{line}\n")
    assert "secret" not in str(caught.value)
