"""Certificates from an authority: a bare host to https in one run, renewals, and an authority that misbehaves."""

from __future__ import annotations

import json
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from authority import DIRECTORY, FAKE, WWW, impatient, install, lying, ready, renew, shown, site
from booting import Clone, Freeze
from sites import NAME, Project, ask, leftovers, new_project, sh, until, visitors

from deploy.staging import Image, StagingHost

Issued = Callable[[str], Image]


@pytest.fixture(scope="session")
def issued(frozen: Freeze, state: Path, tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """The image of a host that one run has brought from nothing but an authority of its own to https."""

    def image(suite: str) -> Image:
        def provision(host: StagingHost) -> None:
            install(host)
            own = new_project(tmp_path_factory.mktemp("maker") / "project", state)
            own.serve(host, {"hello": site()})
            done = own.provision("--json")
            assert done.report()["concerns"] == [], done.out
            assert shown(host) == lying(host)
            assert shown(host, WWW) == lying(host)
            moved = ask(host, "/a?b=c")
            assert (moved.status, moved.headers["Location"]) == (308, f"https://{NAME}/a?b=c")
            assert ask(host, name=WWW).headers["Location"] == f"https://{NAME}/"
            assert leftovers(host) == ""
            again = own.provision("--json").report()
            assert (again["outcome"], again["round_trips"]) == ("unchanged", 1), again

        return frozen(f"issued-{suite}", suite, provision)

    return image


@pytest.fixture
def host(issued: Issued, clone: Clone) -> StagingHost:
    return clone(issued("bookworm"))


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_bare_host_serves_https_after_one_run_and_renews_under_load(
    suite: str, issued: Issued, clone: Clone, project: Project
) -> None:
    host = clone(issued(suite))
    project.serve(host, {"hello": site()})
    project.settled()
    sh(host, "systemctl is-active barehost-certificates.timer")
    verified = project.run("verify")
    assert verified.code == 0, verified.said
    before = lying(host)
    # not due: nothing is asked of the authority
    renew(host)
    assert lying(host) == before
    # its six days are nearly over
    sh(
        host,
        'now=$(date +%s); sed -i "s/^start=.*/start=$((now - 432000))/; s/^end=.*/end=$((now + 86400))/"'
        " /var/lib/barehost/tls/hello/about",
    )
    with visitors(host, "/static/app.css") as wrong:
        renew(host)
        assert lying(host) != before
        assert shown(host) == lying(host)
    assert [one for one in wrong if "answered 308" not in one] == []
    assert int(sh(host, "ls -d /var/lib/barehost/tls/hello/*/ | wc -l")) <= 3, "old keys are kept"
    assert "600" in sh(host, "stat -c %a /var/lib/barehost/tls/hello/live/privkey.pem")
    project.settled()
    # another one shown than the one that lies there is a difference, and mended
    sh(host, "cd /var/lib/barehost/tls/hello && cp -r placeholder other && ln -sfn other live && nginx -t -q")
    plan = project.run("plan", "--json")
    assert plan.code == 2 and "certificate:hello" in plan.out, plan.said
    project.provision()
    assert shown(host) == lying(host)


def failing(project: Project, host: StagingHost, reason: str) -> None:
    """A run that gets no certificate: everything else is done, the site serves, and the next run orders nothing."""
    done = project.run("provision", "--json")
    assert done.code == 11, done.said
    concern = done.report()["concerns"][0]["text"]
    assert reason in concern, concern
    assert done.report()["failures"] == []
    assert ask(host, "/healthz").status in (200, 308)
    assert leftovers(host) == ""
    size = sh(host, "stat -c '%s %Y' /var/lib/barehost/tls/hello/log")
    again = project.run("provision", "--json")
    assert (again.code, again.report()["changed"]) == (11, []), again.said
    assert sh(host, "stat -c '%s %Y' /var/lib/barehost/tls/hello/log") == size, "it was ordered again at once"


FAULTS: dict[str, tuple[str, str, str]] = {
    # what: (what breaks it, what mends it, what a person reads)
    "nobody at the directory": ("systemctl stop authority", "systemctl start authority", "efused"),
    "a directory nobody vouches for": (
        "rm /usr/local/share/ca-certificates/pebble.crt; update-ca-certificates --fresh >/dev/null 2>&1",
        "cp /etc/pebble/cert.pem /usr/local/share/ca-certificates/pebble.crt; update-ca-certificates >/dev/null 2>&1",
        "certificate verify failed",
    ),
    "no DNS": ("systemctl stop authority-dns", "systemctl start authority-dns", ""),
    "every nonce refused": (
        "sed -i 's/REJECT=.*/REJECT=100/' /etc/pebble/env; systemctl restart authority",
        "sed -i 's/REJECT=.*/REJECT=0/' /etc/pebble/env; systemctl restart authority",
        "nonce",
    ),
    "another server block takes the name": (
        f"printf 'server {{ listen 80; server_name {NAME} {WWW}; return 404; }}\\n' > /etc/nginx/sites-enabled/a.conf"
        " && sed -i 's|include /etc/nginx/conf.d|include /etc/nginx/sites-enabled/*; &|' /etc/nginx/nginx.conf"
        " && systemctl reload nginx",
        "rm /etc/nginx/sites-enabled/a.conf",
        "does not answer on port 80",
    ),
}


def due(host: StagingHost) -> None:
    sh(
        host,
        "sed -i 's/^end=.*/end=100/' /var/lib/barehost/tls/hello/about; rm -f /var/lib/barehost/tls/hello/failed",
    )


def test_whatever_the_authority_does_the_site_serves_and_the_host_heals_by_itself(
    host: StagingHost, project: Project
) -> None:
    project.serve(host, {"hello": site()})
    for what, (breaks, mends, reason) in FAULTS.items():
        if what == "another server block takes the name":
            continue  # the files in front of the site go back then: below, by the timer alone
        due(host)
        sh(host, breaks)
        failing(project, host, reason)
        before = lying(host)
        sh(host, mends)
        ready(host)
        renew(host)
        assert lying(host) == before, f"{what}: tried again before its time"
        impatient(host)
        renew(host)
        assert lying(host) != before, f"{what}: it did not heal"
        assert shown(host) == lying(host)
        project.settled()

    breaks, mends, reason = FAULTS["another server block takes the name"]
    due(host)
    sh(host, breaks)
    until(lambda: all(ask(host).status == 404 for _ in range(20)), what="old workers of Nginx still answer")
    renew(host)
    assert reason in sh(host, "cat /var/lib/barehost/tls/hello/failed")
    sh(host, mends)


def test_an_authority_that_refuses_is_asked_as_it_wishes_and_another_order_at_once(
    host: StagingHost, project: Project
) -> None:
    def answers(status: int, kind: str, detail: str) -> None:
        problem = json.dumps(
            {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}
        )
        sh(host, f"cat > /etc/pebble/problem <<'END'\n{problem}\nEND")

    before = lying(host)
    for status, kind, detail in (
        (429, "rateLimited", "too many certificates, retry after 2099-01-02 03:04:05 UTC"),
        (500, "serverInternal", "the database is away"),
        (403, "unauthorized", "accounts are closed"),
    ):
        sh(host, "rm -f /var/lib/barehost/tls/hello/failed")
        answers(status, kind, detail)
        project.serve(host, {"hello": site(acme={"directory": FAKE})})
        failing(project, host, detail.split(",")[0])
        until_ = int(sh(host, "sed -n 's/^until=//p' /var/lib/barehost/tls/hello/failed"))
        if kind == "rateLimited":
            assert until_ > 4_000_000_000, "the time that the authority named is not kept"
        assert lying(host) == before and shown(host) == before
    # a name that the authority refuses
    refused = site(redirects=["blocked.example.com"])
    project.serve(host, {"hello": refused})
    failing(project, host, "blocked")
    # mended in the inventory: tried at once, whatever has failed before. The authority has forgotten its accounts.
    sh(host, "systemctl restart authority")
    ready(host)
    project.serve(host, {"hello": site(acme={"key_type": "rsa"})})
    assert project.provision("--json").report()["concerns"] == []
    assert lying(host) != before
    assert "rsaEncryption" in sh(
        host, "openssl x509 -in /var/lib/barehost/tls/hello/live/fullchain.pem -noout -text"
    )
    project.settled()


def test_a_site_without_acme_any_more_is_renewed_no_more(host: StagingHost, project: Project) -> None:
    project.serve(host)
    project.provision()
    assert ask(host, "/healthz").status == 200
    before = sh(host, "cat /var/lib/barehost/tls/hello/about")
    renew(host)
    assert sh(host, "cat /var/lib/barehost/tls/hello/about") == before
    project.settled()


def test_a_slow_authority_that_drops_nonces_is_waited_for(host: StagingHost, project: Project) -> None:
    slow = "PEBBLE_VA_SLEEPTIME=4\nPEBBLE_WFE_NONCEREJECT=10\nPEBBLE_AUTHZREUSE=0"
    sh(host, f"printf '{slow}\\n' > /etc/pebble/env; systemctl restart authority")
    ready(host)
    due(host)
    before = lying(host)
    project.serve(host, {"hello": site()})
    assert project.provision("--json").report()["concerns"] == []
    assert lying(host) != before
    assert ssl.DER_cert_to_PEM_cert(shown(host)) == ssl.DER_cert_to_PEM_cert(lying(host))
    assert DIRECTORY in sh(host, "cat /var/lib/barehost/tls/hello/about")


def test_a_stranger_finds_good_protocols_alone_and_no_site_by_a_name_that_nobody_has(
    issued: Issued, clone: Clone, project: Project
) -> None:
    host = clone(issued("trixie"))
    chain = sh(host, "cat /var/lib/barehost/tls/hello/live/fullchain.pem")
    assert chain.count("BEGIN CERTIFICATE") >= 2, "without its intermediate a browser believes nobody"

    def handshake(
        name: str, least: ssl.TLSVersion, most: ssl.TLSVersion, ciphers: str = ""
    ) -> tuple[str, str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # asking for an old one is the point
            context.minimum_version, context.maximum_version = least, most
        if ciphers:
            context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with (
            socket.create_connection((host.address, 443), 10) as plain,
            context.wrap_socket(plain, server_hostname=name) as stream,
        ):
            assert stream.selected_alpn_protocol() == "h2"
            return stream.version() or "", (stream.cipher() or ("",))[0]

    v = ssl.TLSVersion
    assert handshake(NAME, v.TLSv1_2, v.TLSv1_2)[0] == "TLSv1.2"
    assert handshake(NAME, v.TLSv1_3, v.TLSv1_3)[0] == "TLSv1.3"
    for refused in (
        lambda: handshake(NAME, v.TLSv1, v.TLSv1_1, "ALL"),
        lambda: handshake(NAME, v.TLSv1_2, v.TLSv1_2, "AES128-SHA:AES256-GCM-SHA384"),  # no forward secrecy
        lambda: handshake(NAME, v.TLSv1_2, v.TLSv1_2, "ECDHE-ECDSA-AES128-SHA"),  # CBC
        lambda: handshake("nobody.example.com", v.TLSv1_2, v.TLSv1_3),
    ):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            refused()
    assert ask(host, "/", name=NAME).headers["Location"].startswith("https://")
