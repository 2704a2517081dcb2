"""A certificate authority of a test's own inside a staging host: pebble, its DNS, and ways for both to misbehave."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from sites import HELLO, NAME, sh

from deploy.staging import StagingHost

WWW = f"www.{NAME}"
DIRECTORY = "https://localhost:14000/dir"
FAKE = "https://localhost:14001/dir"
"""An authority that answers every order with the problem in /etc/pebble/problem."""

INSTALL = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -y -qq pebble python3 openssl ca-certificates >/dev/null
mkdir -p /etc/pebble
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout /etc/pebble/key.pem -out /etc/pebble/cert.pem 2>/dev/null
chmod 644 /etc/pebble/key.pem
cp /etc/pebble/cert.pem /usr/local/share/ca-certificates/pebble.crt
update-ca-certificates >/dev/null 2>&1
cat > /etc/pebble/config.json <<'JSON'
{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
 "certificate": "/etc/pebble/cert.pem", "privateKey": "/etc/pebble/key.pem", "httpPort": 80, "tlsPort": 443,
 "ocspResponderURL": "", "externalAccountBindingRequired": false, "domainBlocklist": ["blocked.example.com"],
 "retryAfter": {"authz": 1, "order": 1}, "certificateValidityPeriod": 518400}}
JSON
cat > /etc/pebble/fake.py <<'PYTHON'
import http.server, json, ssl
class Fake(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, kind):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Replay-Nonce", "bm9uY2U"), ("Content-Type", kind), ("Content-Length", str(len(data)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
    def do_GET(self):
        here = "https://localhost:14001/"
        names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
        self.answer(200, {name: here + name for name in names} | {"meta": {}}, "application/json")
    do_HEAD = do_GET
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        problem = json.load(open("/etc/pebble/problem"))
        self.answer(problem["status"], problem, "application/problem+json")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 14001), Fake)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/pebble/cert.pem", "/etc/pebble/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
PYTHON
unit() {
  printf '[Service]\nEnvironmentFile=-/etc/pebble/env\nExecStart=%s\nRestart=on-failure\n' "$2" \
    > "/etc/systemd/system/$1.service"
  printf '[Install]\nWantedBy=multi-user.target\n' >> "/etc/systemd/system/$1.service"
}
dns=$(command -v pebble-challtestsrv)
flag=-dns01; ! "$dns" -help 2>&1 | grep -q -- ' -dnsserver' || flag=-dnsserver
none="-http01 '' -https01 '' -tlsalpn01 '' -defaultIPv6 ''"
unit authority-dns "$dns -defaultIPv4 127.0.0.1 $none $flag 127.0.0.1:8053 -management 127.0.0.1:8055"
unit authority "$(command -v pebble) -dnsserver 127.0.0.1:8053 -config /etc/pebble/config.json"
unit authority-fake "/usr/bin/python3 /etc/pebble/fake.py"
printf 'PEBBLE_VA_NOSLEEP=1\nPEBBLE_WFE_NONCEREJECT=0\nPEBBLE_AUTHZREUSE=0\n' > /etc/pebble/env
systemctl daemon-reload
systemctl enable --now authority-dns authority authority-fake 2>/dev/null
sleep 0.5; systemctl is-active -q authority-dns || { journalctl -q -u authority-dns | tail; "$dns" -help; exit 1; }
left=200
until (: < /dev/tcp/127.0.0.1/14000) 2>/dev/null; do
  sleep 0.1
  [ "$((left -= 1))" -gt 0 ] || { journalctl -q -u 'authority*' | tail -20; exit 1; }
done
"""


def install(host: StagingHost) -> None:
    """The authority, running and believed by the host; its names lead to the host itself."""
    sh(host, f"bash -c {quoted(INSTALL)}", timeout=300)


def quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def site(**keys: Any) -> dict[str, Any]:
    """The example site with a certificate of the authority's, and another name that leads to it."""
    acme = {"directory": DIRECTORY, "email": "ops@example.com", **keys.pop("acme", {})}
    return {**HELLO, "redirects": [WWW], "tls": {"acme": acme}, "hsts": True, **keys}


def shown(host: StagingHost, name: str = NAME) -> bytes:
    """The certificate that a visitor is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host.address, 443), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as stream,
    ):
        found = stream.getpeercert(binary_form=True)
    assert found is not None
    return found


def lying(host: StagingHost, name: str = "hello") -> bytes:
    """The first certificate of the file that Nginx reads."""
    return ssl.PEM_cert_to_DER_cert(
        sh(host, f"sed -n '/BEGIN/,/END/p;/END/q' /var/lib/barehost/tls/{name}/live/fullchain.pem")
    )


def ready(host: StagingHost) -> None:
    """The authority answers, after it was started again; it has forgotten its accounts then."""
    sh(host, "bash -c 'until (: < /dev/tcp/127.0.0.1/14000) 2>/dev/null; do sleep 0.05; done'")


def renew(host: StagingHost) -> str:
    """What the timer does, now."""
    return sh(host, "systemctl start barehost-certificates.service", timeout=200)


def impatient(host: StagingHost) -> None:
    """The time until which a failed order is not tried again has passed."""
    sh(host, "sed -i 's/^until=.*/until=0/' /var/lib/barehost/tls/*/failed 2>/dev/null; true")
