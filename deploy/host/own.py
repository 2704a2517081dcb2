"""Gives a folder to a site's account for its build, and takes it back. Runs on the host as root; follows no link.

own.py lend FOLDER ACCOUNT SHIPPED: all folders belong to ACCOUNT, and so does each name that the file SHIPPED does not
list (names as ./a/b, each ended by a NUL; a file that is not there lists none): what an earlier build left.
own.py back FOLDER ACCOUNT GROUP: everything belongs to root and GROUP, nobody else may write to any of it, and no ACL
says otherwise.

Each name is opened once, from the open folder it stands in, and changed by that handle: whoever swaps a folder for a
link meanwhile changes nothing elsewhere. A file is changed only where it is ACCOUNT's or root's, so that a second name
of somebody else's file does not hand it over. Exit code 1 with one line for what cannot be.
"""

import grp
import os
import pwd
import stat
import sys

what, folder, account, last = sys.argv[1:]
uid = pwd.getpwnam(account).pw_uid
gid = grp.getgrnam(last).gr_gid if what == "back" else -1
MAY_BE_KEPT = 0o755
"""Of a mode: neither set-user-ID nor set-group-ID, and nobody but the owner writes."""


def shipped():
    """The names that were shipped, which stay root's while the account builds."""
    try:
        with open(last, "rb") as file:
            return set(file.read().split(b"\0"))
    except FileNotFoundError:
        return set()


KEPT = shipped() if what == "lend" else set()


def known(path, status):
    if status.st_uid not in (0, uid):
        sys.exit(
            f"{os.fsdecode(path)} belongs to neither root nor {account}: remove it, or do not link it there"
        )


def change(handle, path, status):
    """A file or a folder that is open."""
    known(path, status)
    if what == "lend":
        if status.st_uid != uid and (
            stat.S_ISDIR(status.st_mode) or (path not in KEPT and status.st_nlink == 1)
        ):
            os.fchown(handle, uid, -1)
        return
    if (status.st_uid, status.st_gid) != (0, gid):
        os.fchown(handle, 0, gid)
    if stat.S_IMODE(status.st_mode) & ~MAY_BE_KEPT:
        os.fchmod(handle, stat.S_IMODE(status.st_mode) & MAY_BE_KEPT)
    for name in os.listxattr(handle):
        if name.startswith("system.posix_acl_"):
            os.removexattr(handle, name)


def walk(handle, path):
    """A folder first, so that no name is put into it any more, then what it holds."""
    change(handle, path, os.fstat(handle))
    for name in os.listdir(handle):
        below = path + b"/" + os.fsencode(name)
        status = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        elif stat.S_ISREG(status.st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=handle)
        else:  # a link, a socket, a pipe: the name itself changes hands
            known(below, status)
            if what == "back" or below not in KEPT:
                owner = (0, gid) if what == "back" else (uid, -1)
                os.chown(name, *owner, dir_fd=handle, follow_symlinks=False)
            continue
        try:
            if stat.S_ISDIR(os.fstat(inner).st_mode):
                walk(inner, below)
            else:
                change(inner, below, os.fstat(inner))
        finally:
            os.close(inner)


try:
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    walk(top, b".")
except (OSError, RecursionError) as error:
    sys.exit(f"{folder} could not be {'lent' if what == 'lend' else 'taken back'}: {error}")
