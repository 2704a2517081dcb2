"""What the roles say of a host, each thing once. Evaluates them, and connects to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import GeneratorType

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Resource
from deploy.roles import Role


def declared(roles: Sequence[Role], host: Host, facts: Facts) -> list[Resource]:
    """Everything the roles say of this host, each thing once.

    Equal declarations of one thing merge; two different ones are an InputError that names both lines.
    """
    found: dict[str, tuple[Resource, str]] = {}
    for role in roles:
        said = role(host, facts)
        for resource in said:
            where = _line(said)
            known = found.setdefault(resource.id, (resource, where))
            if known[0].scope != resource.scope:  # what two scopes need is the host's
                found[resource.id] = known = known[0].in_scope(""), known[1]
            if known[0] != resource:
                raise InputError(
                    f"{host.name}: {resource.id} is declared twice and differently, at {known[1]} and at {where}; "
                    "keep one of them"
                )
    return [resource for resource, _ in found.values()]


def _line(said: Iterator[Resource]) -> str:
    """Where a role's generator stands now, following ``yield from`` to the innermost."""
    where = "?"
    while isinstance(said, GeneratorType) and said.gi_frame is not None:
        code = said.gi_frame.f_code
        where = f"{code.co_filename.rpartition('/')[2]}:{said.gi_frame.f_lineno}"
        inner = said.gi_yieldfrom
        said = inner if isinstance(inner, GeneratorType) else iter(())
    return where
