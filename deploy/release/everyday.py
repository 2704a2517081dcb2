"""Scripts for a site on its ordinary days: closing it, its logs, a command in its release. Pure: never connects."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.render.systemd import literal
from deploy.shell import Script, join, sh, words
from deploy.site.app import App


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
    """The sites' journals and Nginx's error logs; each line begins with the site's name.

    since: as journalctl takes it. lines: at most so many of each log, from its end. follow: go on until cut off.
    """
    one = (
        "{ journalctl --no-pager -q -o short-iso -n @{lines} -S @{since} -u @{units} @{journal} & "
        "tail -q -n @{lines} @{tail} @{errors} 2>/dev/null; wait; } | sed -u @{prefix} &"
    )
    each = [
        sh(
            one,
            lines=lines,
            since=since,
            units=f"{app.name}@*",
            journal=["-f"] if follow else [],
            tail=["-F"] if follow else [],
            errors=f"/var/log/nginx/{app.name}.error.log",
            prefix=f"s/^/{app.name} | /",
        )
        for app in apps
    ]
    return join([*each, Script("wait")])


def command(app: App, argv: Sequence[str], *, terminal: bool) -> Script:
    """``argv``, exactly, in the site's current release, as its account, with its venv and environment.

    terminal: on a terminal; otherwise its output comes as lines, and its exit code is the script's.
    """
    return sh(
        "[ -e @{current}/env ] || { echo @{nothing} >&2; exit 1; }\n"
        "exec systemd-run -q @{how} --wait --collect -p User=@{user} -p Group=@{user} -p UMask=0027 "
        "-p WorkingDirectory=@{current}/release/. -p EnvironmentFile=@{current}/about "
        "-p EnvironmentFile=@{current}/env "
        "-p NoNewPrivileges=yes -p ProtectSystem=strict -p ProtectHome=yes -p PrivateTmp=yes @{writable} "
        "-E PATH=@{path} -E VIRTUAL_ENV=@{current}/venv -E HOME=@{shared} -E PYTHONDONTWRITEBYTECODE=1 @{term} "
        "-- /usr/bin/env -- @{argv}",
        current=f"{app.root}/current",
        nothing=f"{app.name} has no release here; run invoke provision first",
        how="--pty" if terminal else "--pipe",
        user=app.user,
        writable=[
            word
            for path in (f"{app.root}/shared", *app.sandbox.writable)
            for word in ("-p", f"ReadWritePaths={path}")
        ],
        path=f"{app.root}/current/venv/bin:/usr/local/bin:/usr/bin:/bin",
        shared=f"{app.root}/shared",
        term=Script('-E TERM="$TERM"') if terminal else [],
        argv=words(map(literal, argv)),
    )
