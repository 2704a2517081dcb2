"""The pure parts of staging: reading this machine's apt and pip configuration, names, and the files it writes."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from deploy import staging
from deploy.errors import StagingError
from deploy.staging import base, listing, machine, network
from deploy.staging.record import Record, valid_name

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


@pytest.mark.parametrize("name", ["", "Web", "1web", "web_1", "../x", "a" * 41, "web.1", "-a", "web\n"])
def test_names_that_are_no_host_names_are_refused(name: str) -> None:
    with pytest.raises(StagingError, match="cannot be the name"):
        valid_name(name)


def test_a_machine_that_is_not_linux_is_told_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(StagingError, match=r"need Linux, this is darwin.*inventory/hosts\.yml"):
        staging.up("web1")


def test_missing_tools_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setitem(machine.TOOLS, "no-such-tool", "no-such-package")
    with pytest.raises(StagingError, match=r"apt-get install .*no-such-package"):
        machine.require()


def test_a_user_without_rights_is_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StagingError, match="need root"):
        machine.require()


def test_the_state_folder_belongs_to_the_nearest_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BAREHOST_STATE", raising=False)
    (tmp_path / "tasks.py").touch()
    (tmp_path / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/er")
    assert machine.state_folder() == tmp_path.resolve() / ".barehost/staging"
    monkeypatch.setenv("BAREHOST_STATE", str(tmp_path / "chosen"))
    assert machine.state_folder() == tmp_path / "chosen/staging"


def test_a_failed_command_is_told_with_its_last_words() -> None:
    with pytest.raises(StagingError, match=r"\(3\): first / last"):
        machine.run(["sh", "-c", "echo first >&2; echo last >&2; exit 3"])
    with pytest.raises(StagingError, match="took longer than 0 s"):
        machine.run(["sleep", "5"], timeout=0.1)


def test_replace_writes_whole_files_and_follows_no_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("untouched")
    link.symlink_to(target)
    machine.replace(link, "new", 0o600)
    assert (link.read_text(), link.is_symlink(), link.stat().st_mode & 0o777) == ("new", False, 0o600)
    assert target.read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_hosts_behind_another_get_addresses_that_are_not_on_the_bridge() -> None:
    whole = IPv4Network("10.213.0.0/20")
    cables = list(network.behind(whole))
    assert len(cables) == 512
    assert not any(cable.overlaps(network.lower(whole)) for cable in cables)
    assert all(IPv4Address(cable[2]) in whole for cable in cables)


def record(tmp_path: Path, name: str, **values: object) -> Record:
    known: dict[str, object] = {
        "name": name,
        "state": str(tmp_path),
        "suite": "bookworm",
        "python": False,
        "image": None,
        "user": "root",
        "sudo_password": None,
        "port": 22,
        "behind": None,
        "address": "10.213.0.2",
        "network": "10.213.0.0/20",
        "layers": (),
    }
    return Record(**{**known, **values})  # type: ignore[arg-type]


def test_the_inventory_says_how_to_log_in_and_become_root(tmp_path: Path) -> None:
    plain = record(tmp_path, "web1")
    guarded = record(tmp_path, "web2", user="admin", sudo_password="a: 'b'", port=2222)
    hosts = yaml.safe_load(listing.inventory([plain, guarded]))["staging"]["hosts"]
    assert hosts["web1"] == {
        "ansible_host": "10.213.0.2",
        "ansible_port": 22,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(tmp_path / "id_ed25519"),
        "ansible_become": False,
        "barehost_known_hosts": str(tmp_path / "known_hosts"),
    }
    assert hosts["web2"]["ansible_become_password"] == "a: 'b'"
    assert (hosts["web2"]["ansible_become"], hosts["web2"]["ansible_port"]) == (True, 2222)


def test_what_is_machine_wide_differs_between_checkouts(tmp_path: Path) -> None:
    one, two = record(tmp_path / "a", "web1"), record(tmp_path / "b", "web1")
    assert one.unique != two.unique
    assert one.link != two.link
    assert one.root != two.root
    assert len(record(tmp_path, "a" * 40).link) <= 15
