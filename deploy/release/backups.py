"""Where a site's backups are kept and known on its host, and the scripts that ask its program. Pure: never connects."""

from __future__ import annotations

from deploy.shell import Script, sh

PROGRAM = "/usr/local/lib/barehost/backup.py"
STATE = "/var/lib/barehost/backups"
FOLDER = "/var/backups/barehost"


def config(site: str) -> str:
    """Where the program finds what it should know of the site."""
    return f"/etc/barehost/backup-{site}.json"


def perform(site: str, what: str, *words: str) -> Script:
    """One thing of the program's, in a unit of its own: it goes on where the connection does not.

    What only reads is asked for directly. An id that is none is the program's to refuse.
    """
    asked = ["/usr/bin/python3", "-I", PROGRAM, what, config(site), *words]
    if what in ("list", "state"):
        run = sh("exec @{asked}", asked=asked)
    else:
        run = sh(
            "exec systemd-run -q --pipe --wait --collect --unit=@{unit} -p PrivateTmp=yes -p Nice=10 -- @{asked}",
            unit=f"barehost-{what}-now-{site}.service",
            asked=asked,
        )
    return sh(
        "[ -e @{config} ] || { echo @{nothing} >&2; exit 1; }\n@{run}",
        config=config(site),
        nothing=f"{site} has no backups here yet; invoke provision brings them",
        run=run,
    )
