"""The engine knows no kind: what it says of a host it has from the resources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[3] / "deploy/engine"


@pytest.mark.parametrize("file", sorted(ENGINE.glob("*.py")), ids=lambda file: file.name)
def test_the_engine_has_no_word_of_what_runs_on_a_host(file: Path) -> None:
    text = file.read_text()
    assert not re.findall(
        r"(?i)nginx|gunicorn|\bsites?\b|deploy\.resources|deploy\.release|deploy\.shortcut", text
    )
