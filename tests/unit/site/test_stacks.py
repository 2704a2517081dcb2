"""The keys of a stack: what they mean together, and the sentence for what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.schema.model import Faulty, build
from deploy.site.stacks import Stack


def stack(**keys: Any) -> Stack:
    return build(Stack, {"name": "shop", "folder": "stack", "project": Path("/project"), **keys})


def test_a_stack_lies_in_a_folder_of_its_own() -> None:
    assert (stack().root, stack().path) == ("/srv/stacks/shop", Path("/project/stack"))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"folder": ""}, "folder"),
        ({"env": {"A": "1"}, "secrets": {"A": "2"}}, "A"),
        ({"env_file": "../.env"}, "name of a file"),
        ({"env_file": "a/.env"}, "name of a file"),
        ({"images": {"shop": {"debian": []}}}, "tag"),
        ({"images": {"shop:1": {}}}, "tar or debian"),
        ({"images": {"shop:1": {"tar": "a.tar", "debian": []}}}, "tar or debian"),
        ({"images": {"shop:1": {"debian": ["-rf"]}}}, "apt package"),
        ({"timeout": 0}, "86400"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(Faulty, match=says):
        stack(**keys)


def test_one_that_is_gone_needs_no_folder() -> None:
    assert build(Stack, {"name": "shop", "state": "absent"}).state == "absent"
