"""What a site runs besides its web process: its processes are up, its timers wait, and nothing of them is too many."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from deploy.facts import AppFacts
from deploy.inventory.hosts import Host as Described
from deploy.release.processes import copies
from deploy.site.app import App

pytestmark = [pytest.mark.role("app")]

STATES = "systemctl list-units --plain --no-legend --all --state=%s %s | cut -d' ' -f1"


@pytest.fixture
def brought(host: Host, site: App, serving: AppFacts) -> list[str]:
    """The processes of the activation that serves, as ``hello-worker@3.service``."""
    folder = host.file(f"{site.root}/current/units")
    names = folder.listdir() if folder.exists else []
    return [name.replace("@", f"@{serving.activation}") for name in names if name != f"{site.name}@.service"]


@pytest.fixture
def timers(host: Host, site: App) -> list[str]:
    """The timers of the activation that serves."""
    folder = host.file(f"{site.root}/current/timers")
    names = folder.listdir() if folder.exists else []
    return [name for name in names if name.endswith(".timer")]


@pytest.mark.site_with("processes")
def test_it_runs_the_processes_of_the_inventory(
    site: App, serving: AppFacts, described: Described, brought: list[str]
) -> None:
    first = described.is_first(site.name)
    expected = [
        unit.replace("@", f"@{serving.activation}")
        for name, one in (site.processes or {}).items()
        if first or one.hosts == "all"
        for unit in copies(site, name, one)
    ]
    assert sorted(brought) == sorted(expected), "run invoke provision"


def test_its_processes_run_and_start_at_boot(host: Host, brought: list[str]) -> None:
    down = [unit for unit in brought if not host.service(unit).is_running]
    assert not down, f"not running: {', '.join(down)}"
    gone = [unit for unit in brought if not host.service(unit).is_enabled]
    assert not gone, f"not enabled, they would be gone after a reboot: {', '.join(gone)}"


def test_its_processes_do_not_crash_and_start_again(host: Host, brought: list[str]) -> None:
    for unit in brought:
        times = host.check_output("systemctl show --value -p NRestarts %s", unit)
        assert times == "0", f"systemd had to restart {unit} {times} times; journalctl -u {unit}"


def test_no_process_of_another_activation_runs(host: Host, site: App, brought: list[str]) -> None:
    for unit in brought:
        pattern = f"{unit.partition('@')[0]}@*.service"
        running = host.check_output(STATES, "active,activating,failed", pattern).split()
        assert running == [unit], f"systemd has {', '.join(running)}, expected {unit} alone"


@pytest.mark.site_with("processes")
def test_what_another_host_runs_alone_does_not_run_here(host: Host, site: App, described: Described) -> None:
    if described.is_first(site.name):
        return
    for name, one in (site.processes or {}).items():
        if one.hosts == "first":
            running = host.check_output(STATES, "active,activating", f"{site.name}-{name}@*.service").split()
            assert not running, (
                f"{', '.join(running)} runs here, and belongs on {described.sharing[site.name][0].name}"
            )


@pytest.mark.site_with("timers")
def test_its_timers_are_those_of_the_inventory(site: App, described: Described, timers: list[str]) -> None:
    first = described.is_first(site.name)
    expected = [
        f"{site.name}-{name}.timer" for name, one in site.timers.items() if first or one.hosts == "all"
    ]
    assert sorted(timers) == sorted(expected), "run invoke provision"


def test_its_timers_wait_for_their_time_and_start_at_boot(host: Host, timers: list[str]) -> None:
    for timer in timers:
        unit = host.service(timer)
        assert unit.is_running, f"{timer} does not run"
        assert unit.is_enabled, f"{timer} is not enabled: it would be gone after a reboot"


def test_no_timer_failed_at_its_last_run(host: Host, timers: list[str]) -> None:
    for timer in timers:
        service = timer.removesuffix(".timer") + ".service"
        result = host.check_output("systemctl show --value -p Result %s", service)
        assert result == "success", (
            f"{service} ended with {result}; journalctl -u '{timer.removesuffix('.timer')}@*'"
        )
