"""Inventories in Ansible's INI form: sections of hosts, of children and of variables. Reads no file."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from typing import Any

from deploy.inventory.groups import Group, Groups, merge
from deploy.schema.marked import List, Map, Mark, Written

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_NAME = re.compile(r"([^\s:\]]+)\s*(?:#.*)?")


def add_ini(groups: Groups, text: str, file: str) -> None:
    """Add what a file in INI form describes; InputError, with its line, for what is none.

    file: as errors name it.
    """
    start = Mark(file, 1, 1, "")
    group, kind = groups.add("ungrouped", start), "hosts"
    declared: set[str] = {"all", "ungrouped", *groups.groups}
    wanted: dict[str, Mark] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        mark = Mark(file, number, 1, "")
        if not line or line[0] in "#;":
            continue
        if section := _SECTION.fullmatch(line):
            name, kind = section[1], section[2] or "hosts"
            if kind not in ("hosts", "children", "vars"):
                raise mark.error(f"expected [{name}], [{name}:children] or [{name}:vars], found {line}")
            group = groups.add(name, mark)
            if kind == "vars":
                wanted.setdefault(name, mark)
            else:
                declared.add(name)
        elif line[0] == "[" and line[-1] == "]":
            raise mark.error(f"expected a section like [web] or [web:children], found {line}")
        elif kind == "hosts":
            _host(groups, group, line, mark)
        elif kind == "vars":
            merge(group.vars, _assigned([line], group.name, mark))
        elif name_only := _NAME.fullmatch(line):
            groups.add(name_only[1], mark, group.name)
            wanted.setdefault(name_only[1], mark)
        else:
            raise mark.error(f"expected a group's name, found {line!r}")
    for name, mark in wanted.items():
        if name not in declared:
            raise mark.error(f"the group {name} has no section of its own; add [{name}], it may be empty")


def _host(groups: Groups, group: Group, line: str, mark: Mark) -> None:
    """A host's line: its name, or a range of names, and variables behind it."""
    try:
        pattern, *rest = shlex.split(line, comments=True) or [""]
    except ValueError as error:
        raise mark.error(f"expected a host and its variables ({error}), found {line!r}") from None
    if not pattern or pattern.endswith(":") or pattern == "---":
        raise mark.error(f"expected a host's name, found {pattern!r}; a YAML file ends in .yml")
    groups.add_hosts(group, pattern, _assigned(rest, pattern, mark), mark)


def _assigned(words: list[str], owner: str, mark: Mark) -> Map:
    """``key=value`` words as variables."""
    found = Map(mark)
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise mark.error(f"expected a variable as key=value, found {word!r}")
        place = mark._replace(key=f"{owner}.{name}")
        found.put(name, _value(value.strip(), place), place)
    return found


def _value(text: str, mark: Mark) -> Any:
    """What Ansible makes of a value in this form: what Python reads it as, else text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    if type(value) is int and str(value) != text:
        value = Written(value)
        value.text = text
    return _plain(value, mark)


def _plain(value: Any, mark: Mark) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    if isinstance(value, list | tuple | set):
        return List(mark, [_plain(one, mark) for one in value], [mark] * len(value))
    if isinstance(value, dict):
        return Map(mark, {key: _plain(one, mark) for key, one in value.items()}, dict.fromkeys(value, mark))
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value
