"""What Ansible Vault has encrypted, decrypted with the passwords that Ansible would use. Writes nothing.

The format is Ansible's 1.1 and 1.2: PBKDF2, AES in counter mode, and an HMAC over what is encrypted.
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import os
import subprocess
import threading
from binascii import Error as NoHex
from binascii import unhexlify
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from deploy.errors import InputError
from deploy.schema.marked import Mark, parsed, path_from, shown
from deploy.schema.text import SECRET, Unreadable, text_of
from deploy.shell import Secret

HEADER = "$ANSIBLE_VAULT;"
ROUNDS = 10_000
"""Of PBKDF2: Ansible's number; the format knows no other."""
COMMAND_SECONDS = 120
"""How long a program that prints a password may take: it may ask a person in a window of its own."""

Ask = Callable[[str], Secret]
"""Asks a person for a password, with a sentence to show; raises a BarehostError where there is nobody."""

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quietly(on: bool = True) -> Iterator[None]:
    """Within it, and in this thread alone, nobody is asked for a password: what needs one is an InputError."""
    before = _quiet.set(on or _quiet.get())
    try:
        yield
    finally:
        _quiet.reset(before)


class Source(NamedTuple):
    """Where a password comes from: a file, a program that prints it, or ``prompt``. label: its vault id; "" for any."""

    label: str
    place: str


class Vault:
    """The passwords of one project, each read when an envelope first needs it.

    ask: None where nobody can be asked.
    """

    def __init__(self, project: Path, ask: Ask | None = None) -> None:
        self._project = project
        self._ask = ask
        self._passwords: dict[Source, Secret] = {}
        self._opened: dict[str, str] = {}
        self._files: set[str] = set()
        self._lock = threading.Lock()

    def read(self, path: Path) -> Any:
        """The one document in a YAML file, which may be encrypted as a whole; None for an empty one."""
        try:
            text = text_of(path)
        except Unreadable as error:
            raise InputError(f"{shown(path)}: cannot be read: {error}") from None
        if text.startswith(HEADER):
            text = self.open(text, Mark(shown(path), 1, 1, ""))
            self._files.add(shown(path))
        return parsed(text, shown(path))

    def holds(self, mark: Mark) -> bool:
        """Whether that place lies in a file that is encrypted as a whole."""
        return mark.file in self._files

    def open(self, envelope: str, mark: Mark) -> str:
        """The text in an envelope; InputError, at that place, where no password opens it or it is none."""
        with self._lock:
            text = self._opened.get(envelope)
            if text is None:
                text = self._opened[envelope] = self._decrypted(_parsed(envelope, mark), mark)
            return text

    def _decrypted(self, envelope: _Envelope, mark: Mark) -> str:
        sources = sources_of(self._project)
        sources.sort(key=lambda one: one.label != envelope.label)
        for source in sources or [Source("", "prompt")]:
            password = self._password(source, mark)
            if (found := envelope.opened(password)) is not None:
                try:
                    return found.decode()
                except UnicodeDecodeError:
                    raise mark.error("what Ansible Vault has encrypted here is not UTF-8 text") from None
            if source.place == "prompt":
                del self._passwords[source]  # mistyped: whoever needs it next is asked again
        tried = ", ".join(source.place for source in sources) or "the one given at the prompt"
        raise mark.error(f"no password of Ansible Vault opens this, tried: {tried}")

    def _password(self, source: Source, mark: Mark) -> Secret:
        if source not in self._passwords:
            if source.place == "prompt":
                if self._ask is None or _quiet.get():
                    raise mark.error(
                        "this is encrypted with Ansible Vault; name the file of its password, or the program that"
                        " prints it, in ANSIBLE_VAULT_PASSWORD_FILE"
                    )
                label = f" ({source.label})" if source.label else ""
                self._passwords[source] = self._ask(f"password of Ansible Vault{label}")
            else:
                self._passwords[source] = _read(path_from(self._project, source.place), source.label)
        return self._passwords[source]


def sources_of(project: Path) -> list[Source]:
    """Where Ansible would find passwords: two variables of the environment, else the project's ansible.cfg."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    with suppress(Unreadable, configparser.Error):
        config.read_string(text_of(project / "ansible.cfg", SECRET))

    def setting(variable: str, key: str) -> str:
        return os.environ.get(variable) or config.get("defaults", key, fallback="") or ""

    listed = setting("ANSIBLE_VAULT_IDENTITY_LIST", "vault_identity_list").split(",")
    single = setting("ANSIBLE_VAULT_PASSWORD_FILE", "vault_password_file").strip()
    found = [Source(*one.strip().rpartition("@")[::2]) for one in listed if one.strip()]
    return [*found, *([Source("", single)] if single else [])]


def _read(path: Path, label: str) -> Secret:
    """The password in a file, or printed by it where it may be run; InputError where there is none."""
    if path.is_file() and os.access(path, os.X_OK):
        more = ["--vault-id", label or "default"] if path.stem.endswith("-client") else []
        try:
            done = subprocess.run(
                [str(path), *more], stdout=subprocess.PIPE, timeout=COMMAND_SECONDS, check=True
            )
            return _worded(done.stdout.decode(), path)
        except subprocess.CalledProcessError as error:
            raise InputError(
                f"{shown(path)} ended with {error.returncode} instead of printing the password of Ansible Vault"
            ) from None
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
            raise InputError(f"{shown(path)} gave no password of Ansible Vault: {error}") from None
    try:
        return _worded(text_of(path, SECRET), path)
    except Unreadable as error:
        raise InputError(f"the password of Ansible Vault in {shown(path)} cannot be read: {error}") from None


def _worded(text: str, path: Path) -> Secret:
    if not text.strip():
        raise InputError(f"{shown(path)} holds no password of Ansible Vault: it is empty")
    return Secret(text.strip())


class _Envelope(NamedTuple):
    """Salt, HMAC and content of something encrypted. label: the vault id that its header names, or ""."""

    label: str
    salt: bytes
    digest: bytes
    content: bytes

    def opened(self, password: Secret) -> bytes | None:
        """The plain bytes; None: this is not the password."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        word = password.reveal().encode(errors="surrogateescape")
        keys = hashlib.pbkdf2_hmac("sha256", word, self.salt, ROUNDS, 80)
        if not hmac.compare_digest(hmac.new(keys[32:64], self.content, "sha256").digest(), self.digest):
            return None
        decryptor = Cipher(algorithms.AES(keys[:32]), modes.CTR(keys[64:])).decryptor()
        padded = decryptor.update(self.content) + decryptor.finalize()
        return padded[: -padded[-1]]


def _parsed(envelope: str, mark: Mark) -> _Envelope:
    header, _, body = envelope.strip().partition("\n")
    parts = header.strip().split(";")
    try:
        if f"{parts[0]};" != HEADER or parts[1] not in ("1.1", "1.2") or parts[2] != "AES256":
            raise ValueError
        salt, digest, content = unhexlify("".join(body.split())).split(b"\n", 2)
        found = _Envelope(
            parts[3] if parts[1] == "1.2" else "", unhexlify(salt), unhexlify(digest), unhexlify(content)
        )
    except (IndexError, ValueError, NoHex):
        raise mark.error(
            "expected what ansible-vault writes ($ANSIBLE_VAULT;1.1;AES256 and lines of digits), found something else"
        ) from None
    if not found.content:
        raise mark.error("what Ansible Vault has encrypted here is cut off")
    return found
