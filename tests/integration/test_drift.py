"""What changed on a host behind everybody's back: the very next run sees it and puts it right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from booting import Boot
from sites import Project, ask, leftovers, new_project, sh, visitors

from deploy import staging
from deploy.roles.nginx import RETIRE
from deploy.staging import Image, StagingHost

RELEASE = "/srv/hello/current/release"
UNIT = 'hello@"$(basename "$(readlink /srv/hello/current)")".service'


@dataclass(frozen=True)
class Drift:
    """One thing that somebody did: what it was, how, which resource differs then, how it is seen to be mended."""

    what: str
    done: str
    seen: str
    mended: str


DISK = [
    Drift(
        "a file was edited",
        "echo 'worker_processes 1;' > /etc/nginx/nginx.conf",
        "path:/etc/nginx/nginx.conf",
        "! grep -qx 'worker_processes 1;' /etc/nginx/nginx.conf",
    ),
    Drift(
        "a mode was changed",
        "chmod 666 /etc/nginx/barehost.d/00-host.conf",
        "path:/etc/nginx/barehost.d/00-host.conf",
        'test "$(stat -c %a /etc/nginx/barehost.d/00-host.conf)" = 644',
    ),
    Drift(
        "an owner was changed",
        "chown nobody: /etc/nginx/conf.d/00-default.conf",
        "path:/etc/nginx/conf.d/00-default.conf",
        'test "$(stat -c %U:%G /etc/nginx/conf.d/00-default.conf)" = root:root',
    ),
    Drift(
        "a folder was opened to everybody",
        "chmod 777 /srv/hello/shared/uploads",
        "path:/srv/hello/shared/uploads",
        'test "$(stat -c %a /srv/hello/shared/uploads)" = 750',
    ),
    Drift(
        "a file became a link",
        "mv /etc/nginx/conf.d/hello.conf /etc/nginx/other && ln -s ../other /etc/nginx/conf.d/hello.conf",
        "path:/etc/nginx/conf.d/hello.conf",
        "test ! -L /etc/nginx/conf.d/hello.conf && cmp /etc/nginx/other /etc/nginx/conf.d/hello.conf",
    ),
    Drift(
        "a link that was taken away came back",
        "ln -s ../sites-available/default /etc/nginx/sites-enabled/default",
        "path:/etc/nginx/sites-enabled/default",
        "test ! -L /etc/nginx/sites-enabled/default",
    ),
    Drift(
        "a sysctl file was edited",
        "echo 'net.core.somaxconn = 128' > /etc/sysctl.d/60-barehost.conf",
        "path:/etc/sysctl.d/60-barehost.conf",
        "! grep -qx 'net.core.somaxconn = 128' /etc/sysctl.d/60-barehost.conf",
    ),
    Drift(
        "a sysctl was set",
        "sysctl -q -w net.core.somaxconn=128",
        "sysctl:net.core.somaxconn",
        'test "$(cat /proc/sys/net/core/somaxconn)" -ge 4096',
    ),
    Drift(
        "the release's code was edited, its size and time kept",
        f"cp -p {RELEASE}/hello.py /root/hello.py && sed -i s/ok/OK/ {RELEASE}/hello.py && "
        f"touch -r /root/hello.py {RELEASE}/hello.py",
        "path:/srv/hello/releases/",
        f"cmp /root/hello.py {RELEASE}/hello.py",
    ),
    Drift(
        "a static file was deleted",
        f"rm {RELEASE}/static/app.css",
        "path:/srv/hello/releases/",
        f"test -s {RELEASE}/static/app.css",
    ),
    Drift(
        "Nginx's user left the site's group",
        "gpasswd -d www-data hello",
        "user:www-data",
        "id -nG www-data | grep -qw hello",
    ),
]

STOPPED = [
    Drift(
        "Nginx was stopped and masked",
        "systemctl mask -q --now nginx",
        "unit:nginx.service",
        "systemctl is-active -q nginx && systemctl is-enabled -q nginx",
    ),
    Drift(
        "the site was stopped and disabled",
        f"systemctl disable -q --now {UNIT}",
        "activation:hello",
        f"systemctl is-active -q {UNIT} && systemctl is-enabled -q {UNIT}",
    ),
    Drift(
        "a package was removed",
        "apt-get remove -y -qq logrotate >/dev/null 2>&1",
        "package:logrotate",
        "dpkg -s logrotate | grep -q '^Status: install ok installed'",
    ),
]

LOADED = [
    Drift(
        "a unit was disabled",
        "systemctl disable -q nginx",
        "unit:nginx.service",
        "systemctl is-enabled -q nginx",
    ),
    Drift(
        "a site's file was edited and loaded",
        "echo '# more' >> /etc/nginx/conf.d/hello.conf && systemctl reload nginx",
        "path:/etc/nginx/conf.d/hello.conf",
        "! grep -q '# more' /etc/nginx/conf.d/hello.conf",
    ),
    Drift(
        "a drop-in was edited and not loaded",
        "echo '[Service]' >> /etc/systemd/system/nginx.service.d/barehost.conf",
        "path:/etc/systemd/system/nginx.service.d/barehost.conf",
        "systemctl show -p NeedDaemonReload nginx | grep -q =no",
    ),
    Drift(
        "the site's unit was edited and loaded",
        f"sed -i 's/^UMask=.*/UMask=0000/' /etc/systemd/system/{UNIT} && systemctl daemon-reload",
        "activation:hello",
        f"systemctl show -p UMask {UNIT} | grep -q 0027",
    ),
]

SITE = [
    Drift(
        "the site's environment was edited",
        "echo LOG_LEVEL=debug > /srv/hello/current/env",
        "activation:hello",
        "! grep -q debug /srv/hello/current/env",
    ),
]

SWITCH = [
    Drift(
        "the switch was removed",
        "rm /srv/hello/current",
        "activation:hello",
        f"test -L /srv/hello/current && systemctl is-active -q {UNIT}",
    ),
]

ACTIVATIONS = [
    Drift(
        "the activations were removed",
        "readlink /srv/hello/current > /root/was && rm -rf /srv/hello/activations",
        "activation:hello",
        f"test -d /srv/hello/current/. && systemctl is-active -q {UNIT} && "
        'n=$(basename "$(readlink /srv/hello/current)") && test "$n" -gt "$(basename "$(cat /root/was)")"',
    ),
]


@pytest.fixture(scope="module")
def host(session_bare: Boot, served: Callable[[str], Image]) -> StagingHost:
    """A provisioned host that the tests here share: each leaves it converged, or has failed."""
    image = served("bookworm")
    return session_bare(image.suite, image=image.name)


@pytest.fixture(scope="module")
def shop(host: StagingHost, state: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project that provisioned the host, as far as the host can tell."""
    own = new_project(tmp_path_factory.mktemp("drift") / "project", state)
    own.serve(host)
    own.settled()
    return own


@pytest.mark.parametrize(
    "drifts",
    [
        pytest.param(DISK, id="on the disk"),
        pytest.param(STOPPED, id="stopped"),
        pytest.param(LOADED, id="loaded"),
        pytest.param(SITE, id="the site's environment"),
        pytest.param(SWITCH, id="the switch"),
        pytest.param(ACTIVATIONS, id="the activations"),
    ],
)
def test_the_very_next_run_sees_all_drift_and_mends_it(
    host: StagingHost, shop: Project, drifts: list[Drift]
) -> None:
    for one in drifts:
        sh(host, one.done)
    mending = shop.provision("--json")
    planned = next(event for event in mending.events if event["event"] == "planned")
    seen = [change["id"] for change in planned["changes"]]
    for one in drifts:
        assert any(id.startswith(one.seen) for id in seen), f"{one.what}: {seen}"
    assert mending.report()["outcome"] == "changed"
    for one in drifts:
        sh(host, one.mended)
    assert ask(host, "/healthz").text == "ok\n"
    assert leftovers(host) == ""
    again = shop.provision("--json").report()
    assert again["outcome"] == "unchanged"
    assert again["round_trips"] == 1


def test_a_file_edited_after_a_reboot_is_mended_by_a_reload_that_loses_no_request(
    host: StagingHost, shop: Project
) -> None:
    """Nobody recorded what the new process has loaded; what lay there before it began needs no restart."""
    host = staging.reboot(host.name)
    sh(host, "sleep 1; echo '# mine' >> /etc/nginx/conf.d/hello.conf")
    with visitors(host) as wrong:
        mending = shop.provision("--json")
    assert wrong == []
    labels = [event["label"] for event in mending.events if event["event"] == "step_started"]
    assert "reload nginx.service" in labels
    assert "restart nginx.service" not in labels


RELOADS = r"""read -r main < /run/nginx.pid
children() { read -r workers < "/proc/$main/task/$main/children"; }
count() { # those that take requests: some of an earlier reload may still be on their way out
  children; n=0
  for one in $workers; do
    title=; { read -r title < "/proc/$one/cmdline"; } 2>/dev/null
    [ "$title" != "nginx: worker process" ] || n=$((n + 1))
  done
  echo "$n"
}
count
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  children; before=$workers
  kill -s HUP "$main"
  @{retire}
  for old in $before; do ! serving || echo "$old still serves"; done
  sleep 0.2
done
count
"""


def test_workers_that_are_told_to_stop_lose_no_request_and_none_takes_their_place(
    host: StagingHost, shop: Project
) -> None:
    """Twenty reloads in which the old workers are told at once, while Nginx itself still sleeps before it does so."""
    with visitors(host) as wrong:
        said = sh(host, RELOADS.replace("@{retire}", RETIRE))
    assert wrong == []
    began, ended = said.split()
    assert began == ended
