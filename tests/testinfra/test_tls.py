"""A site with a certificate: the one of the inventory is shown, it is valid, its key is private."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from deploy.site.app import App
from deploy.site.edge import pair
from deploy.verify.visitor import Visitor, first_name

pytestmark = [pytest.mark.role("app", "nginx"), pytest.mark.site_with("tls")]

SHOWN = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as plain:
    with context.wrap_socket(plain, server_hostname=sys.argv[2].strip("[]")) as secure:
        shown = secure.getpeercert(True)
first = open(sys.argv[3]).read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\\n"
print("same" if ssl.PEM_cert_to_DER_cert(first[first.index("-----BEGIN"):]) == shown else "other")
"""

DAY = 86400


def test_the_certificate_on_the_disk_is_shown(host: Host, site: App) -> None:
    assert site.tls is not None
    chain, _ = pair(site)
    shown = host.run("/usr/bin/python3 -ISc %s %s %s %s", SHOWN, str(site.tls.port), first_name(site), chain)
    assert shown.rc == 0, f"no TLS on port {site.tls.port}: {shown.stderr.strip().rpartition(chr(10))[2]}"
    assert shown.stdout.strip() == "same", f"Nginx shows another certificate than {chain}: reload it"


def test_the_certificate_is_valid_for_another_week_or_renewed_in_time(host: Host, site: App) -> None:
    assert site.tls is not None
    if not host.exists("openssl"):
        pytest.skip("openssl is not on the host")
    chain, _ = pair(site)
    if site.tls.acme is not None and not host.file(f"{site.root}/issued").exists:
        pytest.fail("no certificate was issued yet: invoke plan says why")
    least = str(
        DAY if site.tls.acme else 7 * DAY
    )  # the host renews it; one of six days is never good for a week
    checked = host.run("openssl x509 -noout -checkend %s -in %s", least, chain)
    assert checked.rc == 0, f"{chain} expires within {int(least) // DAY} days, or has expired"


def test_the_key_is_private(host: Host, site: App) -> None:
    assert site.tls is not None
    key = host.file(host.check_output("readlink -f %s", pair(site)[1]))
    assert key.user == "root" and key.mode & 0o007 == 0, f"{key.path} is {key.user}'s with mode {key.mode:o}"


def test_plain_requests_are_sent_to_https(visitor: Visitor, site: App) -> None:
    assert site.tls is not None
    if not site.tls.redirect:
        pytest.skip("the site is served over plain HTTP too")
    for port in site.listen:
        answer = visitor.get("/", port=port, tls=False)
        assert answer.status == 308, f"port {port} answered with {answer.status}, expected 308"
        assert answer.headers["location"].startswith("https://"), f"sent to {answer.headers['location']}"
