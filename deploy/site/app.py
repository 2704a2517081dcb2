"""One site under ``apps:``: its keys, their meaning and limits. Reads no file, asks no environment."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from deploy.schema.marked import Written, describe, path_from
from deploy.schema.model import After, Before, Frozen, Key, Model
from deploy.shell import Secret

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
"""A site's name is also a user (32 characters at most), a unit and a folder."""

_DEBIAN = """
    root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup adm
    tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev
    staff users input kvm render sgx crontab messagebus sshd ssl-cert tcpdump tss landscape pollinate lxd ubuntu
    debian admin postgres mysql redis memcache mongodb rabbitmq docker git ftp ntp bind postfix dovecot clock

    ssh nginx gunicorn cron dbus getty autovt container-getty serial-getty console-getty user user-runtime-dir
    modprobe ifup apache2 rsyslog networking network apt dpkg polkit udev emergency rescue reboot poweroff halt
    postgresql openvpn wg-quick chrony exim4 haproxy certbot fail2ban ufw

    lock log mount shm initctl screen uuidd sendsigs tmpfiles initramfs credentials www tftp
"""
TAKEN = frozenset(_DEBIAN.split())
"""Names that mean something else on a Debian or Ubuntu: users and groups; units; folders below /run and /srv."""

RESERVED_ENV = frozenset({"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "GUNICORN_CMD_ARGS"})
"""Variables that systemd and Gunicorn take orders from; a site's own would break the way it is started."""

_SEGMENT = r"(?!\.\.?(?:/|$))[A-Za-z0-9._@+-]+"
_FOLDER = re.compile(rf"(?!-){_SEGMENT}(?:/{_SEGMENT})*")
_PREFIX = re.compile(r"/(?:(?!\.\.?/)[A-Za-z0-9._~-]+/)+")
_ABSOLUTE = re.compile(rf"(?:/{_SEGMENT})+")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_MODULE = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?", re.ASCII)
_GIT = re.compile(
    r"(?:(?:https|http|ssh|git|file)://|[A-Za-z0-9_][\w.-]*@[\w.-]+:)[^\s\x00-\x1f\x7f]+", re.ASCII
)
_REF = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][\w./+-]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def _matching(pattern: re.Pattern[str], expects: str) -> Before:
    """Accepts text that the whole pattern matches."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"expected {expects}, found {describe(value)}")
        return value

    return Before(check)


def _not_bool(value: Any) -> Any:
    """YAML's yes and no are not the numbers 1 and 0."""
    return describe(value) if isinstance(value, bool) else value


Whole = Annotated[int, Before(_not_bool)]
Port = Annotated[Whole, Meta(ge=1, le=65535)]
Seconds = Annotated[Whole, Meta(ge=1, le=86400)]
Folder = Annotated[
    str,
    _matching(
        _FOLDER,
        "a relative folder of letters, digits, '.', '_', '-', '+', '@' and '/', without '.' or '..' parts",
    ),
]
Absolute = Annotated[
    str,
    _matching(
        _ABSOLUTE,
        "an absolute path of letters, digits, '.', '_', '-', '+', '@' and '/', without '.' or '..' parts",
    ),
]
Prefix = Annotated[
    str,
    _matching(
        _PREFIX,
        "a URL prefix that starts and ends with '/', like /static/, of letters, digits, '.', '_', '~', '-'",
    ),
]
Line = Annotated[str, Meta(min_length=1), After(lambda text: _no_control(text, "a command"))]


def _no_control(text: str, what: str) -> str:
    """Text without control characters but tab and newline, nor half a surrogate pair: what systemd takes."""
    if found := _CONTROL.search(text):
        raise ValueError(f"expected {what} without control characters, found {found[0]!r} in it")
    return text


def _address(text: str) -> str | None:
    """An IP address as a Host header writes it; None: it is none. A zone (fe80::1%eth0) is nobody's name."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if "%" in text or (bare is not text and address.version == 4):
        return None
    return f"[{address}]" if address.version == 6 else str(address)


def server_name(value: Any) -> str:
    """A name Nginx may listen to, in the one form it is compared in: lower case, IDNA, IPv6 in brackets.

    Raises ValueError for anything that is not a DNS name, ``*.`` and a DNS name, or an IP address.
    """
    wrong = ValueError(f"expected a DNS name, '*.' and a DNS name, or an IP address, found {describe(value)}")
    if not isinstance(value, str):
        raise wrong
    if address := _address(value):
        return address
    star, name = ("*.", value[2:]) if value.startswith("*.") else ("", value)
    try:
        name = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise wrong from None
    labels = name.split(".")
    if len(name) > 253 or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
        raise wrong
    return star + name


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ValueError(f"{describe(value)} stands here twice")
    return values


def _env_name(value: Any) -> str:
    """A variable's name: what a shell and systemd both take, and nothing that steers its start."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(f"expected a variable's name of letters, digits and '_', found {describe(value)}")
    if value in RESERVED_ENV or value.startswith("BAREHOST_"):
        raise ValueError(f"{value} is set by the service itself; choose another name")
    return value


def _env_value(value: Any) -> str:
    """Text, a whole number or true/false, as the text the process sees (true and false in lower case)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        raise ValueError(f"expected text, a whole number or true/false, found {describe(value)}; quote it")
    if isinstance(value, Written):
        raise ValueError(f"{value.text} is the number {value} in YAML; quote it if you mean the text")
    return _no_control(str(value), "text")


def _secret(value: Any) -> Any:
    """Plain text as a Secret; never says what it found."""
    if isinstance(value, str):
        value = Secret(value)
    if not isinstance(value, Secret):
        raise ValueError("expected text, {env: NAME} or {file: path}")
    if _CONTROL.search(value.reveal()):
        raise ValueError("expected a secret without control characters")
    return value


def _network(value: Any) -> str:
    if isinstance(value, str) and "%" not in value:
        try:
            return str(ipaddress.ip_network(value))
        except ValueError as error:
            if "host bits" in str(error):
                right = ipaddress.ip_network(value, strict=False)
                raise ValueError(
                    f"expected a network, found {value!r} with host bits set; write {right}"
                ) from None
    raise ValueError(f"expected a network like 10.0.0.0/8 or an address, found {describe(value)}")


def _worker_class(value: Any) -> Any:
    known = ("gthread", "sync", "gevent", "eventlet", "tornado")
    if isinstance(value, str) and (
        value in known or re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value, re.A)
    ):
        return value
    raise ValueError(
        f"expected {', '.join(known)} or a class as package.module.Class, found {describe(value)}"
    )


def _size(value: Any) -> Any:
    text = str(value).lower() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[1-9]\d{0,8}[kmg]?", text):
        return text
    raise ValueError(f"expected a size like 10m, 512k or 1g, found {describe(value)}")


ServerName = Annotated[str, Before(server_name)]
EnvName = Annotated[str, Before(_env_name)]
Names = Annotated[Mapping[Prefix, Folder], After(Frozen)]


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
        After(_unique),
    ] = ()
    outbound: Annotated[bool, Key("reach databases and services elsewhere", "true or false")] = True
    jit: Annotated[
        bool, Key("memory that is writable and executable, for JIT compilers", "true or false")
    ] = False
    proc: Annotated[bool, Key("all of /proc, for code that reads /proc/meminfo", "true or false")] = False
    home: Annotated[bool, Key("read /home and /root", "true or false")] = False
    devices: Annotated[bool, Key("the host's devices, for a GPU or a serial line", "true or false")] = False


class Tls(Model, frozen=True, kw_only=True):
    """A certificate that is already on the host; adds a TLS listener beside the plain one."""

    certificate: Annotated[Absolute, Key("the chain, on the host", "an absolute path")]
    key: Annotated[Absolute, Key("its private key, on the host", "an absolute path")]
    port: Annotated[Port, Key("where TLS listens", "a whole number from 1 to 65535")] = 443
    redirect: Annotated[bool, Key("send plain requests to https", "true or false")] = True


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
    ref: Annotated[
        Annotated[str, _matching(_REF, "a branch, tag or commit")] | None,
        Key(
            "the branch, tag or commit of a git source; default: its default branch",
            "a branch, tag or commit",
        ),
    ] = None
    wsgi: Annotated[
        str,
        Key("the WSGI callable", "module:callable, like hello:app"),
        _matching(re.compile(f"(?:{_MODULE.pattern})?", re.ASCII), "module:callable, like hello:app"),
    ] = ""
    python: Annotated[
        str,
        Key("the interpreter its venv is made with", "python3, python3.N or an absolute path"),
        _matching(
            re.compile(rf"python3(?:\.\d{{1,2}})?|{_ABSOLUTE.pattern}"),
            "python3, python3.N or an absolute path",
        ),
    ] = "python3"
    requirements: Annotated[
        Folder | None,
        Key(
            "file in the source that names its packages; auto: requirements.txt, uv.lock or pyproject.toml,"
            " the first that is there; null: nothing to install",
            "auto, null or a file in the source",
        ),
    ] = "auto"
    wheels: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Key("a folder of wheels, pushed to hosts without an index", "a folder, relative to the project"),
    ] = None
    packages: Annotated[
        tuple[
            Annotated[str, _matching(re.compile(r"[a-z0-9][a-z0-9+.-]+"), "the name of an apt package")], ...
        ],
        Key("apt packages it needs besides Python", "a list of package names"),
        After(_unique),
    ] = ()
    server_names: Annotated[
        tuple[ServerName, ...],
        Key(
            "the names it answers to; health and proof ask with the first", "a list of DNS names or addresses"
        ),
        After(_unique),
    ] = ()
    listen: Annotated[
        tuple[Port, ...],
        Key("plain HTTP ports", "a list of ports, 1 to 65535"),
        Meta(min_length=1),
        After(_unique),
    ] = (80,)
    tls: Annotated[Tls | None, Key("a certificate on the host", "a mapping with certificate and key")] = None
    trusted_proxies: Annotated[
        tuple[Annotated[str, Before(_network)], ...],
        Key(
            "networks of proxies in front, whose X-Forwarded-For and -Proto are believed",
            "a list of networks",
        ),
        After(_unique),
    ] = ()
    static: Annotated[
        Names,
        Key(
            "URL prefix → folder in the source, served by Nginx alone", "a mapping of URL prefixes to folders"
        ),
    ] = Frozen()
    media: Annotated[
        Names,
        Key(
            "URL prefix → folder in the shared data, served by Nginx", "a mapping of URL prefixes to folders"
        ),
    ] = Frozen()
    env: Annotated[
        Mapping[EnvName, Annotated[str, Before(_env_value)]],
        Key("environment of the process, seen in plans", "a mapping of names to text"),
        After(Frozen),
    ] = Frozen()
    secrets: Annotated[
        Mapping[EnvName, Annotated[Secret, Before(_secret)]],
        Key(
            "environment that is never shown: text, {env: NAME} of yours, or {file: path}",
            "a mapping of names to text, {env: NAME} or {file: path}",
        ),
        After(Frozen),
    ] = Frozen()
    workers: Annotated[
        Literal["auto"] | Annotated[Whole, Meta(ge=1, le=512)],
        Key("Gunicorn workers; auto: from the host's cores", "auto or a whole number from 1 to 512"),
    ] = "auto"
    threads: Annotated[
        Whole, Key("threads a gthread worker", "a whole number from 1 to 512"), Meta(ge=1, le=512)
    ] = 8
    worker_class: Annotated[
        str,
        Key("Gunicorn's worker", "gthread, sync, gevent, eventlet, tornado or package.module.Class"),
        Before(_worker_class),
    ] = "gthread"
    timeout: Annotated[
        Seconds, Key("seconds until a stuck worker is replaced", "a whole number from 1 to 86400")
    ] = 30
    graceful_timeout: Annotated[
        Seconds, Key("seconds a stopping worker gets to finish", "a whole number from 1 to 86400")
    ] = 30
    max_requests: Annotated[
        Whole,
        Key("requests until a worker is renewed; 0: never", "a whole number from 0 to 1000000000"),
        Meta(ge=0, le=10**9),
    ] = 0
    max_requests_jitter: Annotated[
        Whole,
        Key("random share added to max_requests", "a whole number from 0 to 1000000000"),
        Meta(ge=0, le=10**9),
    ] = 0
    max_body: Annotated[
        str, Key("the largest request body Nginx takes", "a size like 10m"), Before(_size)
    ] = "10m"
    read_timeout: Annotated[
        Seconds, Key("seconds Nginx waits between two reads of an answer", "a whole number from 1 to 86400")
    ] = 60
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
    def url(self) -> str:
        """Where a visitor finds it: its first name, over TLS where it has a certificate."""
        scheme, port, usual = ("https", self.tls.port, 443) if self.tls else ("http", self.listen[0], 80)
        return f"{scheme}://{self.server_names[0]}{'' if port == usual else f':{port}'}/"

    @property
    def user(self) -> str:
        """The account and group it runs as."""
        return self.name

    @property
    def is_git(self) -> bool:
        """Whether ``source`` is a git URL rather than a folder here."""
        return bool(_GIT.fullmatch(self.source))

    @property
    def folder(self) -> Path:
        """Where the code lies on this machine; meaningless for a git source."""
        return path_from(self.project, self.source)

    @property
    def wheels_folder(self) -> Path | None:
        """Where the wheels lie on this machine; None: packages come from an index."""
        return path_from(self.project, self.wheels) if self.wheels else None

    def requirements_in(self, folder: Path) -> str | None:
        """The file in ``folder``, a checkout of the source, that names the packages; None: nothing to install."""
        if self.requirements != "auto":
            return self.requirements
        found = (
            name for name in ("requirements.txt", "uv.lock", "pyproject.toml") if (folder / name).is_file()
        )
        return next(found, None)

    def check(self, written: Collection[str]) -> None:
        """Keys that make sense only together."""
        for key, value in (("source", self.source), ("wsgi", self.wsgi), ("server_names", self.server_names)):
            if self.state == "present" and not value:
                raise ValueError(f"expected the key {key!r}, found none")
        if self.ref and not self.is_git:
            raise ValueError(f"ref belongs to a git source, but source is the folder {self.source!r}")
        if "://" in self.source and not self.is_git:
            raise ValueError(
                f"expected a folder or an https, ssh, git or file URL as source, found {self.source!r}"
            )
        if "threads" in written and self.worker_class == "sync" and self.threads > 1:
            raise ValueError(f"a sync worker has one thread, found threads: {self.threads}; choose gthread")
        if both := sorted(self.env.keys() & self.secrets.keys()):
            raise ValueError(f"{both[0]} stands under both env and secrets")
        if both := sorted(self.static.keys() & self.media.keys()):
            raise ValueError(f"{both[0]} stands under both static and media")
        for outer, inner in ((a, b) for a in self.static for b in self.static if a != b and b.startswith(a)):
            raise ValueError(
                f"the static prefix {inner} lies below {outer}; choose prefixes beside each other"
            )
        for prefix in (*self.static, *self.media):
            if prefix.startswith(("/.well-known/acme-challenge/", "/.barehost/")):
                raise ValueError(f"the URL prefix {prefix} is kept for certificates and for Barehost itself")
        if self.tls and self.tls.port in self.listen:
            raise ValueError(f"port {self.tls.port} is both in listen and the TLS port")


def check_name(name: Any) -> str:
    """A site's name. It becomes a user, a unit and folders: one that a Debian has already is a ValueError."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"expected a name of 1 to 31 lower-case letters, digits and '-' that starts with a letter,"
            f" found {describe(name)}"
        )
    if name in TAKEN or name.startswith(("systemd-", "barehost")) or name.endswith("-"):
        raise ValueError(f"the name {name!r} is in use on Debian as a user, unit or folder; choose another")
    return name
