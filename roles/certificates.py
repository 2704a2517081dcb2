"""Certificates that the host has issued and renews: certbot, our list and timer, and a placeholder. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.resources.certificate import PROGRAM, Certificate
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Template
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from deploy.shell import Script, program, sh
from deploy.site.app import App
from deploy.site.edge import STORE, issued_names

LIST = "/etc/barehost/certificates"
TIMER = "barehost-certificates"


def issuing(host: Host) -> list[App]:
    """The sites of the host whose certificate is issued for them."""
    return [app for app in host.apps if app.state == "present" and app.tls and app.tls.acme]


def certificates(host: Host) -> Iterator[Resource]:
    """What orders and renews, and what stands in a certificate's place until there is one."""
    apps = issuing(host)
    if not apps:
        yield File(LIST, state="absent")  # nothing is renewed any more; what was issued stays
        return
    yield Package("certbot")
    yield Package("openssl")
    yield Directory("/var/www/acme/.well-known/acme-challenge")
    yield from (placeholder(app) for app in apps)
    yield Directory("/etc/barehost")
    yield Directory("/usr/local/lib/barehost")
    yield File(LIST, "".join(f"{line(app)}\n" for app in apps), mode=0o600)
    yield File(PROGRAM, program("certificates"), mode=0o755)
    units = [
        Template(f"/etc/systemd/system/{TIMER}.{kind}", f"certificates.{kind}.j2", host=host)
        for kind in ("service", "timer")
    ]
    yield from units
    yield Unit(f"{TIMER}.timer", restart_on=(units[1],))


def ordered(apps: Sequence[App]) -> Iterator[Resource]:
    """The certificates themselves, after the sites have answered."""
    for app in apps:
        assert app.tls is not None and app.tls.acme is not None
        yield Certificate(
            app.name,
            issued_names(app),
            app.tls.acme.directory,
            app.tls.acme.key_type,
            app.tls.port,
            digest(app),
            scope=app.name,
        )


def line(app: App) -> Script:
    """What the list says of a site: the call of a shell function, each value a word."""
    return sh("certificate @{name} @{digest} @{rest}", name=app.name, digest=digest(app), rest=_words(app))


def digest(app: App) -> str:
    """Of all that an order depends on: another one is tried although the last has failed."""
    return hashlib.sha256("\0".join(_words(app)).encode()).hexdigest()[:16]


def _words(app: App) -> list[str]:
    assert app.tls is not None and app.tls.acme is not None
    acme = app.tls.acme
    return [acme.directory, acme.email or "", acme.key_type, str(app.tls.port), *issued_names(app)]


def placeholder(app: App) -> Run:
    """A certificate that nobody believes, so that Nginx takes its configuration before there is another."""
    here = f"{STORE}/{app.name}"
    return Run(
        f"placeholder certificate of {app.name}",
        sh(program("certificate-placeholder"), here=here),
        creates=f"{here}/live/fullchain.pem",
    )
