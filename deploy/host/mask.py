"""Copies stdin to stdout with *** for secrets, before what a site's command prints is written. Runs on the host.

mask.py FILE: the secrets, in every spelling that is looked for, each ended by a NUL. Colours and line breaks in the
middle of one do not hide it. A line that ends with the beginning of one waits for the next.
"""

import os
import re
import sys

SHORT = 4
"""Bytes. A shorter secret is masked only where it stands as a word of its own, as in deploy/report/mask.py."""
LONGEST = 1 << 20
"""Bytes of a line that are held back at most."""
UNSEEN = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|[\r\n]")

with open(sys.argv[1], "rb") as file:
    spellings = {UNSEEN.sub(b"", one) for one in file.read().split(b"\0")} - {b""}
FORMS = sorted((one for one in spellings if len(one) >= SHORT), key=len, reverse=True)
WORDS = b"|".join(re.escape(one) for one in sorted(spellings, key=len, reverse=True) if len(one) < SHORT)
WORD = re.compile(rb"(?<!\w)(?:" + WORDS + rb")(?!\w)") if WORDS else None


def visible(text):
    """What is seen of a text, and where each byte of that stands in it."""
    where, at = [], 0
    for match in UNSEEN.finditer(text):
        where += range(at, match.start())
        at = match.end()
    where += range(at, len(text))
    return UNSEEN.sub(b"", text), where


def places(seen, where):
    """Start and end of every secret in the text, in order, overlapping ones merged."""
    found = []
    for form in FORMS:
        at = seen.find(form)
        while at >= 0:
            found.append((where[at], where[at + len(form) - 1] + 1))
            at = seen.find(form, at + 1)
    merged = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def waits(seen):
    """How many bytes at the end may be the beginning of a secret, at least SHORT; 0: none."""
    most = 0
    for form in FORMS:
        at = seen.find(form[:SHORT], max(0, len(seen) - len(form) + 1))
        while at >= 0:
            if form.startswith(seen[at:]):
                most = max(most, len(seen) - at)
                break
            at = seen.find(form[:SHORT], at + 1)
    return most


def starred(text, start, end, found):
    """The part of a text between two positions, with stars; line breaks stay."""
    parts, at = [], start
    for a, b in found:
        a, b = max(a, start), min(b, end)
        if a < b:
            parts += [text[at:a], b"***", b"\n" * text.count(b"\n", a, b)]
            at = b
    whole = b"".join([*parts, text[at:end]])
    return WORD.sub(b"***", whole) if WORD else whole


def write(data):
    while data:
        data = data[os.write(1, data) :]


before, held = b"", b""
"""The last bytes that were written, since a secret may begin there; and what is not written yet."""
over = False
while not over:
    piece = os.read(0, 1 << 16)
    over, held = not piece, held + piece
    text = before + held
    seen, where = visible(text)
    found = places(seen, where)
    limit = len(text)
    if not over:
        waiting = waits(seen)
        limit = where[len(seen) - waiting] if waiting else limit
        if len(held) < LONGEST:
            limit = text.rfind(b"\n", 0, limit) + 1
        while any(start < limit < end for start, end in found):
            limit = next(start for start, end in found if start < limit < end)
            limit = text.rfind(b"\n", 0, limit) + 1
    if limit > len(before):
        write(starred(text, len(before), limit, found))
        held = text[limit:]
        before = visible(text[:limit])[0][1 - SHORT :]
