"""One site under ``apps:``: its keys, their meaning and limits. Reads no file, asks no environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from deploy.schema.marked import path_from
from deploy.schema.model import After, Frozen, Key, Model
from deploy.shell import Secret
from deploy.site import checks, edge
from deploy.site.backup import BACKUP, Backup
from deploy.site.edge import Auth, Headers, HstsValue, Paths, TlsValue
from deploy.site.image import Recipe
from deploy.site.names import NAME
from deploy.site.processes import Processes, Timers
from deploy.site.services import DATABASE, REDIS, Database, Redis
from deploy.site.values import (
    Absolute,
    EnvName,
    EnvValue,
    Files,
    Folder,
    Folders,
    HeaderSize,
    Line,
    Network,
    Package,
    Pages,
    Port,
    Python,
    Ref,
    Seconds,
    SecretValue,
    ServerName,
    ServerWord,
    Size,
    Unique,
    Whole,
    WorkerClass,
    Wsgi,
    is_git,
)


class Health(Model, frozen=True, kw_only=True):
    """How a new release is asked whether it serves."""

    path: Annotated[
        str,
        Key("what is asked for", "a path that starts with '/', like /healthz"),
        Meta(pattern=r"^/[A-Za-z0-9._~+,=:@%/?&-]*\Z", max_length=512),
    ] = "/"
    expect: Annotated[Whole, Key("the status that means healthy", "an HTTP status"), Meta(ge=100, le=599)] = (
        200
    )
    timeout: Annotated[
        Seconds,
        Key("seconds until a release that does not answer is given up", "a whole number from 1 to 86400"),
    ] = 30


class Sandbox(Model, frozen=True, kw_only=True):
    """What a site's process may do beyond the default, which is: nothing but serve, and reach out."""

    writable: Annotated[
        tuple[Absolute, ...],
        Key("folders of the host it may write to, besides its own shared data", "a list of absolute paths"),
        Unique,
    ] = ()
    outbound: Annotated[bool, Key("reach databases and services elsewhere", "true or false")] = True
    jit: Annotated[
        bool, Key("memory that is writable and executable, for JIT compilers", "true or false")
    ] = False
    proc: Annotated[bool, Key("all of /proc, for code that reads /proc/meminfo", "true or false")] = False
    home: Annotated[bool, Key("read /home and /root", "true or false")] = False
    devices: Annotated[bool, Key("the host's devices, for a GPU or a serial line", "true or false")] = False


class App(Model, frozen=True, kw_only=True):
    """One site on one host. ``name`` is its key under ``apps:``, its user, unit and folder below /srv."""

    name: Annotated[str, Meta(pattern=rf"^{NAME.pattern}\Z")]
    project: Path = Path()

    state: Annotated[
        Literal["present", "absent"],
        Key("absent removes the site; its shared data stays unless purged", "present or absent"),
    ] = "present"
    source: Annotated[
        str,
        Key("the code: a folder, relative to the project, or a git URL", "a folder or a git URL"),
        Meta(pattern=r"^[^-\x00-\x1f\x7f][^\x00-\x1f\x7f]*\Z"),
    ] = ""
    folder: Annotated[
        Folder | None,
        Key("the site's own folder in the source; default: all of it", "a folder in the source"),
    ] = None
    image: Annotated[
        Annotated[str, Meta(min_length=1)] | Recipe | None,
        Key(
            "a container image that the site runs from, without a container engine, instead of source",
            "a file of docker save, a folder in OCI layout, or a mapping with dockerfile and context",
        ),
    ] = None
    ref: Annotated[
        Ref | None,
        Key(
            "the branch, tag or commit of a git source; default: its default branch",
            "a branch, tag or commit",
        ),
    ] = None
    wsgi: Annotated[Wsgi, Key("the WSGI callable, or a factory()", "module:callable, like hello:app")] = ""
    asgi: Annotated[
        Wsgi, Key("the ASGI callable, or a factory(), instead of wsgi", "module:callable, like shop.asgi:app")
    ] = ""
    server: Annotated[
        ServerWord,
        Key(
            "what runs it: apache, cheroot, granian, gunicorn, hypercorn, uvicorn, uwsgi, waitress or one of your own"
            " in roles/servers/; default: gunicorn, for asgi uvicorn",
            "a server's name",
        ),
    ] = ""
    python: Annotated[
        Python, Key("the interpreter its venv is made with", "python3, python3.N or an absolute path")
    ] = "python3"
    requirements: Annotated[
        Folder | None,
        Key(
            "file in the source that names its packages: a requirements file, a lock, or the project itself; auto:"
            " the first that is there of a known list; null: nothing to install",
            "auto, null or a file in the source",
        ),
    ] = "auto"
    wheels: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Key("a folder of wheels, pushed to hosts without an index", "a folder, relative to the project"),
    ] = None
    packages: Annotated[
        tuple[Package, ...],
        Key("apt packages it needs besides Python", "a list of package names"),
        Unique,
    ] = ()
    server_names: Annotated[
        tuple[ServerName, ...],
        Key(
            "the names it answers to; health and proof ask with the first", "a list of DNS names or addresses"
        ),
        Unique,
    ] = ()
    listen: Annotated[
        tuple[Port, ...],
        Key("plain HTTP ports", "a list of ports, 1 to 65535"),
        Meta(min_length=1),
        Unique,
    ] = (80,)
    redirects: Annotated[
        tuple[ServerName, ...],
        Key("names that lead to the first of server_names, by 308", "a list of DNS names"),
        Unique,
    ] = ()
    tls: Annotated[
        TlsValue,
        Key(
            "acme: a certificate that renews itself; or one's own",
            "acme, or a mapping with certificate and key",
        ),
    ] = None
    hsts: Annotated[
        HstsValue,
        Key("browsers ask for it over https alone from then on", "true, a number of seconds or a mapping"),
    ] = None
    http3: Annotated[
        bool,
        Key(
            "HTTP/3 beside HTTP/2, where the host's Nginx has it; off, for Nginx calls it experimental and a reload"
            " drops its connections",
            "true or false",
        ),
    ] = False
    paths: Annotated[
        Paths,
        Key(
            "URL prefix → another site of the host, buffering, timeouts",
            "a mapping of URL prefixes to mappings",
        ),
    ] = Frozen()
    auth: Annotated[
        Auth | None, Key("who may see it; default: everybody", "a mapping with users or allow")
    ] = None
    headers: Annotated[
        Headers, Key("headers of every answer, in place of the site's own", "a mapping of names to text")
    ] = Frozen()
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Key(
            "networks of proxies in front, whose X-Forwarded-For and -Proto are believed",
            "a list of networks",
        ),
        Unique,
    ] = ()
    static: Annotated[
        Folders,
        Key(
            "URL prefix → folder in the source, served by Nginx alone", "a mapping of URL prefixes to folders"
        ),
    ] = Frozen()
    media: Annotated[
        Folders,
        Key(
            "URL prefix → folder in the shared data, served by Nginx", "a mapping of URL prefixes to folders"
        ),
    ] = Frozen()
    files: Annotated[
        Files,
        Key(
            "URL → file in the source, served by Nginx: /robots.txt, /favicon.ico",
            "a mapping of URLs to files",
        ),
    ] = Frozen()
    fallback: Annotated[
        Folders,
        Key(
            "prefix of static → the file below it that answers URLs without a suffix that no file has:"
            " a single-page application's index.html",
            "a mapping of URL prefixes to files",
        ),
    ] = Frozen()
    error_pages: Annotated[
        Pages,
        Key(
            "status → file in the source, for what Nginx answers itself: 403, 404, 413, 502, 503, 504",
            "a mapping of statuses to files",
        ),
    ] = Frozen()
    writable: Annotated[
        tuple[Folder, ...],
        Key(
            "folders of its code that it writes to: links to folders of the same name in the shared data",
            "a list of folders in the source",
        ),
        Unique,
    ] = ()
    env: Annotated[
        Mapping[EnvName, EnvValue],
        Key(
            "environment of the process, seen in plans; {release}, {shared}, {root} and {venv} are its places",
            "a mapping of names to text",
        ),
        After(Frozen),
    ] = Frozen()
    secrets: Annotated[
        Mapping[EnvName, SecretValue],
        Key(
            "environment that is never shown: text, {env: NAME}, {file: path}, or what {command: PROGRAM} prints",
            "a mapping of names to text, {env: NAME}, {file: path} or {command: PROGRAM}",
        ),
        After(Frozen),
    ] = Frozen()
    database: Annotated[
        Database | None,
        Key("a database of its own on the host, in DATABASE_URL", "postgresql or a mapping"),
        DATABASE,
    ] = None
    redis: Annotated[
        Redis | None,
        Key("Redis of its own, in REDIS_URL: a cache, a queue or both", "cache, queue, a list or a mapping"),
        REDIS,
    ] = None
    backup: Annotated[
        Backup | None,
        Key("backups of its database and its shared data; true: as by default", "true or a mapping"),
        BACKUP,
    ] = None
    backup_secrets: Annotated[
        Mapping[EnvName, SecretValue],
        Key(
            "what the place of its backups wants, never shown to the site: RESTIC_PASSWORD, SSH_KEY, …",
            "a mapping of names to text, {env: NAME}, {file: path} or {command: PROGRAM}",
        ),
        After(Frozen),
    ] = Frozen()
    env_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Key(
            "a file here with NAME=value lines, which are secrets like those under secrets: and are not shown",
            "a file, relative to the project",
        ),
    ] = None
    workers: Annotated[
        Literal["auto"] | Annotated[Whole, Meta(ge=1, le=512)],
        Key("processes that serve; auto: from the host's cores", "auto or a whole number from 1 to 512"),
    ] = "auto"
    threads: Annotated[
        Whole, Key("threads a process that serves", "a whole number from 1 to 512"), Meta(ge=1, le=512)
    ] = 8
    worker_class: Annotated[
        WorkerClass,
        Key(
            "Gunicorn's worker; default: gthread, for asgi its own asgi",
            "gthread, sync, asgi, gevent, tornado or package.module.Class",
        ),
    ] = ""
    timeout: Annotated[
        Seconds,
        Key(
            "seconds until a stuck process is replaced, where the server can",
            "a whole number from 1 to 86400",
        ),
    ] = 30
    graceful_timeout: Annotated[
        Seconds,
        Key("seconds that running requests get to finish in a stop", "a whole number from 1 to 86400"),
    ] = 30
    max_requests: Annotated[
        Whole,
        Key("requests until a process is renewed; 0: never", "a whole number from 0 to 1000000000"),
        Meta(ge=0, le=10**9),
    ] = 0
    max_requests_jitter: Annotated[
        Whole,
        Key("random share added to max_requests", "a whole number from 0 to 1000000000"),
        Meta(ge=0, le=10**9),
    ] = 0
    max_body: Annotated[Size, Key("the largest request body Nginx takes", "a size like 10m")] = "10m"
    max_header: Annotated[
        HeaderSize,
        Key(
            "the largest header line, cookies among them, of a request; an answer's headers may take 16k, or this",
            "a size from 1k to 64k",
        ),
    ] = "8k"
    read_timeout: Annotated[
        Seconds, Key("seconds Nginx waits between two reads of an answer", "a whole number from 1 to 86400")
    ] = 60
    processes: Annotated[
        Processes | None,
        Key(
            "what else of it runs: workers, schedulers; default: the Procfile of its source, but web and release",
            "a mapping of names to processes",
        ),
    ] = None
    timers: Annotated[Timers, Key("commands that run by the clock", "a mapping of names to timers")] = (
        Frozen()
    )
    health: Annotated[Health, Key("how a new release proves that it serves", "a mapping")] = Health()
    build: Annotated[
        tuple[Line, ...], Key("commands in the new release, with its venv and env", "a list of commands")
    ] = ()
    migrate: Annotated[
        tuple[Line, ...], Key("commands run once per release, before the switch", "a list of commands")
    ] = ()
    keep: Annotated[
        Whole, Key("healthy releases kept", "a whole number from 2 to 100"), Meta(ge=2, le=100)
    ] = 5
    keep_assets: Annotated[
        Whole,
        Key("days that static files of past releases stay", "a whole number from 0 to 3650"),
        Meta(ge=0, le=3650),
    ] = 30
    sandbox: Annotated[Sandbox, Key("what its process may do beyond the default", "a mapping")] = Sandbox()

    @property
    def root(self) -> str:
        """Its folder on the host."""
        return f"/srv/{self.name}"

    @property
    def shared(self) -> str:
        """Its folder of what survives every release: the folders of ``media`` lie in it."""
        return f"{self.root}/shared"

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """The links of a release into the shared data: (name in the release, where it leads)."""
        return tuple((name, f"{self.shared}/{name}") for name in self.writable)

    @property
    def url(self) -> str:
        """Where a visitor finds it: its first name, over TLS where it has a certificate."""
        scheme, port, usual = ("https", self.tls.port, 443) if self.tls else ("http", self.listen[0], 80)
        return f"{scheme}://{self.server_names[0]}{'' if port == usual else f':{port}'}/"

    @property
    def user(self) -> str:
        """The account and group it runs as."""
        return self.name

    @property
    def interface(self) -> str:
        """The kind of its callable: ``asgi`` or ``wsgi``."""
        return "asgi" if self.asgi else "wsgi"

    @property
    def callable(self) -> str:
        """``module:name``, with ``()`` behind a factory."""
        return self.asgi or self.wsgi

    @property
    def runs_by(self) -> str:
        """Its server's name."""
        return self.server or ("uvicorn" if self.asgi else "gunicorn")

    @property
    def runs_alone(self) -> bool:
        """Whether some of its processes and timers run on one host alone."""
        where = [one.hosts for one in (self.processes or {}).values()] + [
            one.hosts for one in self.timers.values()
        ]
        return "first" in where

    @property
    def is_git(self) -> bool:
        """Whether ``source`` is a git URL rather than a folder here."""
        return is_git(self.source)

    @property
    def source_folder(self) -> Path:
        """Where the source lies on this machine; meaningless for a git source."""
        return path_from(self.project, self.source)

    @property
    def wheels_folder(self) -> Path | None:
        """Where the wheels lie on this machine; None: packages come from an index."""
        return path_from(self.project, self.wheels) if self.wheels else None

    @property
    def confidential(self) -> list[Secret]:
        """Every secret that it has, in whichever of its keys."""
        return [*edge.confidential(self), *self.backup_secrets.values()]

    def check(self, written: Collection[str]) -> None:
        """Keys that make sense only together."""
        checks.together(self, written)
