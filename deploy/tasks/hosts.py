"""hosts.*: which hosts there are, and whether we know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import Context

from deploy.tasks.common import Choice, answer, opened, task

if TYPE_CHECKING:
    from deploy.inventory.hosts import Host


@task(
    help={
        "yes": "pin without asking: only where the fingerprints were compared by other means",
        "replace": "pin the new key of a host whose pinned one has changed for a good reason",
    }
)
def trust(
    context: Context,
    choice: Choice,
    yes: bool = False,
    replace: bool = False,
) -> int:
    """Show the fingerprints of hosts' keys, first of the jump hosts before them, and pin them."""
    from deploy.errors import InputError

    trusted = [_trusted(one, yes=yes, replace=replace) for one in choice.hosts()]
    return 0 if all(trusted) else InputError.exit_code


def _trusted(host: Host, *, yes: bool, replace: bool) -> bool:
    """Pin the keys of each jump host that is not known yet, then the host's own; False where the user answered no."""
    from deploy import report, transport

    while True:
        shown = transport.scan(host)
        whose = f"the jump host {shown.jump}, on the way to {host.name}" if shown.jump else host.name
        report.table(
            ["host", "key", "fingerprint", "so far"],
            [[key.name, key.kind, key.fingerprint, transport.standing(host, key)] for key in shown.keys],
        )
        if not yes and not _agreed(f"Are these the keys of {whose}? Compare them on its console. [y/N] "):
            report.say(f"{whose}: nothing pinned")
            return False
        pinned = transport.trust(host, shown.keys, replace=replace)
        report.say(f"{whose}: {len(pinned)} pinned" if pinned else f"{whose}: known already")
        if shown.jump is None:
            return True


@task(name="list")
def list_(context: Context, choice: Choice) -> None:
    """List the hosts that the options choose, with address, groups and sites; those that cannot be used with why."""
    from deploy import report
    from deploy.errors import InputError

    loaded = opened(choice.inventory)
    rows, remarks = [], []
    for name in loaded.match(*choice.host, *choice.group):
        try:
            one = loaded.host(name)
        except InputError as error:
            rows.append([name, None, ", ".join(loaded.groups_of(name)), None])
            remarks.append(f"{name} cannot be used: {error}")
            continue
        sites = ", ".join(app.name for app in one.apps)
        rows.append([name, one.address or "not up", ", ".join(one.groups), sites])
    report.table(["host", "address", "groups", "sites"], rows)
    for remark in remarks:
        report.warning(remark)


def _agreed(question: str) -> bool:
    import sys

    from deploy.errors import InputError

    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask at: compare the fingerprints, then add --yes")
    return answer(question).lower() in ("y", "yes")
