"""What our hosts are: each role is a pure function of a host and its facts, found by its name."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from deploy.errors import BarehostError, InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Remark, Resource
from deploy.resources.arguments import complaint
from deploy.schema.marked import nearest
from deploy.site.release import Delivery

Role = Callable[[Host, Facts], Iterator[Resource]]
"""A pure function: what a host with these facts should hold. It never connects."""

NOTHING = Delivery()


def roles_of(host: Host, delivery: Delivery = NOTHING, only: Collection[str] = ()) -> list[Role]:
    """The roles a host has, in the inventory's order; ``roles/`` of the user's own project wins over ours.

    delivery: what this run brings; a role with a parameter of that name is given it. only: names of roles that count,
    where a run is about a part of the host; none: all.
    """
    names = [name for name in host.roles if not only or name in only]
    if not only:  # what a host says by a variable of its own needs no role to be named
        names += [
            name
            for name in ("ssh", "firewall", "updates", "alerts")
            if getattr(host, name) and name not in names
        ]
    return [*(_role(host, name, delivery) for name in names), unnamed]


def unnamed(host: Host, facts: Facts) -> Iterator[Resource]:
    """A role of every host: sites that the inventory no longer names are left alone, and said to be there."""
    for app in facts.apps:
        if app.name not in {one.name for one in host.apps}:
            yield Remark(f"{app.name} is on the host but not in the inventory; left alone")


def module_of(host: Host, name: str) -> ModuleType:
    """The file a role is in: the project's own, else ours. For roles that build on another's functions."""
    word = name.replace("-", "_")
    if own := _own(host, word):
        return _load(own, word)
    if word in _ours():
        return importlib.import_module(f"{__name__}.{word}")
    where = host.project / "roles"
    raise InputError(f"{host.name}: there is no role {name!r}, in {where} or ours{nearest(name, _ours())}")


def function_of(host: Host, folder: str, name: str) -> Callable[..., Any] | None:
    """The function ``name`` in ``roles/<folder>/<name>.py``: the project's own, else ours; None: there is none.

    Mistakes in a project's own are InputErrors with file and line.
    """
    own = _own(host, f"{folder}/{name}")
    if own is not None:
        return _careful(_function(_load(own, name), name), own)
    if name not in _ours(folder):
        return None
    return _function(importlib.import_module(f"{__name__}.{folder}.{name}"), name)


def _careful(function: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """A function of a user's file, whose mistakes are said with file and line instead of a traceback."""

    def careful(*values: Any) -> Any:
        try:
            return function(*values)
        except BarehostError:
            raise
        except Exception as error:
            raise _mistake(file, error) from error

    return careful


def _role(host: Host, name: str, delivery: Delivery) -> Role:
    word = name.replace("-", "_")
    role = _function(module_of(host, name), word)
    if "delivery" in inspect.signature(role).parameters:
        role = functools.partial(role, delivery=delivery)
    own = _own(host, word)
    return _guarded(role, own) if own else role


@functools.cache
def _ours(folder: str = "") -> tuple[str, ...]:
    """The names of the roles that come with Barehost, or of what stands in a folder beside them."""
    modules = pkgutil.iter_modules([str(Path(one, folder)) for one in __path__])
    return tuple(sorted(module.name for module in modules if not module.ispkg))


def _own(host: Host, word: str) -> Path | None:
    """The role's file in the user's project, None where there is none (or where the project is this one)."""
    own = host.project / "roles" / f"{word}.py"
    return (
        own if own.is_file() and own.resolve() != (Path(__file__).parent / f"{word}.py").resolve() else None
    )


def _function(module: ModuleType, word: str) -> Callable[..., Iterator[Resource]]:
    role = getattr(module, word, None)
    if not callable(role):
        raise InputError(
            f"{module.__file__}: a role's file defines a function of its name, {word}(host, facts)"
        )
    return role  # type: ignore[no-any-return]


def _guarded(role: Role, file: Path) -> Role:
    """The user's role, whose mistakes are said with file and line instead of a traceback."""

    def guarded(host: Host, facts: Facts) -> Iterator[Resource]:
        try:
            made = role(host, facts)
        except BarehostError:
            raise
        except Exception as error:
            raise _mistake(file, error) from error
        if not isinstance(made, Iterable):
            found = "nothing" if made is None else f"a {type(made).__name__}"
            raise InputError(f"{_start(role, file)}: a role yields resources, this one returned {found}")
        return _Guarded(iter(made), file)

    return guarded


class _Guarded(Iterator[Resource]):
    """What a user's role yields, each held against what its kind takes. inner: the role's own generator."""

    def __init__(self, inner: Iterator[Resource], file: Path) -> None:
        self.inner = inner
        self._file = file

    def __next__(self) -> Resource:
        try:
            one = next(self.inner)
        except StopIteration:
            raise
        except InputError as error:
            raise _placed(self._file, error, str(error)) from error
        except BarehostError:
            raise
        except Exception as error:
            raise _mistake(self._file, error) from error
        if sentence := complaint(one):
            raise InputError(f"{self._place()}: {sentence}")
        return one

    def _place(self) -> str:
        """Where the role stands now."""
        frame = getattr(self.inner, "gi_frame", None)
        return f"{self._file}, line {frame.f_lineno}" if frame else str(self._file)


def _start(role: Role, file: Path) -> str:
    """Where a role's function begins."""
    code = getattr(inspect.unwrap(getattr(role, "func", role)), "__code__", None)
    return f"{file}, line {code.co_firstlineno}" if code else str(file)


@functools.cache
def _load(file: Path, word: str) -> ModuleType:
    """The module, loaded once, under a name of its own, by which dataclasses and pickle find its classes."""
    place = hashlib.sha256(bytes(file)).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"role_{word}_{place}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BarehostError:
        raise
    except SyntaxError as error:
        raise InputError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        raise _mistake(file, error) from error
    return module


def _mistake(file: Path, error: Exception) -> InputError:
    """What went wrong in a file of the user's, at the last of its lines that the error passed through."""
    return _placed(file, error, f"{type(error).__name__}: {error}")


def _placed(file: Path, error: Exception, sentence: str) -> InputError:
    """A sentence with the last line of a file that an error passed through, unless it names the file already."""
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if Path(one.filename) == file]
    where = f"{file}, line {lines[-1]}" if lines else str(file)
    return InputError(sentence if str(file) in sentence else f"{where}: {sentence}")
