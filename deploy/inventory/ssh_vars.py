"""The variables that say how a host is reached: Ansible's names, and ssh's options. Connects to nothing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta

from deploy.errors import InputError
from deploy.inventory.edge import Alerts, FirewallValue, Ssh, UpdatesValue
from deploy.inventory.scope import Scope, revealed
from deploy.schema.marked import Map, Mark, Written, describe, nearest
from deploy.schema.model import Before, Key, Model, keys, validated
from deploy.shell import Secret
from deploy.site.values import Port, Seconds

DEFAULT_ROLES = ("base", "python", "nginx", "static", "services", "app", "compose")


def _plain_text(what: str) -> Before:
    """Text that can be a name on a command line or in a log: no spaces, no control characters, no leading dash."""

    def check(value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool | Written):
            value = str(value)
        if not isinstance(value, str) or not re.fullmatch(r"[^-\s\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*", value):
            raise ValueError(f"expected {what}, found {describe(value)}")
        return value

    return Before(check)


def _one_of(*accepted: str, hint: str) -> Before:
    """One of several names for the same thing; the first stands for all."""

    def check(value: Any) -> Any:
        if value is not None and value not in accepted:
            raise ValueError(f"expected {accepted[0]}, found {describe(value)}; {hint}")
        return value and accepted[0]

    return Before(check)


class Connection(Model, frozen=True, kw_only=True):
    """The variables of a host that say how to reach it and what it is; the names are Ansible's where it has one."""

    ansible_host: Annotated[
        Annotated[str, _plain_text("a host name or address")] | None,
        Key("the name or address to connect to; default: the host's name", "a host name or address"),
    ] = None
    ansible_port: Annotated[Port | None, Key("the ssh port", "a whole number from 1 to 65535")] = None
    ansible_user: Annotated[
        Annotated[str, _plain_text("a user's name")] | None,
        Key("who logs in; default: what ssh_config says, else you", "a user's name"),
    ] = None
    ansible_ssh_private_key_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Key("the private key; default: agent and ssh_config", "a path, relative to the project"),
    ] = None
    ansible_become: Annotated[
        bool | None, Key("become root with sudo; default: unless the user is root", "true or false")
    ] = None
    ansible_become_password: Annotated[
        Secret | None,
        Key(
            "sudo's password, sent only when sudo asks",
            "text, {env: NAME}, {file: path} or {command: PROGRAM}",
        ),
    ] = None
    ansible_become_user: Annotated[
        Literal["root"] | None,
        Key("accepted when it is root", "root"),
        _one_of("root", hint="everything is done as root"),
    ] = None
    ansible_become_method: Annotated[
        Literal["sudo"] | None,
        Key("accepted when it is sudo", "sudo"),
        _one_of("sudo", "ansible.builtin.sudo", hint="root is reached with sudo only"),
    ] = None
    ansible_connection: Annotated[
        str | None,
        Key("accepted when it is a kind of ssh", "ssh"),
        _one_of(
            "ssh",
            "smart",
            "paramiko",
            "paramiko_ssh",
            "ansible.builtin.ssh",
            hint="hosts are reached over ssh only",
        ),
    ] = None
    ansible_ssh_common_args: Annotated[
        str | None,
        Key("options of ssh: ProxyJump (-J) and UserKnownHostsFile are honoured", "options of ssh"),
    ] = None
    connect_timeout: Annotated[
        Seconds,
        Key("seconds until a host that does not answer is given up", "a whole number from 1 to 86400"),
    ] = 10
    barehost_known_hosts: Annotated[
        str | None, Key("the file of pinned host keys", "a path, relative to the project")
    ] = None
    barehost_staging: Annotated[
        bool, Key("the host is made by staging.up, which writes its address", "true or false")
    ] = False
    firewall: Annotated[
        FirewallValue,
        Key(
            "close every port but those of ssh and the sites; false: our rules go; default: left alone",
            "true, false or a mapping",
        ),
    ] = None
    ssh: Annotated[Ssh | None, Key("how its ssh server is set; default: left alone", "a mapping")] = None
    updates: Annotated[
        UpdatesValue,
        Key(
            "have the host install security updates by itself; default: left alone",
            "true, false or a mapping",
        ),
    ] = None
    alerts: Annotated[
        Alerts | None, Key("whom the host tells when it is not well; default: nobody", "a mapping")
    ] = None
    roles: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]*\Z")], ...],
        Key("what the host is: roles, in the order they are evaluated", "a list of names of roles"),
    ] = DEFAULT_ROLES


ALIASES = {
    "ansible_ssh_host": "ansible_host",
    "ansible_ssh_port": "ansible_port",
    "ansible_ssh_user": "ansible_user",
    "ansible_private_key_file": "ansible_ssh_private_key_file",
    "ansible_become_pass": "ansible_become_password",
    "ansible_sudo_pass": "ansible_become_password",
    "ansible_timeout": "connect_timeout",
}
"""Other names under which Ansible knows a variable of :class:`Connection`. Two values for one thing are an error."""

REFUSED = {
    "ansible_password": "hosts are logged in to with a key or an agent, never with a password",
    "ansible_ssh_pass": "hosts are logged in to with a key or an agent, never with a password",
    "ansible_ssh_password": "hosts are logged in to with a key or an agent, never with a password",
    "ansible_su_pass": "root is reached with sudo only",
    "ansible_become_exe": "root is reached with the sudo in the PATH only",
    "ansible_sudo_exe": "root is reached with the sudo in the PATH only",
    "ansible_ssh_executable": "no ssh program is run; say what it does with the other variables or in ssh_config",
}
"""Variables of Ansible that would be wrong to ignore, and why we cannot follow them."""


SECRET_VARS = frozenset({"ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"})
"""Variables whose value is a secret however it is written."""

SSH_ARGS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
"""Variables that hold options of ssh, in the order Ansible hands them over."""


CLAIMED = {
    "roles": "the roles that Barehost evaluates",
    "connect_timeout": "the seconds until Barehost gives up a host that does not answer",
    "apps": "the sites that Barehost serves",
    "firewall": "the ports that Barehost opens",
    "ssh": "how Barehost sets the ssh server",
    "alerts": "whom the host tells when it is not well",
    "updates": "the updates that the host installs by itself",
    "stacks": "the Compose stacks that Barehost runs",
}
"""Variables without a prefix that mean something here, and may mean something else to another program."""


def claimed(name: str) -> str:
    """The end of an error about a variable whose name another project may have given to something else."""
    return f"; {name} names {CLAIMED[name]}: a variable of another program needs another name"


def connection(raw: Map, scope: Scope, secret: Callable[[Any, Mark], Secret]) -> tuple[Connection, Map]:
    """A host's connection, checked, and the variables it came from with their places.

    secret: reads a secret in any of its forms. Raises InputError, also for what would be wrong to ignore.
    """
    chosen = Map(raw.mark)
    names: dict[str, str] = {}
    for name in raw:
        _check_known(str(name), raw.marks[name])
    for name, target in [*ALIASES.items(), *((name, name) for name in keys(Connection))]:
        if name not in raw:
            continue
        mark = raw.marks[name]
        if name in SECRET_VARS:
            value: Any = None if raw[name] is None else secret(scope.later(raw[name], mark), mark)
        elif name == "alerts" and isinstance(raw[name], Map):
            value = _secrets(raw[name], scope, secret)
        else:
            value = revealed(scope[name])
        if value is None and target in names:
            continue
        if target in names and not _same(chosen[target], value):
            other = names[target]
            raise mark.error(
                f"{name} and {other} ({raw.marks[other].file}:{raw.marks[other].line}) name the same thing with two"
                f" values, and Ansible does not take the same one everywhere; keep {target}"
            )
        chosen.put(target, value, mark)
        names[target] = name
    for name in [name for name, target in names.items() if name == target and name in CLAIMED]:
        try:
            validated(Connection, Map(raw.mark, {name: chosen[name]}, {name: chosen.marks[name]}))
        except InputError as error:
            raise InputError(f"{error}{claimed(name)}") from None
    return validated(Connection, chosen), chosen


def _secrets(given: Map, scope: Scope, secret: Callable[[Any, Mark], Secret]) -> Map:
    """A mapping whose values are secrets, each in any of its forms."""
    found = {key: secret(scope.later(one, given.marks[key]), given.marks[key]) for key, one in given.items()}
    return Map(given.mark, found, given.marks)


def _same(one: Any, other: Any) -> bool:
    """Whether two values of one variable mean the same; nothing means the same as anything."""
    return one is None or (bool(one == other) if isinstance(one, Secret) else str(one) == str(other))


def _check_known(name: str, mark: Mark) -> None:
    """Refuse a variable that we may not ignore, and one that looks like a slip of the keyboard."""
    if name in REFUSED:
        raise mark.error(f"this variable cannot be followed: {REFUSED[name]}")
    known = keys(Connection)
    if name in known or name in ALIASES:
        return
    if name.startswith("barehost_"):
        raise mark.error(f"this variable is not known{nearest(name, known)}")
    if name.startswith("ansible_") and name not in SSH_ARGS and (meant := nearest(name, known, 0.9)):
        raise mark.error(f"this variable is not known{meant}")


_HOP = re.compile(
    r"(?:[A-Za-z0-9_][\w.+-]*@)?(?:[A-Za-z0-9_][\w.-]*|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?", re.ASCII
)
_ELSEWHERE = {
    "port": "ansible_port",
    "user": "ansible_user",
    "hostname": "ansible_host",
    "identityfile": "ansible_ssh_private_key_file",
}
_VALUED = "BbcDEeFIiJLlmOopQRSWw"
"""The letters of ssh's options that take a value."""


def jump(raw: Map, options: dict[str, str]) -> tuple[str, ...] | None:
    """The hosts to jump through; None when the options of ssh say nothing about it."""
    named = options.get("proxyjump")
    if named is None:
        return None
    mark = next(raw.marks[name] for name in reversed(SSH_ARGS) if name in raw)
    hops = () if named == "none" else tuple(hop.strip().removeprefix("ssh://") for hop in named.split(","))
    for hop in hops:
        if not _HOP.fullmatch(hop):
            raise mark.error(f"expected a jump host as [user@]host[:port], found {describe(hop)}")
    return hops


def ssh_options(raw: Map, scope: Scope) -> dict[str, str]:
    """What the options of ssh say, by lower-case name; an InputError for what we cannot follow."""
    options: dict[str, str] = {}
    for name in SSH_ARGS:
        if name not in raw or scope[name] is None:
            continue
        mark = raw.marks[name]
        text = revealed(scope[name])
        if not isinstance(text, str):
            raise mark.error(f"expected options of ssh, found {describe(text)}")
        for option, value in _parsed(text, mark):
            if option in _ELSEWHERE:
                raise mark.error(
                    f"expected no {option} among the options of ssh; say it with {_ELSEWHERE[option]}"
                )
            if option == "proxycommand":
                option, value = "proxyjump", _jump_of(value, mark)
            options[option] = value
    return options


def _parsed(text: str, mark: Mark) -> Iterator[tuple[str, str]]:
    """Options of ssh as (lower-case name, value), in order."""
    letters = {"J": "proxyjump", "p": "port", "l": "user", "i": "identityfile"}
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise mark.error(f"expected options of ssh, found {describe(text)} ({error})") from None
    for word in words:
        if not word.startswith("-"):
            raise mark.error(f"expected an option of ssh, found {describe(word)}")
        letter, value = word[1:2], word[2:]
        if letter not in _VALUED:
            continue
        value = value or next(words, "")
        if not value:
            raise mark.error(f"expected a value after {word!r}")
        if letter == "o":
            option, _, value = re.sub(r"\s*=\s*|\s+", "=", value.strip(), count=1).partition("=")
            yield option.lower(), value
        elif letter in letters:
            yield letters[letter], value


def _jump_of(command: str, mark: Mark) -> str:
    """The jump host in the classic ``ssh -W %h:%p [-q] user@host``; any other proxy command is refused."""
    words = shlex.split(command)
    rest = [word for word in words[1:] if word not in ("-q", "-W", "%h:%p", "-W%h:%p", "-A")]
    if (
        words[:1] == ["ssh"]
        and len(rest) == 1
        and any("%h:%p" in word for word in words)
        and _HOP.fullmatch(rest[0])
    ):
        return rest[0]
    raise mark.error("a ProxyCommand cannot be followed; name the jump hosts with -o ProxyJump=")
