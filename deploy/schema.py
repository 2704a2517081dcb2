"""What a key means and expects: models become one-sentence errors and a reference. Reads no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from deploy.document import Map, describe, locate, nearest
from deploy.errors import InputError


@dataclass(frozen=True)
class Key:
    """Stands in the annotation of a model's field that a user may write.

    meaning: one line for the reference. expects: completes "expected ..." in an error, and is the reference's type.
    """

    meaning: str
    expects: str


class Model(BaseModel):
    """Frozen, hashable, and strict about names: a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


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


@dataclass(frozen=True)
class Unresolved:
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
            raise raw.marks[name].error(f"this key is not known{nearest(str(name), keys(model))}")
    try:
        return model.model_validate({**raw, **(given or {})})
    except ValidationError as fault:
        faults = [(locate(raw, one["loc"], raw.mark), one) for one in fault.errors(include_url=False)]
    mark, first = min(faults, key=lambda pair: (pair[0].line, pair[0].column))
    raise mark.error(_sentence(model, first)) from None


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model that a user may write."""
    return {name: field for name, field in model.model_fields.items() if key_of(field)}


def key_of(field: FieldInfo) -> Key | None:
    """The Key in a field's annotation; None: not for users."""
    return next((one for one in field.metadata if isinstance(one, Key)), None)


def nested(field: FieldInfo) -> type[Model] | None:
    """The model that a field holds, itself or as one of a union; None: it holds plain values."""
    for one in (field.annotation, *get_args(field.annotation)):
        if isinstance(one, type) and issubclass(one, Model):
            return one
    return None


def _sentence(model: type[BaseModel], fault: ErrorDetails) -> str:
    """What was expected and found, or what the validator itself had to say."""
    owner, key = _owner(model, fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"this key is not known{nearest(str(fault['loc'][-1]), keys(owner))}"
    if fault["type"] == "missing":
        return f"expected the key {fault['loc'][-1]!r}, found none"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return f"expected {key.expects if key else fault['msg']}, found {describe(fault['input'])}"


def _owner(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[type[BaseModel], Key | None]:
    """The model a fault lies in, and the Key of the field it lies below."""
    key = None
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:
            break
        key = key_of(field) or key
        inner = nested(field)
        if inner is None:
            break
        model = inner
    return model, key


def default_of(field: FieldInfo) -> str:
    """A field's default as the reference shows it; "" when there is none to show."""
    value = field.get_default(call_default_factory=False)
    if value is PydanticUndefined or value is None or isinstance(value, Model) or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]" if value else ""
    if isinstance(value, Mapping):
        return ""
    return str(value)
