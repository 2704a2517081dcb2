"""The one command line that a host's sshd is given: root, an empty environment, full paths. Pure: runs nothing.

What a login brings along (``.bashrc``, ``.pam_environment``, ``/etc/environment``, ``SetEnv`` in sshd_config) would
change what our scripts do: ``POSIXLY_CORRECT`` the options of coreutils, ``TAR_OPTIONS`` tar, ``DPKG_ROOT`` dpkg,
``LD_PRELOAD`` every program. sudo's own PAM session adds ``/etc/environment`` once more, so the environment is emptied
behind sudo; in front of it too, so that sudo is found whatever the login's PATH says.
"""

from __future__ import annotations

from deploy.shell import Script, sh
from deploy.transport import frames

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def loop(prompt: str | None) -> Script:
    """Starts the far side's loop, under sudo when there is a prompt for it to use.

    ``-k`` makes sudo ask each time instead of remembering; ``LC_ALL`` sets the language it complains in.
    """
    program = sh("@{shell} @{loop}", shell=_shell(), loop=frames.loop())
    if prompt is None:
        return program
    return sh("@{sudo} -k -S -p @{prompt} -- @{program}", sudo=_sudo(), prompt=prompt, program=program)


def on_terminal(script: Script, terminal: str, *, sudo: bool) -> Script:
    """Runs ``script`` as root on a terminal, of the type ``terminal``; sudo may ask there for its password."""
    shell = _shell(f"TERM={terminal}")
    if not sudo:
        return sh("@{shell} @{script}", shell=shell, script=str(script))
    return sh("@{sudo} -- @{shell} @{script}", sudo=_sudo(), shell=shell, script=str(script))


def _shell(*variables: str) -> Script:
    known = [f"PATH={PATH}", "HOME=/root", "LC_ALL=C", *variables]
    return sh("/usr/bin/env -i @{known} /bin/sh -c", known=known)


def _sudo() -> Script:
    return sh("/usr/bin/env -i @{known} sudo", known=[f"PATH={PATH}", "LC_ALL=C"])
