"""What a user's own roles lean on: another package source, secrets that a service reads, commands between files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from booting import Boot, Clone
from sites import HELLO, NAME, Project, sh

from deploy.staging import Image, StagingHost

REPOSITORY = r"""
mkdir -p /srv/repo /tmp/tool/DEBIAN /tmp/tool/usr/share/tool && cd /srv/repo || exit
printf 'Package: barehost-tool\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: a tool\n' \
  > /tmp/tool/DEBIAN/control
echo it works > /tmp/tool/usr/share/tool/text
dpkg-deb --root-owner-group -b /tmp/tool tool.deb >/dev/null || exit
sum=$(sha256sum < tool.deb)
{ dpkg-deb -f tool.deb
  printf 'Filename: ./tool.deb\nSize: %s\nSHA256: %s\n\n' "$(stat -c %s tool.deb)" "${sum%% *}"
} > Packages
printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru)" "$(sha256sum < Packages | cut -d' ' -f1)" \
  "$(stat -c %s Packages)" > Release
chmod -R a+rX /srv/repo
"""
"""A flat repository with one package, not signed yet."""


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """GnuPG with two keys of nobody's, ``right`` and ``wrong``."""
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)

    def run(*words: str, text: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--homedir", str(home), "--passphrase", "", *words]
        return subprocess.run(command, input=text, capture_output=True, check=True).stdout

    for name in ("right", "wrong"):
        run("--pinentry-mode", "loopback", "--quick-generate-key", f"{name}@example.com", "rsa2048", "sign")
    return run


def sign(host: StagingHost, gpg: Callable[..., bytes]) -> None:
    """Make the repository, and sign it with the right key."""
    sh(host, REPOSITORY)
    release = (host.root / "srv/repo/Release").read_bytes()
    signed = gpg("--pinentry-mode", "loopback", "-u", "right@example.com", "--clearsign", text=release)
    (host.root / "srv/repo/InRelease").write_bytes(signed)


SOURCE = """from deploy.resources.apt_source import AptSource
from deploy.resources.package import Package


def tool(host, facts):
    yield AptSource("tool", "file:/srv/repo", ("./",), key=(host.project / "tool.asc").read_text())
    yield Package("barehost-tool")
"""


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_package_from_another_source_comes_with_its_key_and_a_wrong_key_leaves_apt_as_it_was(
    suite: str, bare: Boot, project: Project, gpg: Callable[..., bytes]
) -> None:
    host = bare(suite)
    sign(host, gpg)
    project.inventory({host: {"roles": ["tool"]}})
    project.write("roles/tool.py", SOURCE)
    key = project.write("tool.asc", gpg("--armor", "--export", "wrong@example.com").decode())
    refused = project.fails(code=7)
    assert "tool" in refused.said
    assert sh(host, "ls /etc/apt/sources.list.d /etc/apt/keyrings").count("tool") == 0

    key.write_bytes(gpg("--armor", "--export", "right@example.com"))
    project.provision()
    assert sh(host, "cat /usr/share/tool/text") == "it works\n"
    project.settled()

    project.write(
        "roles/tool.py", SOURCE.partition("    yield")[0] + '    yield AptSource("tool", state="absent")\n'
    )
    project.provision()
    assert sh(host, "ls /etc/apt/sources.list.d /etc/apt/keyrings").count("tool") == 0
    project.settled()


READER = """from deploy.resources.path import File
from deploy.resources.run import Run
from deploy.resources.unit import Unit

SERVICE = "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n"


def reader(host, facts):
    yield (conf := File("/etc/reader.conf", host.vars["password"], secret=True, mode=0o600))
    yield (unit := File("/etc/systemd/system/reader.service", SERVICE))
    done = "cmp -s /etc/reader.conf /var/lib/reader.loaded"
    yield (load := Run("load it", "cp /etc/reader.conf /var/lib/reader.loaded", unless=done, after=(conf,)))
    yield Unit("reader.service", restart_on=(conf, unit, "/etc/hostname"), after=(load,))
"""


def test_a_service_that_reads_a_secret_is_restarted_when_it_changes_and_at_no_other_time(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    def started() -> str:
        return sh(host, "systemctl show --value -p InvocationID reader.service").strip()

    def say(password: str) -> None:
        project.inventory({host: {"roles": ["reader"], "password": password}})

    host = clone(served("bookworm"))
    project.write("roles/reader.py", READER)
    say("s3cret-one")
    project.provision()
    first = started()
    for _ in range(2):
        project.settled()
        assert project.provision("-v").code == 0
        assert started() == first, "nothing changed, and it was restarted"
    kept = sh(host, "cat /var/lib/barehost/loaded/reader.service; stat -c %a /var/lib/barehost/key")
    assert kept.split()[-1] == "600"

    say("s3cret-two")
    project.provision()
    second = started()
    assert second != first
    assert sh(host, "cat /var/lib/reader.loaded") == "s3cret-two"
    project.settled()

    sh(host, "echo other > /etc/hostname")  # what only lies there
    project.provision()
    assert started() != second
    project.settled()


def test_a_renewed_certificate_is_loaded_by_the_next_run(
    served: Callable[[str], Image], clone: Clone, project: Project, tmp_path: Path
) -> None:
    def renew(days: int) -> None:
        files = {name: tmp_path / f"site.{name}" for name in ("crt", "key")}
        made = f"-days {days} -subj /CN={NAME} -addext subjectAltName=DNS:{NAME} -nodes"
        where = f"-out {files['crt']} -keyout {files['key']}"
        subprocess.run(
            f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 {made} {where}".split(),
            check=True,
            capture_output=True,
        )
        for name, file in files.items():
            (host.root / f"etc/ssl/site.{name}").write_bytes(file.read_bytes())

    def serial() -> str:
        asked = f"echo | openssl s_client -connect {host.address}:443 -servername {NAME} 2>/dev/null"
        command = ["sh", "-c", f"{asked} | openssl x509 -noout -serial"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    host = clone(served("trixie"))
    renew(30)
    tls = {"certificate": "/etc/ssl/site.crt", "key": "/etc/ssl/site.key"}
    project.serve(host, {"hello": {**HELLO, "tls": tls}})
    project.provision()
    before = serial()
    project.settled()
    renew(60)
    planned = project.run("plan")
    assert planned.code == 2, planned.said
    assert "/etc/ssl/site.crt" in planned.out
    project.provision()
    assert serial() != before
    project.settled()
