"""Which releases of a site a host holds, and which one to go back to. Pure: a script, its parser, a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.errors import InputError, LookError
from deploy.release.shared import RECORDS, program
from deploy.shell import Script, sh


@dataclass(frozen=True)
class Held:
    """One release on one host, from its record.

    staged: when it came, UTC. by: who brought it. healthy, failed: when it last was, None for never.
    size: KiB of its code, None when its folder is gone. venv: its packages' folder. current: it serves.
    """

    id: str
    venv: str
    staged: str
    by: str
    commit: str
    healthy: str | None
    failed: str | None
    size: int | None
    current: bool

    @property
    def state(self) -> str:
        """One word for a person."""
        if self.current:
            return "current"
        if self.healthy is not None:
            return "healthy"
        return "failed" if self.failed is not None else "staged"


def script(app: str) -> Script:
    """Prints the records of one site's releases."""
    return sh(program("releases"), app=app, records=RECORDS)


def parse(output: bytes) -> list[Held]:
    """Newest first. Raises LookError when the output is cut off."""
    lines = output.decode(errors="replace").splitlines()
    if not lines or not lines[0].startswith("current "):
        raise LookError("the host did not tell which releases it holds; look again")
    current = lines[0].removeprefix("current ")
    found: list[dict[str, str]] = []
    for line in lines[1:]:
        key, _, value = line.partition(" ")
        if key == "release":
            found.append({"id": value})
        elif found:
            found[-1][key] = value
    return [
        Held(
            id=told["id"],
            venv=told.get("venv", ""),
            staged=told.get("staged", ""),
            by=told.get("by", ""),
            commit=told.get("commit", ""),
            healthy=told.get("healthy"),
            failed=told.get("failed"),
            size=int(told["size"]) if told.get("size") else None,
            current=told["id"] == current,
        )
        for told in found
    ]


def target(app: str, held: Mapping[str, Sequence[Held]], to: str | None = None) -> Held:
    """The release that all hosts go back to: the newest that was healthy on every one and is older than what
    serves; or ``to``.

    held: by host. Raises InputError, naming the host, when there is none.
    """
    usable = {host: {one.id: one for one in releases if _usable(one)} for host, releases in held.items()}
    if to is not None:
        for host, releases in usable.items():
            if to not in releases:
                known = ", ".join(releases) or "none"
                raise InputError(f"{host} holds no healthy release {to} of {app}; it has {known}")
        return next(iter(usable.values()))[to]
    serving = {
        host: next((one.id for one in releases if one.current), None) for host, releases in held.items()
    }
    for host, id in serving.items():
        if id is None:
            raise InputError(f"{host} serves no release of {app}, so there is nothing to go back from")
    newest = max(id for id in serving.values() if id is not None)
    common = set.intersection(*(set(releases) for releases in usable.values()))
    older = [id for id in common if id < newest and any(serving[host] != id for host in serving)]
    if not older:
        hosts = ", ".join(held)
        raise InputError(
            f"there is no earlier release of {app} that was healthy on {hosts}, so nothing to go back to; "
            "invoke releases shows what is there"
        )
    return next(iter(usable.values()))[max(older)]


def _usable(one: Held) -> bool:
    return one.healthy is not None and one.size is not None and bool(one.venv)
