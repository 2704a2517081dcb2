"""Secrets are masked in every spelling and however a step cuts its lines; control characters never get out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.engine.events import (
    StepFinished,
    StepOutput,
)
from deploy.report.mask import Mask, StepMask, neutralise
from deploy.report.sink import masked
from deploy.shell import Secret
from tests.unit.fakes.shown import change, planned, shown, story

PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcw\n-----END KEY-----\n"


def mask_of(*secrets: str) -> Mask:
    mask = Mask()
    mask.add(map(Secret, secrets))
    return mask


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("hunter22", "password=hunter22;", "password=***;"),
        ("it's", """echo 'it'"'"'s'""", "echo '***'"),
        ("a b/c", "https://x/?q=a%20b%2Fc", "https://x/?q=***"),
        ("hunter22", "aHVudGVyMjI=", "***"),
        (" hunter22\n", "x hunter22 y", "x *** y"),
        ("hunter22", "hun\x1b[31mter22", "***"),
        ("tab\tbed1", "tab\tbed1", "***"),
        (PEM, "found BAQEFAASCBKcw here", "found *** here"),
        (PEM, "}", "}"),
        ("", "nothing hidden", "nothing hidden"),
        ("abc", "abc abcd abc: 'abc' xabc", "*** abcd ***: '***' xabc"),
        ("{\n  \"key\": 1\n}", "{}", "{}"),
    ],
)  # fmt: skip
def test_a_secret_is_masked_in_every_spelling(secret: str, text: str, expected: str) -> None:
    assert mask_of(secret).data(text) == expected


def test_secrets_that_overlap_leave_nothing_between_them() -> None:
    assert mask_of("abcdef", "defghi", "cdef").data("xabcdefghix") == "x***x"


def test_our_own_words_are_not_touched_by_a_short_secret(fresh_mask: Mask) -> None:
    fresh_mask.add([Secret("1")])
    assert story("noop") == "web1  nothing to change · 0.31 s · 1 round trip · 12.4 kB\n"


def test_a_secret_in_a_plan_is_masked_before_it_is_shortened(fresh_mask: Mask) -> None:
    secret = "s3cret" * 20
    fresh_mask.add([Secret(secret)])
    text = shown(planned("web1", change("user:x", {"shell": secret}, {"shell": f"no {secret}"})))
    assert "shell: *** → no ***\n" in text


def test_a_secret_that_two_spans_share_is_masked() -> None:
    line = masked([("my hun", "bold"), ("ter22!", "")], mask_of("hunter22"))
    assert line == [("my ***", "bold"), ("***!", "")]


@pytest.mark.parametrize(
    "rows",
    [
        ["key: hunter22long", "next"],
        ["key: hunter2", "2long", "next"],
        ["key: hunt", "", "er22lo", "ng next"],
        ["key: h", "unter22long", "next"],
        ["key: hun", "ter2", "2long", "next"],
        ["key: hunt", "ing", "key: hunte", "r22longhunter22lon", "g"],
        ["hunter22longhunt", "er22lo", "nghunter", "22long"],
    ],
)
def test_a_secret_split_between_lines_of_a_step_is_masked(rows: list[str]) -> None:
    mask = mask_of("hunter22long")
    out = mask.output(rows)
    assert len(out) == len(rows)
    assert "hunter22long" not in "".join(out)
    assert "unter22long" not in "".join(out) and "r22long" not in "".join(out)
    assert not any(part in "".join(out) for part in ("22lon", "2long", "ter2"))


@given(st.lists(st.sampled_from(["abcdefgh", "-", "password: "]), max_size=6), st.data())
def test_however_a_step_cuts_its_lines_no_secret_gets_out(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    rows = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    out = mask_of("abcdefgh").output(rows)
    assert len(out) == len(rows)
    # a line may end with three characters before the fourth tells what they begin; never more
    assert not any("abcdefgh"[n : n + 4] in "".join(out) for n in range(5))
    assert not any(one in "".join(out) for one in "defgh" if one not in "password: ")


def test_a_line_is_held_back_only_while_it_may_begin_a_secret() -> None:
    step = StepMask(mask_of("hunter22"))
    assert step.feed("harmless hun") == ["harmless hun"]
    assert step.feed("key hunte") == []
    assert step.feed("rs went out") == ["key hunte", "rs went out"]
    assert step.feed("last hunter2") == []
    assert step.flush() == ["last hunter2"]
    assert step.flush() == []


def test_the_last_line_of_a_step_that_was_held_back_is_shown_in_the_end(fresh_mask: Mask) -> None:
    fresh_mask.add([Secret("hunter22")])
    text = shown(StepOutput("web1", "a hunter"), StepFinished("web1", "x", 0, 1.0), verbose=1)
    assert text == "web1 |   a hunter\nweb1 | x: 1.00 s\n"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$q\x1b\\dcs", "dcs"),
        ("\x1b[2J\x1b[Hcleared\x1bc", "cleared"),
        ("\x9b31mC1", "\\x9b31mC1"),
        ("bell\x07", "bell\\x07"),
        ("a\x08b\x7f", "a\\x08b\\x7f"),
        ("10 %\r50 %\r100 %\r", "100 %"),
        ("\r\r", ""),
        ("crlf\r", "crlf"),
        ("a\tb", "a       b"),
        ("two\nlines", "two\\nlines"),
        ("evil\u202etxt.exe", "evil\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("bad \udcff byte", "bad \\udcff byte"),
        ("unfinished \x1b[", "unfinished "),
        ("größe → 日本", "größe → 日本"),
    ],
)
def test_control_characters_never_reach_the_terminal(raw: str, expected: str) -> None:
    assert neutralise(raw) == expected


@given(st.text(), st.text())
def test_whatever_a_host_prints_becomes_harmless_text(line: str, name: str) -> None:
    text = shown(StepOutput("web1", line), planned("web1", change(f"path:{name}", None, {})), verbose=1)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    text.encode()
