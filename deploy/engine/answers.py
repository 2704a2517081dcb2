"""A look and its answer as values, so that two looks can be compared. Asks no host itself."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from deploy.shell import Script

if TYPE_CHECKING:
    from deploy.transport import Session

BLANK = "0" * 16
"""Stands for a look's mark, which is another in each look, in what is kept of it."""


class Question(Struct, frozen=True):
    """A look and how it was answered, both without the look's mark: two looks can be compared.

    script: what was asked. digest: SHA-256 of the answer.
    """

    script: str
    digest: str

    @classmethod
    def of(cls, script: Script, mark: str, answer: bytes) -> Question:
        blanked = answer.replace(mark.encode(), BLANK.encode())
        return cls(script.replace(mark, BLANK), hashlib.sha256(blanked).hexdigest())

    def asked(self, mark: str) -> Script:
        """The look again, with a mark of its own."""
        return Script(self.script.replace(BLANK, mark))


class Opened(Struct, frozen=True):
    """A host that is there. script: what it was asked already, with which ``mark``; None: nothing. answer: to that."""

    session: Session
    began: float
    script: Script | None = None
    mark: str = ""
    answer: bytes = b""

    def same(self, question: Question) -> bool:
        """Whether it answered as it did then."""
        return self.script is not None and Question.of(self.script, self.mark, self.answer) == question
