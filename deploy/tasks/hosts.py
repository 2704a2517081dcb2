"""hosts.*: which hosts there are, and whether we know them."""

from __future__ import annotations

from collections.abc import Sequence

from invoke import Context

from deploy.tasks.common import chosen, task


@task(
    help={
        "yes": "pin without asking: only where the fingerprints were compared by other means",
        "replace": "pin the new key of a host whose pinned one has changed for a good reason",
    }
)
def trust(
    context: Context,
    host: Sequence[str] = (),
    group: Sequence[str] = (),
    inventory: Sequence[str] = (),
    yes: bool = False,
    replace: bool = False,
) -> int:
    """Show the fingerprints of hosts' keys and pin them; --replace where a key has changed for a good reason."""
    from deploy import report, transport
    from deploy.errors import InputError

    code = 0
    for one in chosen(host, group, inventory):
        keys = transport.scan(one)
        report.table(
            ["host", "key", "fingerprint", "so far"],
            [[key.name, key.kind, key.fingerprint, transport.standing(one, key)] for key in keys],
        )
        if not yes and not _agreed(f"Are these the keys of {one.name}? Compare them on its console. [y/N] "):
            report.say(f"{one.name}: nothing pinned")
            code = InputError.exit_code
            continue
        pinned = transport.trust(one, keys, replace=replace)
        report.say(f"{one.name}: {len(pinned)} pinned" if pinned else f"{one.name}: known already")
    return code


@task(name="list")
def list_(
    context: Context, host: Sequence[str] = (), group: Sequence[str] = (), inventory: Sequence[str] = ()
) -> None:
    """List the hosts that the options choose, with address, groups and sites."""
    from deploy import report

    report.table(
        ["host", "address", "groups", "sites"],
        [
            [
                one.name,
                one.address or "not up",
                ", ".join(one.groups),
                ", ".join(app.name for app in one.apps),
            ]
            for one in chosen(host, group, inventory)
        ],
    )


def _agreed(question: str) -> bool:
    import sys

    from deploy.errors import InputError

    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask at: compare the fingerprints, then add --yes")
    return input(question).strip().lower() in ("y", "yes")
