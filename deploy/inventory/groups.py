"""The tree of groups and the hosts in it, as all sources together describe it. Resolves no template, reads no file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.errors import InputError
from deploy.inventory.files import expanded, split_port
from deploy.schema.marked import Map, Mark, describe, nearest

MOST = 1_000_000
"""Names that all ranges of an inventory may stand for; more is a slip of the keyboard, or an attack."""

MERGED = ("apps", "stacks")
"""Variables that are laid over each other by name and by key."""

_KEYS = ("hosts", "children", "vars")
_GROUP = re.compile(r"[^\s,:&!*?\[\]/.\x00-\x1f\x7f][^\s,:&!*?\[\]/\x00-\x1f\x7f]*")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]*|:[0-9a-fA-F:]+")


@dataclass
class Group:
    """One group. vars: those written inside it, not in group_vars/."""

    name: str
    mark: Mark
    vars: Map
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)

    def variables(self) -> Map:
        """Its own variables, without its priority, which is none of its hosts'."""
        found = Map(self.mark, self.vars, self.vars.marks)
        found.pop("ansible_group_priority", None)
        return found


class Groups:
    """Groups and hosts by name. Sources are added one after another; :meth:`finish` makes a tree of them.

    hosts: each host's own variables, as written beside its name. groups: in the order of the files.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Map] = {}
        self.groups: dict[str, Group] = {}
        self._depths: dict[str, int] = {}
        self._names = 0

    # -- reading ------------------------------------------------------------------------------------------

    def add_yaml(self, top: Any, file: str) -> None:
        """Add the groups of one YAML file; InputError, with the place, for what is no group."""
        if top is None:
            return
        if not isinstance(top, Map):
            raise InputError(f"{file}:1:1: expected a mapping of groups, found {describe(top)}")
        for name, body in top.items():
            if name == "plugin":
                raise top.marks[name].error("inventory plugins are not run; write the hosts into a file")
            self._add_body(name, body, top.marks[name], None)

    def _add_body(self, name: Any, body: Any, mark: Mark, parent: str | None) -> None:
        group = self.add(name, mark, parent)
        for key, value in mapping(body, mark, "a group's mapping of hosts, children and vars").items():
            place = body.marks[key]
            if key == "vars":
                merge(group.vars, mapping(value, place, "a mapping of variables"))
            elif key == "hosts":
                if isinstance(value, str):
                    value = Map(place, {value: None}, {value: place})
                for pattern, inline in mapping(value, place, "a mapping of hosts").items():
                    beside = mapping(inline, value.marks[pattern], "a mapping of the host's variables")
                    self.add_hosts(group, str(pattern), beside, value.marks[pattern])
            elif key == "children":
                for child, below in mapping(value, place, "a mapping of groups").items():
                    self._add_body(child, below, value.marks[child], group.name)
            else:
                known = nearest(str(key), _KEYS)
                raise place.error(f"expected hosts, children or vars in a group, found {key!r}{known}")

    def add(self, name: Any, mark: Mark, parent: str | None = None) -> Group:
        """The group of that name, made where it is new, below ``parent`` where one is named."""
        if not isinstance(name, str) or not _GROUP.fullmatch(name):
            raise mark.error(f"expected a group's name, found {describe(name)}")
        if name == "all" and parent:
            raise mark.error("the group all holds every other group and cannot be a child of one")
        group = self.groups.setdefault(name, Group(name, mark, Map(mark)))
        if parent:
            self.groups[parent].children[name] = None
            group.parents[parent] = None
        return group

    def add_hosts(self, group: Group, pattern: str, variables: Map, mark: Mark) -> None:
        """Add the hosts that a name, a name with a port, or a range stands for, all with these variables."""
        text, port = split_port(pattern)
        names = expanded(text, mark)
        self._names += len(names)
        if self._names > MOST:
            raise mark.error(f"the ranges of this inventory stand for more than {MOST} hosts")
        for name in names:
            if not _HOST.fullmatch(name):
                raise mark.error(
                    f"expected a host's name of letters, digits, '.', '_' and '-', found {describe(name)}"
                )
            host = self.hosts.setdefault(name, Map(mark))
            group.hosts[name] = None
            if port is not None:
                host.put("ansible_port", port, mark)
            merge(host, variables)

    def keep(self, names: set[str]) -> None:
        """Forget every other host."""
        for name in self.hosts.keys() - names:
            del self.hosts[name]
            for group in self.groups.values():
                group.hosts.pop(name, None)

    # -- the tree -----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Hang what has no parent below ``all`` or ``ungrouped``; InputError for groups that contain themselves."""
        nowhere = Mark("", 0, 0, "")
        everything = self.groups.setdefault("all", Group("all", nowhere, Map(nowhere)))
        ungrouped = self.groups.setdefault("ungrouped", Group("ungrouped", nowhere, Map(nowhere)))
        for group in self.groups.values():
            if group is not everything and not group.parents:
                group.parents["all"] = None
                everything.children[group.name] = None
        self._depths = dict(self._in_order())
        named = [group for group in self.groups.values() if group not in (everything, ungrouped)]
        grouped = {host for group in named for host in group.hosts}
        ungrouped.hosts = {name: None for name in self.hosts if name not in grouped}

    def _in_order(self) -> Iterator[tuple[str, int]]:
        """Every group after its parents, each with the length of the longest way down to it."""
        waiting = {name: len(group.parents) for name, group in self.groups.items()}
        depths = dict.fromkeys(self.groups, 0)
        ready = [name for name, count in waiting.items() if not count]
        while ready:
            name = ready.pop()
            del waiting[name]
            yield name, depths[name]
            for child in self.groups[name].children:
                depths[child] = max(depths[child], depths[name] + 1)
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
        if waiting:
            raise self._loop(waiting)

    def _loop(self, left: dict[str, int]) -> InputError:
        """Which of the groups that are left contain each other."""
        way = [next(iter(left))]
        while way[-1] not in way[:-1]:
            way.append(next(parent for parent in self.groups[way[-1]].parents if parent in left))
        loop = " → ".join(reversed(way[way.index(way[-1]) :]))
        return self.groups[way[-1]].mark.error(f"the groups {loop} contain each other")

    def members(self, group: str) -> dict[str, None]:
        """The hosts in a group and below it."""
        if group == "all":
            return dict.fromkeys(self.hosts)
        found: dict[str, None] = {}
        seen, todo = {group}, [group]
        while todo:
            one = self.groups[todo.pop()]
            found |= one.hosts
            below = [child for child in one.children if child not in seen]
            seen.update(below)
            todo.extend(reversed(below))
        return found

    def ancestors(self, host: str) -> list[str]:
        """The groups a host is in, lowest precedence first: depth, then ansible_group_priority, then name."""
        found: set[str] = {"all"}
        todo = [group.name for group in self.groups.values() if host in group.hosts]
        while todo:
            group = todo.pop()
            if group not in found:
                found.add(group)
                todo.extend(self.groups[group].parents)
        return sorted(found, key=lambda one: (self._depths[one], self._priority(one), one))

    def _priority(self, group: str) -> int:
        variables = self.groups[group].vars
        value = variables.get("ansible_group_priority", 1)
        try:
            return int(value)
        except (TypeError, ValueError):
            mark = variables.marks["ansible_group_priority"]
            raise mark.error(f"expected a whole number, found {describe(value)}") from None


def mapping(value: Any, mark: Mark, expects: str) -> Map:
    """The mapping a value is; nothing is an empty one, anything else an InputError."""
    if value is None:
        return Map(mark)
    if not isinstance(value, Map):
        raise mark.error(f"expected {expects}, found {describe(value)}")
    return value


def merge(onto: Map, layer: Map) -> None:
    """Lay variables over others: each replaces its namesake, but sites and stacks are merged by name and by key."""
    for name, value in layer.items():
        below = onto.get(name)
        if name in MERGED and isinstance(below, Map) and isinstance(value, Map):
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
