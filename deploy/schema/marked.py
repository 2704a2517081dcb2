"""YAML files as plain values that know where each key stands. Gives no meaning; refuses unknown tags."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from deploy.errors import InputError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = "tag:yaml.org,2002:"
_STR = _STANDARD + "str"
_MERGE = _STANDARD + "merge"
_COLLECTIONS = ("map", "seq")

DEEPEST = 100
"""Levels of mappings and lists in one file. A choice: fifty groups inside each other, and Python's own limit is far."""

REPEATED = 250_000
"""Values that anchors may repeat in one file. A choice: 10,000 hosts that each merge a mapping of 25 keys."""


class Mark(NamedTuple):
    """A place in a file. Lines and columns count from 1; key is the dotted path inside the file, "" its top."""

    file: str
    line: int
    column: int
    key: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.key}" if self.key else place

    def error(self, sentence: str) -> InputError:
        """The error that says what is wrong at this place."""
        return InputError(f"{self}: {sentence}")


class Map(dict[Any, Any]):
    """A mapping from a file: a plain dict that also knows where it and each of its keys stand."""

    __slots__ = ("mark", "marks")

    def __init__(
        self, mark: Mark, values: dict[Any, Any] | None = None, marks: dict[Any, Mark] | None = None
    ):
        super().__init__(values or {})
        self.mark = mark
        self.marks: dict[Any, Mark] = dict(marks or {})

    def put(self, key: Any, value: Any, mark: Mark) -> None:
        """Set a key together with its place."""
        self[key] = value
        self.marks[key] = mark


class List(list[Any]):
    """A list from a file that also knows where it starts and where each of its entries stands."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark, values: Iterable[Any], marks: Iterable[Mark]):
        super().__init__(values)
        self.mark = mark
        self.marks = list(marks)


class Written(int):
    """A number whose text in the file is not how we would write it: 0027 is 23, 12:30 is 750."""

    text: str


class Vaulted(str):
    """Text that Ansible Vault has encrypted (``!vault``): the envelope as it stands in the file."""

    __slots__ = ()


class Unsafe(str):
    """Text tagged ``!unsafe``: braces in it are text, never a template."""

    __slots__ = ()


def shown(path: Path) -> str:
    """A path as a person at this prompt would write it: relative when it is below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def describe(value: Any) -> str:
    """A value in the words of a YAML file, short enough for a sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Vaulted):
        return "a value of Ansible Vault"
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"


def path_from(folder: Path, text: str) -> Path:
    """The path a user wrote: ``~`` is a home folder, anything relative starts from ``folder``."""
    try:
        return Path(os.path.normpath(folder.absolute() / Path(text).expanduser()))
    except RuntimeError:  # ~nobody-of-that-name stays as it is written
        return folder.absolute() / text


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """``; did you mean 'x'?`` for the known name that looks most like this one, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {close[0]!r}?" if close else ""


def locate(value: Any, path: Iterable[Any], mark: Mark) -> Mark:
    """The mark of the deepest part of ``path`` that exists below ``value``."""
    for part in path:
        inside = isinstance(value, Map) and part in value
        if not inside and not (isinstance(value, List) and isinstance(part, int) and part < len(value)):
            break
        mark, value = value.marks[part], value[part]
    return mark


def parsed(text: str, file: str) -> Any:
    """The one document in a text of YAML (or JSON); None for an empty one. A fault is an InputError with its place.

    file: as errors name where it came from.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = Mark(file, place.line + 1, place.column + 1, "") if place else Mark(file, 1, 1, "")
        raise mark.error(f"this is no YAML: {str(error.problem).removeprefix('but ')}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{file}: this is no YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise InputError(f"{file}: expected at most {DEEPEST} levels inside each other, found more") from None
    return None if node is None else _Builder(file, loader).value(node, "")


class _Builder:
    """Turns composed nodes into plain values and marks."""

    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._open: list[Any] = []
        self._seen: set[int] = set()
        self._repeated = 0

    def value(self, node: Any, key: str) -> Any:
        """The plain value of a node found at ``key``."""
        self._count(node, key)
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.tag == _STR else self._scalar(node, key)
        mark = self._mark(node, key)
        self._refuse_tag(node, mark)
        if node in self._open:
            raise mark.error("this anchor contains itself")
        if len(self._open) >= DEEPEST:
            raise self._mark(node, "").error(
                f"expected at most {DEEPEST} levels inside each other, found more"
            )
        self._open.append(node)
        built = self._map(node, mark) if isinstance(node, yaml.MappingNode) else self._list(node, mark)
        self._open.pop()
        return built

    def _count(self, node: Any, key: str) -> None:
        """Refuse a file whose anchors stand for far more than it holds."""
        if id(node) not in self._seen:
            self._seen.add(id(node))
            return
        self._repeated += 1
        if self._repeated > REPEATED:
            raise self._mark(node, "").error(
                f"anchors repeat more than {REPEATED} values in this file; write less behind *"
            )

    def _mark(self, node: Any, key: str) -> Mark:
        return Mark(self._file, node.start_mark.line + 1, node.start_mark.column + 1, key)

    def _refuse_tag(self, node: Any, mark: Mark) -> None:
        kind = node.tag.removeprefix(_STANDARD)
        if kind == node.tag or (not isinstance(node, yaml.ScalarNode) and kind not in _COLLECTIONS):
            tag = node.tag if kind == node.tag else f"!!{kind}"
            raise mark.error(f"the tag {tag} is not understood; write a plain value")

    def _scalar(self, node: Any, key: str) -> Any:
        if node.tag == "!unsafe":
            return Unsafe(node.value)
        if node.tag in ("!vault", "!vault-encrypted"):
            return Vaulted(node.value)
        self._refuse_tag(node, self._mark(node, key))
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            kind = node.tag.split(":")[-1]
            raise self._mark(node, key).error(f"{node.value!r} is not a valid {kind}") from None
        if type(value) is int and str(value) != node.value:
            value = Written(value)
            value.text = node.value
        return value

    def _list(self, node: Any, mark: Mark) -> List:
        keys = [f"{mark.key}.{number}" if mark.key else str(number) for number in range(len(node.value))]
        return List(
            mark,
            [self.value(child, key) for child, key in zip(node.value, keys, strict=True)],
            [self._mark(child, key) for child, key in zip(node.value, keys, strict=True)],
        )

    def _map(self, node: Any, mark: Mark) -> Map:
        result = Map(mark)
        merged: list[Any] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged.append((key_node, value_node))
                continue
            name = self._key(key_node, mark)
            place = self._mark(key_node, f"{mark.key}.{name}" if mark.key else str(name))
            if name in result:
                raise place.error(
                    f"this key stands here a second time; the first is on line {result.marks[name].line}"
                )
            result.put(name, self.value(value_node, place.key), place)
        for key_node, value_node in merged:
            for name, value, place in self._merge(key_node, value_node, mark):
                if name not in result:
                    result.put(name, value, place)
        return result

    def _key(self, node: Any, mark: Mark) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._mark(node, mark.key).error("expected a plain text as key, found a list or mapping")
        return node.value if node.tag == _STR else self._scalar(node, mark.key)

    def _merge(self, key_node: Any, node: Any, mark: Mark) -> Iterator[tuple[Any, Any, Mark]]:
        """What ``<<:`` brings in, the first of several mappings winning."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            found = self.value(source, mark.key)
            if not isinstance(found, Map):
                raise self._mark(key_node, mark.key).error(
                    f"<<: expected a mapping to merge, found {describe(found)}"
                )
            for name, value in found.items():
                yield name, value, found.marks[name]
