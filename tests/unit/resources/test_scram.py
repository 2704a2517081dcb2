"""Verifiers of passwords, against those that a PostgreSQL 17 has made."""

from __future__ import annotations

import pytest

from deploy.resources.scram import matches, verifier

MADE = {
    "pencil": "SCRAM-SHA-256$4096:Kzvg/YecJofbWcCsQh11CQ==$hGj3l+hpipvWaDXC3nof62P/50VmnKq3VSuH0LnwldM="
    ":zOPfErXHjbM25wzRVQ3bv5oMZiMFGTlLzOW+7g29xiY=",
    "Grüße ª": "SCRAM-SHA-256$4096:ysg2kKk2oWzLg147DGOnJQ==$MYoq9y53kPmSBKma2lEPriJxOj573M9PxWmQNY9o08Y="
    ":E1Ji69GCNZ+Vw084nhJxQAaqx1Q80V7W1/nl9TPYtVg=",
    "\u0627\u0644a": "SCRAM-SHA-256$4096:ppqJ4h/nYYsady90xAkIww==$ZpfVzwi/zUuKWRzIV0vplgkVQ8SnXH8vlE7RvI/ES58="
    ":rUi4Bb93+hX9DVl/E9oGqI1kib6yjdIO/mBorrfBDqc=",
}
"""Password → what the server keeps of it: plain, normalised, and one that SASLprep refuses and hashes as it is."""


@pytest.mark.parametrize("password", MADE)
def test_a_password_matches_what_the_server_keeps_of_it_and_of_no_other(password: str) -> None:
    assert matches(password, MADE[password])
    assert not matches(password + "x", MADE[password])
    assert not any(matches(password, kept) for other, kept in MADE.items() if other != password)


def test_what_is_made_here_matches_and_is_another_each_time() -> None:
    assert verifier("x") != verifier("x")
    assert matches("x", verifier("x"))


@pytest.mark.parametrize(
    "kept", ["", "md5" + "0" * 32, "SCRAM-SHA-256$0:AA==$AA==:AA==", "SCRAM-SHA-256$4096:A$AA==:AA=="]
)
def test_what_is_no_verifier_matches_nothing(kept: str) -> None:
    assert not matches("", kept)
