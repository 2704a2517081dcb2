"""Nginx takes the clients, serves the files itself and hands the rest to Gunicorn. Pure: connects to nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.release import Proof
from deploy.release.shared import HASHED
from deploy.resource import Check, Deferred, Fact, Remark, Resource
from deploy.resources.account import Group, User
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Link, Template
from deploy.resources.unit import Unit
from deploy.roles import NOTHING
from deploy.roles.app import named, question
from deploy.roles.auth import users
from deploy.roles.certificates import certificates, issuing, ordered
from deploy.roles.static import BROTLI, hidden_below, without_suffix_below
from deploy.shell import Script, Secret, program, sh
from deploy.site import edge
from deploy.site.app import App
from deploy.site.names import is_address
from deploy.site.release import Delivery
from deploy.site.values import size

CHECK = Check("nginx -t", sh("umask 027; nginx -t -q"))  # it makes the logs that are missing

VERSION = Fact(
    "nginx", sh("[ ! -x /usr/sbin/nginx ] || /usr/sbin/nginx -v 2>&1 | sed 's|.*nginx/||; s| .*||'")
)
"""Such as ``1.22.1``; nothing where Nginx is not installed."""

MARKS = "/etc/nginx/barehost.d"
"""One file for the host and one for each site, with the digest of what Nginx reads of it. The default server answers
with all of them at ``/.barehost/config``, so that a reload can be proven."""

QUIC = Fact(
    "http3",
    sh("[ ! -x /usr/sbin/nginx ] || /usr/sbin/nginx -V 2>&1 | sed -n '/--with-http_v3_module/s|.*|yes|p'"),
)
"""``yes`` where Nginx was built with HTTP/3: Debian 13 and newer."""


def nginx(host: Host, facts: Facts, delivery: Delivery = NOTHING) -> Iterator[Resource]:
    """One Nginx before every site of the host; a name that no site has gets no answer."""
    apps = [app for app in host.apps if app.state == "present"]

    yield Package("nginx", masks=("nginx.service",))
    yield from (Group(app.user, scope=app.name) for app in apps)
    yield User("www-data", group="www-data", home="/var/www", groups=tuple(app.user for app in apps))

    # what Nginx makes there belongs to that group
    yield Directory("/var/log/nginx", group="adm", mode=0o2755)
    yield Directory("/var/www/acme")
    yield Directory("/var/www/.barehost")
    yield Template("/var/www/.barehost/unavailable.html", "unavailable.html.j2", host=host)
    yield Template("/var/www/.barehost/maintenance.html", "maintenance.html.j2", host=host)

    yield from certificates(host)
    yield VERSION
    yield BROTLI
    if wanting := [app.name for app in apps if app.http3]:
        yield QUIC
        if "nginx" in facts.own and not http3(facts):
            yield Remark(
                f"{', '.join(wanting)}: this host's Nginx has no HTTP/3; HTTP/2 serves, and Debian 13 has both"
            )
    if "nginx" not in facts.own and any(app.tls for app in apps):
        yield Deferred(what="Nginx's sites: how TLS is written depends on its version", until="package:nginx")
        return

    shared: list[File | Link] = [
        Template(
            "/etc/nginx/nginx.conf",
            "nginx.conf.j2",
            host=host,
            hashed=HASHED,
            headers=max((size(app.max_header) for app in apps), default=8192),
        ),
        Template(
            "/etc/nginx/conf.d/00-default.conf", "nginx-default.conf.j2", host=host, **default(apps, facts)
        ),
    ]
    if any(app.auth or pushed(app) for app in apps):
        yield Directory(edge.PUSHED, group="www-data", mode=0o750)
    for app in host.apps:
        yield from users(app)
    pairs = [one for app in apps for one in pushed(app)]
    yield from pairs
    sites = {app.name: site(host, app, facts) for app in host.apps}
    shared.append(Link("/etc/nginx/sites-enabled/default", state="absent"))
    yield Directory(MARKS)
    config = [*shared, File(f"{MARKS}/00-host.conf", f'set $loaded "{fingerprint(shared)}";\n')]
    config += [one for app in host.apps for one in (sites[app.name], mark(app, sites[app.name]))]
    yield from config

    yield Directory("/etc/systemd/system/nginx.service.d")
    yield (
        limits := Template("/etc/systemd/system/nginx.service.d/barehost.conf", "nginx.service.j2", host=host)
    )

    yield Unit(
        "nginx.service",
        reload_on=(*config, *pairs, *lying(apps)),
        restart_on=(limits,),
        checks_on=(CHECK,),
        proof=proof(ports(apps)[0], facts.cores),
        hup=True,
        log="/var/log/nginx/error.log",
    )
    for app in apps:
        if app.name in delivery.releases:
            behind = fingerprint([*shared, sites[app.name]])
            yield Proof(app.name, behind, named(app), question(app), scope=app.name)
    yield from ordered([app for app in issuing(host) if app.name in delivery.releases])


def lying(apps: Sequence[App]) -> list[str]:
    """The files of certificates that only lie on the host: who renews one need not know that Nginx reads it."""
    own = [app for app in apps if app.tls and not app.tls.acme and not pushed(app)]
    files = [path for app in own for path in edge.pair(app)]
    return list(dict.fromkeys(files))


def site(host: Host, app: App, facts: Facts) -> File:
    """What Nginx does for one site: its names, its files, its upstream."""
    path = f"/etc/nginx/conf.d/{app.name}.conf"
    if app.state == "absent":
        return File(path, state="absent", scope=app.name)
    return Template(
        path,
        "nginx-site.conf.j2",
        host=host,
        app=app,
        hidden_below=hidden_below,
        without_suffix_below=without_suffix_below,
        answer_headers=max(size(app.max_header), 16 << 10),
        pair=edge.pair(app) if app.tls else None,
        chain=next((one.digest for one in pushed(app)), ""),
        users=f"{edge.PUSHED}/{app.name}.users",
        http3=app.http3 and http3(facts),
        scope=app.name,
        **dialect(facts),
    )


def mark(app: App, site: File) -> File:
    """What the site's configuration adds to the answer by which a reload is proven. Of the site's scope: where its
    configuration is refused or goes back, so does this."""
    path = f"{MARKS}/{app.name}.conf"
    if app.state == "absent":
        return File(path, state="absent", scope=app.name)
    return File(path, f'set $loaded "${{loaded}}{fingerprint([site])}";\n', scope=app.name)


def pushed(app: App) -> list[File]:
    """The site's certificate and key, where they come from the project."""
    if app.tls is None or not isinstance(app.tls.certificate, Secret) or not isinstance(app.tls.key, Secret):
        return []
    chain, key = edge.pair(app)
    return [
        File(chain, app.tls.certificate.reveal() + "\n", scope=app.name),
        File(key, app.tls.key.reveal() + "\n", mode=0o600, secret=True, check=CHECK, scope=app.name),
    ]


def http3(facts: Facts) -> bool:
    """Whether the host's Nginx speaks it."""
    return facts.own.get("http3") == "yes"


def default(apps: Sequence[App], facts: Facts) -> dict[str, Any]:
    """What the template of the default server is given: every port, and by TLS port whose certificate it shows.

    A browser that asks for an address names nobody in the handshake, so where a site has an address among its names,
    its certificate is shown to whoever names no site. Elsewhere the handshake is refused; an Nginx before 1.19.4 cannot
    do that and shows a site's certificate before it hangs up.
    """
    secured = [app for app in apps if app.tls]
    refuses = version(facts) >= (1, 19, 4)
    certificates: dict[int, tuple[str, str] | None] = {}
    for app in sorted(secured, key=lambda one: any(map(is_address, one.server_names))):
        assert app.tls is not None
        shown = not refuses or any(map(is_address, app.server_names))
        certificates[app.tls.port] = edge.pair(app) if shown else certificates.get(app.tls.port)
    return {
        "ports": ports(apps),
        "certificates": dict(sorted(certificates.items())),
        "quic": [app.tls.port for app in secured if app.tls and app.http3] if http3(facts) else [],
        **dialect(facts),
    }


def dialect(facts: Facts) -> dict[str, Any]:
    """What every server block needs to know of the host: IPv6, Brotli, and how HTTP/2 is written."""
    return {
        "ipv6": facts.ipv6 is not False,
        "brotli": "brotli" in facts.own,
        "http2_by_listen": version(facts) < (1, 25, 1),
    }


def ports(apps: Sequence[App]) -> list[int]:
    """Every port for plain HTTP, at least 80."""
    return sorted({port for app in apps for port in app.listen}) or [80]


def version(facts: Facts) -> tuple[int, ...]:
    """Nginx's version; where none is installed yet, that of Debian 12. It matters to TLS alone."""
    return tuple(int(part) for part in facts.own.get("nginx", "1.22.1").split("."))


def fingerprint(config: Sequence[File | Link]) -> str:
    """One digest over these files, as they should be."""
    lines = (f"{one.path} {one.expected()}\n" for one in config)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def proof(port: int, cores: int | None) -> Script:
    """Succeeds once a worker of Nginx answers with the marks that lie on the disk: those of the new configuration.

    After a reload the old workers go on beside the new ones, and the kernel wakes the old ones first. So many are asked
    at once, until one of the new ones has to answer: 40 ms until that is seen instead of 120. Then the old ones are
    told to stop, for Nginx itself sleeps 100 ms before it does so; what they are serving they finish.
    A reload that failed at a taken port says 0 all the same. Bash's own sockets, since a bare host has no curl.
    """
    return sh(
        r"""marks=$(sed -n 's/.*\([0-9a-f]\{64\}\)";$/\1/p' @{marks}/*.conf | tr -d '\n')"""
        "\n"
        'timeout 2 bash -c @{ask} ask @{port} "$marks" @{count} &&\n' + RETIRE,
        ask=ASK,
        marks=MARKS,
        port=port,
        count=min(16 * (cores or 2), 64),
    )


RETIRE = program("nginx-retire")

ASK = program("nginx-ask")
