"""What a site depends on beside its code, a database and caches: their keys, and their part of its environment.

Pure: reads no file, asks no environment and no host.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from deploy.schema.marked import describe
from deploy.schema.model import Before, Key, Model
from deploy.site.values import Size, Unique, _matching

if TYPE_CHECKING:
    from deploy.site.app import App

SOCKETS = "/var/run/postgresql"
"""The folder of PostgreSQL's socket on a Debian."""

_DATABASE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_EXTENSION = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LOCALE = re.compile(r"C|C\.UTF-8|POSIX|[a-z]{2,3}_[A-Z]{2}(?:\.[A-Za-z0-9-]+)?(?:@[a-z]+)?")
_ENCODING = re.compile(r"[A-Z][A-Z0-9_]*")


def _by_kind(kinds: Collection[str]) -> Before:
    """``database: postgresql`` is short for ``database: {kind: postgresql}``."""

    def check(value: Any) -> Any:
        if isinstance(value, str):
            if value not in kinds:
                raise ValueError(f"expected {' or '.join(kinds)}, or a mapping, found {describe(value)}")
            return {"kind": value}
        return value

    return Before(check)


class Database(Model, frozen=True, kw_only=True):
    """The site's own database, on its host."""

    kind: Annotated[Literal["postgresql"], Key("which server", "postgresql")] = "postgresql"
    name: Annotated[
        Annotated[
            str,
            _matching(
                re.compile(f"(?:{_DATABASE.pattern})?"),
                "a name of 1 to 63 lower-case letters, digits and '_' that starts with a letter or '_', which"
                " PostgreSQL need not quote",
            ),
        ],
        Key("the database's name; default: the site's", "a name of lower-case letters, digits and '_'"),
    ] = ""
    extensions: Annotated[
        tuple[Annotated[str, _matching(_EXTENSION, "the name of an extension, like pg_trgm")], ...],
        Key(
            "extensions of the database; packages that bring them stand under packages:",
            "a list of extensions",
        ),
        Unique,
    ] = ()
    encoding: Annotated[
        Annotated[str, _matching(_ENCODING, "an encoding as PostgreSQL names it, like UTF8")],
        Key("its encoding; fixed when it is made", "an encoding, like UTF8"),
    ] = "UTF8"
    locale: Annotated[
        Annotated[str, _matching(_LOCALE, "a locale, like C.UTF-8 or de_DE.UTF-8")],
        Key("how text is sorted; fixed when it is made", "a locale, like C.UTF-8 or de_DE.UTF-8"),
    ] = "C.UTF-8"


def _by_purpose(value: Any) -> Any:
    """``redis: cache`` is short for ``redis: {cache: auto}``, and a list for several of them."""
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list | tuple):
        if not names or any(one not in PURPOSES for one in names):
            raise ValueError(f"expected cache, queue or both, or a mapping, found {describe(value)}")
        return dict.fromkeys(names, "auto")
    return value


PURPOSES = ("cache", "queue")
Memory = Literal["auto"] | Size


class Redis(Model, frozen=True, kw_only=True):
    """Redis servers of the site's own, one a purpose, reached by a unix socket and nothing else."""

    kind: Annotated[
        Literal["redis", "valkey"],
        Key("which server; valkey where the host's Debian has it (13)", "redis or valkey"),
    ] = "redis"
    cache: Annotated[
        Memory | None,
        Key("memory of a cache, which forgets what was not used for longest", "auto or a size like 128m"),
    ] = None
    queue: Annotated[
        Memory | None,
        Key("memory of a queue, which forgets nothing and is on the disk", "auto or a size like 128m"),
    ] = None

    @property
    def purposes(self) -> dict[str, str]:
        """Purpose → memory, as the inventory says."""
        return {name: size for name in PURPOSES if (size := getattr(self, name)) is not None}

    def check(self, written: Collection[str]) -> None:
        """A server without a purpose would be none."""
        if not self.purposes:
            raise ValueError("expected cache, queue or both, found neither")

    def socket(self, app: str, purpose: str) -> str:
        """Where the site finds the server."""
        return f"/run/{self.kind}-{app}-{purpose}/{self.kind}.sock"


def environment(app: App) -> dict[str, str]:
    """What the services of a site put into its environment; nothing of it is secret."""
    found: dict[str, str] = {}
    if app.database is not None:
        name = database_name(app)
        found |= {"DATABASE_URL": f"postgresql:///{name}", "PGHOST": SOCKETS, "PGDATABASE": name}
    if app.redis is not None:
        urls = {purpose: app.redis.socket(app.name, purpose) for purpose in app.redis.purposes}
        found |= {f"REDIS_{purpose.upper()}_URL": f"unix://{path}" for purpose, path in urls.items()}
        if len(urls) == 1:  # of two, either would be the wrong one for somebody
            found["REDIS_URL"] = f"unix://{next(iter(urls.values()))}"
        if "queue" in urls:  # Celery takes a socket by a scheme of its own
            found["CELERY_BROKER_URL"] = f"redis+socket://{urls['queue']}"
    return found


def database_name(app: App) -> str:
    """What the site's database is called: as the site itself, unless the inventory says otherwise."""
    assert app.database is not None
    return app.database.name or app.name


def taken(app: App) -> None:
    """Raise ValueError for a variable that the user sets and a service sets as well."""
    given: Mapping[str, Any] = {**app.env, **app.secrets}
    if both := sorted(environment(app).keys() & given.keys()):
        raise ValueError(
            f"{both[0]} stands under env or secrets, and comes from the site's own database or redis: keep one of them"
        )


DATABASE = _by_kind(("postgresql",))
REDIS = Before(_by_purpose)
