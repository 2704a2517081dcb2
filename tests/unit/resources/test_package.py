"""What dpkg says, and what apt is asked to do about it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from deploy.errors import InputError, LookError
from deploy.resource import Change, State
from deploy.resources.package import Package
from deploy.shell import Command, program, sh

NGINX = Package("nginx", masks=("nginx.service",))


def row(
    name: str, status: str = "installed", flag: str = "ok", version: str = "1.0-1", arch: str = "amd64"
) -> str:
    return f"package\t{name}\t{arch}\t{status}\t{flag}\t{version}\n"


def parse(package: Package, output: str) -> State | None:
    return Package.parse([package], output.encode())[package.id]


@pytest.mark.parametrize(
    ("package", "output", "state"),
    [
        (Package("curl"), row("curl"), {"status": "installed", "version": "1.0-1"}),
        (Package("curl"), "dpkg-query: no packages found matching curl\n", None),
        (Package("curl"), row("curl", "config-files"), None),
        (Package("curl"), row("curl", "not-installed", version=""), None),
        (Package("curl"), row("curl", "half-configured"), {"status": "half-configured", "version": "1.0-1"}),
        (
            Package("curl"),
            row("curl", flag="reinstreq"),
            {"status": "installed, reinstreq", "version": "1.0-1"},
        ),
        (
            Package("libc6:i386"),
            row("libc6") + row("libc6", arch="i386", version="2"),
            {"status": "installed", "version": "2"},
        ),
        (Package("libc6:i386"), row("libc6"), None),
        (
            Package("libc6"),
            row("libc6", "config-files", arch="i386") + row("libc6"),
            {"status": "installed", "version": "1.0-1"},
        ),
        (NGINX, row("nginx"), {"status": "installed", "version": "1.0-1", "masked": ""}),
        (
            NGINX,
            row("nginx") + "masked\tnginx.service\n",
            {"status": "installed", "version": "1.0-1", "masked": "nginx.service"},
        ),
        (
            NGINX,
            row("nginx") + "masked\tother.service\n",
            {"status": "installed", "version": "1.0-1", "masked": ""},
        ),
    ],
)
def test_what_dpkg_says_is_read(package: Package, output: str, state: State | None) -> None:
    assert parse(package, output + "end\n") == state


def test_output_that_ends_early_is_an_error_and_not_absent() -> None:
    with pytest.raises(LookError, match="ended before"):
        parse(Package("curl"), "")


def test_a_host_without_apt_is_one_clear_error() -> None:
    with pytest.raises(LookError, match="packages on alpine are not served yet"):
        parse(Package("curl"), "other\talpine\n")


@pytest.mark.parametrize(
    ("package", "actual", "keys"),
    [
        (Package("curl"), {"status": "installed", "version": "1"}, ()),
        (Package("curl"), {"status": "half-configured", "version": "1"}, ("status",)),
        (Package("curl", version="2"), {"status": "installed", "version": "1"}, ("version",)),
        (NGINX, {"status": "installed", "version": "1", "masked": "nginx.service"}, ("masked",)),
        (Package("curl"), None, ("status",)),
    ],
)
def test_what_differs(package: Package, actual: State | None, keys: tuple[str, ...]) -> None:
    assert Change(package, actual, package.expected()).keys == keys


def step(*changes: tuple[Package, State | None]) -> Command:
    (only,) = Package.steps([Change(package, actual, package.expected()) for package, actual in changes])
    assert isinstance(only, Command)
    return only


def test_all_changes_are_one_transaction() -> None:
    command = step(
        (NGINX, None),
        (Package("curl", version="7.88.1-10"), {"status": "installed", "version": "8"}),
        (Package("apache2", state="absent"), {"status": "installed", "version": "2"}),
    )
    assert command.label == "install nginx, curl; remove apache2"
    assert command.script.count("install nginx curl=7.88.1-10 apache2-;") == 2
    assert "--allow-downgrades" in command.script


def test_downgrades_are_allowed_only_where_a_version_is_asked_for() -> None:
    assert "--allow-downgrades" not in step((NGINX, None)).script


def test_a_daemon_is_masked_only_while_it_is_new() -> None:
    assert "mask nginx.service; fi" in step((NGINX, None)).script
    stands = {"status": "installed", "version": "1", "masked": ""}
    upgrade = Package("nginx", version="2", masks=("nginx.service",))
    assert "mask nginx.service; fi" not in step((upgrade, stands)).script


def test_a_mask_left_behind_is_lifted_without_apt() -> None:
    command = step((NGINX, {"status": "installed", "version": "1", "masked": "nginx.service"}))
    assert command.label == "lift masks that an interrupted run left"
    assert "apt-get" not in command.script


def test_no_change_is_no_step() -> None:
    assert list(Package.steps([])) == []


@pytest.mark.parametrize(
    "name", ["", "-rf", "Nginx", "a b", "nginx*", "nginx\n", "$(reboot)", "x=1", "python3-"[:1] + "|"]
)
def test_a_name_that_is_none_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match="not a package name"):
        Package(name)


@pytest.mark.parametrize("version", ["", "-1", "1 2", "1;reboot"])
def test_a_version_that_is_none_is_an_error(version: str) -> None:
    with pytest.raises(InputError, match="not a version"):
        Package("curl", version=version)


@pytest.mark.parametrize("unit", ["", "nginx", "../x.service", "-a.service", "a b.service"])
def test_a_unit_that_is_none_is_an_error(unit: str) -> None:
    with pytest.raises(InputError, match="not a unit"):
        Package("nginx", masks=(unit,))


def test_an_install_ends_with_apt_whatever_a_package_has_started(tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\necho setting up\nsleep 300 &\necho $! > {tmp_path}/started\nexit 3\n")
    apt.chmod(0o755)
    script = sh(program("apt-install"), arguments=["a"], downgrades=sh(""))
    try:
        done = subprocess.run(
            ["sh", "-c", f'fail() {{ echo "$1"; exit 1; }}\nrefreshed=1\noutdated=\n{script}'],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.kill(int((tmp_path / "started").read_text()), signal.SIGKILL)
    assert done.stdout.startswith("setting up\n")
    assert "failed with exit code 3" in done.stdout
