"""Scripts for a site on its ordinary days: closing it, its logs, a command in its release. Pure: never connects."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.release.shared import PACKAGES
from deploy.render.systemd import literal
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


def logs(apps: Sequence[App], *, since: str, lines: int, follow: bool) -> Script:
    """The sites' journals and Nginx's error logs, in the order of time; each line begins with the site's name.

    since: as journalctl takes it; the script ends with :data:`NO_TIME` where that is no time. lines: at most so many of
    each log, the newest. follow: go on until cut off.
    """
    return sh(
        program("site-logs"),
        since=since,
        most=lines,
        follow="yes" if follow else "no",
        apps=[app.name for app in apps],
    )


def command(app: App, argv: Sequence[str], *, terminal: bool, stdin: bool = False) -> Script:
    """``argv``, exactly, in the site's current release, as its account, with its venv and environment.

    terminal: on a terminal; otherwise its output comes as lines, and its exit code is the script's. stdin: it reads
    what was uploaded as :data:`STDIN`.
    """
    return sh(
        "[ -e @{current}/env ] || { echo @{nothing} >&2; exit 1; }\n"
        "exec systemd-run -q @{how} --wait --collect -p User=@{user} -p Group=@{user} -p UMask=0027 "
        "-p WorkingDirectory=@{current}/release/. -p EnvironmentFile=@{current}/about "
        "-p EnvironmentFile=@{current}/env "
        "-p NoNewPrivileges=yes -p ProtectSystem=strict -p ProtectHome=yes -p PrivateTmp=yes @{writable} "
        "-E PATH=@{path} -E VIRTUAL_ENV=@{current}/venv -E HOME=@{shared} -E PYTHONDONTWRITEBYTECODE=1 @{term} "
        "-- /usr/bin/env -- @{argv} @{stdin}",
        current=f"{app.root}/current",
        nothing=f"{app.name} has no release here; run invoke provision first",
        how="--pty" if terminal else "--pipe",
        user=app.user,
        writable=[
            word
            for path in (f"{app.root}/shared", *app.sandbox.writable)
            for word in ("-p", f"ReadWritePaths={path}")
        ],
        path=f"{app.root}/current/venv/bin:{app.root}/current/release/{PACKAGES}/bin:/usr/local/bin:/usr/bin:/bin",
        shared=f"{app.root}/shared",
        term=Script('-E TERM="$TERM"') if terminal else [],
        argv=words(map(literal, argv)),
        stdin=Script(f'< "$SESSION/{STDIN}"') if stdin else [],
    )
