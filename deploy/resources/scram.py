"""PostgreSQL's password verifiers (SCRAM-SHA-256, RFC 5802): made and compared here, so that no server sees a password.

Pure: hashing and text. A verifier is what the server keeps; a password cannot be had back from it, but who has it can
guess at it, so it travels like a secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stringprep
import unicodedata

ITERATIONS = 4096
"""PostgreSQL's own number, ``scram_iterations``; guessing is slow by the length of a generated password."""

_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """What PostgreSQL keeps of a password; salt None: a new one."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    encoded = (base64.b64encode(one).decode() for one in (salt, stored, _hmac(salted, b"Server Key")))
    return "SCRAM-SHA-256${}:{}${}:{}".format(iterations, *encoded)


def matches(password: str, kept: str) -> bool:
    """Whether ``kept`` is a verifier of this password; an MD5 hash, or anything else, is none."""
    found = _VERIFIER.fullmatch(kept)
    if found is None or not 0 < int(found[1]) <= 1_000_000:
        return False
    try:
        salt = base64.b64decode(found[2], validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(verifier(password, salt, int(found[1])), kept)


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _prepared(password: str) -> bytes:
    """The password as PostgreSQL hashes it: by SASLprep where that accepts it, else as it is."""
    raw = password.encode(errors="surrogateescape")
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    text = unicodedata.normalize("NFKC", mapped)
    if not text or any(refused(char) for char in text for refused in _PROHIBITED):
        return raw
    right = [stringprep.in_table_d1(char) for char in text]
    if any(right) and (any(map(stringprep.in_table_d2, text)) or not (right[0] and right[-1])):
        return raw
    return text.encode()
