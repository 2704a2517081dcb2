"""PostgreSQL for the sites of a host: a cluster that fits its memory, a role and a database a site. Pure.

Why each setting is as it is: docs/services.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Deferred, Fact, Phase, Resource
from deploy.resources.package import Package
from deploy.resources.path import Template
from deploy.resources.postgres import PostgresDatabase, PostgresRole
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from deploy.schema.marked import nearest
from deploy.shell import sh
from deploy.site.app import App
from deploy.site.services import database_name

PACKAGE = Package("postgresql", masks=("postgresql.service",))

CLUSTERS = Fact(
    "postgresql",
    sh(
        "clusters=\n"
        "for conf in /etc/postgresql/*/main/postgresql.conf; do\n"
        '  [ -f "$conf" ] || continue\n'
        "  version=${conf#/etc/postgresql/}\n"
        "  port=$(grep -E '^[[:space:]]*port[[:space:]]*=' \"$conf\") && port=${port##*port*=} && port=${port%%#*}\n"
        "  port=$(printf '%s' $port)\n"  # without the blanks around it
        '  clusters="$clusters ${version%%/*}:${port:-5432}"\n'
        "done\n"
        "for program in /usr/lib/postgresql/*/bin/postgres; do\n"
        '  [ -x "$program" ] || continue\n'
        "  version=${program#/usr/lib/postgresql/}\n"
        '  clusters="$clusters ${version%%/*}"\n'
        "done\n"
        "set -- ${clusters:-none}\n"
        "printf ',%s' \"$@\"\n"
        "echo"
    ),
)
"""``,15:5432,15``: the clusters named main with their ports, then the versions that are installed; or ``,none``."""

EXTENSIONS = Fact(
    "postgresql-extensions",
    sh(
        "for file in /usr/share/postgresql/*/extension/*.control; do\n"
        '  [ ! -e "$file" ] || { name=${file##*/}; printf "%s," "${name%.control}"; }\n'
        "done; echo"
    ),
)
"""Extensions that can be created, with a comma behind each; asked only where a site wants some."""


class Clusters(Struct, frozen=True):
    """port: of each cluster, by major version. installed: versions whose server is there."""

    port: dict[int, int]
    installed: tuple[int, ...]

    @property
    def version(self) -> int | None:
        """The cluster that serves: on the usual port, else on the lowest; None: there is none."""
        by_port = sorted(self.port.items(), key=lambda pair: (pair[1] != 5432, pair[1]))
        return by_port[0][0] if by_port else None


def clusters(facts: Facts) -> Clusters:
    """What the host has of PostgreSQL; nothing where nobody asked yet."""
    words = [word for word in facts.own.get("postgresql", "").split(",") if word and word != "none"]
    pairs = [word.split(":") for word in words if ":" in word]
    return Clusters(
        {int(version): int(port) for version, port in pairs if version.isdigit()},
        tuple(int(word) for word in words if word.isdigit()),
    )


def postgresql(host: Host, facts: Facts) -> Iterator[Resource]:
    """The server, and for each site with ``database: postgresql`` its role and its database."""
    sites = [app for app in host.apps if app.state == "present" and app.database is not None]
    if not sites:
        return
    yield CLUSTERS
    yield PACKAGE
    if (version := clusters(facts).version) is None:
        for app in sites:
            yield Deferred(what=f"the database of {app.name}", until="package:postgresql", scope=app.name)
        return
    cluster = f"postgresql@{version}-main.service"
    yield (
        conf := Template(
            f"/etc/postgresql/{version}/main/conf.d/60-barehost.conf",
            "postgresql.conf.j2",
            host=host,
            when=Phase.SERVICES,
            memory=memory(facts),
        )
    )
    yield Unit(cluster, restart_on=(conf,), when=Phase.SERVICES)
    yield Unit("postgresql.service", when=Phase.SERVICES)  # what starts the cluster at boot
    for app in sites:
        yield from database(host, app, facts)


def database(host: Host, app: App, facts: Facts) -> Iterator[Resource]:
    """A role of the site's own name, that the site's account alone comes in as, and the database that it owns."""
    assert app.database is not None
    wanted, scope = app.database, app.name
    if wanted.extensions:
        yield EXTENSIONS
        if missing := lacking(host, app, facts):
            yield Deferred(
                what=f"the extension {missing} of {app.name}'s database",
                until=f"a package that brings it, of those under packages: ({', '.join(app.packages)})",
                scope=scope,
            )
            return
    if wanted.locale not in ("C", "C.UTF-8", "POSIX"):
        yield Package("locales", scope=scope)
        yield locale(wanted.locale, scope)
    yield PostgresRole(app.user, scope=scope)
    yield PostgresDatabase(
        database_name(app),
        owner=app.user,
        encoding=wanted.encoding,
        locale=wanted.locale,
        extensions=wanted.extensions,
        scope=scope,
    )


def lacking(host: Host, app: App, facts: Facts) -> str | None:
    """An extension that the host has not yet and a package of the site may bring; None: it has all, or was not asked.

    Raises InputError, before anything is changed, where no package of the site is one of PostgreSQL's.
    """
    assert app.database is not None
    if (told := facts.own.get("postgresql-extensions")) is None:
        return None
    known = told.split(",")
    missing = [name for name in app.database.extensions if name not in known]
    if missing and not any(package.startswith("postgresql-") for package in app.packages):
        raise InputError(
            f"{host.name}: {app.name}: PostgreSQL there has no extension {missing[0]!r}; name the apt package "
            "that brings it under packages:, as postgresql-<version>-postgis-3 does"
            f"{nearest(missing[0], [name for name in known if name])}"
        )
    return missing[0] if missing else None


def locale(name: str, scope: str) -> Run:
    """A locale of the host, made where it is missing: a bare Debian has C.UTF-8 alone."""
    language, _, charset = name.partition("@")[0].partition(".")
    modifier = f"@{name.partition('@')[2]}" if "@" in name else ""
    plain = name.lower().replace("-", "")
    return Run(
        f"make the locale {name}",
        sh(
            "[ -e /usr/share/i18n/locales/@{source} ] || {\n"
            "  echo @{unknown}; exit 1; }\n"
            "localedef -i @{source} -f @{charset} @{name}",
            source=f"{language}{modifier}",
            charset=charset or "ISO-8859-1",
            name=name,
            unknown=f"glibc knows no locale {language}{modifier}: correct locale: of the site's database",
        ),
        unless=sh("locale -a | tr -d - | tr A-Z a-z | grep -qx @{plain}", plain=plain),
        when=Phase.SERVICES,
        scope=scope,
    )


def refuse_upgrade(host: Host, facts: Facts) -> None:
    """Raise InputError where a newer PostgreSQL was installed beside the one whose cluster holds the databases.

    The new one's cluster is empty, and nobody but a person moves data.
    """
    if not any(app.state == "present" and app.database for app in host.apps):
        return
    found = clusters(facts)
    old, new = found.version, max(found.installed, default=0)
    if old is None or new <= old:
        return
    empty = f"pg_dropcluster --stop {new} main && " if new in found.port else ""
    raise InputError(
        f"{host.name}: PostgreSQL {new} is installed, and the databases are in the cluster {old}/main; after "
        f"invoke backup, run on the host: {empty}pg_upgradecluster {old} main && pg_dropcluster {old} main; "
        "nothing was changed"
    )


def memory(facts: Facts) -> dict[str, int]:
    """MiB for the settings that go by the host's memory, in steps, so that a little more or less changes none.

    A host that serves sites as well has about half of it for PostgreSQL: an eighth that it holds, and what the kernel
    keeps of its files.
    """
    whole = max(256, (facts.memory or 1024) // 256 * 256)
    return {
        "shared": max(32, whole // 8),
        "cached": whole // 2,
        "work": min(64, max(2, whole // 512)),
        "maintenance": min(512, max(16, whole // 32)),
    }
