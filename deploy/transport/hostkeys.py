"""Which host keys are trusted: reads and writes known_hosts files. Never connects, never trusts by itself."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from deploy.errors import HostError


def pins(project: Path) -> Path:
    """The project's own known_hosts file, in its state folder; the only one this tool ever writes."""
    return Path(os.environ.get("BAREHOST_STATE") or project / ".barehost").absolute() / "known_hosts"


class HostKey(Struct, frozen=True):
    """A public key that a host presented or a file names.

    name: as known_hosts writes the host: ``shop1.example.com``, or ``[10.0.0.5]:2222`` on another port.
    kind: ``ssh-ed25519``, ``ecdsa-sha2-nistp256``, ``ssh-rsa``, ...
    blob: the key itself, as it travels.
    """

    name: str
    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """What ``ssh-keygen -l`` prints: SHA256: and 43 characters."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def line(self) -> str:
        """The line of a known_hosts file, without its line break."""
        return f"{self.name} {self.kind} {base64.b64encode(self.blob).decode()}"


class Presented(Struct, frozen=True):
    """What one hop on the way to a host presented: every key it has. jump: its login where it is a jump host,
    as user@host:port; None: it is the host itself."""

    keys: tuple[HostKey, ...]
    jump: str | None


class Known(Struct, frozen=True):
    """One line of a known_hosts file. revoked: the key must never be accepted, for no host it matches."""

    patterns: tuple[str, ...]
    kind: str
    blob: bytes
    revoked: bool
    file: Path
    line: int

    def matches(self, name: str) -> bool:
        """Whether this line is about that host: plain, with * and ?, negated, or hashed."""
        found = False
        for pattern in self.patterns:
            if pattern.startswith("!"):
                if _alike(pattern[1:], name):
                    return False
            elif _alike(pattern, name):
                found = True
        return found


def pin_name(address: str, port: int) -> str:
    """How known_hosts names a host."""
    return address.lower() if port == 22 else f"[{address.lower()}]:{port}"


def parse(text: str, file: Path) -> list[Known]:
    """The entries of a known_hosts file. Lines that are no entry, and certificate authorities, are skipped."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked"):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        names = tuple(name if name.startswith("|") else name.lower() for name in words[0].split(","))
        found.append(Known(names, words[1], blob, bool(marker), file, number))
    return found


def read(files: Iterable[Path]) -> list[list[Known]]:
    """The entries of each file, in order; a file that is not there has none.

    Raises HostError for one that cannot be read: ignoring it could accept a revoked key.
    """
    found = []
    for file in files:
        try:
            found.append(parse(file.read_text(encoding="utf-8", errors="replace"), file))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostError(f"cannot read the known host keys in {file}: {error.strerror}") from error
    return found


def kinds(files: Sequence[Sequence[Known]], name: str) -> tuple[str, ...]:
    """The kinds of key that are known for the host, so that it can be asked for one of them."""
    for entries in files:
        known = [one.kind for one in entries if not one.revoked and one.matches(name)]
        if known:
            return tuple(dict.fromkeys(known))
    return ()


def standing(files: Sequence[Sequence[Known]], key: HostKey) -> str:
    """``trusted``, ``unknown``, ``changed`` or ``revoked``.

    The first file that knows the host decides, so that the project's pin wins over the user's file; a
    revocation in any file counts.
    """
    if any(one.revoked and one.blob == key.blob and one.matches(key.name) for each in files for one in each):
        return "revoked"
    pins = _pins(files, key.name)
    if not pins:
        return "unknown"
    return "trusted" if any(one.blob == key.blob for one in pins) else "changed"


def check(files: Sequence[Sequence[Known]], key: HostKey, host: str) -> None:
    """Raise HostError, saying what to do, unless the key is trusted. host: its name in the inventory."""
    stands = standing(files, key)
    shown = f"{_short(key.kind)} key {key.fingerprint}"
    if stands == "revoked":
        raise HostError(
            f"{host}: {key.name} presented the {shown}, which a known_hosts file marks as revoked; "
            "do not connect before its owner has given it a new one"
        )
    if stands == "unknown":
        raise HostError(
            f"{host}: the host key of {key.name} is not known, it presented the {shown}; "
            f"compare it with the host's own and run invoke hosts.trust --host {host}"
        )
    if stands == "changed":
        pin = _pins(files, key.name)[0]
        raise HostError(
            f"{host}: the host key of {key.name} has changed, it presented the {shown}, but {pin.file}:{pin.line} "
            f"has {HostKey(key.name, pin.kind, pin.blob).fingerprint}; somebody may be in between: if the host "
            f"was set up anew, run invoke hosts.trust --host {host} --replace"
        )


def refuse_unsafe(files: Sequence[Sequence[Known]], keys: Sequence[HostKey], *, replace: bool) -> None:
    """Raise HostError for a key that must not be pinned: it is revoked, or another one of its kind is known.

    replace: that other one may go.
    """
    for key in keys:
        shown = f"{_short(key.kind)} key {key.fingerprint} of {key.name}"
        if standing(files, key) == "revoked":
            raise HostError(
                f"a known_hosts file marks the {shown} as revoked; its owner must give the host a new one"
            )
        known = [one for one in _pins(files, key.name) if one.kind == key.kind]
        if known and not replace and all(one.blob != key.blob for one in known):
            raise HostError(
                f"{known[0].file}:{known[0].line} has another {_short(key.kind)} key than the {shown}: if the host "
                "was set up anew, give --replace to pin the new one"
            )


def pin(file: Path, keys: Sequence[HostKey], *, replace: bool = False) -> list[HostKey]:
    """Write keys into a known_hosts file and return those that were not there.

    replace: all that the file had for their host goes. :func:`refuse_unsafe` says whether they may be pinned. The
    file is replaced in one rename, readable by its owner only.
    """
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    entries = parse(text, file)
    names = {key.name for key in keys}
    gone = {one.line for one in entries if replace and not one.revoked and any(map(one.matches, names))}
    new = [
        key
        for key in keys
        if replace or not any(one.blob == key.blob and one.matches(key.name) for one in entries)
    ]
    kept = [line for number, line in enumerate(text.splitlines(), 1) if number not in gone]
    _write(file, [*kept, *(key.line() for key in new)])
    return new


def _pins(files: Sequence[Sequence[Known]], name: str) -> list[Known]:
    for entries in files:
        pins = [one for one in entries if not one.revoked and one.matches(name)]
        if pins:
            return pins
    return []


def _alike(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _hashed(pattern, name)
    # [ and ] are part of a name here (a port), not a set of characters
    return fnmatch.fnmatchcase(name, re.sub(r"[\[\]]", lambda one: f"[{one[0]}]", pattern))


def _hashed(pattern: str, name: str) -> bool:
    _, _, salt, digest, *_ = [*pattern.split("|"), ""]
    try:
        mac = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(mac, base64.b64decode(digest))
    except binascii.Error:
        return False


def _short(kind: str) -> str:
    return {"ssh-ed25519": "ED25519", "ssh-rsa": "RSA"}.get(kind, "ECDSA" if "ecdsa" in kind else kind)


def _write(file: Path, lines: Sequence[str]) -> None:
    import tempfile  # brings much, and pinning is rare

    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".known_hosts.")
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write("".join(f"{line}\n" for line in lines))
    Path(name).replace(file)
