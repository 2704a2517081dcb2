"""What a base image takes from this machine: apt's sources and pip's settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.errors import StagingError
from deploy.staging import base

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components:
 main
 contrib

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


ONE_LINE = """\
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main contrib # ours
#deb http://off.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb http://third.example/apt tool-bookworm main
deb http://third.example/debian bookworm stable
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt folder of our own, on a machine that says it is bookworm."""
    monkeypatch.setattr(base, "APT", tmp_path)
    monkeypatch.setattr(base, "codename", lambda: "bookworm")
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_deb822_sources_become_one_line_sources_of_another_suite(apt: Path) -> None:
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    assert base.sources("trixie").splitlines() == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]


def test_one_line_sources_are_read_without_third_parties(apt: Path) -> None:
    (apt / "sources.list").write_text(ONE_LINE)
    assert base.sources("bookworm").splitlines() == ["deb http://mirror.example/debian bookworm main"]


@pytest.mark.parametrize("codename", ["bookworm", None])
def test_a_machine_without_debian_sources_says_what_to_add(
    apt: Path, codename: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "codename", lambda: codename)
    (apt / "sources.list").write_text("deb http://third.example/apt tool-bookworm main\n")
    with pytest.raises(
        StagingError, match="apt names no Debian source from which trixie could come; add one"
    ):
        base.sources("trixie")


def test_pip_settings_keep_what_a_host_can_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(base, "PIP_FILES", [str(tmp_path / "pip.conf")])
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://old.example/simple\ncert = /own/ca.pem\n"
        "find-links = /opt/wheels\n  https://wheels.example/\nextra-index-url = file:///opt/simple\n"
    )
    monkeypatch.setenv("PIP_INDEX_URL", "https://new.example/simple?a=100%25")
    monkeypatch.setenv("PIP_NO_INPUT", "1")
    assert base.pip_settings().splitlines() == [
        "[global]",
        "index-url = https://new.example/simple?a=100%25",
        "find-links = https://wheels.example/",
        "cert = /etc/ssl/certs/ca-certificates.crt",
    ]


def test_no_pip_configuration_makes_no_pip_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(base, "PIP_FILES", [str(tmp_path / "none")])
    assert base.pip_settings() == ""


def test_an_unknown_suite_is_one_sentence() -> None:
    with pytest.raises(StagingError, match=r"'sarge': choose one of bullseye, bookworm, trixie"):
        base.base_image("sarge")
