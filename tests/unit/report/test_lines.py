"""The lines that text and the live display share: plans summed up, failures, diffs."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.engine.events import (
    Diff,
    Planned,
)
from deploy.engine.plan import Plan
from deploy.resource import Change
from tests.unit.fakes import storyboard
from tests.unit.fakes.shown import change, planned, shown, story


def test_many_new_folders_and_unread_files_are_summed_up_unless_all_are_asked_for() -> None:
    def made(kind: str, *paths: str) -> list[Change[Any]]:
        return [Change(storyboard.Thing(f"path:{path}"), None, {"type": kind}) for path in paths]

    folders = made(
        "directory", *(f"/srv/{name}/{below}" for name in "abcd" for below in ("releases", "venvs"))
    )
    files = made("file", "/etc/one", "/etc/two")
    read = {f"loaded path:/etc/{number}": "new" for number in range(8)}
    unit = Change(storyboard.Thing("unit:nginx.service"), {"active": "active"}, {"active": "active", **read})
    plan = Plan("web1", (*folders, *files, unit))
    text = shown(Planned("web1", plan, 1), close=False)
    assert "11 changes" in text
    assert text.count("directory") == 1
    assert "8, in /srv/a, /srv/b, /srv/c and 1 more" in text
    assert "/etc/one" in text and "/etc/two" in text
    assert text.count("has not loaded") == 1
    every = shown(Planned("web1", plan, 1), close=False, verbose=1)
    assert every.count("directory") == 8
    assert every.count("has not loaded") == 8


def test_a_failure_is_one_block() -> None:
    text = story("failure")
    block = text[text.index("web1 | failed") :].replace("web1 | ", "").splitlines()
    assert block[:6] == [
        "failed",
        "  The candidate configuration of nginx is refused",
        "  resource   path:/etc/nginx/conf.d/[red]hello.conf",
        "  command    check nginx",
        "  exit code  1",
        "  output     │ … 5 lines before, -v shows all",
    ]
    assert block[6] == "             │ nginx: [warn] line 5"
    assert block[-4:-1] == [
        "  now        the old site serves; 2 files were restored",
        "             packages stay installed: they only go forward",
        "  to do      correct templates/nginx-site.conf.j2 and run the same command again",
    ]
    assert block[-1] == "web1  failed, 1 changed · 6.20 s · 4 round trips · 0 B"


def test_diffs_are_unified_and_only_shown_when_asked_for() -> None:
    text = story("provision", diff=True)
    assert "web1 |   -  worker_connections 768;\nweb1 |   +  worker_connections 16384;\n" in text
    assert "web1 |   --- /dev/null\nweb1 |   +++ /etc/nginx/conf.d/[red]hello.conf\n" in text
    assert "768" not in story("provision")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("a\n", "a", "\\ the new file has no newline at its end"),
        ("a", "a\n", "\\ the old file has no newline at its end"),
        ("a\r\n", "a\n", "-a\\r"),
        ("a\n", None, "+++ /dev/null"),
        ("a\n" * 30_000, "b\n", "30000 lines → 1 lines, too long to compare here"),
    ],
)
def test_a_diff_tells_what_a_terminal_would_swallow(old: str, new: str | None, line: str) -> None:
    one = change("path:/a", {"type": "file"}, {"type": "link"})
    text = shown(planned("web1", one, diffs=(Diff("/a", old, new),)), diff=True)
    assert f"web1 |   {line}\n" in text
