"""Which releases of a site a host holds, and which one to go back to. Pure: a script, its parser, a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.errors import InputError, LookError
from deploy.release.shared import RECORDS
from deploy.shell import Script, program, sh


@dataclass(frozen=True)
class Held:
    """One release on one host, from its record.

    staged: when it came, UTC. by: who brought it. healthy, failed: when it last was, None for never. left: when it
    was gone back from, None where it never was, or was healthy again since.
    size: KiB of its code, None when its folder is gone. venv: its packages' folder. current: it serves.
    procfile: the text of its Procfile, empty where it has none.
    """

    id: str
    venv: str
    staged: str
    by: str
    commit: str
    healthy: str | None
    failed: str | None
    left: str | None
    size: int | None
    current: bool
    procfile: str = ""

    @property
    def state(self) -> str:
        """One word for a person."""
        if self.current:
            return "current"
        if self.healthy is not None:
            return "healthy" if self.left is None else "healthy, gone back from"
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
            found[-1][key] = f"{found[-1].get(key, '')}{value}\n" if key == "procfile" else value
            if key == "healthy":
                found[-1].pop("left", None)
    return [
        Held(
            id=fields["id"],
            venv=fields.get("venv", ""),
            staged=fields.get("staged", ""),
            by=fields.get("by", ""),
            commit=fields.get("commit", ""),
            healthy=fields.get("healthy"),
            failed=fields.get("failed"),
            left=fields.get("left"),
            size=int(fields["size"]) if fields.get("size") else None,
            current=fields["id"] == current,
            procfile=fields.get("procfile", ""),
        )
        for fields in found
    ]


def target(app: str, held: Mapping[str, Sequence[Held]], to: str | None = None) -> Held:
    """The release that all hosts go back to: the newest that was healthy on every one, is older than what serves, and
    was gone back from on none; or ``to``.

    held: by host. Raises InputError, naming the host, when there is none.
    """
    there = {host: usable(releases) for host, releases in held.items()}
    if to is not None:
        for host, releases in there.items():
            if to not in releases:
                known = ", ".join(releases) or "none"
                raise InputError(f"{host} holds no healthy release {to} of {app}; it has {known}")
        return next(iter(there.values()))[to]
    serving = {
        host: next((one.id for one in releases if one.current), None) for host, releases in held.items()
    }
    for host, id in serving.items():
        if id is None:
            raise InputError(f"{host} serves no release of {app}, so there is nothing to go back from")
    newest = max(id for id in serving.values() if id is not None)
    common = set.intersection(*(set(releases) for releases in there.values()))
    older = [id for id in common if id < newest and any(serving[host] != id for host in serving)]
    good = [id for id in older if all(releases[id].left is None for releases in there.values())]
    if not good:
        hosts = ", ".join(held)
        left = (
            f" but {', '.join(sorted(older))}, which was gone back from (--to goes there all the same)"
            if older
            else ""
        )
        raise InputError(
            f"there is no earlier release of {app} that was healthy on {hosts}{left}, so nothing to go back to; "
            "invoke releases shows what is there"
        )
    return next(iter(there.values()))[max(good)]


def usable(releases: Sequence[Held]) -> dict[str, Held]:
    """Those of a host's releases that can be gone back to, by id: healthy once, and still there."""
    return {one.id: one for one in releases if one.healthy is not None and one.size is not None and one.venv}
