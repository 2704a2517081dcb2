"""What a host says of its firewall, its ssh server and its updates: models of variables. Pure: reads no file."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

from msgspec import Meta

from deploy.schema.marked import describe
from deploy.schema.model import Before, Key, Model
from deploy.shell import Secret
from deploy.site.values import Network, Port, Unique, Whole

SERVICES = {
    "ssh": 0,
    "http": 80,
    "https": 443,
    "dns": 53,
    "smtp": 25,
    "submission": 587,
    "imaps": 993,
    "postgresql": 5432,
    "mysql": 3306,
    "redis": 6379,
    "memcached": 11211,
}
"""Ports by name; ssh is whatever the host's sshd listens on."""

_PORT = re.compile(r"(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?(?:/(?P<protocol>tcp|udp))?", re.ASCII)


def _port(value: Any) -> Any:
    """A name, a number, ``8000-8010``, ``53/udp``, in one form."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if text in SERVICES:
        return text
    match = _PORT.fullmatch(text)
    if match:
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if 1 <= first <= last <= 65535:
            return text
    names = ", ".join(SERVICES)
    raise ValueError(
        f"expected a port like 8080, 8000-8010 or 53/udp, or one of {names}, found {describe(value)}"
    )


def _opening(value: Any) -> Any:
    """A port stands for a mapping with it."""
    return {"port": value} if isinstance(value, str | int) else value


def _firewall(value: Any) -> Any:
    """``true`` is what sites and ssh need; ``false``: ours is removed."""
    if value is True:
        return {}
    return {"state": "absent"} if value is False else value


def _user(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[a-z_][a-z0-9_.-]{0,31}", value):
        return value
    raise ValueError(f"expected a user's name, found {describe(value)}")


class Opening(Model, frozen=True, kw_only=True):
    """A port, or several, that may be reached; from some networks, or by everybody."""

    port: Annotated[str, Before(_port), Key("what is open", "a port like 8080, 8000-8010, 53/udp, or a name")]
    source: Annotated[
        tuple[Network, ...],
        Key("networks that may reach it; default: all", "a list of networks"),
        Unique,
    ] = ()

    @property
    def ports(self) -> str:
        """As nft writes them; empty for ssh, which is where sshd listens."""
        if self.port in SERVICES:
            return str(SERVICES[self.port]) if SERVICES[self.port] else ""
        return self.port.partition("/")[0]

    @property
    def protocol(self) -> str:
        """``tcp`` or ``udp``."""
        return "udp" if self.port.endswith("/udp") else "tcp"


class FirewallRules(Model, frozen=True, kw_only=True):
    """Everything that is not said here is closed: sites' ports and ssh are open without being said."""

    state: Annotated[Literal["present", "absent"], Key("absent: our rules go", "present or absent")] = (
        "present"
    )
    allow: Annotated[
        tuple[Annotated[Opening, Before(_opening)], ...],
        Key(
            "more that may be reached; ssh with a source closes it to everybody else",
            "a list of ports or mappings",
        ),
    ] = ()
    ssh_rate: Annotated[
        Whole | None,
        Key(
            "new ssh connections a minute from one address; default: as many as come",
            "a whole number from 6 to 6000",
        ),
        Meta(ge=6, le=6000),
    ] = None


class Ssh(Model, frozen=True, kw_only=True):
    """Of the host's ssh server, what is to be other than its own files say; changed under guard."""

    port: Annotated[
        Port | None,
        Key("where it listens; the run that changes it goes on there", "a whole number from 1 to 65535"),
    ] = None
    password_login: Annotated[bool | None, Key("log in with a password", "true or false")] = None
    root_login: Annotated[bool | None, Key("root may log in, with a key", "true or false")] = None
    allow_users: Annotated[
        tuple[Annotated[str, Before(_user)], ...],
        Key("nobody else may log in; default: everybody", "a list of users"),
        Unique,
    ] = ()


class Updates(Model, frozen=True, kw_only=True):
    """Security updates that the host installs by itself."""

    state: Annotated[
        Literal["present", "absent"], Key("absent: the host installs none", "present or absent")
    ] = "present"
    reboot: Annotated[bool, Key("reboot where an update needs it, within the window", "true or false")] = (
        False
    )
    window: Annotated[
        str,
        Key("when it reboots, in the host's time", "a time like 04:30"),
        Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z"),
    ] = "04:30"

    def check(self, written: Collection[str]) -> None:
        """A window is for reboots."""
        if "window" in written and not self.reboot:
            raise ValueError("window is when the host reboots; it needs reboot: true")


def _url(value: Any) -> Any:
    known = value.known() if isinstance(value, Secret) else None
    if known is not None and not re.fullmatch(r"https?://[!-~]+", known):
        raise ValueError(
            "expected an http or https URL, as text, {env: NAME}, {file: path} or {command: PROGRAM}"
        )
    return value


def _command(value: Any) -> Any:
    known = value.known() if isinstance(value, Secret) else None
    if known is not None and ("\n" in known or not known.strip()):
        raise ValueError("expected a command of one line")
    return value


class Alerts(Model, frozen=True, kw_only=True):
    """Whom the host tells when it is not well, and when that is over; each is a secret."""

    webhook: Annotated[
        Annotated[Secret, Before(_url)] | None,
        Key(
            "a URL that gets a POST with JSON: host, text, alarms, over",
            "text, {env: NAME}, {file: path} or {command: PROGRAM}",
        ),
    ] = None
    ping: Annotated[
        Annotated[Secret, Before(_url)] | None,
        Key(
            "a URL that is asked for every five minutes while all is well, for a service that misses it",
            "text, {env: NAME}, {file: path} or {command: PROGRAM}",
        ),
    ] = None
    mail: Annotated[
        Annotated[Secret, Before(_command)] | None,
        Key(
            "a command that gets the text, run as root, such as 'mail -s alert ops@example.com'", "a command"
        ),
    ] = None

    def check(self, written: Collection[str]) -> None:
        """Somebody must be told."""
        if not (self.webhook or self.ping or self.mail):
            raise ValueError("expected webhook, ping or mail: nobody would be told")


def _updates(value: Any) -> Any:
    if value is True:
        return {}
    return {"state": "absent"} if value is False else value


FirewallValue = Annotated[FirewallRules | None, Before(_firewall)]
UpdatesValue = Annotated[Updates | None, Before(_updates)]
