"""What the package manager installed: apt hosts only, one transaction for all, no index refreshed in vain.

Measured on Debian 12 and 13:
- A minbase host has no stamp of its last ``apt-get update``: /var/lib/apt/periodic needs update-notifier,
  the mtime of /var/lib/apt/lists stays when all indexes are unchanged and moves when only one of them
  arrived, and pkgcache.bin is written by every apt command. So we keep a stamp of our own, touched after
  a success only, and older than any change of the sources.
- ``systemctl mask --runtime`` before the install keeps a daemon from starting, and leaves it disabled:
  nothing serves a default page, not even after a power cut before the unit's own turn. The package says so
  with an error ("Failed to preset unit ... masked") that means nothing. A mask does nothing against a unit
  file in /etc/systemd/system, which comes first.
- ``DPkg::Lock::Timeout`` covers dpkg's locks but not /var/lib/apt/lists/lock: an ``apt-get update`` beside
  another fails at once. So we wait for all four locks first and name who holds one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Phase, Resource, State, Step
from deploy.shell import Command, Script, join, program, sh

INDEX_HOURS = 24
"""Age in hours from which the index is refreshed before an install; unattended-upgrades does so daily too."""

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~-]*")
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:_.\\-]*\.(service|socket|timer|path)")


@dataclass(frozen=True)
class Package(Resource):
    """A package, by the name the distribution gives it (``python3-venv``, ``libc6:amd64``).

    version: exactly this one, also when it means a downgrade; None: any version that is installed will do.
    masks: units the package brings and that must not start by themselves while it is being installed.
    """

    name: str
    state: Literal["present", "absent"] = "present"
    version: str | None = None
    masks: tuple[str, ...] = ()

    phase: ClassVar[Phase] = Phase.PACKAGES
    family: ClassVar[str] = "package"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"not a package name: {self.name!r} (lower case letters, digits, + - . as in nginx)"
            )
        if self.version is not None and not _VERSION.fullmatch(self.version):
            raise InputError(f"not a version of package {self.name}: {self.version!r} (such as 1.22.1-9)")
        for unit in self.masks:
            if not _UNIT.fullmatch(unit):
                raise InputError(
                    f"not a unit to mask for package {self.name}: {unit!r} (such as nginx.service)"
                )

    @property
    def id(self) -> str:
        return f"package:{self.name}"

    def expected(self) -> State | None:
        if self.state == "absent":
            return None
        expected: dict[str, str] = {"status": "installed"}
        if self.version is not None:
            expected["version"] = self.version
        if self.masks:
            expected["masked"] = ""
        return expected

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        """One dpkg-query for all; its exit code 1 only says that some are unknown, which is an answer.

        The last lines name what a killed run left masked.
        """
        return sh(_PROBE, names=[one.name for one in resources])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        """Absent is what dpkg does not know, and what was removed but left configuration behind."""
        found: dict[str, dict[str, str]] = {}
        masked: list[str] = []
        complete = False
        for line in output.decode(errors="replace").splitlines():
            kind, *fields = line.split("\t")
            if kind == "other":
                raise LookError(
                    f"packages on {fields[0]} are not served yet: Package needs a host with dpkg and apt "
                    "(Debian 11 to 13, Ubuntu)"
                )
            if kind == "package":
                name, arch, status, flag, version = fields
                state = {"status": status if flag == "ok" else f"{status}, {flag}", "version": version}
                for key in (name, f"{name}:{arch}"):
                    if found.get(key, {}).get("status") != "installed":
                        found[key] = state
            elif kind == "masked":
                masked.append(fields[0])
            complete = complete or kind == "end"
        if not complete:
            raise LookError("dpkg-query ended before it had printed all packages; try again")
        return {one.id: _state(one, found.get(one.name), masked) for one in resources}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        """One transaction for all of them: what is missing comes, what is unwanted goes, masks are lifted."""
        if not changes:
            return
        packages = [change.resource for change in changes if not _only_masked(change)]
        masks = [unit for change in changes for unit in _to_mask(change)]
        unwanted = [one.name for one in packages if one.state == "absent"]
        wanted = [one.name for one in packages if one.state == "present"]
        does = [f"install {', '.join(wanted)}"] if wanted else []
        does += [f"remove {', '.join(unwanted)}"] if unwanted else []
        yield Command(
            "; ".join(does) or "lift masks that an interrupted run left",
            _transaction(packages, masks),
            timeout=3600,
        )


def _state(package: Package, state: dict[str, str] | None, masked: Sequence[str]) -> State | None:
    if state is None or state["status"] in ("not-installed", "config-files"):
        return None
    return state | (
        {"masked": " ".join(unit for unit in package.masks if unit in masked)} if package.masks else {}
    )


def _only_masked(change: Change[Package]) -> bool:
    """The package stands; an interrupted run left its units masked."""
    return change.actual is not None and change.keys == ("masked",)


def _to_mask(change: Change[Package]) -> Sequence[str]:
    """Units to mask while apt runs: never those of a package that stands, whose daemon may be serving."""
    one = change.resource
    stands = change.actual is not None and change.actual["status"] == "installed"
    return () if stands or one.state == "absent" else one.masks


def _argument(package: Package) -> str:
    """What ``apt-get install`` takes: ``name``, ``name=version``, or ``name-`` to remove."""
    if package.state == "absent":
        return f"{package.name}-"
    return package.name if package.version is None else f"{package.name}={package.version}"


def _transaction(packages: Sequence[Package], masks: Sequence[str]) -> Script:
    parts = [sh(_MASKS, masks=sorted(set(masks)))]
    if packages:
        downgrades = sh("--allow-downgrades" if any(one.version for one in packages) else "")
        parts += [sh(LOCKS), sh(_INDEX, minutes=INDEX_HOURS * 60)]
        parts.append(sh(_INSTALL, arguments=[_argument(one) for one in packages], downgrades=downgrades))
    return join(parts)


_PROBE = program("package-look")

_MASKS = program("package-masks")

LOCKS = program("apt-locks")

_INDEX = program("apt-index")

_INSTALL = program("apt-install")
