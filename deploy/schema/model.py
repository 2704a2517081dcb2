"""What a key means and expects: models become one-sentence errors and a reference. Reads no file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from msgspec import NODEFAULT, Meta, Struct, ValidationError, convert
from msgspec.structs import FieldInfo, fields

from deploy.errors import InputError
from deploy.schema.marked import Map, describe, locate, nearest


class Key(Struct, frozen=True):
    """Stands in the annotation of a model's field that a user may write.

    meaning: one line for the reference. expects: completes "expected ..." in an error, and is the reference's type.
    """

    meaning: str
    expects: str


class Before(Struct, frozen=True):
    """Stands in an annotation: makes what was written into what the type is asked of.

    Its ValueError is the whole sentence of an error. Of several the last one comes first.
    """

    check: Callable[[Any], Any]


class After(Struct, frozen=True):
    """Stands in an annotation: makes a value of the right type into what is kept. Its ValueError is the sentence."""

    check: Callable[[Any], Any]


class Model(Struct, frozen=True):
    """Frozen and hashable. Made by :func:`validated` or :func:`build`; its constructor takes what it gets."""

    def check(self, written: Collection[str]) -> None:
        """Raises ValueError, the whole sentence, for keys that do not go together.

        written: the keys that have their value from a user, not from a default.
        """


class Frozen(Mapping[Any, Any]):
    """A mapping that cannot change, so that it can be hashed, shared and pickled.

    A value that could not be worked out (a template with an unknown variable) raises its InputError when it is
    asked for, not before: what nobody uses harms nobody.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Any, Any] | None = None) -> None:
        self._values: dict[Any, Any] = dict(values or {})

    def __getitem__(self, key: Any) -> Any:
        value = self._values[key]
        if isinstance(value, Unresolved):
            raise InputError(value.sentence)
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, Frozen) else self._values == other

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Frozen({self._values!r})"


class Unresolved(Struct, frozen=True):
    """A value that could not be worked out, and the sentence that says why."""

    sentence: str


def frozen(value: Any) -> Any:
    """``value`` with every mapping a :class:`Frozen` and every list a tuple, all the way down."""
    if isinstance(value, Mapping):
        return Frozen({key: frozen(one) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(one) for one in value)
    return value


M = TypeVar("M", bound=Model)


def validated(model: type[M], raw: Map, given: Mapping[str, Any] | None = None) -> M:
    """A model built from a mapping of the inventory; the first fault in file order becomes an InputError.

    given: what the program knows and no user may write (a site's name); such a key in ``raw`` is unknown.
    """
    for name in raw:
        if name not in keys(model):
            raise raw.marks[name].error(_unknown(name, model))
    try:
        return build(model, {**raw, **(given or {})})
    except Faulty as error:
        faults = [(locate(raw, fault.path, raw.mark), fault.sentence) for fault in error.faults]
    mark, sentence = min(faults, key=lambda pair: (pair[0].line, pair[0].column))
    raise mark.error(sentence)


class Fault(Struct, frozen=True):
    """What is wrong, in one sentence, and where: the keys and numbers that lead to it."""

    sentence: str
    path: tuple[Any, ...] = ()


class Faulty(ValueError):
    """Values that a model cannot be built from, and every fault they have."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults[0].sentence)
        self.faults = faults


def build(model: type[M], values: Mapping[Any, Any]) -> M:
    """A model built from plain values by the name of its fields; Faulty when one of them is wrong or missing."""
    known = _fields(model)
    found: dict[str, Any] = {}
    with _every_fault() as below:
        for name, field in known.items():
            if name in values:
                with below(name):
                    key = key_of(field)
                    found[name] = _read(field.type, values[name], key.expects if key else f"a {name}")
            elif field.required:
                with below(name):
                    raise Faulty(Fault(f"expected the key {name!r}, found none"))
        for name in values:
            if name not in known:
                with below(name):
                    raise Faulty(Fault(_unknown(name, model)))
    built = model(**found)
    try:
        built.check(values.keys())
    except ValueError as error:
        raise Faulty(Fault(str(error))) from None
    return built


@contextmanager
def _every_fault() -> Iterator[Callable[[Any], AbstractContextManager[None]]]:
    """Gives what stands around the reading of each key or entry; all that was wrong below them is one Faulty."""
    faults: list[Fault] = []

    @contextmanager
    def below(part: Any) -> Iterator[None]:
        try:
            yield
        except Faulty as error:
            faults.extend(Fault(fault.sentence, (part, *fault.path)) for fault in error.faults)

    yield below
    if faults:
        raise Faulty(*faults)


def _unknown(name: Any, model: type[Model]) -> str:
    return f"this key is not known{nearest(str(name), keys(model))}"


def _read(hint: Any, value: Any, expects: str) -> Any:
    """What is kept of a value, by the annotation of its field or entry; Faulty when it is none of that kind."""
    notes = getattr(hint, "__metadata__", ())
    try:
        for note in reversed(notes):
            if isinstance(note, Before):
                value = note.check(value)
        found = _typed(hint.__origin__ if notes else hint, value, expects)
        for note in notes:
            if isinstance(note, After):
                found = note.check(found)
            elif isinstance(note, Meta):
                convert(found, Annotated[type(found), note])
    except Faulty:
        raise
    except (ValidationError, UnicodeError):
        raise Faulty(Fault(f"expected {expects}, found {describe(value)}")) from None
    except ValueError as error:
        raise Faulty(Fault(str(error))) from None
    return found


def _typed(hint: Any, value: Any, expects: str) -> Any:
    """A value as its bare type wants it. Faulty for what lies in it, a ValidationError for the value itself."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _either(inner, value, expects)
    if origin is tuple:
        return _tuple(inner[0], value, expects)
    if origin is Mapping:
        return _mapping(inner[0], inner[1], value, expects)
    if isinstance(hint, type) and issubclass(hint, Model):
        return value if isinstance(value, hint) else build(hint, _must_be(Mapping, value))
    return convert(_PLAIN[hint](value) if hint in _PLAIN else value, hint)


def _either(hints: tuple[Any, ...], value: Any, expects: str) -> Any:
    """A value as the first of several types that takes it wants it; if none does, the fault is the first one's."""
    first, *others = hints
    try:
        return _read(first, value, expects)
    except Faulty:
        for hint in others:
            with suppress(Faulty):
                return _read(hint, value, expects)
        raise


def _tuple(hint: Any, value: Any, expects: str) -> tuple[Any, ...]:
    found = []
    with _every_fault() as below:
        for number, one in enumerate(_must_be(list | tuple, value)):
            with below(number):
                found.append(_read(hint, one, expects))
    return tuple(found)


def _mapping(name_hint: Any, hint: Any, value: Any, expects: str) -> dict[Any, Any]:
    found = {}
    with _every_fault() as below:
        for name, one in _must_be(Mapping, value).items():
            with below(name):
                kept = _read(name_hint, name, expects)
                found[kept] = _read(hint, one, expects)
    return found


def _must_be(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValidationError
    return value


_NUMBER = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?\s*")
_TRUTHS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


def _whole(value: Any) -> Any:
    """The whole number that text, or a number with nothing behind its point, stands for; else the value itself."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 4300 and (number := _NUMBER.fullmatch(value)):
        return int(number[1])  # of more digits it is a ValueError
    return value


def _truth(value: Any) -> Any:
    """What a word or the numbers 1 and 0 say of yes and no; else the value itself."""
    if isinstance(value, str):
        return _TRUTHS.get(value.lower(), value)
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


def _text(value: Any) -> Any:
    """Text as plain text, a UnicodeError when UTF-8 cannot write it; any other value itself."""
    if isinstance(value, str):
        value.encode()
        return str(value)
    return value


_PLAIN: dict[Any, Callable[[Any], Any]] = {bool: _truth, int: _whole, str: _text}
"""How a template's result, or a quoted value, becomes what it stands for: where a number is wanted, "8" is one."""


@cache
def _fields(model: type[Model]) -> dict[str, FieldInfo]:
    return {field.name: field for field in fields(model)}


@cache
def keys(model: type[Model]) -> Mapping[str, FieldInfo]:
    """The fields of a model that a user may write."""
    return {name: field for name, field in _fields(model).items() if key_of(field)}


def key_of(field: FieldInfo) -> Key | None:
    """The Key in a field's annotation; None: not for users."""
    return next((one for one in getattr(field.type, "__metadata__", ()) if isinstance(one, Key)), None)


def nested(field: FieldInfo) -> type[Model] | None:
    """The model that a field holds, itself or as one of a union; None: it holds plain values."""
    kept = field.type.__origin__
    if get_origin(kept) is Mapping:
        return None
    for one in (kept, *get_args(kept)):
        if isinstance(one, type) and issubclass(one, Model):
            return one
    return None


def entries(field: FieldInfo) -> type[Model] | None:
    """The model of each entry of a field that holds a mapping of them; None: it holds something else."""

    def found(hint: Any) -> type[Model] | None:
        inner = get_args(hint)
        if get_origin(hint) is Mapping:
            return inner[1] if isinstance(inner[1], type) and issubclass(inner[1], Model) else None
        return next((model for one in inner if (model := found(one))), None)

    return found(field.type)


def default_of(field: FieldInfo) -> str:
    """A field's default as the reference shows it; "" when there is none to show."""
    value = field.default
    if value is NODEFAULT or value is None or isinstance(value, Model) or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]" if value else ""
    if isinstance(value, Mapping):
        return ""
    return str(value)
