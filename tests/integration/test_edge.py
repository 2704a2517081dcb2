"""What of a host faces the internet, as visitors see it: names, paths, passwords, headers, its own certificate."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from booting import Clone
from sites import HELLO, NAME, Project, ask, sh, visitors

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
WWW = "www.hello.example.com"
API = {
    "source": "api",
    "wsgi": "api:app",
    "requirements": None,
    "server_names": ["api.example.com"],
}
SHOWING = """def app(environ, start):
    start('200 OK', [('Content-Type', 'text/plain')])
    return [f"{environ['PATH_INFO']} {environ.get('HTTP_X_FORWARDED_PREFIX')} {environ['wsgi.url_scheme']}".encode()]
"""


@pytest.fixture
def host(served: Served, clone: Clone) -> StagingHost:
    """A Debian 13 that serves the example site over HTTP, as one run left it."""
    return clone(served("trixie"))


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"ada:{password}".encode()).decode()}


def secured(host: StagingHost, path: str, name: str = NAME, **headers: str) -> http.client.HTTPResponse:
    """One page over TLS, whoever has signed the certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(
        socket.create_connection((host.address, 443), 10), server_hostname=name
    ) as stream:
        lines = [f"GET {path} HTTP/1.1", f"Host: {name}", "Connection: close"]
        lines += [f"{one.replace('_', '-')}: {value}" for one, value in headers.items()]
        stream.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        answer.read()
        return answer


def self_signed(folder: Path, *names: str) -> None:
    """chain.pem and key.pem, as a user has them from an authority of their own."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=80))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)


def test_names_paths_passwords_headers_and_a_pushed_certificate(host: StagingHost, project: Project) -> None:
    self_signed(project.folder / ".secrets", NAME, WWW)
    project.write("api/api.py", SHOWING)
    project.environment["ADA"] = "s3cret-of-ada"
    hello = {
        **HELLO,
        "redirects": [WWW],
        "tls": {"certificate": {"file": ".secrets/chain.pem"}, "key": {"file": ".secrets/key.pem"}},
        "hsts": True,
        "http3": True,
        "paths": {
            "/api/": {"site": "api", "strip": True},
            "/events/": {"buffering": False, "read_timeout": 3600},
        },
        "auth": {"users": {"ada": {"env": "ADA"}}},
        "headers": {"X-Frame-Options": "DENY"},
    }
    project.serve(host, {"hello": hello, "api": API})
    done = project.provision("--diff", "-vv")
    assert "s3cret-of-ada" not in done.said
    assert "PRIVATE KEY" not in done.said

    assert secured(host, "/").status == 401
    inside = secured(host, "/", **basic("s3cret-of-ada"))
    assert (inside.status, inside.headers["X-Frame-Options"]) == (200, "DENY")
    assert inside.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert secured(host, "/api/users", **basic("s3cret-of-ada")).status == 200
    assert "h3=" in inside.headers["Alt-Svc"]
    assert "0.0.0.0:443" in sh(host, "ss -Hlun 'sport = 443'")
    for answer in (ask(host, "/a?b=c", name=WWW), secured(host, "/a?b=c", WWW)):
        headers = {key.lower(): value for key, value in answer.headers.items()}
        assert (answer.status, headers["location"]) == (308, f"https://{NAME}/a?b=c")
    keys = sh(host, "stat -c '%a %U %G' /etc/nginx/barehost/hello.key /etc/nginx/barehost/hello.users")
    assert keys.split("\n")[:2] == ["600 root root", "640 root www-data"]
    project.settled()

    self_signed(project.folder / ".secrets", NAME, WWW)  # a new one: pushed, and shown to visitors at once
    new = ssl.PEM_cert_to_DER_cert((project.folder / ".secrets/chain.pem").read_text())
    project.provision()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(
        socket.create_connection((host.address, 443), 10), server_hostname=NAME
    ) as stream:
        assert stream.getpeercert(binary_form=True) == new

    (project.folder / ".secrets/key.pem").write_text(
        "-----BEGIN PRIVATE KEY-----\nbroken\n-----END PRIVATE KEY-----\n"
    )
    project.fails(code=7)
    assert secured(host, "/", **basic("s3cret-of-ada")).status == 200, "a broken key took the site down"


def test_a_site_on_libraries_that_an_update_has_replaced_is_switched_without_a_lost_request(
    host: StagingHost, project: Project
) -> None:
    project.serve(host)
    project.settled()
    replace = (
        "main=$(systemctl show --value -p MainPID 'hello@*.service' | head -n 1); "
        "lib=$(sed -n 's|.* \\(/usr/lib/.*libz\\.so[^ ]*\\)$|\\1|p;s|.* \\(/usr/lib/.*libexpat\\.so[^ ]*\\)$|\\1|p'"
        " /proc/$main/maps | head -n 1); cp -p $lib $lib.new && mv $lib.new $lib && grep -c deleted /proc/$main/maps"
    )
    assert int(sh(host, replace).split()[-1]) > 0
    assert project.run("status").code == 13
    with visitors(host) as wrong:
        done = project.provision("--json").report()
    assert wrong == []
    assert "activation:hello" in done["changed"]
    project.settled()
    assert project.run("status").code == 0
