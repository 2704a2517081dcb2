"""What staging promises of its hosts, asked of real ones."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest
import yaml
from booting import Boot, Clone, Freeze
from sites import until

from deploy import staging
from deploy.errors import StagingError
from deploy.staging import Image, StagingHost
from deploy.staging.machine import wait


def ssh(host: StagingHost, command: str, *, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """What anybody's own ssh says, with the configuration that staging wrote."""
    argv = ["ssh", "-F", str(host.ssh_config), "-o", "ConnectTimeout=5", host.name, command]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120)


def pin(host: StagingHost) -> str:
    """The line of known_hosts that speaks of this host."""
    return next(
        line for line in host.known_hosts.read_text().splitlines() if line.startswith(f"{host.address} ")
    )


def traces() -> dict[str, list[str]]:
    """Everything on this machine that belongs to a staging host of this run."""
    key = staging.space().key
    listed = {
        "namespaces": [path.name for path in Path("/run/netns").glob(f"barehost-{key}-*")],
        "mounts": re.findall(rf"/var/lib/barehost/{key}/\S+", Path("/proc/mounts").read_text()),
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/barehost-{key}-*")],
        "folders": [str(path) for path in Path("/var/lib/barehost").glob(f"{key}/hosts/*")],
        "notes": [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/barehost-{key}-*")],
        "processes": [
            path.parent.name
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if f"/var/lib/barehost/{key}/".encode() in _content(path)
        ],
    }
    return {kind: found for kind, found in listed.items() if found}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_bare_host_boots_without_python_and_can_install_packages(bare: Boot, suite: str) -> None:
    host = bare(suite)
    assert host.state == "running"
    script = (
        ". /etc/os-release; echo $VERSION_CODENAME; hostname; command -v python3 || echo none;"
        "getent hosts $(hostname);"
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y nginx-light >/dev/null 2>&1;"
        "systemctl is-active nginx; systemd-run --quiet --pipe --property=ProtectSystem=strict"
        " sh -c 'touch /etc/x 2>/dev/null || echo sealed'"
    )
    said = ssh(host, script).stdout.split()
    assert said == [suite, host.name, "none", host.address, host.name, "active", "sealed"]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_host_for_containers_runs_them_and_so_does_its_clone(
    suite: str, engines: Callable[[str], Image], clone: Clone
) -> None:
    host = clone(engines(suite))
    assert host.state == "running"
    inside = ssh(host, "docker run --rm busybox:1 /bin/busybox sh -c 'echo inside; ls /'")
    assert inside.stdout.split()[:2] == ["inside", "bin"], inside.stderr
    assert ssh(host, "docker info --format '{{.Driver}}'").stdout == "overlay2\n"


def test_down_leaves_nothing_and_a_second_down_is_fine(bare: Boot) -> None:
    host = bare()
    assert {"namespaces", "mounts", "folders", "processes"} <= traces().keys()
    staging.down(host.name)
    staging.down(host.name)
    assert host.name not in [known.name for known in staging.hosts()]
    assert not _traces_of(host.name)


def test_up_twice_gives_the_same_host_and_refuses_another_one(bare: Boot) -> None:
    host = bare()
    assert bare(name=host.name).pid == host.pid
    with pytest.raises(StagingError, match="another port"):
        bare(name=host.name, port=2222)


@pytest.mark.parametrize("moment", [0.03, 0.12, 0.25])
def test_a_run_killed_in_the_middle_of_up_is_cleaned_by_the_next(
    bare: Boot, state: Path, moment: float
) -> None:
    with _upping("halfmade", state):
        record = staging.space().folder / "hosts/halfmade/host.json"
        assert wait(record.exists, 60, pause=0.005)
        time.sleep(moment)
    assert "folders" in traces()
    assert "halfmade" not in [host.name for host in staging.hosts()]
    staging.down("halfmade")
    assert not _traces_of("halfmade")
    assert bare(name="halfmade").state == "running"


@pytest.mark.parametrize(("tool", "doing"), [("ip", "'netns add'*"), ("systemd-nspawn", "*")])
def test_what_a_killed_run_had_started_is_cleaned_though_it_acts_later(
    tool: str, doing: str, state: Path, tmp_path: Path
) -> None:
    """The tool outlives the run that started it, and would make its part of the host after the cleaning."""
    begun, slow = tmp_path / "begun", tmp_path / "bin" / tool
    slow.parent.mkdir()
    late = f"echo $$ > {begun}.new; mv {begun}.new {begun}; sleep 1"
    slow.write_text(f'#!/bin/sh\ncase "$*" in {doing}) {late} ;; esac\nexec {which(tool)} "$@"\n')
    slow.chmod(0o755)
    with _upping("halfmade", state, tools=slow.parent):
        assert wait(begun.exists, 60, pause=0.005)
    staging.down("halfmade")
    acting = Path(f"/proc/{begun.read_text().strip()}")
    assert wait(lambda: not acting.exists(), 60)
    assert not _traces_of("halfmade")


@contextmanager
def _upping(name: str, state: Path, tools: Path | None = None) -> Iterator[None]:
    """While a process brings a host up, with `tools` before those of this machine; killed at the end."""
    script = "from deploy import staging; from deploy.staging import machine;"
    script += f"machine.PATH = '{tools}:' + machine.PATH;" if tools else ""
    search = f"{tools}:{os.environ['PATH']}" if tools else os.environ["PATH"]
    environment = {**os.environ, "BAREHOST_STATE": str(state), "PATH": search}
    argv = [sys.executable, "-c", f"{script} staging.up('{name}')"]
    with subprocess.Popen(argv, env=environment) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def _traces_of(name: str) -> list[str]:
    return [one for kind in traces().values() for one in kind if name in one]


def test_what_was_written_outlives_a_kill_and_a_reboot_and_not_a_reset(bare: Boot) -> None:
    host = bare()
    pinned = pin(host)
    assert ssh(host, "echo kept > /root/note; sync").returncode == 0
    staging.kill(host.name)
    assert [one.state for one in staging.hosts() if one.name == host.name] == ["stopped"]
    assert host.name not in [one.name for one in staging.running()]
    again = staging.start(host.name)
    assert ssh(again, "cat /root/note").stdout == "kept\n"
    rebooted = staging.reboot(host.name)
    assert rebooted.pid != again.pid
    assert ssh(rebooted, "cat /root/note").stdout == "kept\n"
    fresh = staging.reset(host.name)
    assert ssh(fresh, "cat /root/note").returncode == 1
    assert (fresh.address, pin(fresh)) == (host.address, pinned)


def test_a_host_outlives_a_restart_of_this_machine(bare: Boot) -> None:
    host = bare()
    ssh(host, "echo kept > /root/note")
    staging.kill(host.name)
    record = staging.space().host(host.name)
    assert record is not None
    subprocess.run(["ip", "netns", "delete", record.unique], check=True)
    subprocess.run(["umount", host.root], check=True)
    assert [one.state for one in staging.hosts() if one.name == host.name] == ["stopped"]
    assert ssh(bare(name=host.name), "cat /root/note").stdout == "kept\n"


def test_two_runs_that_bring_up_one_name_get_one_host(bare: Boot) -> None:
    with ThreadPoolExecutor(3) as pool:
        hosts = list(pool.map(lambda _: bare(name="shared"), range(3)))
    assert len({host.pid for host in hosts}) == 1


def test_a_host_that_reboots_itself_comes_back(bare: Boot) -> None:
    host = bare()
    before = ssh(host, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1").stdout
    ssh(host, "systemctl reboot")
    until(
        lambda: (
            ssh(host, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1").stdout not in ("", before)
        )
    )
    ssh(host, "systemctl poweroff")
    until(lambda: host.name not in [one.name for one in staging.running()])


def test_hosts_side_by_side_reach_each_other_and_stop_their_services_alone(bare: Boot) -> None:
    with ThreadPoolExecutor(4) as pool:
        hosts = list(pool.map(bare, ["bookworm", "trixie", "bookworm", "trixie"]))
    assert len({host.address for host in hosts}) == 4
    first, second = hosts[:2]
    assert ssh(first, f"exec 3<>/dev/tcp/{second.address}/22 && head -c 4 <&3").stdout == "SSH-"
    started = time.monotonic()
    assert staging.inside(first.name, "systemctl", "restart", "ssh", "systemd-journald").returncode == 0
    assert time.monotonic() - started < 45, "a stop waited for its deadline of 90 s"
    assert ssh(second, "true").returncode == 0


def test_a_host_behind_another_is_reached_only_through_it(bare: Boot) -> None:
    jump = bare()
    hidden = bare("trixie", behind=jump.name, port=2022)
    with pytest.raises(OSError):
        socket.create_connection((hidden.address, hidden.port), timeout=2)
    assert ssh(hidden, "hostname").stdout == f"{hidden.name}\n"
    assert ssh(hidden, "apt-get update").returncode == 0
    variables = yaml.safe_load(hidden.inventory.read_text())["staging"]["hosts"][hidden.name]
    assert variables["ansible_ssh_common_args"] == f"-o ProxyJump=root@{jump.address}:22"
    staging.reboot(jump.name)
    assert ssh(hidden, "hostname").returncode == 0
    staging.down(jump.name)
    assert hidden.name not in [host.name for host in staging.hosts()]


def test_a_sudo_user_needs_the_password(bare: Boot) -> None:
    password = "a 'b' $c \\d"
    host = bare(user="admin", sudo_password=password, port=2222)
    assert ssh(host, "id -un").stdout == "admin\n"
    assert ssh(host, "sudo -n id -un").returncode == 1
    assert ssh(host, "sudo -S -p '' id -un", stdin="wrong\n").returncode == 1
    assert ssh(host, "sudo -S -p '' id -un", stdin=f"{password}\n").stdout == "root\n"
    variables = yaml.safe_load(host.inventory.read_text())["staging"]["hosts"][host.name]
    assert (variables["ansible_user"], variables["ansible_port"]) == ("admin", 2222)
    assert (variables["ansible_become"], variables["ansible_become_password"]) == (True, password)
    assert f"[{host.address}]:2222 ssh-ed25519 " in host.known_hosts.read_text()


def test_a_sudo_user_without_a_password_just_becomes_root(bare: Boot) -> None:
    assert ssh(bare(user="deployer"), "sudo -n id -un").stdout == "root\n"


def test_clones_of_an_image_keep_its_files_and_have_an_identity_of_their_own(
    frozen: Freeze, clone: Clone
) -> None:
    def prepare(host: StagingHost) -> None:
        assert ssh(host, "echo made > /srv/made; rm /etc/motd; systemctl mask console-getty").returncode == 0

    image = frozen("prepared", "bookworm", prepare)
    one, two = clone(image), clone(image)
    show = "cat /srv/made; test -e /etc/motd || echo removed; systemctl is-enabled console-getty"
    assert ssh(one, show).stdout.split() == ["made", "removed", "masked"]
    identity = "cat /etc/machine-id /etc/ssh/ssh_host_*.pub; hostname"
    assert ssh(one, identity).stdout != ssh(two, identity).stdout
    ssh(one, "echo changed > /srv/made")
    assert ssh(two, "cat /srv/made").stdout == "made\n"
    with pytest.raises(StagingError, match=f"used by .*{one.name}"):
        staging.thaw(image.name)


def test_a_lost_checkout_is_swept_by_the_next_up(
    bare: Boot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    with monkeypatch.context() as patch:
        patch.setenv("BAREHOST_STATE", str(other))
        orphan = staging.up("orphan")
    (other / "staging").rename(tmp_path / "gone")
    assert Path(f"/proc/{orphan.pid}").exists()
    bare()
    assert not orphan.root.exists()
    assert not any("-orphan" in path.name for path in Path("/run/netns").iterdir())


def test_hosts_of_two_checkouts_with_one_name_do_not_meet(
    bare: Boot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = bare(name="same")
    with monkeypatch.context() as patch:
        patch.setenv("BAREHOST_STATE", str(tmp_path))
        there = staging.up("same")
        assert there.address != here.address
        staging.down("same")
    assert ssh(here, "true").returncode == 0
