"""What the output of apt and pip says of how far they are."""

from __future__ import annotations

import pytest

from deploy.report.progress import Progress
from tests.unit.fakes import storyboard


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Get:12 http://mirror.example.com/debian bookworm/main amd64 nginx amd64 1.22.1-9 [527 kB]", "fetching nginx"),
        ("Get:1 http://mirror.example.com/debian bookworm/main amd64 Packages [8.8 MB]", "reading index 1"),
        ("Get:1 http://mirror.example.com/debian bookworm InRelease [151 kB]", "reading index 1"),
        ("Hit:3 http://mirror.example.com/debian bookworm InRelease", "reading index 3"),
        ("Fetched 12.3 MB in 2s (6,150 kB/s)", "fetched 12.3 MB"),
        ("Unpacking libssl3:amd64 (3.0.15) over (3.0.14) ...", "unpacking libssl3"),
        ("Setting up nginx (1.22.1-9) ...", "setting up nginx"),
        ("Removing nginx (1.22.1-9) ...", "removing nginx"),
        ("Collecting flask[async]>=3", "collecting flask"),
        ("  Downloading flask-3.1.0-py3-none-any.whl (102 kB)", "downloading flask (102 kB)"),
        ("Downloading https://x/simple/a_b-1.whl.metadata (1.2 kB)", "downloading a_b (1.2 kB)"),
        ("  Building wheel for lxml (pyproject.toml): started", "building lxml"),
        ("Installing collected packages: a, b, c", "installing 3 packages"),
        ("Installing collected packages: a", "installing 1 package"),
        ("Resolved 12 packages in 103ms", "resolved 12 packages"),
        ("Selecting previously unselected package nginx.", "before"),
        ("Preparing to unpack .../nginx_1.22.1-9_amd64.deb ...", "before"),
        ("", "before"),
        ("   ", "before"),
        ("anything else ", "anything else"),
    ],
)  # fmt: skip
def test_a_line_of_output_tells_the_progress(line: str, expected: str) -> None:
    progress = Progress()
    progress.feed("before")
    progress.feed(line)
    assert progress.text == expected


def test_apt_says_how_many_there_are_and_we_count() -> None:
    progress = Progress()
    for line in storyboard.APT:
        progress.feed(line)
    assert progress.text == "setting up nginx (3 of 3)"
