"""Nginx on a provisioned host: installed, running with the configuration on the disk, silent to strangers."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from deploy.facts import Facts
from deploy.inventory import hosts as inventory
from deploy.resources.unit import KEY
from deploy.roles.nginx import ports
from deploy.site.app import App
from deploy.verify.visitor import Visitor

pytestmark = pytest.mark.role("nginx")

STRANGER = "unknown.barehost.invalid"
WORKERS = (
    'main=$(cat /run/nginx.pid) && stat -c %U $(sed "s,[0-9]\\+,/proc/&,g" /proc/$main/task/$main/children)'
)
OPEN_FILES = 1024
"""A process that was given no limit of its own has this many; Nginx must have more."""


@pytest.fixture
def apps(described: inventory.Host) -> list[App]:
    """The sites that should be here."""
    return [app for app in described.apps if app.state == "present"]


def test_nginx_is_installed(host: Host) -> None:
    assert host.package("nginx").is_installed, "the package nginx is not installed"


def test_nginx_runs_and_starts_at_boot(host: Host) -> None:
    nginx = host.service("nginx")
    assert nginx.is_running, "nginx.service does not run"
    assert nginx.is_enabled, "nginx.service does not start at boot"


def test_nginx_needs_no_daemon_reload(host: Host) -> None:
    needed = host.service("nginx").systemd_properties["NeedDaemonReload"]
    assert needed == "no", (
        "systemd has not read nginx.service as it lies on the disk: systemctl daemon-reload"
    )


def test_nginx_answers_with_the_configuration_on_the_disk(
    host: Host, visitor: Visitor, apps: list[App]
) -> None:
    marks = host.check_output("sed 's/.*\\(.\\{64\\}\\)\";$/\\1/' /etc/nginx/barehost.d/*.conf")
    expected = marks.replace("\n", "")
    answer = visitor.get("/.barehost/config", port=ports(apps)[0], tls=False)
    assert answer.text == expected, (
        f"Nginx has loaded {answer.text[:12] or 'nothing'}, on the disk is {expected[:12]}: it was not reloaded"
    )


def test_nginx_has_loaded_what_lies_on_the_disk(host: Host) -> None:
    record = host.file("/var/lib/barehost/loaded/nginx.service")
    assert record.exists, f"{record.path} is missing: what Nginx has loaded was never proven"
    invocation, *lines = record.content_string.splitlines()
    if invocation == host.service("nginx").systemd_properties["InvocationID"]:
        # by content: a file that was edited and put back is no other configuration
        pairs = ((digest, path) for digest, _, path in (line.partition(" path:") for line in lines) if path)
        loaded = {path: digest for digest, path in pairs if not digest.endswith("absent")}
        secret = [path for path, digest in loaded.items() if digest.startswith("host:")]
        plain = [path for path in loaded if path not in secret]
        hashed = host.check_output("sha256sum -- " + " ".join(["%s"] * len(plain)), *plain).splitlines()
        found = {line[66:]: line[:64] for line in hashed}
        for (
            path
        ) in secret:  # of what is secret, or only lies there, the host keeps a digest with a key of its own
            found[path] = "host:" + host.check_output("cat -- %s %s | sha256sum", KEY, path)[:64]
        stale = [path for path, digest in loaded.items() if found.get(path) != digest]
    else:  # it was started anew since, by a reboot for one
        show = "systemctl show --timestamp=us+utc --value -p ActiveEnterTimestamp nginx"
        stale = host.check_output("find /etc/nginx -type f -newerct %s", host.check_output(show)).split()
    assert not stale, f"changed after Nginx loaded its configuration: {', '.join(stale)}"


def test_the_distributions_default_site_is_gone(host: Host) -> None:
    assert not host.file("/etc/nginx/sites-enabled/default").exists, "sites-enabled/default is there"


def test_nobody_but_root_may_write_its_configuration(host: Host) -> None:
    writable = host.check_output("find /etc/nginx ! -type l \\( ! -user root -o -perm /022 \\)").split()
    assert not writable, f"others than root may write {', '.join(writable)}"


def test_its_workers_run_as_www_data(host: Host) -> None:
    users = set(host.check_output(WORKERS).split())
    assert users == {"www-data"}, (
        f"workers run as {', '.join(sorted(users)) or 'nobody at all'}, expected www-data"
    )


def test_nginx_may_open_many_files(host: Host) -> None:
    line = host.check_output("grep '^Max open files' /proc/$(cat /run/nginx.pid)/limits")
    soft = int(line.split()[3])
    assert soft > OPEN_FILES, f"Nginx may open {soft} files only"


def test_every_port_listens_on_all_addresses(host: Host, apps: list[App], facts: Facts) -> None:
    wanted = [*ports(apps), *sorted({app.tls.port for app in apps if app.tls})]
    addresses = ["0.0.0.0", "::"] if facts.ipv6 else ["0.0.0.0"]
    listening = set(host.socket.get_listening_sockets())
    silent = [
        f"{address} port {port}"
        for port in wanted
        for address in addresses
        if f"tcp://{address}:{port}" not in listening
    ]
    assert not silent, f"nothing listens on {', '.join(silent)}"


def test_an_unknown_name_gets_no_answer(visitor: Visitor, apps: list[App]) -> None:
    for port in ports(apps):
        answer = visitor.get("/", name=STRANGER, port=port, tls=False)
        assert answer.status is None, f"{STRANGER} on port {port} was answered with status {answer.status}"
        assert answer.problem is None, f"port {port}: {answer.problem}"


def test_an_unknown_name_gets_no_answer_over_tls(visitor: Visitor, apps: list[App]) -> None:
    secured = sorted({app.tls.port for app in apps if app.tls})
    if not secured:
        pytest.skip("no site has a certificate")
    for port in secured:
        answer = visitor.get("/", name=STRANGER, port=port, tls=True)
        assert answer.status is None, f"{STRANGER} on port {port} was answered with status {answer.status}"


def test_an_absent_site_has_left(host: Host, described: inventory.Host) -> None:
    gone = [app for app in described.apps if app.state == "absent"]
    if not gone:
        pytest.skip("no site of the inventory is absent")
    for app in gone:
        left = host.run("ls -d /etc/nginx/conf.d/%s.conf /etc/systemd/system/%s@*", app.name, app.name).stdout
        assert not left, f"{app.name} should be absent, and {left.split()[0]} is there"
        units = host.check_output("systemctl list-units --plain --no-legend %s", f"{app.name}@*.service")
        assert not units, f"{app.name} should be absent, and systemd has {units.split()[0]}"
