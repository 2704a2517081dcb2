"""expected / actual → Plan: pure comparison and order; renders nothing, connects to nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from deploy.resource import (
    Change,
    Concern,
    Deferred,
    Phase,
    Remark,
    Resource,
    State,
    Unknown,
    Unprobed,
    Value,
)
from deploy.shell import KEYED


class Plan(Struct, frozen=True):
    """What is to be done on one host, in order; a value that can be shown, compared and saved.

    changes: what differs, in the order it will be applied. deferred: what is not known yet.
    unfinished: when a files transaction was cut off and will be undone first, how the host names it.
    fingerprint: digest of the actual states this plan was made against.
    remarks: sentences that a person should read; nothing is done about them. concerns: such about the actual state.
    """

    host: str
    changes: tuple[Change[Resource], ...] = ()
    deferred: tuple[Deferred, ...] = ()
    unfinished: str | None = None
    fingerprint: str = ""
    remarks: tuple[str, ...] = ()
    concerns: tuple[Concern, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.deferred or self.unfinished)

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--json``: ids, actions and the states that differ."""
        return {
            "host": self.host,
            "fingerprint": self.fingerprint,
            "unfinished": self.unfinished,
            "changes": [
                {
                    "id": change.resource.id,
                    "action": change.action,
                    "differs": {
                        key: [
                            _shown((change.actual or {}).get(key)),
                            _shown((change.expected or {}).get(key)),
                        ]
                        for key in change.keys
                    },
                }
                for change in self.changes
            ],
            "deferred": [{"what": one.what, "after": one.until} for one in self.deferred],
            "remarks": list(self.remarks),
        }


def diff(
    host: str,
    resources: Iterable[Resource],
    actual: Mapping[str, State | Unknown | None],
    *,
    unfinished: str | None = None,
) -> Plan:
    """The plan that turns ``actual`` into what ``resources`` expect; a missing id is a KeyError, not "absent"."""
    changes, deferred, remarks = [], [], []
    concerns: list[Concern] = []
    compared: dict[str, State | None] = {}
    for resource in ordered(resources):
        if isinstance(resource, Unprobed):
            if isinstance(resource, Deferred):
                deferred.append(resource)
            elif isinstance(resource, Remark):
                remarks.append(resource.text)
            continue
        state = actual[resource.id]
        if isinstance(state, Unknown):
            deferred.append(Deferred(what=resource.id, until=state.after, scope=resource.scope))
            continue
        change = Change(resource, state, resource.expected())
        concerns += resource.concerns(change.actual)
        compared[resource.id] = change.actual and {
            key: value for key, value in change.actual.items() if key in (change.expected or change.actual)
        }
        if change:
            changes.append(change)
    return Plan(
        host,
        tuple(changes),
        tuple(deferred),
        unfinished,
        fingerprint(compared),
        tuple(remarks),
        tuple(concerns),
    )


def ordered(resources: Iterable[Resource]) -> list[Resource]:
    """By phase; within one as they were read, but for what says what it follows. Circles are refused before."""
    found: dict[str, Resource] = {}
    by_phase = sorted(resources, key=_order)
    known = {one.id: one for one in by_phase}

    def add(one: Resource) -> None:
        if one.id not in found:
            for id in one.follows():
                if id in known and known[id].when <= one.when:
                    add(known[id])
            found[one.id] = one

    for one in by_phase:
        add(one)
    return list(found.values())


def _order(resource: Resource) -> tuple[int, bool]:
    """Packages of the host before those of its scopes: it has one transaction, and each scope one of its own."""
    return resource.when, resource.when <= Phase.PACKAGES and bool(resource.scope)


def _shown(value: Value) -> Value:
    """The value, or asterisks where it stands for a secret: its digest is another in every run."""
    return "***" if isinstance(value, str) and value.startswith(KEYED) else value


def fingerprint(actual: Mapping[str, State | None]) -> str:
    """A short digest of the states, secrets left out; another one when the host looks otherwise."""
    states = {
        id: None if state is None else {key: _shown(value) for key, value in state.items()}
        for id, state in actual.items()
    }
    text = json.dumps(states, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
