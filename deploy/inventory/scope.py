"""A host's variables, their templates resolved when asked for. Sandboxed: nothing in them runs a program."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from deploy.errors import InputError
from deploy.inventory.groups import MERGED
from deploy.inventory.secrets import secret, within
from deploy.inventory.vault import Vault, quietly
from deploy.schema.marked import (
    List,
    Map,
    Mark,
    Unsafe,
    Vaulted,
    Written,
    describe,
    nearest,
    path_from,
    shown,
)
from deploy.schema.model import Frozen, Unresolved, frozen
from deploy.schema.text import SECRET, Unreadable, text_of
from deploy.shell import Secret

_WHOLE = re.compile(r"\s*\{\{[-+]?((?:(?!\{\{).)*?)[-+]?\}\}\s*", re.DOTALL)
"""Text that is one expression and nothing else; its value keeps its type."""


class Scope:
    """The variables of one host. A template is resolved at first use; a loop of templates is an error.

    What Ansible Vault has encrypted, and what a template makes of it, is a :class:`Secret`.
    """

    def __init__(self, raw: Map, magic: Mapping[str, Any], project: Path, vault: Vault) -> None:
        self._raw = raw
        self._magic = magic
        self._project = project
        self._vault = vault
        self._known: dict[str, Any] = {}
        self._open: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._raw or name in self._magic

    def __getitem__(self, name: str) -> Any:
        """The resolved value of a variable that is there; InputError when a template in it fails."""
        if name in self._magic:
            return self._magic[name]
        if name not in self._known:
            mark = self._raw.marks[name]
            if name in self._open:
                raise mark.error(f"the variables {' → '.join([*self._open, name])} refer to each other")
            self._open.append(name)
            try:
                value = self.resolved(self._raw[name], mark)
            finally:
                self._open.pop()
            self._known[name] = _hidden(value) if self._vault.holds(mark) and name not in MERGED else value
        return self._known[name]

    def frozen(self, without: frozenset[str]) -> Frozen:
        """All variables but some, deeply frozen; one whose template fails raises when it is used."""
        values: dict[str, Any] = {}
        for name in self._raw:
            if name not in without:
                try:
                    values[name] = frozen(self[name])
                except InputError as error:
                    values[name] = Unresolved(str(error))
        return Frozen(values)

    def resolved(self, value: Any, mark: Mark) -> Any:
        """``value`` with its templates resolved; the same object when it holds none."""
        if isinstance(value, Vaulted):
            return self._decrypted(value, mark)
        if not _templated(value):
            return value
        if isinstance(value, Map):
            done = {key: self.resolved(one, value.marks[key]) for key, one in value.items()}
            return Map(value.mark, done, value.marks)
        if isinstance(value, List):
            pairs = zip(value, value.marks, strict=True)
            return List(value.mark, [self.resolved(one, place) for one, place in pairs], value.marks)
        return self._rendered(str(value), mark)

    def later(self, value: Any, mark: Mark) -> Any:
        """``value`` resolved, where it is a template as a secret that is resolved when it is needed."""
        if not isinstance(value, str) or not _templated(value):
            return self.resolved(value, mark)

        def read(ask: bool) -> str:
            with quietly(not ask):
                return secret(self.resolved(value, mark), mark, self._project)._get(ask=ask)

        return Secret.later(read, str(mark))

    def _decrypted(self, envelope: Vaulted, mark: Mark) -> Secret:
        def read(ask: bool) -> str:
            with quietly(not ask):
                return self._vault.open(envelope, mark)

        return Secret.later(read, f"{mark} {envelope}")

    def _rendered(self, text: str, mark: Mark) -> Any:
        """What a template gives; one expression alone keeps its type. A Secret where secrets go into it."""
        import jinja2

        missing: list[str] = []
        secrets: list[Secret] = []
        try:
            template = _compiled(text)
            missing = [name for name in template.names if name not in self]
            values = {name: self[name] for name in template.names if name in self}
            own = [value for name, value in values.items() if name not in self._magic]
            secrets = list(within(own))
            if any(one.known() is None for one in secrets):
                return Secret.later(lambda ask: self._with_secrets(text, mark, ask), f"{mark} {text}")
            if secrets:
                values = {name: revealed(value) for name, value in values.items()}
            found = template.render(lookup=self._lookup, **values)
            if isinstance(found, jinja2.Undefined):
                found = str(found)  # a StrictUndefined says what is undefined
            return _hidden(_plain(found, mark)) if secrets else _plain(found, mark)
        except InputError:
            raise
        except jinja2.UndefinedError as error:
            meant = nearest(missing[0], self._raw) if missing else ""
            raise mark.error(f"in its template {error.message}{meant}") from None
        except Exception as error:  # an expression may fail in any way that Python can
            said = type(error).__name__ if secrets else _first_line(error)
            raise mark.error(f"its template cannot be resolved: {said}") from None

    def _with_secrets(self, text: str, mark: Mark, ask: bool) -> str:
        """The text that a template gives once its secrets are there."""
        with quietly(not ask):
            for one in within([self[name] for name in _compiled(text).names if name in self._raw]):
                one.reveal()
        return secret(self._rendered(text, mark), mark, self._project).reveal()

    def _lookup(self, kind: Any = "", *terms: Any, **options: Any) -> Any:
        """Ansible's ``lookup('env', NAME, default=...)`` and ``lookup('file', path)``; any other kind is refused."""
        kind = str(kind).removeprefix("ansible.builtin.")
        allowed = {"env": {"default"}, "file": set[str]()}
        if kind not in allowed or len(terms) != 1 or not isinstance(terms[0], str):
            raise ValueError(
                f"lookup({kind!r}) is not supported, only lookup('env', NAME) and lookup('file', path)"
            )
        if unknown := sorted(options.keys() - allowed[kind]):
            raise ValueError(f"lookup({kind!r}) takes no {unknown[0]} here")
        if kind == "env":
            return os.environ.get(terms[0], options.get("default", _unset(terms[0])))
        path = path_from(self._project, terms[0])
        try:
            return text_of(path, SECRET).rstrip()
        except Unreadable as error:
            raise ValueError(f"the file {shown(path)} cannot be read: {error}") from None


class _Template(NamedTuple):
    """A template that is ready to be rendered, and the variables it may ask for."""

    names: tuple[str, ...]
    render: Callable[..., Any]


@cache
def _environment() -> Any:
    """A Jinja2 environment that can compute, nothing more."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


@cache
def _compiled(text: str) -> _Template:
    """A template compiled once, however many hosts share it."""
    from jinja2 import meta

    environment = _environment()
    names = meta.find_undeclared_variables(environment.parse(text)) - environment.globals.keys() - {"lookup"}
    if whole := _WHOLE.fullmatch(text):
        return _Template(
            tuple(sorted(names)), environment.compile_expression(whole[1], undefined_to_none=False)
        )
    return _Template(tuple(sorted(names)), environment.from_string(text).render)


def _first_line(error: Exception) -> str:
    """What an error says, or its kind when it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _unset(name: str) -> Any:
    from jinja2 import StrictUndefined

    return StrictUndefined(f"the environment variable {name} is not set")


def _templated(value: Any) -> bool:
    """Whether a template, or something encrypted, stands anywhere in a value."""
    if isinstance(value, Vaulted):
        return True
    if isinstance(value, str):
        return ("{{" in value or "{%" in value) and not isinstance(value, Unsafe)
    if isinstance(value, Map):
        return any(map(_templated, value.values()))
    return isinstance(value, List) and any(map(_templated, value))


def _plain(value: Any, mark: Mark) -> Any:
    """A template's value if YAML could have said it."""
    if value is None or isinstance(value, str | int | float | Map | List | Frozen | Secret):
        return value
    if isinstance(value, Mapping):
        return Map(mark, {key: _plain(one, mark) for key, one in value.items()}, dict.fromkeys(value, mark))
    if isinstance(value, list | tuple):
        return List(mark, [_plain(one, mark) for one in value], [mark] * len(value))
    raise ValueError(f"it gives a {type(value).__name__}, not a plain value such as {describe('text')}")


def revealed(value: Any) -> Any:
    """A value with its secrets as their text, for a template to compute with, or for what is used here alone."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Map):
        return Map(value.mark, {name: revealed(one) for name, one in value.items()}, value.marks)
    if isinstance(value, List):
        return List(value.mark, map(revealed, value), value.marks)
    return value


def _hidden(value: Any) -> Any:
    """A value with all that it says as secrets: it comes out of what Ansible Vault has encrypted."""
    if isinstance(value, Map):
        return Map(value.mark, {name: _hidden(one) for name, one in value.items()}, value.marks)
    if isinstance(value, List):
        return List(value.mark, map(_hidden, value), value.marks)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return Secret(value.text if isinstance(value, Written) else str(value))
    return value
