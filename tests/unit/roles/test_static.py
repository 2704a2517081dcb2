"""Static files: what is hidden below a prefix."""

from __future__ import annotations

import re

import pytest

from deploy.roles.static import hidden_below


@pytest.mark.parametrize(
    ("prefix", "path", "hidden"),
    [
        ("/static/", "/static/.env", True),
        ("/static/", "/static/a/.git/config", True),
        ("/static/", "/static/a.b/c.css", False),
        ("/.well-known/", "/.well-known/security.txt", False),
        ("/.well-known/", "/.well-known/.git", True),
        ("/a.b/", "/aXb/.env", False),
    ],
)
def test_what_starts_with_a_dot_below_a_prefix_is_hidden(prefix: str, path: str, hidden: bool) -> None:
    assert bool(re.search(hidden_below(prefix), path)) == hidden
