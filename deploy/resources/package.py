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
from deploy.shell import Command, Script, join, sh

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
            raise LookError("dpkg-query ended before it had told about all packages; try again")
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


_PROBE = r"""
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  ID=this; . /etc/os-release; printf 'other\t%s\n' "$ID"; exit 0
fi
rc=0
said=$(dpkg-query -W \
  -f 'package\t${Package}\t${Architecture}\t${db:Status-Status}\t${db:Status-Eflag}\t${Version}\n' -- \
  @{names} 2>&1) || rc=$?
if [ "$rc" -gt 1 ]; then printf '%s\n' "$said" >&2; exit "$rc"; fi
printf '%s\n' "$said"
for mark in /run/barehost/masks/*; do
  if [ -e "$mark" ]; then printf 'masked\t%s\n' "${mark##*/}"; fi
done
echo end
"""

_MASKS = r"""
set -u
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1
fail() { printf '%s\n' "$1" >&2; exit 1; }
marks=/run/barehost/masks
mask() {
  for unit in "$@"; do
    # a mask that somebody else set is not ours to lift
    if [ -L "/run/systemd/system/$unit" ] && [ ! -e "$marks/$unit" ]; then continue; fi
    mkdir -p "$marks" && : > "$marks/$unit" && systemctl --quiet mask --runtime -- "$unit" 2>/dev/null ||
      fail "cannot mask $unit while packages are installed: systemctl mask failed"
  done
}
unmask() {
  for mark in "$marks"/*; do
    [ -e "$mark" ] || continue
    systemctl --quiet unmask --runtime -- "${mark##*/}" && rm -f -- "$mark"
  done
}
trap unmask EXIT
trap 'exit 143' HUP INT TERM
if [ -d /run/systemd/system ]; then mask @{masks}; fi
"""

LOCKS = r"""
holder() {  # who holds the lock on file $1, as a sentence's middle; fails when nobody does
  inode=$(stat -c %i -- "$1" 2>/dev/null) || return 1
  pid=
  while read -r _ kind _ _ owner place _; do
    case "$kind $place" in "POSIX "*":$inode") pid=$owner ;; esac
  done < /proc/locks
  [ -n "$pid" ] || return 1
  started=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20) || started=
  command=$(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null) || command=
  uptime=$(cut -d. -f1 /proc/uptime)
  printf '%.60s (process %s%s)' "${command:-another program}" "$pid" \
    "${started:+, for $((uptime - started / $(getconf CLK_TCK 2>/dev/null || echo 100))) s}"
}
free() {  # waits until nobody holds a lock of apt or dpkg, 120 s at most
  left=120
  for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock \
    /var/cache/apt/archives/lock
  do
    told=
    while who=$(holder "$lock"); do
      if [ "$left" -le 0 ]; then
        fail "$lock is still held by $who after 120 s: let it end, or end it, and run again"
      fi
      if [ -z "$told" ]; then told=1; printf 'waiting for %s, which holds %s\n' "$who" "$lock"; fi
      sleep 1; left=$((left - 1))
    done
  done
}
free
"""

_INDEX = r"""
stamp=/var/lib/barehost/apt-updated
refreshed= outdated=
stale() {
  [ -e "$stamp" ] || return 0
  [ -n "$(find "$stamp" -mmin +@{minutes})" ] && return 0
  [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -print -quit)" ] && return 0
  [ -n "$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer "$stamp" -print 2>/dev/null)" ]
}
update() {
  refreshed=1
  if apt-get update -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none -o Acquire::PDiffs=false \
    -o Acquire::Retries=2 -o DPkg::Lock::Timeout=120 </dev/null
  then
    mkdir -p /var/lib/barehost && chmod 700 /var/lib/barehost && : > "$stamp"
  else
    outdated=', and its index could not be refreshed'
    echo 'the package index could not be refreshed; going on with what is known' >&2
  fi
}
if stale; then update; fi
"""

_INSTALL = r"""
if [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] ||
  grep -qE '^Status: .* (half-configured|unpacked|triggers-awaited|triggers-pending)$' /var/lib/dpkg/status
then
  echo 'finishing what an interrupted dpkg left half done'
  dpkg --configure -a --force-confdef --force-confold </dev/null ||
    echo 'dpkg --configure -a failed; apt may still mend it' >&2
fi
install() {
  rc=0
  { apt-get install -y -q --no-install-recommends @{downgrades} \
      -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \
      -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o APT::Get::Fix-Broken=true \
      -- "$@" </dev/null || echo "$?" > "$RUN/apt.rc"; } 2>&1 | tee "$RUN/apt.log"
  if [ -s "$RUN/apt.rc" ]; then read -r rc < "$RUN/apt.rc"; rm -f "$RUN/apt.rc"; fi
  return "$rc"
}
unknown() {
  grep -qE -e '^E: (Unable to locate package|Package .* has no installation)' \
    -e '^E: (Version .* was not found|Failed to fetch .* 404 )' "$RUN/apt.log"
}
if install @{arguments}; then exit 0; fi
if [ -z "$refreshed" ] && unknown; then
  echo 'the index may be out of date: refreshing it'
  update
  if install @{arguments}; then exit 0; fi
fi
missing=$(sed -n -e "s/^E: Unable to locate package //p" \
  -e "s/^E: Package '\(.*\)' has no installation.*/\1/p" \
  -e "s/^E: Version '\(.*\)' for '\(.*\)' was not found/\2=\1/p" "$RUN/apt.log" | tr '\n' ' ')
if [ -n "$missing" ] && grep -q 'is a virtual package provided by' "$RUN/apt.log"; then
  fail "${missing% } cannot be installed as named: name one of the packages that apt lists above as providing it"
fi
if [ -n "$missing" ]; then
  fail "apt on this host knows no package ${missing% }$outdated: check the name, and the sources in /etc/apt"
fi
fail "apt-get install failed with exit code $rc$outdated: its own lines above say why"
"""
