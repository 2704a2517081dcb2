"""What one value of a site may be: the types of its keys, each with the sentence for what it refuses. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from deploy.schema.marked import Written, describe
from deploy.schema.model import After, Before, Frozen
from deploy.shell import Secret
from deploy.site.names import server_name

RESERVED_ENV = frozenset({"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "GUNICORN_CMD_ARGS"})
"""Variables that systemd and Gunicorn take orders from; a site's own would break the way it is started."""

_SEGMENT = r"(?!\.\.?(?:/|$))[A-Za-z0-9._@+-]+"
_FOLDER = re.compile(rf"(?!-){_SEGMENT}(?:/{_SEGMENT})*")
_PREFIX = re.compile(r"/(?:(?!\.\.?/)[A-Za-z0-9._~-]+/)+")
_URL = re.compile(r"(?:/(?!\.(?!well-known/))[A-Za-z0-9._~-]+)+")
_ABSOLUTE = re.compile(rf"(?:/{_SEGMENT})+")
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
Url = Annotated[
    str,
    _matching(_URL, "the path of one URL, like /robots.txt, of letters, digits, '.', '_', '~', '-' and '/'"),
]
Line = Annotated[str, Meta(min_length=1), After(lambda text: _no_control(text, "a command"))]


def _no_control(text: str, what: str) -> str:
    """Text without control characters but tab and newline, nor half a surrogate pair: what systemd takes."""
    if found := _CONTROL.search(text):
        raise ValueError(f"expected {what} without control characters, found {found[0]!r} in it")
    return text


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
        raise ValueError("expected text, {env: NAME}, {file: path} or {command: PROGRAM}")
    if _CONTROL.search(value.known() or ""):
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
    known = ("gthread", "sync", "asgi", "gevent", "tornado")
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


HEADERS = 64 << 10
"""The largest ``max_header``: Nginx keeps four such buffers for a client, and one for an answer."""


def _header_size(value: Any) -> Any:
    text = _size(value)
    if not 1024 <= size(text) <= HEADERS:
        raise ValueError(f"expected a size from 1k to {HEADERS >> 10}k, found {describe(value)}")
    return text


def size(text: str) -> int:
    """The bytes of a size as Nginx writes it: ``10m``, ``512k``."""
    number, unit = (text[:-1], text[-1]) if text[-1] in "kmg" else (text, "")
    return int(number) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[unit]


Ref = Annotated[str, _matching(_REF, "a branch, tag or commit")]
Wsgi = Annotated[
    str, _matching(re.compile(f"(?:{_MODULE.pattern})?", re.ASCII), "module:callable, like hello:app")
]
Python = Annotated[
    str,
    _matching(
        re.compile(rf"python3(?:\.\d{{1,2}})?|{_ABSOLUTE.pattern}"), "python3, python3.N or an absolute path"
    ),
]
Package = Annotated[str, _matching(re.compile(r"[a-z0-9][a-z0-9+.-]+"), "the name of an apt package")]
Network = Annotated[str, Before(_network)]
ServerWord = Annotated[
    str, _matching(re.compile(r"(?:[a-z][a-z0-9_]*)?"), "the name of a server, like gunicorn")
]
WorkerClass = Annotated[str, Before(_worker_class)]
Size = Annotated[str, Before(_size)]
HeaderSize = Annotated[str, Before(_header_size)]
ErrorCode = Literal[403, 404, 413, 502, 503, 504]
"""What Nginx itself answers for a site; the site's own answers pass as they are."""
ServerName = Annotated[str, Before(server_name)]
EnvName = Annotated[str, Before(_env_name)]
EnvValue = Annotated[str, Before(_env_value)]
SecretValue = Annotated[Secret, Before(_secret)]
Files = Annotated[Mapping[Url, Folder], After(Frozen)]
"""Single URLs to files."""
Pages = Annotated[Mapping[ErrorCode, Folder], After(Frozen)]
"""Statuses to files."""
Folders = Annotated[Mapping[Prefix, Folder], After(Frozen)]
"""URL prefixes to folders."""
Unique = After(_unique)


def is_git(source: str) -> bool:
    """Whether a source is a git URL rather than a folder."""
    return bool(_GIT.fullmatch(source))
