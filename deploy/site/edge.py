"""What of a site faces the internet: other names, paths, who may enter, headers, certificates. Pure: reads no file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from deploy.schema.marked import describe
from deploy.schema.model import After, Before, Frozen, Key, Model
from deploy.shell import Secret
from deploy.site.names import NAME, is_address
from deploy.site.values import (
    Absolute,
    Network,
    Port,
    Prefix,
    Seconds,
    SecretValue,
    ServerName,
    Size,
    Unique,
    Whole,
)

if TYPE_CHECKING:
    from deploy.site.app import App

KEPT = ("/.well-known/acme-challenge/", "/.barehost/")
"""Prefixes of URLs that are for certificates and for Barehost itself."""

_OURS = frozenset(
    """
    alt-svc connection content-encoding content-length content-type date keep-alive location server set-cookie
    strict-transport-security trailer transfer-encoding upgrade x-activation x-release
    """.split()  # noqa: SIM905 (a list of words)
)
"""Headers that Nginx or Barehost set by themselves: a second one breaks the answer or hides the proof."""


def _header_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", value):
        raise ValueError(f"expected a header's name of letters, digits and '-', found {describe(value)}")
    if value.lower() in _OURS:
        more = "; hsts: sets it" if value.lower() == "strict-transport-security" else ""
        raise ValueError(f"the header {value} is set by Nginx or Barehost itself{more}")
    return value


def _header_value(value: Any) -> str:
    """Nginx has no way to write a ``$`` that begins no variable."""
    if (
        isinstance(value, str)
        and re.fullmatch(r"[\x20-\x23\x25-\x7e]{1,4096}", value)
        and value.strip() == value
    ):
        return value
    raise ValueError(
        "expected a header's value of printable ASCII characters without '$', not surrounded by spaces,"
        f" found {describe(value)}"
    )


def _headers(values: Mapping[str, str]) -> Mapping[str, str]:
    """Names are the same header however they are spelled."""
    seen: dict[str, str] = {}
    for name in values:
        if (other := seen.setdefault(name.lower(), name)) != name:
            raise ValueError(f"{other} and {name} are the same header")
    return Frozen(values)


def _user(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._@+-]{1,64}", value):
        return value
    raise ValueError(f"expected a user's name of letters, digits and '._@+-', found {describe(value)}")


def _password(value: Any) -> Any:
    """bcrypt, by which Nginx is told of it, reads 72 bytes and no NUL."""
    known = value.known() if isinstance(value, Secret) else value
    if isinstance(known, str) and not 1 <= len(known.encode(errors="surrogateescape")) <= 72:
        raise ValueError("expected a password of 1 to 72 bytes")
    return value


def _pem(value: Any) -> Any:
    """What is pushed from the project; never says what it found."""
    if not isinstance(value, Secret):
        raise ValueError("expected {file: path}, {env: NAME} or PEM text")
    if (known := value.known()) is not None and "-----BEGIN " not in known:
        raise ValueError("expected PEM, text with a line that begins with '-----BEGIN', found something else")
    return value


def _hsts(value: Any) -> Any:
    """``true`` is a year, a number its seconds, anything else a mapping."""
    if value is True:
        return {}
    if value is False:
        return None
    return {"max_age": value} if isinstance(value, int) else value


def _acme(value: Any) -> Any:
    if value is True:
        return {}
    return None if value is False else value


def _tls(value: Any) -> Any:
    """``tls: acme`` stands for ``tls: {acme: {}}``."""
    return {"acme": {}} if value == "acme" else value


def _email(value: Any) -> Any:
    if value is None or (
        isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value)
    ):
        return value
    raise ValueError(f"expected an e-mail address, found {describe(value)}")


def _directory(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"https://[A-Za-z0-9.\[\]:-]+/[A-Za-z0-9._~/-]*", value):
        return value
    raise ValueError(f"expected the https URL of an ACME directory, found {describe(value)}")


Pem = Annotated[Secret, Before(_pem)]

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class Acme(Model, frozen=True, kw_only=True):
    """Certificates from a certificate authority that speaks ACME; proven over HTTP on port 80."""

    email: Annotated[
        Annotated[str | None, Before(_email)],
        Key("where the authority writes when something is wrong", "an e-mail address"),
    ] = None
    directory: Annotated[
        Annotated[str, Before(_directory)], Key("the authority's ACME directory", "an https URL")
    ] = LETS_ENCRYPT
    names: Annotated[
        tuple[ServerName, ...],
        Key("names on the certificate; default: all of server_names and redirects", "a list of DNS names"),
        Unique,
    ] = ()
    key_type: Annotated[Literal["ecdsa", "rsa"], Key("the kind of key", "ecdsa or rsa")] = "ecdsa"


class Tls(Model, frozen=True, kw_only=True):
    """Adds a TLS listener beside the plain one: with a certificate of one's own, or one from an authority."""

    certificate: Annotated[
        Absolute | Pem | None,
        Key(
            "the chain: a path on the host, or {file: path} in the project, which is pushed",
            "an absolute path, or {file: path}",
        ),
    ] = None
    key: Annotated[
        Absolute | Pem | None,
        Key(
            "its private key: a path on the host, or a secret that is pushed: {file: path}, {env: NAME}",
            "an absolute path, or {file: path}",
        ),
    ] = None
    acme: Annotated[
        Annotated[Acme | None, Before(_acme)],
        Key("have a certificate issued and renewed; instead of certificate and key", "true or a mapping"),
    ] = None
    port: Annotated[Port, Key("where TLS listens", "a whole number from 1 to 65535")] = 443
    redirect: Annotated[bool, Key("send plain requests to https", "true or false")] = True

    def check(self, written: Collection[str]) -> None:
        """Either a certificate with its key, both from the same side, or ACME."""
        if self.acme is not None:
            if self.certificate is not None or self.key is not None:
                raise ValueError("expected either acme or certificate and key, found both")
            return
        for name, value in (("certificate", self.certificate), ("key", self.key)):
            if value is None:
                raise ValueError(f"expected the key {name!r}, or acme, found none")
        if isinstance(self.certificate, Secret) != isinstance(self.key, Secret):
            raise ValueError("expected certificate and key both on the host or both from the project")


class Hsts(Model, frozen=True, kw_only=True):
    """Strict-Transport-Security: browsers that have seen it ask for the site over https alone."""

    max_age: Annotated[
        Whole,
        Key("seconds that browsers remember it; default: a year", "a whole number of seconds"),
        Meta(ge=0, le=10**9),
    ] = 31536000
    subdomains: Annotated[bool, Key("for every name below the site's as well", "true or false")] = False
    preload: Annotated[
        bool, Key("the site may be put on the browsers' own list, which is hard to leave", "true or false")
    ] = False

    def check(self, written: Collection[str]) -> None:
        """What the list that browsers keep asks for."""
        if self.preload and not (self.subdomains and self.max_age >= 31536000):
            raise ValueError("preload needs subdomains: true and a max_age of at least 31536000 seconds")

    @property
    def value(self) -> str:
        """The header's value."""
        more = "; includeSubDomains" * self.subdomains + "; preload" * self.preload
        return f"max-age={self.max_age}{more}"


class Auth(Model, frozen=True, kw_only=True):
    """Who may see a site that is not for everybody. Certificates and the proof of a release are exempt."""

    users: Annotated[
        Mapping[Annotated[str, Before(_user)], Annotated[SecretValue, Before(_password)]],
        Key(
            "names and passwords, asked by the browser; each a secret",
            "a mapping of names to {env: NAME}, {file: path} or {command: PROGRAM}",
        ),
        After(Frozen),
    ] = Frozen()
    allow: Annotated[
        tuple[Network, ...],
        Key("networks that come in without a password", "a list of networks"),
        Unique,
    ] = ()

    def check(self, written: Collection[str]) -> None:
        """Somebody must be let in."""
        if not self.users and not self.allow:
            raise ValueError("expected users or allow: nobody could see the site")


class PathRule(Model, frozen=True, kw_only=True):
    """What is different below one URL prefix; of several that fit, the longest counts."""

    site: Annotated[
        Annotated[str, Meta(pattern=rf"^{NAME.pattern}\Z")] | None,
        Key("the site of this host that answers here; default: this one", "a site's name"),
    ] = None
    strip: Annotated[
        bool,
        Key("that site sees the URL without the prefix, which X-Forwarded-Prefix names", "true or false"),
    ] = False
    buffering: Annotated[
        bool,
        Key(
            "false: bytes pass as they come, both ways, for server-sent events and long uploads; a slow client then"
            " keeps a worker busy",
            "true or false",
        ),
    ] = True
    read_timeout: Annotated[
        Seconds | None,
        Key("seconds between two reads of an answer; default: the site's", "a whole number from 1 to 86400"),
    ] = None
    max_body: Annotated[
        Size | None, Key("the largest request body; default: the site's", "a size like 10m")
    ] = None

    def check(self, written: Collection[str]) -> None:
        """A prefix is taken away for another site only: this one's URLs are its own."""
        if self.strip and self.site is None:
            raise ValueError("strip belongs to a path that another site answers; name it with site:")


Paths = Annotated[Mapping[Prefix, PathRule], After(Frozen)]
"""URL prefixes to what is different there."""
Headers = Annotated[
    Mapping[Annotated[str, Before(_header_name)], Annotated[str, Before(_header_value)]], After(_headers)
]
"""Names to values."""
TlsValue = Annotated[Tls | None, Before(_tls)]
HstsValue = Annotated[Hsts | None, Before(_hsts)]

STORE = "/var/lib/barehost/tls"
"""Where certificates lie that the host had issued: <site>/live is a link to the pair that serves."""
PUSHED = "/etc/nginx/barehost"
"""What Nginx reads beside its own files: certificates from the project, lists of users."""


def pair(app: App) -> tuple[str, str]:
    """Where on the host Nginx finds the site's chain and its key. The site has TLS."""
    assert app.tls is not None
    if app.tls.acme is not None:
        return f"{STORE}/{app.name}/live/fullchain.pem", f"{STORE}/{app.name}/live/privkey.pem"
    if isinstance(app.tls.certificate, str) and isinstance(app.tls.key, str):
        return app.tls.certificate, app.tls.key
    return f"{PUSHED}/{app.name}.pem", f"{PUSHED}/{app.name}.key"


def issued_names(app: App) -> tuple[str, ...]:
    """The names that the authority is asked to put on the certificate, the site's first name in front."""
    if app.tls is None or app.tls.acme is None:
        return ()
    return app.tls.acme.names or (*app.server_names, *app.redirects)


def confidential(app: App) -> list[Secret]:
    """Every secret of a site, in all its keys."""
    found = list(app.secrets.values())
    if app.auth is not None:
        found += app.auth.users.values()
    if app.tls is not None and isinstance(app.tls.key, Secret):
        found.append(app.tls.key)
    return found


def together(app: App) -> None:
    """Raise ValueError, the whole sentence, for keys of one site's edge that do not go together."""
    if both := [name for name in app.redirects if name in app.server_names]:
        raise ValueError(f"{both[0]} stands under both server_names and redirects")
    for prefix, rule in app.paths.items():
        if prefix.startswith(KEPT):
            raise ValueError(f"the URL {prefix} is kept for certificates and for Barehost itself")
        if prefix in app.static or prefix in app.media:
            raise ValueError(f"{prefix} stands under paths and is served from files as well")
        if rule.site == app.name:
            raise ValueError(f"the path {prefix} names this site itself; leave site out")
    if app.tls is None:
        for key, value in (("hsts", app.hsts is not None), ("http3", app.http3)):
            if value:
                raise ValueError(f"{key} belongs to a site with tls")
    elif app.tls.acme is not None:
        _issuable(app, app.tls.acme)


def _issuable(app: App, acme: Acme) -> None:
    """The authority comes to port 80 by each name; what nobody serves is refused before anything is ordered."""
    if app.state == "present" and 80 not in app.listen:
        raise ValueError(f"tls: acme is proven over port 80, which is not in listen: {list(app.listen)}")
    for name in issued_names(app):
        if name not in (*app.server_names, *app.redirects):
            raise ValueError(f"acme names {name}, which stands under neither server_names nor redirects")
        if name.startswith("*."):
            raise ValueError(
                f"tls: acme is proven over HTTP, which cannot prove the wildcard {name}; list names"
            )
        if is_address(name):
            raise ValueError(
                f"tls: acme needs names, and {name} is an address; list the names under acme: {{names: …}}"
            )
        if "." not in name:
            raise ValueError(f"no authority issues a certificate for {name}, which has no domain")


def beside(apps: Sequence[App]) -> None:
    """Raise ValueError, with the sentence and the site's name, for a path whose site is not there."""
    present = {app.name: app for app in apps if app.state == "present"}
    for app in present.values():
        for prefix, rule in app.paths.items():
            if rule.site is not None and rule.site not in present:
                raise ValueError(
                    f"the path {prefix} names the site {rule.site!r}, which this host does not serve",
                    app.name,
                )
