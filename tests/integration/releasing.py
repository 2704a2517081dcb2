"""What tests of releases share: a site with given code, a visitor who counts, and a host that must be tidy."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Any

from sites import HELLO, LEFTOVERS, NAME, Project, Run, ask, sh

from bench.load import Count, beside
from deploy.staging import StagingHost

HEALTH = {"path": "/healthz", "timeout": 20}


def hello(**changes: Any) -> dict[str, Any]:
    """The example site, with some keys otherwise."""
    return {"hello": {**HELLO, **changes}}


def ship(project: Project, *words: str, task: str = "release") -> Run:
    """A release (or another task) that must succeed."""
    done = project.run(task, *words)
    assert done.code == 0, done.said
    return done


def broken(project: Project, *words: str, task: str = "release", code: int = 7) -> Run:
    """A release that must fail, with a sentence instead of a traceback of ours."""
    done = project.run(task, *words)
    assert done.code == code, done.said
    assert "deploy/tasks/common.py" not in done.said, done.said
    return done


def edit(project: Project, text: str, *, at: str = "end") -> None:
    """Put a line into the site's code, at its ``start`` or ``end``; its first docstring and imports stay valid."""
    file = project.folder / "site/hello.py"
    code = original(project)
    future = "from __future__ import annotations\n"
    file.write_text(code.replace(future, future + text + "\n") if at == "start" else f"{code}\n{text}\n")


def original(project: Project) -> str:
    """The site's code as it was before any :func:`edit`."""
    kept = project.folder / ".hello.py"
    if not kept.exists():
        kept.write_text((project.folder / "site/hello.py").read_text())
    return kept.read_text()


def mend(project: Project) -> None:
    """Take back every :func:`edit`, with a remark that makes it another version all the same."""
    edit(project, f"# mended at {time.monotonic_ns()}")


def serving(host: StagingHost, **where: Any) -> str:
    """The release that answers; ``where``: as :func:`sites.ask` has it."""
    release = ask(host, **where).release
    assert release is not None
    return release


def listed(project: Project, *words: str) -> dict[str, str]:
    """State by release, newest first, as ``invoke releases`` says it."""
    done = project.run("releases", *words)
    assert done.code == 0, done.said
    pattern = r"(\d{8}-\d{6}\S*)\s+(current|healthy|failed|staged)\b"
    return {match[1]: match[2] for match in re.finditer(pattern, done.out)}


@contextlib.contextmanager
def served(host: StagingHost, **users: int) -> Iterator[dict[str, Count]]:
    """The site is asked all the time, and not one request may be lost by the end."""
    only = bool(users)
    users = users or {"upload": 1, "slow": 2, "slow_new": 1}
    with beside(host.address, NAME, only=only, **users) as counts:
        yield counts
    lost = {name: count.reasons for name, count in counts.items() if count.lost}
    assert not lost, lost
    assert all(count.sent > 2 for count in counts.values()), counts


def quick(host: StagingHost) -> contextlib.AbstractContextManager[dict[str, Count]]:
    """:func:`served` with quick requests alone, for tests about what else happens."""
    return served(host, get=1, get_new=2, post_new=1)


def seen(counts: dict[str, Count]) -> set[str]:
    """The releases that answered."""
    return {release for count in counts.values() for release in count.releases if release}


def tidy(host: StagingHost) -> None:
    """One activation runs, is enabled and current; no session, lock, transaction, run or half-made folder is left.

    All of that comes about, and may take its time: an old instance whose requests are done, a session that has ended.
    """
    end = time.monotonic() + 60
    while (told := sh(host, TIDY + LEFTOVERS)) != IS_TIDY:
        assert time.monotonic() < end, told
        time.sleep(0.1)


IS_TIDY = "units 1\nenabled 1\ncurrent 1\n"
"""What TIDY and LEFTOVERS say of a host that is."""


TIDY = r"""
current=$(readlink /srv/hello/current); n=${current##*/}
units=$(systemctl list-units --plain --no-legend --all 'hello@*' | wc -l)
echo "units $units"
[ "$units" -le 1 ] || systemctl list-units --plain --no-legend --all 'hello@*'
echo "enabled $(ls /etc/systemd/system/multi-user.target.wants | grep -c '^hello@')"
echo "current $(systemctl is-active "hello@$n" "$(ls /etc/systemd/system/multi-user.target.wants | grep '^hello@')" |
  uniq | grep -cx active)"
for left in /run/barehost/sessions/* /var/lib/barehost/sessions/* /srv/hello/activations/.new /srv/hello/.gone \
  /srv/hello/.current.new /var/lib/barehost/apps/hello/*.new; do
  [ ! -e "$left" ] || echo "left: $left"
done
for lock in lock run; do
  [ ! -e "/run/barehost/$lock" ] || flock -n "/run/barehost/$lock" true || echo "locked: $lock"
done
for unit in /etc/systemd/system/hello@*; do
  one=${unit#*@}; [ -d "/srv/hello/activations/${one%.service}" ] || echo "no activation: $unit"
done
systemctl list-units --plain --no-legend --all 'barehost-*' 'run-*.service'
for release in /srv/hello/releases/*; do
  [ -e "/var/lib/barehost/apps/hello/${release##*/}" ] || echo "no record: $release"
done
for record in /var/lib/barehost/apps/hello/*; do
  [ -e "/srv/hello/releases/${record##*/}" ] || echo "no release: $record"
done
"""
