"""Who a site runs as, and what belongs to whom."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from deploy.facts import AppFacts
from deploy.roles.static import shared
from deploy.site.app import App

pytestmark = pytest.mark.role("static")

WORKERS_GROUPS = """
main=$(cat /run/nginx.pid) && for pid in $(cat /proc/$main/task/$main/children); do
  grep '^Groups:' /proc/$pid/status
done"""


def test_the_site_has_a_user_and_group_of_its_own(host: Host, site: App) -> None:
    user = host.user(site.user)
    assert user.exists, f"there is no user {site.user}"
    assert host.group(site.user).exists, f"there is no group {site.user}"
    assert user.group == site.user, f"{site.user}'s group is {user.group}, expected {site.user}"


def test_nobody_can_log_in_as_the_site(host: Host, site: App) -> None:
    user = host.user(site.user)
    assert user.uid != 0, f"{site.user} is root"
    assert user.shell.endswith(("/nologin", "/false")), f"{site.user} has the shell {user.shell}"
    password = host.check_output("getent shadow %s", site.user).split(":")[1]
    assert password.startswith(("!", "*")), f"{site.user} has a password"


def test_nginx_is_in_the_sites_group(host: Host, site: App) -> None:
    groups = host.user("www-data").groups
    assert site.user in groups, f"www-data is in {', '.join(groups)}, and not in {site.user}"


def test_nginx_runs_with_the_sites_group(host: Host, site: App) -> None:
    gid = str(host.group(site.user).gid)
    told = host.check_output(WORKERS_GROUPS)
    lacking = [line for line in told.splitlines() if gid not in line.split()[1:]]
    assert told, "Nginx has no workers"
    assert not lacking, (
        f"{len(lacking)} workers of Nginx started before www-data was in {site.user}: restart nginx"
    )


def test_its_folders_belong_to_whom_they_should(host: Host, site: App) -> None:
    expected = {
        site.root: ("root", "root", 0o755),
        f"{site.root}/assets": ("root", "root", 0o755),
        **dict.fromkeys(shared(site), (site.user, site.user, 488)),
    }
    for path, (user, group, mode) in expected.items():
        folder = host.file(path)
        assert folder.is_directory, f"{path} is missing"
        found = (folder.user, folder.group, folder.mode)
        assert found == (user, group, mode), (
            f"{path} is {folder.user}:{folder.group} {folder.mode:o}, expected {user}:{group} {mode:o}"
        )


@pytest.mark.role("app")
def test_the_site_cannot_write_its_own_code(host: Host, site: App, serving: AppFacts) -> None:
    code = [f"{site.root}/{part}" for part in ("releases", "venvs", "activations", "current")]
    with host.sudo(site.user):
        writable = host.check_output(
            "find %s %s %s %s -writable ! -type l -print -quit -o -type d ! -readable -prune", *code
        )
    assert not writable, f"{site.user} may write {writable}"


@pytest.mark.site_with("media")
def test_the_site_may_write_its_media(host: Host, site: App) -> None:
    for folder in site.media.values():
        path = f"{site.shared}/{folder}"
        with host.sudo(site.user):
            assert host.run("test -d %s -a -w %s -a -x %s", path, path, path).rc == 0, (
                f"{site.user} cannot write {path}"
            )


@pytest.mark.site_with("media")
def test_nginx_may_read_every_upload(host: Host, site: App) -> None:
    for folder in site.media.values():
        with host.sudo("www-data"):
            hidden = host.run("find %s ! -readable -print -quit", f"{site.shared}/{folder}")
        assert hidden.rc == 0 and not hidden.stdout, (
            f"Nginx cannot read {hidden.stdout.strip() or hidden.stderr.strip()}: its mode must let the group read"
        )
