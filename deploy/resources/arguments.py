"""What somebody's role yields, held against what its kinds take: one sentence for a slip. Changes no value."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from deploy.resource import Resource, Unprobed

_DECIMAL = frozenset((400, 440, 444, 600, 640, 644, 660, 664, 700, 710, 711, 750, 751, 755, 770, 775, 777))
"""Modes as people know them, written without 0o: 644 is 0o1204 then, which nobody means."""


def complaint(yielded: object) -> str | None:
    """What is wrong with something that a role yields, as the end of a sentence; None: nothing.

    Kinds whose annotations cannot be read here are taken as they are.
    """
    if not isinstance(yielded, Resource | Unprobed):
        hint = "; write yield from" if isinstance(yielded, list | tuple | types.GeneratorType) else ""
        return f"a role yields resources, found {_named(yielded)}{hint}"
    for name, hint in _hints(type(yielded)).items():
        value = getattr(yielded, name)
        kind = type(yielded).__name__
        if not _fits(value, hint):
            return f"{kind}({name}=...): expected {_expects(hint)}, found {_named(value)}"
        if name.endswith("mode") and value in _DECIMAL:
            return f"{kind}({name}={value}): this is a decimal number; write 0o{value}"
    return None


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    try:
        known = get_type_hints(kind)
        return {one.name: known[one.name] for one in fields(kind) if one.init}
    except (NameError, TypeError, AttributeError, KeyError):
        return {}


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is one of a type; where the type says more than can be seen, it is."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is None:
        return value is None
    if origin is Annotated:
        return _fits(value, inner[0])
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in inner)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inner) == 2 and inner[1] is ...:
            return all(_fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    kind = origin or hint
    if not isinstance(kind, type) or hasattr(kind, "__set__"):  # a descriptor refuses by itself
        return True
    return isinstance(value, kind)


def _expects(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(map(_expects, inner))
    if origin is Annotated:
        return _expects(inner[0])
    if origin is tuple:
        return f"a tuple of {_expects(inner[0])}" if inner[1:] == (...,) else "a tuple"
    words = {int: "a whole number", str: "text", bool: "True or False", bytes: "bytes", type(None): "None"}
    kind = origin or hint
    return words.get(kind) or str(getattr(kind, "__name__", kind))


def _named(value: object) -> str:
    if value is None or isinstance(value, str | int | float | bytes):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"
    return f"a {type(value).__name__}"
