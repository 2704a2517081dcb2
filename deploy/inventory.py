"""Hosts, groups and variables out of Ansible's YAML layout. Reads files only: contacts no host, prints nothing."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from deploy.app import App, Port, Seconds, check_name
from deploy.document import Map, Mark, describe, nearest, read, shown
from deploy.errors import HostError, InputError
from deploy.schema import Frozen, Key, Model, keys, validated
from deploy.shell import Secret
from deploy.variables import Scope

DEFAULT_ROLES = ("base", "python", "nginx", "app")
STAGING = Path(".barehost/staging/hosts.yml")
"""Where staging writes the addresses of the hosts that are up, below the project folder."""


@dataclass(frozen=True)
class Host:
    """One host as the inventory describes it: a value, picklable, that holds no connection.

    address: what to connect to; None: a staging host that is not up, see :meth:`endpoint`.
    port, user: None lets ssh_config decide, then 22 and the current user.
    key: the private key; None: the agent and ssh_config.
    sudo: become root with sudo unless logged in as root already.
    sudo_password: None: sudo asks for none.
    jump: hosts to jump through in the order they are visited, as [user@]host[:port]; () is a direct connection, None lets
        ssh_config decide.
    known_hosts: the file of pinned host keys; None: the project's and the user's.
    groups: every group it is in but ``all``, the most general first.
    vars: its variables, the connection's and ``apps`` included only as far as they hold no secret.
    roles: names of roles, in the order they are evaluated.
    project: the folder that relative paths start from, and where the user's roles/ and templates/ lie.
    connect_timeout: seconds.
    """

    name: str
    address: str | None = None
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    sudo: bool = True
    sudo_password: Secret | None = None
    jump: tuple[str, ...] | None = None
    known_hosts: Path | None = None
    groups: tuple[str, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=Frozen, repr=False)
    apps: tuple[App, ...] = ()
    roles: tuple[str, ...] = DEFAULT_ROLES
    project: Path = Path()
    connect_timeout: int = 10

    def endpoint(self) -> str:
        """The address to connect to; a HostError when it is a staging host that is not up."""
        if self.address is None:
            raise HostError(
                f"{self.name} is a staging host that is not up: run invoke staging.up {self.name}"
            )
        return self.address

    def app(self, name: str) -> App:
        """The site of that name; an InputError names the nearest when there is none."""
        for app in self.apps:
            if app.name == name:
                return app
        known = [app.name for app in self.apps]
        raise InputError(f"{self.name} has no site {name!r}{nearest(name, known)}")


def _plain_text(what: str) -> BeforeValidator:
    """Text that can be a name on a command line or in a log: no spaces, no control characters, no leading dash."""

    def check(value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not re.fullmatch(r"[^-\s\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*", value):
            raise ValueError(f"expected {what}, found {describe(value)}")
        return value

    return BeforeValidator(check)


def _one_of(*accepted: str, hint: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value not in accepted:
            raise ValueError(f"expected {' or '.join(accepted)}, found {describe(value)}; {hint}")
        return value

    return BeforeValidator(check)


class Connection(Model):
    """The variables of a host that say how to reach it and what it is; the names are Ansible's where it has one."""

    ansible_host: Annotated[
        Annotated[str, _plain_text("a host name or address")] | None,
        Key("the name or address to connect to; default: the host's name", "a host name or address"),
    ] = None
    ansible_port: Annotated[Port | None, Key("the ssh port", "1 to 65535")] = None
    ansible_user: Annotated[
        Annotated[str, _plain_text("a user's name")] | None,
        Key("who logs in; default: what ssh_config says, else you", "a user's name"),
    ] = None
    ansible_ssh_private_key_file: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Key("the private key; default: agent and ssh_config", "a path, relative to the project"),
    ] = None
    ansible_become: Annotated[
        bool | None, Key("become root with sudo; default: unless the user is root", "true or false")
    ] = None
    ansible_become_password: Annotated[
        Secret | None,
        Key("sudo's password, sent only when sudo asks", "text, {env: NAME} or {file: path}"),
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
        str,
        Key("options of ssh: ProxyJump (-J) and UserKnownHostsFile are honoured", "options of ssh"),
    ] = ""
    connect_timeout: Annotated[
        Seconds, Key("seconds until a host that does not answer is given up", "1 to 86400")
    ] = 10
    barehost_known_hosts: Annotated[
        str | None, Key("the file of pinned host keys", "a path, relative to the project")
    ] = None
    barehost_staging: Annotated[
        bool, Key("the host is made by staging.up, which writes its address", "true or false")
    ] = False
    roles: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], ...],
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
"""Other names under which Ansible knows a variable of :class:`Connection`; the name itself wins."""

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

_SECRET_VARS = frozenset({"ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"})
_GROUP_KEYS = ("hosts", "children", "vars")


@dataclass
class _Group:
    """One group as all sources together describe it."""

    name: str
    mark: Mark
    vars: Map
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)


class Inventory:
    """The hosts of one or several sources. Reading checks the layout; a host's own values are checked by select."""

    def __init__(self, project: Path, sources: Sequence[Path]) -> None:
        self.project = project
        self.sources = tuple(sources)
        self._hosts: dict[str, Map] = {}
        self._groups: dict[str, _Group] = {}
        self._built: dict[str, Host] = {}
        self._files: dict[Path, tuple[Map, ...]] = {}

    @classmethod
    def load(cls, *sources: Path, project: Path | None = None) -> Self:
        """The inventory in ``sources`` (files or folders, later ones winning), staging hosts that are up included.

        sources: none means what BAREHOST_INVENTORY names (separated by commas), else the project's inventory/.
        project: None means the nearest folder, from the first source upwards, that holds a tasks.py.
        """
        if not sources:
            named = [one for one in os.environ.get("BAREHOST_INVENTORY", "").split(",") if one.strip()]
            sources = tuple(Path(one.strip()) for one in named)
        if not sources:
            project = project or _project_of(Path.cwd())
            sources = (project / "inventory",)
        absolute = [Path(one).expanduser().absolute() for one in sources]
        project = project.absolute() if project else _project_of(absolute[0])
        if (project / STAGING).is_file() and project / STAGING not in absolute:
            absolute.append(project / STAGING)
        inventory = cls(project, absolute)
        for source in absolute:
            for file in _files_of(source):
                inventory._add_file(file)
        inventory._finish()
        return inventory

    # -- reading ------------------------------------------------------------------------------------------

    def _add_file(self, file: Path) -> None:
        top = read(file)
        if top is None:
            return
        if not isinstance(top, Map):
            raise InputError(f"{shown(file)}:1:1: expected a mapping of groups, found {describe(top)}")
        for name, body in top.items():
            if name == "plugin":
                raise top.marks[name].error("inventory plugins are not run; write the hosts into a file")
            self._add_group(name, body, top.marks[name], None)

    def _add_group(self, name: Any, body: Any, mark: Mark, parent: str | None) -> None:
        if (
            not isinstance(name, str)
            or not re.fullmatch(r"[^\s,:&!*?\[\]/\x00-\x1f\x7f]+", name)
            or name[0] == "."
        ):
            raise mark.error(f"expected a group's name, found {describe(name)}")
        if name == "all" and parent:
            raise mark.error("the group all holds every other group and cannot be a child of one")
        group = self._groups.setdefault(name, _Group(name, mark, Map(mark)))
        if parent:
            self._groups[parent].children[name] = None
            group.parents[parent] = None
        for key, value in _mapping(body, mark, "a group's mapping of hosts, children and vars").items():
            place = body.marks[key]
            if key == "vars":
                _merge(group.vars, _mapping(value, place, "a mapping of variables"))
            elif key == "hosts":
                if isinstance(value, str):
                    value = Map(place, {value: None}, {value: place})
                for pattern, inline in _mapping(value, place, "a mapping of hosts").items():
                    self._add_hosts(group, str(pattern), inline, value.marks[pattern])
            elif key == "children":
                for child, below in _mapping(value, place, "a mapping of groups").items():
                    self._add_group(child, below, value.marks[child], name)
            else:
                raise place.error(
                    f"expected hosts, children or vars in a group, found {key!r}{nearest(str(key), _GROUP_KEYS)}"
                )

    def _add_hosts(self, group: _Group, pattern: str, inline: Any, mark: Mark) -> None:
        text, port = _split_port(pattern)
        for name in _expanded(text, mark):
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]*|:[0-9a-fA-F:]+", name):
                raise mark.error(
                    f"expected a host's name of letters, digits, '.', '_' and '-', found {describe(name)}"
                )
            host = self._hosts.setdefault(name, Map(mark))
            group.hosts[name] = None
            if port is not None:
                host.put("ansible_port", port, mark)
            _merge(host, _mapping(inline, mark, "a mapping of the host's variables"))

    def _finish(self) -> None:
        """Hang what has no parent below ``all`` or ``ungrouped`` and refuse groups that contain themselves."""
        nowhere = Mark("", 0, 0, "")
        everything = self._groups.setdefault("all", _Group("all", nowhere, Map(nowhere)))
        ungrouped = self._groups.setdefault("ungrouped", _Group("ungrouped", nowhere, Map(nowhere)))
        for group in self._groups.values():
            if group is not everything and not group.parents:
                group.parents["all"] = None
                everything.children[group.name] = None
        self._depths = {name: self._depth(name, ()) for name in self._groups}
        grouped = {host for group in self._groups.values() if group is not everything for host in group.hosts}
        for name in self._hosts:
            if name not in grouped:
                ungrouped.hosts[name] = None
        if clash := sorted(self._hosts.keys() & (self._groups.keys() - {"all", "ungrouped"})):
            mark = self._hosts[clash[0]].mark
            raise mark.error(f"{clash[0]!r} is the name of a host and of a group; rename one")

    def _depth(self, name: str, seen: tuple[str, ...]) -> int:
        if name in seen:
            loop = " → ".join(reversed([*seen[seen.index(name) :], name]))
            raise self._groups[name].mark.error(f"the groups {loop} contain each other")
        parents = self._groups[name].parents
        return 1 + max(self._depth(parent, (*seen, name)) for parent in parents) if parents else 0

    # -- choosing -----------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Every host's name, in the order of the files."""
        return tuple(self._hosts)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Every group with the names of all hosts in it and below it."""
        return {name: tuple(self._members(name)) for name in self._groups}

    def match(self, *patterns: str) -> tuple[str, ...]:
        """The names of the hosts that patterns choose, in the order of the files; no pattern chooses all.

        A pattern is a host, a group or a glob, several of them separated by commas. ``&x`` keeps only what is
        also in x, ``!x`` takes x away, wherever they stand. A part that matches nothing is an InputError.
        """
        parts = [part.strip() for pattern in patterns for part in pattern.split(",") if part.strip()]
        chosen = set().union(*(self._matching(part) for part in parts if part[0] not in "!&"))
        if all(part[0] in "!&" for part in parts):
            chosen = set(self._hosts)
        for part in parts:
            if part[0] == "&":
                chosen &= self._matching(part[1:])
        for part in parts:
            if part[0] == "!":
                chosen -= self._matching(part[1:])
        if not chosen:
            where = ", ".join(shown(source) for source in self.sources)
            raise InputError(f"no host in {where} matches {','.join(parts) or 'all'!r}")
        return tuple(name for name in self._hosts if name in chosen)

    def _matching(self, part: str) -> set[str]:
        """The hosts one part of a pattern matches, by their own name or a group's; an InputError when none does."""
        if part in ("all", "*"):
            return set(self._hosts)
        known = [*self._hosts, *self._groups]
        found = {name for name in known if name == part or fnmatch.fnmatchcase(name, part)}
        if not found:
            where = ", ".join(shown(source) for source in self.sources)
            raise InputError(f"no host or group in {where} matches {part!r}{nearest(part, known)}")
        hosts: set[str] = set()
        for name in found:
            hosts |= set(self._members(name)) if name in self._groups else {name}
        return hosts

    def _members(self, group: str) -> dict[str, None]:
        if group == "all":
            return dict.fromkeys(self._hosts)
        members = dict(self._groups[group].hosts)
        for child in self._groups[group].children:
            members |= self._members(child)
        return members

    def select(self, *patterns: str) -> tuple[Host, ...]:
        """The hosts that patterns choose (see :meth:`match`), their values resolved and checked.

        Secrets are read now. Two chosen hosts with one address and port are an InputError: they would be one
        machine, changed by two runs at once.
        """
        hosts = tuple(self.host(name) for name in self.match(*patterns))
        seen: dict[tuple[str, int], Host] = {}
        for host in hosts:
            if host.address is not None:
                other = seen.setdefault((host.address, host.port or 22), host)
                if other is not host:
                    raise self._hosts[host.name].mark.error(
                        f"{host.name} and {other.name} are both {host.address} port {host.port or 22}; choose one of them"
                    )
        return hosts

    def host(self, name: str) -> Host:
        """One host by its name, resolved and checked; InputError when there is none or a value is wrong."""
        if name not in self._hosts:
            raise InputError(f"there is no host {name!r}{nearest(name, self._hosts)}")
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    # -- a host's variables -------------------------------------------------------------------------------

    def _ancestors(self, name: str) -> list[str]:
        """The groups of a host, lowest precedence first: depth, then ansible_group_priority, then name."""
        found: set[str] = {"all"}
        todo = [group.name for group in self._groups.values() if name in group.hosts]
        while todo:
            group = todo.pop()
            if group not in found:
                found.add(group)
                todo.extend(self._groups[group].parents)
        return sorted(found, key=lambda one: (self._depths[one], self._priority(one), one))

    def _priority(self, group: str) -> int:
        variables = self._groups[group].vars
        value = variables.get("ansible_group_priority", 1)
        try:
            return int(value)
        except (TypeError, ValueError):
            mark = variables.marks["ansible_group_priority"]
            raise mark.error(f"expected a whole number, found {describe(value)}") from None

    def _variables(self, name: str) -> Map:
        """Ansible's order: inline all, inline groups, group_vars/all, group_vars, inline host, host_vars."""
        groups = self._ancestors(name)
        folders = list(dict.fromkeys([*map(_folder, self.sources), self.project]))
        layers: list[Map] = [self._groups[group].vars for group in groups]
        for stage in (groups[:1], groups[1:]):
            layers += [
                one
                for folder in folders
                for group in stage
                for one in self._read(folder / "group_vars" / group)
            ]
        layers.append(self._hosts[name])
        layers += [one for folder in folders for one in self._read(folder / "host_vars" / name)]
        merged = Map(self._hosts[name].mark)
        for layer in layers:
            _merge(merged, layer)
        return merged

    def _read(self, stem: Path) -> tuple[Map, ...]:
        """The files of variables a group or host has in one folder, in order; empty when it has none."""
        if stem not in self._files:
            maps = []
            for file in _vars_files(stem):
                top = read(file)
                maps.append(_mapping(top, Mark(shown(file), 1, 1, ""), "a mapping of variables"))
            self._files[stem] = tuple(maps)
        return self._files[stem]

    def _build(self, name: str) -> Host:
        raw = self._variables(name)
        groups = self._ancestors(name)
        names = sorted(group for group in groups if group != "all")
        magic = {
            "inventory_hostname": name,
            "inventory_hostname_short": name.split(".")[0],
            "group_names": names,
            "inventory_dir": str(_folder(self.sources[0])),
            "playbook_dir": str(self.project),
        }
        scope = Scope(raw, magic, self.project)
        connection = self._connection(raw, scope)
        address = connection.ansible_host or (None if connection.barehost_staging else name)
        return Host(
            name=name,
            address=address,
            port=connection.ansible_port,
            user=connection.ansible_user,
            key=self._key(connection, raw),
            sudo=connection.ansible_user != "root"
            if connection.ansible_become is None
            else connection.ansible_become,
            sudo_password=connection.ansible_become_password,
            jump=_jump(raw, scope),
            known_hosts=self._known_hosts(connection, raw, scope),
            groups=tuple(group for group in groups if group != "all"),
            vars=scope.frozen(without=_SECRET_VARS | {"apps"}),
            apps=self._apps(name, raw, scope),
            roles=connection.roles,
            project=self.project,
            connect_timeout=connection.connect_timeout,
        )

    def _connection(self, raw: Map, scope: Scope) -> Connection:
        for name in raw:
            if name in REFUSED:
                raise raw.marks[name].error(f"this variable cannot be followed: {REFUSED[name]}")
            if str(name).startswith("barehost_") and name not in keys(Connection):
                raise raw.marks[name].error(f"this variable is not known{nearest(name, keys(Connection))}")
        chosen = Map(raw.mark)
        for name, target in [*ALIASES.items(), *((name, name) for name in keys(Connection))]:
            if name in raw:
                value = scope[name]
                if target == "ansible_become_password" and value is not None:
                    value = self._secret(value, raw.marks[name])
                chosen.put(target, value, raw.marks[name])
        return validated(Connection, chosen)

    def _path(self, text: str) -> Path:
        return (self.project / Path(text).expanduser()).absolute()

    def _key(self, connection: Connection, raw: Map) -> Path | None:
        if connection.ansible_ssh_private_key_file is None:
            return None
        key = self._path(connection.ansible_ssh_private_key_file)
        if not key.is_file():
            name = next(
                name for name in ("ansible_ssh_private_key_file", "ansible_private_key_file") if name in raw
            )
            raise raw.marks[name].error(f"expected a private key, found no file {shown(key)}")
        return key

    def _known_hosts(self, connection: Connection, raw: Map, scope: Scope) -> Path | None:
        named = connection.barehost_known_hosts or _ssh_options(raw, scope).get("userknownhostsfile")
        return self._path(named) if named and named != "/dev/null" else None

    def _apps(self, host: str, raw: Map, scope: Scope) -> tuple[App, ...]:
        """The sites of a host, checked one by one and against each other."""
        if "apps" not in raw:
            return ()
        declared = _mapping(scope["apps"], raw.marks["apps"], "a mapping of sites")
        apps = tuple(self._app(name, declared[name], declared.marks[name]) for name in declared)
        taken: dict[tuple[str, int], App] = {}
        for app in apps:
            ports = (*app.listen, *([app.tls.port] if app.tls else []))
            for pair in [
                (name, port) for name in app.server_names for port in ports if app.state == "present"
            ]:
                other = taken.setdefault(pair, app)
                if other is not app:
                    raise declared.marks[app.name].error(
                        f"{pair[0]} port {pair[1]} belongs to the site {other.name!r} on {host} already"
                    )
        return apps

    def _app(self, name: Any, body: Any, mark: Mark) -> App:
        try:
            check_name(name)
        except ValueError as error:
            raise mark.error(str(error)) from None
        raw = _mapping(body, mark, "a mapping of the site's keys")
        raw = Map(mark, raw, raw.marks)
        if isinstance(raw.get("secrets"), Map):
            secrets = raw["secrets"]
            known = {key: self._secret(value, secrets.marks[key]) for key, value in secrets.items()}
            raw["secrets"] = Map(secrets.mark, known, secrets.marks)
        app = validated(App, raw, {"name": name, "project": self.project})
        if app.state == "present":
            self._check_paths(app, raw)
        return app

    def _check_paths(self, app: App, raw: Map) -> None:
        """What a site names on this machine must be there."""
        if app.wheels_folder and not app.wheels_folder.is_dir():
            raise raw.marks["wheels"].error(
                f"expected a folder of wheels, found no folder {shown(app.wheels_folder)}"
            )
        if app.is_git:
            return
        if not app.folder.is_dir():
            raise raw.marks["source"].error(
                f"expected a folder or a git URL, found no folder {shown(app.folder)}"
            )
        named = app.requirements_in(app.folder)
        if named and not (app.folder / named).is_file():
            raise raw.marks["requirements"].error(
                f"expected a file in the source, found no file {shown(app.folder / named)}"
            )

    def _secret(self, value: Any, mark: Mark) -> Secret:
        """A secret given as text, ``{env: NAME}`` or ``{file: path}``; never says what it found."""
        if isinstance(value, str | int) and not isinstance(value, bool):
            return Secret(str(value))
        if isinstance(value, Map) and len(value) == 1:
            ((kind, name),) = value.items()
            if kind == "env" and isinstance(name, str):
                if name not in os.environ:
                    raise mark.error(f"the environment variable {name} is not set")
                return Secret(os.environ[name])
            if kind == "file" and isinstance(name, str):
                try:
                    return Secret(self._path(name).read_text(encoding="utf-8").rstrip("\r\n"))
                except (OSError, UnicodeDecodeError) as error:
                    reason = getattr(error, "strerror", None) or "not UTF-8 text"
                    raise mark.error(f"the file {shown(self._path(name))} cannot be read: {reason}") from None
        raise mark.error("expected a secret as text, {env: NAME} or {file: path}")


def _mapping(value: Any, mark: Mark, expects: str) -> Map:
    """The mapping a value is; nothing is an empty one, anything else an InputError."""
    if value is None:
        return Map(mark)
    if not isinstance(value, Map):
        raise mark.error(f"expected {expects}, found {describe(value)}")
    return value


def _merge(onto: Map, layer: Map) -> None:
    """Lay variables over others: each replaces its namesake, but sites are merged by name and by key."""
    for name, value in layer.items():
        below = onto.get(name)
        if name == "apps" and isinstance(below, Map) and isinstance(value, Map):
            value = _merged_apps(below, value)
        onto.put(name, value, layer.marks[name])


def _merged_apps(below: Map, above: Map) -> Map:
    """The sites of a more general layer, each overlaid key by key with its namesake of a more special one."""
    sites = Map(above.mark, below, below.marks)
    for name, keys_above in above.items():
        base = sites.get(name)
        if isinstance(base, Map) and isinstance(keys_above, Map):
            site = Map(keys_above.mark, {**base, **keys_above}, {**base.marks, **keys_above.marks})
        else:
            site = base if keys_above is None else keys_above
        sites.put(name, site, above.marks[name])
    return sites


def _project_of(start: Path) -> Path:
    """The nearest folder, from ``start`` upwards, that holds a tasks.py; else the one that holds the inventory."""
    for folder in (start, *start.parents):
        if (folder / "tasks.py").is_file():
            return folder
    folder = start if start.is_dir() else start.parent
    return folder.parent if folder.name == "inventory" else folder


def _folder(source: Path) -> Path:
    """Where a source's group_vars/ and host_vars/ lie."""
    return source if source.is_dir() else source.parent


_YAML = (".yml", ".yaml", ".json")
_IGNORED = (".orig", ".bak", ".cfg", ".retry", ".pyc", ".pyo", ".swp", "~", ".md", ".txt")


def _files_of(source: Path) -> list[Path]:
    """The files of one source; an InputError when there is none to read."""
    if source.is_file():
        return [_not_ini(source)]
    if not source.is_dir():
        raise InputError(
            f"there is no inventory {shown(source)}; run invoke init to write one, or name it with --inventory"
        )
    found = sorted(
        file
        for file in source.iterdir()
        if file.is_file() and not file.name.startswith(".") and not file.name.endswith(_IGNORED)
    )
    if not found:
        raise InputError(f"the inventory {shown(source)} holds no YAML file; write hosts.yml there")
    return [_not_ini(file) for file in found]


def _not_ini(file: Path) -> Path:
    """The file, unless it is an inventory in Ansible's INI form or no YAML by its name."""
    if file.suffix in _YAML:
        return file
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    first = next((line for line in lines if line.strip() and line.strip()[0] not in "#;"), "")
    if file.suffix or not re.fullmatch(r"---|[^\[:=]+:(\s.*)?", first):
        raise InputError(
            f"{shown(file)}: only YAML inventories are read; convert it with"
            f" ansible-inventory -i {shown(file)} --list --yaml"
        )
    return file


def _vars_files(stem: Path) -> Iterator[Path]:
    """The files of variables behind group_vars/<name>: a file, a folder of files, or none."""
    found = [
        path for path in (stem, *(stem.with_name(stem.name + ending) for ending in _YAML)) if path.exists()
    ]
    if len(found) > 1:
        raise InputError(
            f"{shown(found[0])} and {shown(found[1])} are both there, and Ansible reads only the first; keep one"
        )
    for path in found:
        yield from _below(path) if path.is_dir() else (path,)


def _below(folder: Path) -> Iterator[Path]:
    """Every YAML file below a folder of variables, sorted as Ansible does."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            yield from _below(path)
        elif not path.suffix or path.suffix in _YAML:
            yield path


def _split_port(pattern: str) -> tuple[str, int | None]:
    """``name:port`` and ``[address]:port`` apart; a bare IPv6 address has no port."""
    if bracketed := re.fullmatch(r"\[([0-9a-fA-F:.]+:[0-9a-fA-F:.]*)\](?::(\d+))?", pattern):
        if bracketed[1].count(":") > 1:
            return bracketed[1], int(bracketed[2]) if bracketed[2] else None
    if port := re.fullmatch(r"([^:]*(?:\[[^\]]*\][^:\[]*)*):(\d+)", pattern):
        return port[1], int(port[2])
    return pattern, None


def _expanded(pattern: str, mark: Mark) -> Iterator[str]:
    """``web[01:20]`` and ``db[a:c]`` as the names they stand for; a step may follow as a third part."""
    match = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", pattern)
    if not match:
        yield pattern
        return
    head, span, tail = match.groups()
    for middle in _span(span, mark):
        for rest in _expanded(tail, mark):
            yield f"{head}{middle}{rest}"


def _span(span: str, mark: Mark) -> list[str]:
    parts = span.split(":")
    first, last, step = (*parts, "1", "1")[:3] if len(parts) > 1 else ("", "", "")
    first = first or "0"
    if len(parts) in (2, 3) and step.isdigit() and int(step) > 0:
        if first.isdigit() and last.isdigit() and int(first) <= int(last) < int(first) + 100_000:
            width = len(first) if first.startswith("0") else 0
            if not width or len(last) == len(first):
                return [str(number).zfill(width) for number in range(int(first), int(last) + 1, int(step))]
        letters = "abcdefghijklmnopqrstuvwxyz"
        for alphabet in (letters, letters.upper()):
            if len(first) == len(last) == 1 and first in alphabet and last in alphabet and first <= last:
                return list(alphabet[alphabet.index(first) : alphabet.index(last) + 1 : int(step)])
    raise mark.error(f"expected a range like [01:20] or [a:f], found [{span}]")


_HOP = re.compile(
    r"(?:[A-Za-z0-9_][\w.+-]*@)?(?:[A-Za-z0-9_][\w.-]*|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?", re.ASCII
)
_ARGS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_ELSEWHERE = {
    "port": "ansible_port",
    "user": "ansible_user",
    "hostname": "ansible_host",
    "identityfile": "ansible_ssh_private_key_file",
}
_VALUED = "BbcDEeFIiJLlmOopQRSWw"
"""The letters of ssh's options that take a value."""


def _jump(raw: Map, scope: Scope) -> tuple[str, ...] | None:
    """The hosts to jump through; None when the options of ssh say nothing about it."""
    named = _ssh_options(raw, scope).get("proxyjump")
    if named is None:
        return None
    mark = next(raw.marks[name] for name in reversed(_ARGS) if name in raw)
    hops = () if named == "none" else tuple(hop.removeprefix("ssh://") for hop in named.split(","))
    for hop in hops:
        if not _HOP.fullmatch(hop):
            raise mark.error(f"expected a jump host as [user@]host[:port], found {describe(hop)}")
    return hops


def _ssh_options(raw: Map, scope: Scope) -> dict[str, str]:
    """What the variables with options of ssh say, by lower-case option name; an InputError for what we cannot follow."""
    options: dict[str, str] = {}
    for name in _ARGS:
        if name not in raw or scope[name] is None:
            continue
        mark = raw.marks[name]
        text = scope[name]
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
