"""staging.*: real hosts on this machine, booted in about a second."""

from __future__ import annotations

from collections.abc import Sequence

from invoke import Context

from deploy.tasks.common import task


@task(
    help={
        "suite": "bookworm, trixie or bullseye",
        "user": "who logs in; other than root they use sudo",
        "sudo_password": "make sudo ask for this password",
        "port": "sshd's port",
        "behind": "an existing host that is the only way to the new one",
        "python": "with Debian's Python, which a bare host has not",
        "containers": "a container engine (Docker, Podman) can run in it",
    },
)
def up(
    context: Context,
    names: Sequence[str] = (),
    suite: str = "bookworm",
    user: str = "root",
    sudo_password: str = "",
    port: int = 22,
    behind: str = "",
    python: bool = False,
    containers: bool = False,
) -> None:
    """[NAME ...] Boot bare hosts (web1): sshd, no Python. A base takes half a minute once, a host a second."""
    from deploy import report, staging

    for one in names or ("web1",):
        host = staging.up(
            one,
            suite=suite,
            user=user,
            sudo_password=sudo_password or None,
            port=port,
            behind=behind or None,
            python=python,
            containers=containers,
        )
        report.say(f"{host.name}: {host.suite} at {host.address}, {host.state}")


@task()
def down(context: Context, names: Sequence[str] = ()) -> None:
    """[NAME ...] End hosts (all) and leave nothing of them: mounts, namespaces, processes, records."""
    from deploy import staging
    from deploy.errors import StagingError
    from deploy.schema.marked import nearest

    there = [host.name for host in staging.hosts()]
    unknown = [one for one in names or there if not _taken_down(one)]
    if unknown:
        raise StagingError(
            f"there is no staging host {', '.join(unknown)}{nearest(unknown[0], there)}; invoke staging.list shows all"
        )


def _taken_down(name: str) -> bool:
    """Whether there was such a host; it is gone then."""
    from deploy import report, staging

    found = staging.down(name)
    if found:
        report.say(f"{name}: gone")
    return found


@task()
def reset(context: Context, names: Sequence[str] = ()) -> None:
    """[NAME ...] Make hosts (web1) bare again: same address and keys, everything else as on the first day."""
    from deploy import report, staging

    for one in names or ("web1",):
        staging.reset(one)
        report.say(f"{one}: bare again")


@task(name="list")
def list_(context: Context) -> None:
    """List the staging hosts of this project."""
    from deploy import report, staging

    rows = [[one.name, one.suite, one.address, str(one.port), one.user, one.state] for one in staging.hosts()]
    report.table(["host", "suite", "address", "port", "user", "state"], rows)


@task()
def ssh(context: Context, names: Sequence[str] = ("web1",)) -> None:
    """[NAME] Open a shell on a staging host (web1)."""
    import os

    from deploy import staging
    from deploy.errors import StagingError

    name = names[0]
    for host in staging.running():
        if host.name == name:
            os.execvp("ssh", ["ssh", "-F", str(host.ssh_config), name])
    raise StagingError(f"{name} is not up: run invoke staging.up {name}")
