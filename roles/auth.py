"""Who may see a site that is not for everybody: the list of users that Nginx reads. Pure; passwords leave hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

from deploy.errors import InputError
from deploy.resource import Resource
from deploy.resources.path import File
from deploy.site.app import App
from deploy.site.edge import PUSHED

COST = 6
"""Two to this power rounds of bcrypt: 4 ms. Nginx hashes at every request, in the worker that serves the others too."""

LONGEST = 72
"""Bytes of a password that bcrypt reads."""

_DIGITS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def users(app: App) -> Iterator[Resource]:
    """The site's list of users; away where it has none."""
    path = f"{PUSHED}/{app.name}.users"
    if app.state == "absent" or app.auth is None or not app.auth.users:
        return
    lines = [
        f"{name}:{hashed(app.name, name, password.reveal())}\n"
        for name, password in sorted(app.auth.users.items())
    ]
    yield File(path, "".join(lines), group="www-data", mode=0o640, secret=True, scope=app.name)


@lru_cache(maxsize=256)
def hashed(site: str, user: str, password: str) -> str:
    """The password as crypt(3) of every Debian since 11 knows it.

    The salt is made of site, user and password: another for each, and the same in every run, so that a run without a
    change finds none. Raises InputError for a password that bcrypt would cut.
    """
    import bcrypt  # 3 ms, where a site has users

    data = password.encode(errors="surrogateescape")
    if not data or len(data) > LONGEST or b"\0" in data:
        raise InputError(
            f"{site}: the password of {user} under auth is empty, holds a NUL or is longer than {LONGEST} bytes"
        )
    seed = hashlib.sha256(b"\0".join([b"barehost auth", site.encode(), user.encode(), data])).digest()
    salt = "".join(_DIGITS[byte % 64] for byte in seed[:21]) + ".Oeu"[seed[21] % 4]
    return bcrypt.hashpw(data, f"$2b${COST:02d}${salt}".encode()).decode()
