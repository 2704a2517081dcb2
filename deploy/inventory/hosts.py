"""Hosts, groups and variables out of Ansible's YAML layout. Contacts no host, prints nothing."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from deploy.errors import InputError
from deploy.inventory.files import (
    expanded,
    folder_of,
    inventory_files,
    project_of,
    split_port,
    staging_file,
    vars_files,
)
from deploy.inventory.scope import Scope
from deploy.inventory.ssh_vars import DEFAULT_ROLES, SECRET_VARS, Connection, connection, jump, ssh_options
from deploy.schema.marked import Map, Mark, describe, nearest, path_from, read, shown
from deploy.schema.model import Frozen, validated
from deploy.shell import Secret
from deploy.site.app import App
from deploy.site.names import check_name
from deploy.transport.endpoint import Endpoint


@dataclass(frozen=True)
class Host(Endpoint):
    """One host as the inventory describes it: an endpoint and what it should be; holds no connection.

    groups: every group it is in but ``all``, the most general first.
    defined: by site, the groups (``all`` among them) whose variables define it; none where only the host's own do.
    vars: its variables, the connection's and ``apps`` included only as far as they hold no secret.
    roles: names of roles, in the order they are evaluated.
    """

    groups: tuple[str, ...] = ()
    defined: Mapping[str, tuple[str, ...]] = field(default_factory=Frozen, repr=False)
    vars: Mapping[str, Any] = field(default_factory=Frozen, repr=False)
    apps: tuple[App, ...] = ()
    roles: tuple[str, ...] = DEFAULT_ROLES

    def app(self, name: str) -> App:
        """The site of that name; an InputError names the nearest when there is none."""
        for app in self.apps:
            if app.name == name:
                return app
        known = [app.name for app in self.apps]
        raise InputError(f"{self.name} has no site {name!r}{nearest(name, known)}")


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
        self._depths: dict[str, int] = {}
        self._built: dict[str, Host] = {}
        self._files: dict[Path, tuple[Map, ...]] = {}

    @classmethod
    def load(cls, *sources: Path, project: Path | None = None) -> Self:
        """The inventory in ``sources`` (files or folders, later ones winning), with the staging hosts that are up.

        Where sources were chosen, only those staging hosts that they name: a run on one's own hosts must not
        touch what happens to be up.

        sources: none means what BAREHOST_INVENTORY names (separated by commas), else the project's inventory/.
        project: None means the nearest folder, from the first source upwards, that holds a tasks.py.
        """
        if not sources:
            variable = os.environ.get("BAREHOST_INVENTORY")
            named = [one.strip() for one in (variable or "").split(",") if one.strip()]
            if variable is not None and not named:
                raise InputError("BAREHOST_INVENTORY is set and empty; name an inventory in it, or unset it")
            sources = tuple(map(Path, named))
        chosen = bool(sources)
        if not sources:
            project = project or project_of(Path.cwd())
            sources = (project / "inventory",)
        absolute = [Path(one).expanduser().absolute() for one in sources]
        project = project.absolute() if project else project_of(absolute[0])
        staging = staging_file(project)
        inventory = cls(project, absolute)
        for source in absolute:
            for file in inventory_files(source):
                inventory._add_file(file)
        if staging.is_file() and staging not in absolute:
            ours = set(inventory._hosts)
            inventory.sources += (staging,)
            inventory._add_file(staging)
            if chosen:
                inventory._keep(ours)
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
        text, port = split_port(pattern)
        for name in expanded(text, mark):
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]*|:[0-9a-fA-F:]+", name):
                raise mark.error(
                    f"expected a host's name of letters, digits, '.', '_' and '-', found {describe(name)}"
                )
            host = self._hosts.setdefault(name, Map(mark))
            group.hosts[name] = None
            if port is not None:
                host.put("ansible_port", port, mark)
            _merge(host, _mapping(inline, mark, "a mapping of the host's variables"))

    def _keep(self, names: set[str]) -> None:
        """Forget every other host."""
        for name in self._hosts.keys() - names:
            del self._hosts[name]
            for group in self._groups.values():
                group.hosts.pop(name, None)

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

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Every group with the names of all hosts in it and below it."""
        return Frozen({name: tuple(self._members(name)) for name in self._groups})

    def match(self, *patterns: str) -> tuple[str, ...]:
        """The names of the hosts that patterns choose, in the order of the files; no pattern chooses all.

        A pattern is a host, a group or a glob, several of them separated by commas. ``&x`` keeps only what is
        also in x, ``!x`` takes x away, wherever they stand. A part that matches nothing is an InputError.
        """
        parts = [part.strip() for pattern in patterns for part in pattern.split(",") if part.strip()]
        if any(not pattern.strip(" ,") for pattern in patterns):
            raise InputError("an empty pattern chooses no host; for every host say all, or give no pattern")
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
            known.remove("ungrouped")
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
                    place = f"{host.address} port {host.port or 22}"
                    sentence = f"{host.name} and {other.name} are both {place}; choose one of them"
                    raise self._hosts[host.name].mark.error(sentence)
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
        folders = self._folders
        layers = [layer for _, layer in self._group_layers(name)]
        layers.append(self._hosts[name])
        layers += [one for folder in folders for one in self._read(folder / "host_vars" / name)]
        merged = Map(self._hosts[name].mark)
        for layer in layers:
            _merge(merged, layer)
        return merged

    @property
    def _folders(self) -> list[Path]:
        """Where files of variables lie."""
        return list(dict.fromkeys([*map(folder_of, self.sources), self.project]))

    def _group_layers(self, name: str) -> Iterator[tuple[str, Map]]:
        """What the groups of a host set, each with the group's name, lowest precedence first."""
        groups = self._ancestors(name)
        yield from ((group, self._groups[group].vars) for group in groups)
        for stage in (groups[:1], groups[1:]):
            for folder in self._folders:
                for group in stage:
                    yield from ((group, one) for one in self._read(folder / "group_vars" / group))

    def _defined(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """The groups of a host that define each site, sorted."""
        found: dict[str, set[str]] = {}
        for group, layer in self._group_layers(name):
            sites = layer.get("apps")
            for site in sites if isinstance(sites, Map) else ():
                found.setdefault(site, set()).add(group)
        return Frozen({site: tuple(sorted(groups)) for site, groups in found.items()})

    def _read(self, stem: Path) -> tuple[Map, ...]:
        """The files of variables a group or host has in one folder, in order; empty when it has none."""
        if stem not in self._files:
            maps = []
            for file in vars_files(stem):
                top = read(file)
                maps.append(_mapping(top, Mark(shown(file), 1, 1, ""), "a mapping of variables"))
            self._files[stem] = tuple(maps)
        return self._files[stem]

    def _build(self, name: str) -> Host:
        raw = self._variables(name)
        groups = tuple(group for group in self._ancestors(name) if group != "all")
        scope = Scope(raw, self._magic(name, groups), self.project)
        reached, given = connection(raw, scope, self._secret)
        options = ssh_options(raw, scope)
        return Host(
            name=name,
            address=reached.ansible_host or (None if reached.barehost_staging else name),
            port=reached.ansible_port,
            user=reached.ansible_user,
            key=self._key(reached, given),
            sudo=reached.ansible_user != "root" if reached.ansible_become is None else reached.ansible_become,
            sudo_password=reached.ansible_become_password,
            jump=jump(raw, options),
            known_hosts=self._known_hosts(reached, options),
            groups=groups,
            defined=self._defined(name),
            vars=scope.frozen(without=SECRET_VARS | {"apps"}),
            apps=self._apps(name, raw, scope),
            roles=reached.roles,
            project=self.project,
            connect_timeout=reached.connect_timeout,
        )

    def _magic(self, name: str, groups: tuple[str, ...]) -> dict[str, Any]:
        """The variables that Ansible sets itself and a template may use."""
        return {
            "inventory_hostname": name,
            "inventory_hostname_short": name.split(".")[0],
            "inventory_dir": str(folder_of(self.sources[0])),
            "playbook_dir": str(self.project),
            "group_names": sorted(groups),
            "groups": self.groups,
        }

    def _key(self, reached: Connection, given: Map) -> Path | None:
        if reached.ansible_ssh_private_key_file is None:
            return None
        key = path_from(self.project, reached.ansible_ssh_private_key_file)
        if not key.is_file():
            mark = given.marks["ansible_ssh_private_key_file"]
            raise mark.error(f"expected a private key, found no file {shown(key)}")
        return key

    def _known_hosts(self, reached: Connection, options: Mapping[str, str]) -> Path | None:
        """The file of pinned keys; the null device, as some write to skip the check, names none."""
        named = reached.barehost_known_hosts or options.get("userknownhostsfile", "/dev/null")
        return None if named == "/dev/null" else path_from(self.project, named)

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
        if "secrets" in raw:
            secrets = raw["secrets"]
            if not isinstance(secrets, Map):
                raise raw.marks["secrets"].error(
                    "expected a mapping of names to text, {env: NAME} or {file: path}"
                )
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
        named = app.requirements
        if named and named != "auto" and not (app.folder / named).is_file():
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
                return Secret(_text(path_from(self.project, name), mark).rstrip("\r\n"))
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
        base: Any = sites.get(name)
        if isinstance(base, Map) and isinstance(keys_above, Map):
            both = Map(keys_above.mark, {**base, **keys_above}, {**base.marks, **keys_above.marks})
            sites.put(name, both, above.marks[name])
        elif name not in sites or keys_above is not None:
            sites.put(name, keys_above, above.marks[name])
    return sites


def _text(path: Path, mark: Mark) -> str:
    """The text of a file that a key names."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise mark.error(f"the file {shown(path)} cannot be read: {error.strerror}") from None
    except ValueError:
        raise mark.error(f"the file {shown(path)} cannot be read: it is not UTF-8 text") from None
