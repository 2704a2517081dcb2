"""What the roles say of a host, each thing once. Evaluates them, and connects to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import GeneratorType

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Phase, Resource
from deploy.roles import Role


def declared(roles: Sequence[Role], host: Host, facts: Facts) -> list[Resource]:
    """Everything the roles say of this host, each thing once.

    Equal declarations of one thing merge; two different ones are an InputError that names both lines.
    """
    found: dict[str, tuple[Resource, str]] = {}
    for role in roles:
        yielded = role(host, facts)
        for resource in yielded:
            where = _line(yielded)
            known = found.setdefault(resource.id, (resource, where))
            if known[0].scope != resource.scope:  # what two scopes need is the host's
                found[resource.id] = known = known[0].in_scope(""), known[1]
            if more := tuple(one for one in resource.after if one not in known[0].after):
                found[resource.id] = known = known[0].following((*known[0].after, *more)), known[1]
            if known[0] != resource.following(known[0].after):
                raise InputError(
                    f"{host.name}: {resource.id} is declared twice and differently, at {known[1]} and at {where}; "
                    "keep one of them"
                )
    return _placed(host, found)


def _placed(host: Host, found: Mapping[str, tuple[Resource, str]]) -> list[Resource]:
    """Everything declared, each with the resources it comes after filled in.

    Raises InputError, with the lines, where they wait for each other in a circle, or for what nobody declares.
    """
    placed: dict[str, Resource] = {}

    def place(id: str, waiting: tuple[str, ...]) -> Resource:
        one, where = found[id]
        if id in waiting:
            circle = [f"{other} ({found[other][1]})" for other in waiting[waiting.index(id) :]]
            raise InputError(f"{host.name}: {' and '.join(circle)} wait for each other; take one after= away")
        if id in placed:
            return placed[id]
        for earlier in one.follows():
            if earlier in found:
                place(earlier, (*waiting, id))
        for other in one.after:
            if other.id not in found:
                raise InputError(
                    f"{host.name}: {id} ({where}) comes after {other.id}, which no role declares; yield it too"
                )
        if one.after:
            one = one.following(tuple(placed[other.id] for other in one.after))
        if one.phase is Phase.FILES and (late := next((it for it in one.after if _too_late(it, one)), None)):
            raise InputError(
                f"{host.name}: {id} ({where}) comes after {late.id} ({found[late.id][1]}), but files take their places "
                "together, before any service is touched; put what must wait into a Run"
            )
        placed[id] = one
        return one

    return [place(id, ()) for id in found]


def _too_late(other: Resource, file: Resource) -> bool:
    """Whether it is brought about only when the file is in its place."""
    return other.when > file.when or (other.when == file.when and other.phase is not Phase.FILES)


def _line(yielded: Iterator[Resource]) -> str:
    """Where a role's generator stands now, following ``yield from`` to the innermost."""
    where = "?"
    yielded = getattr(yielded, "inner", yielded)  # a role that is looked after keeps its own generator there
    while isinstance(yielded, GeneratorType) and yielded.gi_frame is not None:
        code = yielded.gi_frame.f_code
        where = f"{code.co_filename.rpartition('/')[2]}:{yielded.gi_frame.f_lineno}"
        inner = yielded.gi_yieldfrom
        yielded = inner if isinstance(inner, GeneratorType) else iter(())
    return where
