"""What any host of ours must show: a full queue, the right time, logs that end, a name, records kept private."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from deploy.facts import Facts
from deploy.roles.base import QUEUE
from deploy.shell import program

pytestmark = pytest.mark.role("base")


def test_the_kernel_queues_enough_connections(host: Host) -> None:
    queue = host.sysctl("net.core.somaxconn")
    assert queue >= QUEUE, f"net.core.somaxconn is {queue}, expected {QUEUE} or more"


def test_the_queue_survives_a_reboot(host: Host) -> None:
    file = host.file("/etc/sysctl.d/60-barehost.conf")
    assert file.exists, f"{file.path} is missing"
    assert file.contains("^net.core.somaxconn = "), f"{file.path} does not set net.core.somaxconn"


def test_the_journal_runs_and_its_size_is_bounded(host: Host) -> None:
    assert host.service("systemd-journald").is_running, "systemd-journald does not run"
    file = host.file("/etc/systemd/journald.conf.d/60-barehost.conf")
    assert file.exists, f"{file.path} is missing"
    assert file.contains("^SystemMaxUse="), f"{file.path} sets no SystemMaxUse"


def test_logs_are_rotated(host: Host) -> None:
    assert host.package("logrotate").is_installed, "the package logrotate is not installed"


def test_its_own_name_resolves(host: Host, facts: Facts) -> None:
    assert host.run("getent hosts %s", facts.hostname or "").rc == 0, (
        f"{facts.hostname} does not resolve on the host itself: each sudo waits for DNS"
    )


def test_something_keeps_the_time(facts: Facts) -> None:
    if facts.container is not None:
        pytest.skip(f"in a container ({facts.container}) the time is its host's")
    assert facts.clock != "none", "neither chrony, ntpd nor systemd-timesyncd is installed"


def test_records_of_runs_are_for_root_alone(host: Host) -> None:
    folder = host.file("/var/lib/barehost")
    assert (folder.user, oct(folder.mode)) == ("root", "0o700"), (
        f"{folder.path} belongs to {folder.user} with mode {folder.mode:o}, expected root with 700"
    )


def test_nothing_says_that_the_host_is_not_well(host: Host) -> None:
    """Certificates, disks, the firewall's rules, a reboot that is due: what ``status`` and alerts say as well."""
    alarms = [line.partition("\t") for line in host.check_output("sh -c %s", program("alarms")).splitlines()]
    unwell = [sentence for kind, _, sentence in alarms if kind != "unit"]  # those have a check of their own
    assert not unwell, "; ".join(unwell)


def test_no_unit_of_the_system_has_failed(host: Host) -> None:
    failed = host.check_output(
        "systemctl list-units --plain --no-legend --state=failed | cut -d' ' -f1"
    ).split()
    assert not failed, f"failed units: {', '.join(failed)}; systemctl status says why"
