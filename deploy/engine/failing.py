"""Why a run failed, what stands on the host then and what to do: sentences for a person. Pure."""

from __future__ import annotations

from deploy.engine.events import Failure
from deploy.engine.plan import Plan
from deploy.engine.reach import Broken, Ending, Outcome
from deploy.errors import ApplyError, LockoutError
from deploy.inventory.hosts import Host
from deploy.resource import Change, Deferred, Resource


def failure(host: Host, plan: Plan, outcome: Outcome, broken: Broken) -> Failure:
    """Why the host, or one scope of it, failed."""
    step, scope = broken.step, broken.scope or None
    if outcome.outcome is Ending.LOST and scope is None:
        return Failure(
            message=f"{host.name}: the apply was ended by the host before it was done (reboot, out of memory?)",
            exit_code_of_run=ApplyError.exit_code,
            output=broken.output,
            stands="Files that were not yet proven are put back by the next run.",
            advice="Run the same command again; it undoes what was left unfinished and goes on.",
        )
    where = f"{host.name}, {scope}" if scope else host.name
    return Failure(
        message=f"{where}: {step.label if step else 'preparing the files'} failed",
        exit_code_of_run=ApplyError.exit_code,
        resource=step.resource if step else None,
        command=step.label if step else None,
        script=step.script if step else None,
        exit_code=broken.exit_code,
        output=broken.output,
        stands=_stands(plan, broken) + (SERVICES if broken.services and not broken.proven else ""),
        advice=_advice(plan, step.resource if step else None) or AGAIN,
        scope=scope,
    )


AGAIN = "Mend the cause and run the same command again: it looks anew and does what is left."


def hindered(host: Host, change: Change[Resource], problem: str) -> Failure:
    """Why a run that does not change services cannot begin, for the host or the scope that depends on one."""
    scope = change.resource.scope or None
    where = f"{host.name}, {scope}" if scope else host.name
    return Failure(
        message=f"{where}: {problem}",
        exit_code_of_run=ApplyError.exit_code,
        resource=change.resource.id,
        stands="Nothing was changed: what served before serves on.",
        advice="invoke provision brings services to what the inventory says; then run this again.",
        scope=scope,
    )


SERVICES = " What this run did to services was proven before this failed, and stays."


def locked_out(host: Host, plan: Plan, why: str) -> Failure:
    """A guarded change has gone back, for nobody could log in after it. why: what the last login met."""
    ids = ", ".join(change.resource.id for change in plan.changes)
    return Failure(
        message=f"{host.name}: nobody could log in after the change of {ids}",
        exit_code_of_run=LockoutError.exit_code,
        output=(why,),
        stands="The host has put the old state back by itself, and can be logged in to as before.",
        advice="Look at the change: it would have locked you out. The plan still has it.",
    )


def _advice(plan: Plan, id: str | None) -> str | None:
    """What the resource itself advises whose step failed; None where it was no one's or it has none."""
    return next((change.resource.advises() for change in plan.changes if change.resource.id == id), None)


def _stands(plan: Plan, broken: Broken) -> str:
    """What is true on the host after a failed apply, of what failed."""
    if broken.restored:
        return (
            "The files of this run were put back and their services reloaded; what served before serves on."
            if not broken.scope
            else f"The files of {broken.scope} were put back; what served before serves on."
        )
    if broken.proven:
        return "What it brought is proven and stays; only the tidying up after that failed."
    if broken.step is not None and broken.step.stands:
        return broken.step.stands
    untouched = [
        sentence
        for change in _not_made(plan, broken)
        if broken.scope in ("", change.resource.scope) and (sentence := change.resource.untouched(change))
    ]
    if untouched:
        return " ".join(dict.fromkeys(untouched))
    return "Packages, accounts, folders, trees and venvs only go forward: what succeeded before stays."


def _not_made(plan: Plan, broken: Broken) -> list[Change[Resource]]:
    """The changes that were not made when this failed: it itself, and those of later phases."""
    failed = broken.step.resource if broken.step is not None else None
    since = next((change.resource.when for change in plan.changes if change.resource.id == failed), None)
    return [change for change in plan.changes if since is None or change.resource.when >= since]


def waiting(deferred: Deferred) -> str:
    return (
        f"{deferred.what} waits for {deferred.until}, which nothing left to do will bring; "
        "declare it in a role, or install it by hand"
    )


def unsettled(change: Change[Resource], passes: int) -> str:
    keys = ", ".join(
        f"{key} is {(change.actual or {}).get(key)!r} and should be {(change.expected or {}).get(key)!r}"
        for key in change.keys
    )
    return (
        f"{change.resource.id} still differs after {passes} passes ({keys}); "
        "something on the host undoes the change, or two roles disagree"
    )
