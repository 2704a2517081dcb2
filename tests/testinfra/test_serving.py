"""What a visitor gets: the current release, files by Nginx alone, nothing that was not meant for them."""

from __future__ import annotations

import ipaddress
import secrets
import time

import pytest
from testinfra.host import Host

from deploy.facts import AppFacts
from deploy.site.app import App
from deploy.verify.visitor import Answer, Visitor

pytestmark = pytest.mark.role("app", "nginx")

LOG_SECONDS = 5
"""Nginx writes its log after a second at the latest."""

OUTSIDE = {
    "/etc/passwd": "root:x:0:0:",
    "the activation's entry module": "The site as every server loads it",
}
"""What no file that Nginx serves ever holds: words by which a way out of the folder is seen."""

WAYS_OUT = (
    "../server/barehost_entry.py",
    "../../server/barehost_entry.py",
    "..%2fserver/barehost_entry.py",
    "..%2f..%2fserver/barehost_entry.py",
    "%2e%2e/%2e%2e/server/barehost_entry.py",
    "..%5c..%5cserver/barehost_entry.py",
    "./.././../server/barehost_entry.py",
    "//../../server/barehost_entry.py",
    "../../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/etc/passwd",
)

FIRST_FILE = (
    "cd %s && find . -type f ! -path '*/.*' ! -name '*.gz' -size -8192k -printf '%%P\\n' | LC_ALL=C sort | "
    "grep -E '^[A-Za-z0-9._/-]+$' | head -n 1"
)
"""A file that a URL can name without escapes."""


@pytest.fixture
def health(site: App, visitor: Visitor) -> Answer:
    """The answer of the page that says whether the site is healthy."""
    return visitor.get(site.health.path)


def test_the_site_is_healthy(health: Answer, site: App) -> None:
    assert health.status == site.health.expect, (
        f"{site.health.path} was answered with {health.status or health.problem or 'nothing'}, "
        f"expected {site.health.expect}"
    )


def test_the_current_release_answers(health: Answer, serving: AppFacts) -> None:
    found = (health.headers.get("x-release"), health.headers.get("x-activation"))
    assert found == (serving.release, str(serving.activation)), (
        f"release {found[0]}, activation {found[1]} answered; current are {serving.release} and {serving.activation}"
    )


def test_no_version_of_nginx_is_told(visitor: Visitor, site: App) -> None:
    for answer in visitor.get_all([site.health.path, "/barehost-no-such-page", "/%00"]):
        assert answer.headers.get("server", "nginx") == "nginx", f"Server: {answer.headers['server']}"
        assert "<center>nginx/" not in answer.text, "an error page names Nginx's version"


def test_every_name_of_the_site_is_served(visitor: Visitor, site: App) -> None:
    for name in site.server_names:
        answer = visitor.get(site.health.path, name=name.replace("*", "barehost"))
        assert answer.status == site.health.expect, (
            f"{name}: {answer.status or answer.problem or 'no answer'}"
        )


@pytest.mark.site_with("static")
def test_static_files_are_served_as_they_are_in_the_release(
    host: Host, site: App, serving: AppFacts, visitor: Visitor
) -> None:
    for prefix, folder in site.static.items():
        root = f"{site.root}/releases/{serving.release}/{folder}"
        assert host.file(root).is_directory, f"{prefix} is served from {root}, and there is no such folder"
        name = host.check_output(FIRST_FILE, root)
        if not name:
            pytest.skip(f"{folder} has no file with a plain name")
        answer = visitor.get(f"{prefix}{name}")
        assert answer.status == 200, f"{prefix}{name} was answered with {answer.status or answer.problem}"
        assert answer.sha256 == host.file(f"{root}/{name}").sha256sum, (
            f"{prefix}{name} has other bytes than the file"
        )
        assert "x-release" not in answer.headers, f"{prefix}{name} was served by the site, not by Nginx"
        assert answer.headers.get("x-content-type-options") == "nosniff", f"{prefix}{name}: no nosniff"
        assert "max-age" in answer.headers.get("cache-control", ""), f"{prefix}{name}: no Cache-Control"


def test_no_way_leads_out_of_a_folder_that_nginx_serves(visitor: Visitor, site: App) -> None:
    prefixes = [*site.static, *site.media]
    if not prefixes:
        pytest.skip("Nginx serves no files of this site")
    paths = [f"{prefix}{way}" for prefix in prefixes for way in WAYS_OUT]
    paths += [f"{prefix.rstrip('/')}{way}" for prefix in prefixes for way in WAYS_OUT]
    for path, answer in zip(paths, visitor.get_all(paths), strict=True):
        for what, words in OUTSIDE.items():
            assert words not in answer.text, f"{path} leads to {what}"


def test_hidden_files_and_listings_are_refused(visitor: Visitor, site: App) -> None:
    prefixes = [*site.static, *site.media]
    if not prefixes:
        pytest.skip("Nginx serves no files of this site")
    for prefix in prefixes:
        listing, hidden = visitor.get_all([prefix, f"{prefix}.git/config"])
        assert listing.status in (403, 404), f"{prefix} was answered with {listing.status}"
        assert hidden.status in (403, 404), f"{prefix}.git/config was answered with {hidden.status}"


@pytest.mark.site_with("media")
def test_what_is_not_among_the_uploads_is_not_found(visitor: Visitor, site: App) -> None:
    for prefix in site.media:
        answer = visitor.get(f"{prefix}barehost-{secrets.token_hex(8)}")
        assert answer.status == 404, (
            f"{prefix} was answered with {answer.status or answer.problem}, expected 404"
        )
        assert "x-release" not in answer.headers, f"{prefix} was served by the site, not by Nginx"


def test_requests_are_logged_and_a_forged_client_is_not_believed(
    host: Host, visitor: Visitor, site: App
) -> None:
    if any(ipaddress.ip_address("127.0.0.1") in ipaddress.ip_network(one) for one in site.trusted_proxies):
        pytest.skip("the host itself is a trusted proxy")
    mark = f"barehost-verify-{secrets.token_hex(8)}"
    forged = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP"), "203.0.113.7")
    visitor.get(site.health.path, headers={"User-Agent": mark, "Forwarded": "for=203.0.113.7", **forged})
    log = f"/var/log/nginx/{site.name}.access.log"
    line = logged(host, log, mark)
    assert line, f"a request did not get into {log} within {LOG_SECONDS} s"
    assert "203.0.113.7" not in line, f"Nginx took a forged header for the client's address: {line}"


def test_the_site_is_told_the_client_and_scheme_by_nginx_alone(host: Host, site: App) -> None:
    config = host.file(f"/etc/nginx/conf.d/{site.name}.conf").content_string
    settings = {" ".join(line.split()) for line in config.splitlines()}
    wanted = ["proxy_set_header X-Real-IP $remote_addr;", "proxy_set_header X-Forwarded-For $remote_addr;"]
    wanted += [
        f'proxy_set_header {name} "";' for name in ("Forwarded", "X-Forwarded-Host", "X-Forwarded-Prefix")
    ]
    missing = [line for line in wanted if line not in settings]
    assert not missing, f"/etc/nginx/conf.d/{site.name}.conf lacks {' '.join(missing)}"


def test_its_error_log_is_there(host: Host, site: App) -> None:
    log = host.file(f"/var/log/nginx/{site.name}.error.log")
    assert log.is_file, f"{log.path} is missing"
    for name in ("access", "error"):
        owner = host.file(f"/var/log/nginx/{site.name}.{name}.log").group
        assert owner == "adm", (
            f"{site.name}.{name}.log belongs to the group {owner}, so that adm cannot read it"
        )


def logged(host: Host, log: str, mark: str) -> str:
    """The line of the log with the mark; empty when it does not come in time."""
    deadline = time.monotonic() + LOG_SECONDS
    while time.monotonic() < deadline:
        line = str(host.run("tail -n 2000 %s | grep -F %s", log, mark).stdout)
        if line:
            return line
        time.sleep(0.1)
    return ""
