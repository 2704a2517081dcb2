"""What our hosts are: each role is a pure function of a host and its facts, found by its name."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

from deploy.converge import Role
from deploy.document import nearest
from deploy.errors import InputError
from deploy.inventory import Host


def roles_of(host: Host, only: Collection[str] = ()) -> list[Role]:
    """The roles a host has, in the inventory's order; ``roles/`` of the user's own project wins over ours.

    only: names of roles that count, where a run is about a part of the host; none: all.
    """
    return [_role(host, name) for name in host.roles if not only or name in only]


def _role(host: Host, name: str) -> Role:
    word = name.replace("-", "_")
    own = host.project / "roles" / f"{word}.py"
    ours = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if own.is_file() and own.resolve() != (Path(__file__).parent / own.name).resolve():
        module = _load(own, word)
    elif word in ours:
        module = importlib.import_module(f"{__name__}.{word}")
    else:
        raise InputError(
            f"{host.name}: there is no role {name!r}, in {own.parent} or ours{nearest(name, ours)}"
        )
    role = getattr(module, word, None)
    if not callable(role):
        raise InputError(
            f"{module.__file__}: a role's file defines a function of its name, {word}(host, facts)"
        )
    return role  # type: ignore[no-any-return]


def _load(file: Path, word: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"roles_of_the_project.{word}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(f"{file}, line {error.lineno}: {error.msg}") from error
    return module
