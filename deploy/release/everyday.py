"""Scripts for a site on its ordinary days: closing it, its logs, a command in its release. Pure: never connects."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.errors import InputError
from deploy.release.shared import PACKAGES
from deploy.render.systemd import literal
from deploy.schema.marked import nearest
from deploy.shell import Script, join, program, sh, words
from deploy.site.app import App

STDIN = "stdin"
"""The upload that a command reads where something is piped into it."""

NO_TIME = 64
"""The exit code of :func:`logs` where ``since`` is no time that systemd knows."""


def maintenance(apps: Sequence[App], *, on: bool) -> Script:
    """Close the sites or open them; each says what it is now. Nginx looks for the file at every request."""
    text = (
        "grep -q @{flag} @{site} 2>/dev/null || { echo @{old} >&2; exit 1; }\n"
        ": > @{flag}.new && chmod 644 @{flag}.new && mv -f @{flag}.new @{flag} || exit\n"
        "echo @{closed}"
        if on
        else "rm -f @{flag} || exit\necho @{open}"
    )

    def script(app: App) -> Script:
        values = {
            "flag": f"{app.root}/maintenance",
            "site": f"/etc/nginx/conf.d/{app.name}.conf",
            "old": f"the Nginx there knows no maintenance of {app.name}; run invoke provision first",
            "closed": f"{app.name} is closed: visitors get 503",
            "open": f"{app.name} is open",
        }
        return sh(text, **{key: value for key, value in values.items() if f"@{{{key}}}" in text})

    return join(map(script, apps))


def logs(apps: Sequence[App], *, since: str, lines: int, follow: bool, process: str = "") -> Script:
    """The sites' journals and Nginx's error logs, in the order of time; each line begins with the site's name.

    since: as journalctl takes it; the script ends with :data:`NO_TIME` where that is no time. lines: at most so many of
    each log, the newest. follow: go on until cut off. process: what this process or timer alone said; empty: all of
    them, and the web process.
    """
    return sh(
        program("site-logs"),
        since=since,
        most=lines,
        follow="yes" if follow else "no",
        process=process,
        apps=[app.name for app in apps],
    )


def command(app: App, argv: Sequence[str], *, terminal: bool, stdin: bool = False) -> Script:
    """``argv``, exactly, in the site's current release, as its account, with its venv and environment.

    terminal: on a terminal; otherwise its output comes as lines, and its exit code is the script's. stdin: it reads
    what was uploaded as :data:`STDIN`.
    """
    return sh(
        program("site-run"),
        root=app.root,
        app=app.name,
        nothing=f"{app.name} has no release here; run invoke provision first",
        how="--pty" if terminal else "--pipe",
        user=app.user,
        writable=[
            word for path in (app.shared, *app.sandbox.writable) for word in ("-p", f"ReadWritePaths={path}")
        ],
        packages=PACKAGES,
        shared=app.shared,
        term=Script('-E TERM="$TERM"') if terminal else [],
        argv=words(map(literal, argv)),
        stdin=Script(f'< "$SESSION/{STDIN}"') if stdin else [],
    )


def restart(app: App, process: str) -> Script:
    """Start one of the site's processes anew, as it is in the activation that serves. It takes as long as a job may."""
    known = (app.processes or {}).get(process)
    return sh(
        program("process-restart"), app=app.name, process=process, settle=known.settle if known else SETTLE
    )


SETTLE = 3
"""Seconds that a process must stay up which the inventory says nothing of: one of a Procfile."""


def check_process(apps: Sequence[App], name: str, *, timers: bool) -> None:
    """Raise InputError where none of the sites has a process of that name. timers: or a timer.

    A site without ``processes:`` may have them from its Procfile, which the host knows.
    """
    known = [one for app in apps for one in (*(app.processes or {}), *(app.timers if timers else ()))]
    if name not in known and all(app.processes is not None for app in apps):
        what = "process or timer" if timers else "process"
        raise InputError(f"no chosen site has a {what} {name!r}{nearest(name, known)}")
