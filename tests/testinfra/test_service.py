"""The process of a site: one activation runs, from what lies on the disk, confined, reached by Nginx alone."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from deploy.facts import AppFacts
from deploy.site.app import App

pytestmark = [pytest.mark.role("app")]

CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.fixture
def unit(site: App, serving: AppFacts) -> str:
    """The instance that serves, as ``hello@3.service``."""
    return f"{site.name}@{serving.activation}.service"


@pytest.fixture
def told(host: Host, unit: str) -> dict[str, str]:
    """What systemd says of that instance."""
    lines = host.check_output("systemctl show %s", unit).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def pid(told: dict[str, str], unit: str) -> str:
    """Its main process; the check fails where there is none."""
    if told["MainPID"] == "0":
        pytest.fail(f"{unit} is {told['ActiveState']}, no process of it runs", pytrace=False)
    return told["MainPID"]


@pytest.fixture
def process(host: Host, pid: str) -> dict[str, str]:
    """What the kernel says of its main process."""
    lines = host.check_output("cat /proc/%s/status", pid).splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_the_packages_for_python_are_installed(host: Host) -> None:
    for name in ("python3", "python3-venv"):
        assert host.package(name).is_installed, f"the package {name} is not installed"


@pytest.mark.site_with("packages")
def test_the_packages_the_site_asks_for_are_installed(host: Host, site: App) -> None:
    missing = [name for name in site.packages if not host.package(name).is_installed]
    assert not missing, f"not installed: {', '.join(missing)}"


def test_it_runs_and_starts_at_boot(host: Host, told: dict[str, str], unit: str) -> None:
    assert (told["ActiveState"], told["SubState"]) == ("active", "running"), (
        f"{unit} is {told['ActiveState']}"
    )
    assert host.service(unit).is_enabled, f"{unit} is not enabled: it would be gone after a reboot"


def test_it_does_not_crash_and_start_again(told: dict[str, str], unit: str) -> None:
    assert told["NRestarts"] == "0", (
        f"systemd had to restart {unit} {told['NRestarts']} times; journalctl -u {unit}"
    )


def test_only_one_activation_runs_and_is_enabled(host: Host, site: App, unit: str) -> None:
    pattern = f"{site.name}@*.service"
    running = host.check_output(
        "systemctl list-units --plain --no-legend --state=active,activating,deactivating,failed %s | cut -d' ' -f1",
        pattern,
    ).split()
    assert running == [unit], f"systemd has {', '.join(running) or 'none'}, expected {unit} alone"
    wanted = "find /etc/systemd/system/multi-user.target.wants -name %s -printf '%%f\\n'"
    enabled = host.check_output(wanted, pattern).split()
    assert enabled == [unit], f"enabled at boot: {', '.join(enabled) or 'none'}, expected {unit} alone"


def test_it_needs_no_daemon_reload(told: dict[str, str], unit: str) -> None:
    assert told["NeedDaemonReload"] == "no", f"systemd has not read {unit} as it lies on the disk"


def test_its_process_is_younger_than_its_configuration(
    host: Host, told: dict[str, str], site: App, unit: str
) -> None:
    show = "systemctl show --timestamp=us+utc --value -p ExecMainStartTimestamp %s"
    started = host.check_output(show, unit)
    if "." not in started:
        started += " + 1 second"  # systemd 247 tells no fractions
    here = f"{site.root}/current/"
    files = [
        told["FragmentPath"],
        *told.get("DropInPaths", "").split(),
        f"{here}env",
        *(f"{here}server/{name}" for name in host.file(f"{here}server").listdir()),
    ]
    newer = [file for file in files if host.check_output("find %s -newerct %s", file, started)]
    assert not newer, f"changed after {unit} was started: {', '.join(newer)}"


def test_it_runs_the_units_it_was_activated_with(host: Host, site: App, serving: AppFacts) -> None:
    brought = host.file(f"{site.root}/current/units")
    assert brought.exists, f"{brought.path} is missing"
    for name in brought.listdir():
        unit = host.file(f"/etc/systemd/system/{name.replace('@', f'@{serving.activation}')}")
        assert unit.exists, f"{unit.path} is missing"
        activated = host.file(f"{brought.path}/{name}")
        assert unit.sha256sum == activated.sha256sum, f"{unit.path} was changed since the site was activated"


def test_it_was_healthy_when_it_was_activated(host: Host, site: App, serving: AppFacts) -> None:
    record = host.file(f"/var/lib/barehost/apps/{site.name}/{serving.release}")
    assert record.exists, f"{record.path} is missing"
    assert record.contains("^healthy "), f"{serving.release} was never seen healthy through Nginx"


def test_its_main_process_is_the_sites_own_and_may_do_little(
    host: Host, process: dict[str, str], site: App
) -> None:
    uid = process["Uid"].split()[0]
    assert uid == str(host.user(site.user).uid), f"{site.runs_by} runs as user {uid}, expected {site.user}"
    assert int(process["CapEff"], 16) == 0, f"{site.runs_by} holds capabilities: {process['CapEff']}"
    assert process["NoNewPrivs"] == "1", f"{site.runs_by} may gain privileges"
    assert process["Seccomp"] == "2", f"no filter of system calls is on {site.runs_by}"


def test_it_was_started_with_what_its_activation_brought(
    host: Host, pid: str, site: App, serving: AppFacts
) -> None:
    command = host.check_output("tr '\\0' '\\n' < /proc/%s/cmdline", pid).splitlines()
    expected = f"{site.root}/activations/{serving.activation}/"
    found = [word for word in command if word.startswith(expected)]
    assert found, f"{site.runs_by} was started as {' '.join(command)}, expected something of {expected}"


def test_it_has_workers(host: Host, pid: str, site: App) -> None:
    if site.runs_by != "gunicorn":
        return  # others serve from their main process, or are not ours to count
    assert host.check_output("cat /proc/%s/task/%s/children", pid, pid), (
        "Gunicorn runs, and none of its workers does"
    )


def test_nginx_can_connect_to_its_socket(host: Host, site: App) -> None:
    with host.sudo("www-data"):
        tried = host.run("/usr/bin/python3 -ISc %s %s", CONNECT, f"{site.root}/current/app.sock")
    assert tried.rc == 0, f"www-data cannot connect: {last(tried.stderr)}"


def test_nobody_else_can_connect_to_its_socket(host: Host, site: App, serving: AppFacts) -> None:
    socket = f"/run/{site.name}/{serving.activation}.sock"
    with host.sudo("nobody"):
        tried = host.run("/usr/bin/python3 -ISc %s %s", CONNECT, socket)
    assert tried.rc != 0, f"any user of the host can connect to {socket}"
    assert "PermissionError" in tried.stderr, f"nobody was not refused, but: {last(tried.stderr)}"


def test_its_environment_file_is_for_root_alone(host: Host, site: App) -> None:
    env = host.file(f"{site.root}/current/env")
    found = (env.user, env.group, env.mode)
    assert found == ("root", "root", 0o600), (
        f"{env.path} is {env.user}:{env.group} {env.mode:o}, expected root:root 600"
    )


@pytest.mark.site_with("secrets")
def test_no_secret_stands_where_others_can_read_it(host: Host, site: App, unit: str) -> None:
    texts = {
        "what systemctl shows": host.run("systemctl show %s", unit).stdout,
        "a command line": host.run("cat /proc/[0-9]*/cmdline").stdout,
        "a file of /etc, /run or /var/log": host.run(
            "find /etc/nginx /etc/systemd /run/systemd/system /run/%s /var/lib/barehost /var/log/barehost.log "
            "/var/log/nginx -xdev -type f -perm -004 -size -4096k -exec cat {} +",
            site.name,
        ).stdout,
    }
    secrets = [secret.reveal() for secret in site.secrets.values()]
    leaks = [where for where, text in texts.items() if any(secret in text for secret in secrets if secret)]
    texts.clear()
    secrets.clear()
    assert not leaks, f"a secret of {site.name} stands in {', '.join(leaks)}"


def test_what_it_says_goes_to_the_journal(told: dict[str, str], unit: str) -> None:
    outputs = {told["StandardOutput"], told["StandardError"].replace("inherit", told["StandardOutput"])}
    assert outputs == {"journal"}, f"{unit} writes to {', '.join(sorted(outputs))}"


def last(text: str) -> str:
    """The last line, where Python says what went wrong."""
    return text.strip().rpartition("\n")[2]
