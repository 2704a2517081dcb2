"""What is printed, and what never is: text, JSON lines, the live display on a pty, masks and words."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import errors, report
from deploy.engine.events import (
    Connecting,
    Diff,
    Event,
    Failure,
    Finished,
    Looking,
    Note,
    Planned,
    Report,
    Result,
    Sending,
    StepFinished,
    StepOutput,
    StepStarted,
)
from deploy.engine.plan import Plan
from deploy.report import live, words
from deploy.report.jsonlines import NAMES
from deploy.report.mask import Mask, StepMask, neutralise
from deploy.report.progress import Progress
from deploy.report.sink import Sink, masked
from deploy.resource import Change
from deploy.shell import Secret
from tests.unit.fakes import storyboard

ROOT = Path(__file__).parents[3]
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcw\n-----END KEY-----\n"


@pytest.fixture(autouse=True)
def fresh_mask(monkeypatch: pytest.MonkeyPatch) -> Mask:
    """Every test starts without secrets, and without what the environment says about terminals."""
    mask = Mask()
    monkeypatch.setattr(report, "_MASK", mask)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return mask


def mask_of(*secrets: str) -> Mask:
    mask = Mask()
    mask.add(map(Secret, secrets))
    return mask


def shown(*events: Event, close: bool = True, **options: Any) -> str:
    """What a log gets to read of these events."""
    stream = io.StringIO()
    hosts = list(dict.fromkeys(event.host for event in events))
    settings = {"json": False, "verbose": 0, "diff": False} | options
    with report.reporter(stream=stream, hosts=hosts, **settings) as show:
        for event in events:
            show(event)
        if close:
            show.close([event.report for event in events if isinstance(event, Finished)])
    return stream.getvalue()


def story(name: str, **options: Any) -> str:
    events = [one for host in storyboard.story(name, 0).values() for one in host if isinstance(one, Event)]
    return shown(*events, **options)


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def planned(host: str, *changes: Change, number: int = 1, diffs: tuple[Diff, ...] = ()) -> Planned:
    return Planned(host, Plan(host, changes), number, diffs)


def change(id: str, actual: Any = None, expected: Any = None) -> Change:
    return Change(storyboard.Thing(id), actual, expected)


# Plain text


def test_a_run_where_nothing_differs_is_one_line() -> None:
    assert story("noop") == "web1  nothing to change · 0.31 s · 1 round trip · 12.4 kB\n"


def test_a_plan_shows_each_change_with_its_sign_and_what_differs() -> None:
    text = story("provision")
    assert "web1 | 8 changes\n" in text
    assert "web1 |   + package  nginx\n" in text
    assert "web1 |   ~ file     /etc/nginx/nginx.conf  content, mode: 0600 → 0644\n" in text
    assert "web1 |   - link     /etc/nginx/sites-enabled/default\n" in text
    assert "web1 |   ~ tree     /srv/hello/static  digest: 1f1f1f1f → 2e2e2e2e\n" in text
    assert "enabled: disabled → enabled, has not loaded /etc/nginx/nginx.conf\n" in text
    assert "web1 |   ? venv of hello  known after python is installed\n" in text


def test_plain_text_has_one_line_per_event_that_matters_and_the_host_in_front() -> None:
    lines = story("provision").splitlines()
    assert "web1 | 1/4 install 2 packages" in lines
    assert "web1 | sent code of hello, 6.4 MB" in lines
    assert "web1 | nginx was masked while apt ran" in lines
    assert not any("Unpacking" in line for line in lines)
    assert lines[-3:] == [
        "web1  8 changed · 7.31 s · 5 round trips · 6.4 MB",
        "      http://hello.example.com/",
        "      http://10.77.0.2/",
    ]


def test_an_unfinished_transaction_is_announced_before_anything_else() -> None:
    text = shown(Planned("web1", Plan("web1", unfinished="run 20250131-1"), 1))
    assert text == "web1 | nothing to change\nweb1 |   ! unfinished run 20250131-1, undone first\n"


def test_a_later_look_tells_only_what_is_new() -> None:
    one, two = change("package:a", None, {"status": "installed"}), change("venv:b", None, {"digest": "1"})
    again = shown(planned("web1", one), planned("web1", one, number=2))
    more = shown(planned("web1", one), planned("web1", one, two, number=2))
    assert again == "web1 | 1 change\nweb1 |   + package  a\n"
    assert more == again + "web1 | 1 more change, known now\nweb1 |   + venv  b\n"


def test_hosts_with_the_same_plan_refer_to_the_first() -> None:
    one = change("package:a", None, {"status": "installed"})
    other = change("package:a", None, {"status": "held"})
    text = shown(planned("web1", one), planned("web2", one), planned("web3", other))
    assert "web2 | the same 1 change as web1\n" in text
    assert "web3 | 1 change\n" in text


def test_plans_that_differ_only_in_their_diffs_are_the_same_unless_diffs_are_shown() -> None:
    one = change("path:/a", None, {"type": "file"})
    events = (
        planned("web1", one, diffs=(Diff("/a", None, "1\n"),)),
        planned("web2", one, diffs=(Diff("/a", None, "2\n"),)),
    )
    assert "web2 | the same 1 change as web1" in shown(*events)
    assert "web2 |   +2\n" in shown(*events, diff=True)


def test_several_hosts_end_with_a_sum() -> None:
    text = story("plan")
    assert "db1   8 to change, 1 not known yet · 0.40 s · 1 round trip · 12.4 kB\n" in text
    assert re.search(r"^3 hosts: 3 to change · \d\.\d\d s$", text, re.MULTILINE)
    assert "web2 | 8 to change, 1 not known yet · 0.40 s\n" in text


def test_hosts_that_a_plan_found_converged_are_counted_as_such() -> None:
    def looked(host: str, plan: Plan) -> list[Event]:
        return [Planned(host, plan, 1), Finished(host, Report(host, "planned", plan=plan))]

    todo = Plan("web2", (Change(storyboard.Thing("package:nginx"), None, {"status": "installed"}),))
    text = shown(*looked("web1", Plan("web1")), *looked("web2", todo))
    assert "2 hosts: 1 unchanged, 1 to change" in text
    assert "2 hosts: 2 unchanged" in shown(*looked("web1", Plan("web1")), *looked("web3", Plan("web3")))


def test_many_new_folders_and_unread_files_are_summed_up_unless_all_are_asked_for() -> None:
    def made(kind: str, *paths: str) -> list[Change[Any]]:
        return [Change(storyboard.Thing(f"path:{path}"), None, {"type": kind}) for path in paths]

    folders = made(
        "directory", *(f"/srv/{name}/{below}" for name in "abcd" for below in ("releases", "venvs"))
    )
    files = made("file", "/etc/one", "/etc/two")
    read = {f"loaded path:/etc/{number}": "new" for number in range(8)}
    unit = Change(storyboard.Thing("unit:nginx.service"), {"active": "active"}, {"active": "active", **read})
    plan = Plan("web1", (*folders, *files, unit))
    text = shown(Planned("web1", plan, 1), close=False)
    assert "11 changes" in text
    assert text.count("directory") == 1
    assert "8, in /srv/a, /srv/b, /srv/c and 1 more" in text
    assert "/etc/one" in text and "/etc/two" in text
    assert text.count("has not loaded") == 1
    every = shown(Planned("web1", plan, 1), close=False, verbose=1)
    assert every.count("directory") == 8
    assert every.count("has not loaded") == 8


def test_a_failure_is_one_block() -> None:
    text = story("failure")
    block = text[text.index("web1 | failed") :].replace("web1 | ", "").splitlines()
    assert block[:6] == [
        "failed",
        "  The candidate configuration of nginx is refused",
        "  resource   path:/etc/nginx/conf.d/[red]hello.conf",
        "  command    check nginx",
        "  exit code  1",
        "  output     │ … 5 lines before, -v shows all",
    ]
    assert block[6] == "             │ nginx: [warn] line 5"
    assert block[-4:-1] == [
        "  now        the old site serves; 2 files were restored",
        "             packages stay installed: they only go forward",
        "  to do      correct templates/nginx-site.conf.j2 and run the same command again",
    ]
    assert block[-1] == "web1  failed, 1 changed · 6.20 s · 4 round trips · 0 B"


def test_a_failure_is_shown_once_also_when_its_host_never_finished() -> None:
    failed = Report("web1", Result.FAILED, failures=(Failure("no route to web1", 4),))
    stream = io.StringIO()
    with report.reporter(json=False, verbose=0, diff=False, stream=stream, hosts=["web1"]) as show:
        show.close([failed])
    assert stream.getvalue().count("no route to web1") == 1
    assert shown(Finished("web1", failed)).count("no route to web1") == 1


def test_verbose_shows_steps_with_their_output_and_twice_verbose_their_scripts() -> None:
    once, twice = story("failure", verbose=1), story("failure", verbose=2)
    assert "web1 |   Unpacking nginx (1.22.1-9) ...\n" in once
    assert "web1 | install 2 packages: 1.70 s\n" in once
    assert "web1 | check nginx: exit code 1 after 0.30 s\n" in once
    assert "line 0\n" in once and "lines before" not in once
    assert "version: 3.11.2-1+b1" in once
    assert "script" not in once and "web1 |   apt-get install -y" not in once
    assert "web1 |   apt-get install -y nginx python3-venv\n" in twice
    assert "web1 |   script     │ nginx -t -q\n" in twice


def test_diffs_are_unified_and_only_shown_when_asked_for() -> None:
    text = story("provision", diff=True)
    assert "web1 |   -  worker_connections 768;\nweb1 |   +  worker_connections 16384;\n" in text
    assert "web1 |   --- /dev/null\nweb1 |   +++ /etc/nginx/conf.d/[red]hello.conf\n" in text
    assert "768" not in story("provision")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("a\n", "a", "\\ the new file has no newline at its end"),
        ("a", "a\n", "\\ the old file has no newline at its end"),
        ("a\r\n", "a\n", "-a\\r"),
        ("a\n", None, "+++ /dev/null"),
        ("a\n" * 30_000, "b\n", "30000 lines → 1 lines, too long to compare here"),
    ],
)
def test_a_diff_tells_what_a_terminal_would_swallow(old: str, new: str | None, line: str) -> None:
    one = change("path:/a", {"type": "file"}, {"type": "link"})
    text = shown(planned("web1", one, diffs=(Diff("/a", old, new),)), diff=True)
    assert f"web1 |   {line}\n" in text


def test_a_skipped_host_has_a_line_without_figures() -> None:
    assert shown(Finished("web1", Report("web1", Result.SKIPPED))) == "web1  not started\n"


def test_markup_in_data_stays_text() -> None:
    assert "/etc/nginx/conf.d/[red]hello.conf" in story("provision")


def test_a_log_holds_no_control_characters() -> None:
    for name in ("noop", "plan", "provision", "failure"):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", story(name, verbose=2, diff=True))


def test_a_stream_that_cannot_say_arrows_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Sink(stream, Mask(), colour=False).lines([[("0600 → 0644 · ü", "")]])
    assert raw.getvalue() == b"0600 -> 0644 - \\xfc\n"


def test_a_dumb_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    show = report.reporter(json=False, verbose=0, diff=False, stream=terminal, hosts=["web1"])
    assert not isinstance(show, live.LiveReporter)


# JSON


def test_json_is_one_object_a_line_with_stable_names() -> None:
    found = records(story("failure", json=True))
    assert [one["event"] for one in found if one["event"] not in ("step_output", "sending")] == [
        "connecting",
        "looking",
        "planned",
        *["step_started", "step_finished"] * 2,
        "note",
        "step_started",
        "step_finished",
        "finished",
        "summary",
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]) for one in found)
    assert all(one["host"] == "web1" for one in found[:-1])
    assert found[-1]["hosts"][0]["failure"]["exit_code_of_run"] == 7
    assert found[-1]["hosts"][0]["outcome"] == found[-2]["outcome"] == "failed"


def test_json_tells_a_plan_whole() -> None:
    one = next(one for one in records(story("plan", json=True)) if one["event"] == "planned")
    assert one["changes"][3]["differs"]["mode"] == ["0600", "0644"]
    assert "diffs" not in one


def test_json_adds_diffs_and_scripts_when_asked_for() -> None:
    found = records(story("provision", json=True, diff=True, verbose=2))
    assert found[2]["diffs"][1]["old"] is None
    assert found[3]["script"] == "apt-get install -y nginx python3-venv"


def test_json_thins_out_sending_but_keeps_its_end() -> None:
    found = records(shown(*(Sending("web1", "code", n, 1000) for n in range(1001)), json=True, close=False))
    assert found[0]["done"] == 0
    assert found[-1]["done"] == 1000
    assert len(found) < 10


def test_json_masks_before_it_encodes(fresh_mask: Mask) -> None:
    secret = 'a"b\nc\\d ü'
    fresh_mask.add([Secret(secret), Secret("ok")])
    noted = shown(Note("web1", f"it is {secret}, ok?"), json=True, close=False)
    assert json.loads(noted)["text"] == "it is ***, ***?"
    stepped = shown(StepOutput("web1", f"x {json.dumps(secret)}"), StepFinished("web1", "x", 0, 1), json=True)
    assert records(stepped)[0]["line"] == 'x "***"'


def test_the_vocabulary_of_json_survives_a_secret_that_is_one_of_its_words(fresh_mask: Mask) -> None:
    fresh_mask.add([Secret("planned"), Secret("create")])
    one = records(shown(planned("web1", change("a:create", None, {})), json=True))[0]
    assert (one["event"], one["changes"][0]["action"], one["changes"][0]["id"]) == (
        "planned",
        "create",
        "a:***",
    )


def test_every_event_has_a_name_and_is_documented() -> None:
    text = (ROOT / "docs/output.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \|", text[text.index("| event |") :], re.MULTILINE)
    assert set(NAMES) == set(Event.__subclasses__())
    assert documented == [*NAMES.values(), "summary", "message", "row", "error"]


@pytest.mark.parametrize("kind", [Sending, StepStarted, StepOutput, StepFinished, Note, Report])
def test_the_documentation_names_every_key_of_an_event(kind: type[Event | Report]) -> None:
    name = "finished" if kind is Report else NAMES[kind]
    line = re.search(rf"^\| `{name}` .*", (ROOT / "docs/output.md").read_text(), re.MULTILINE)
    assert line
    keys = set(kind.__struct_fields__) - {"host", "plan"}
    assert keys <= set(re.findall(r"`(\w+)`", line[0]))


# Other commands


def test_say_and_table_write_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    report.say("two\nlines \x1b[31mred")
    report.table(["host", "release"], [["web1", None], ["database1", 12]])
    report.table(["host"], [])
    assert capsys.readouterr().out == (
        "two\nlines red\nhost       release\nweb1       -\ndatabase1  12\nnone\n"
    )


def test_an_error_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report.error(errors.InputError("hosts.yml:3: no\nsuch key"))
    assert capsys.readouterr() == ("", "error: hosts.yml:3: no\n       such key\n")


def test_programs_get_all_of_it_as_events_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    report.say("hello", json=True)
    report.table(["host", "n"], [["web1", 1]], json=True)
    report.error(errors.HostError("refused"), json=True)
    found = records(capsys.readouterr().out)
    assert [one.pop("event") for one in found] == ["message", "row", "error"]
    assert [one.pop("time")[-1] for one in found] == ["Z", "Z", "Z"]
    assert found == [
        {"text": "hello"},
        {"host": "web1", "n": 1},
        {"kind": "HostError", "message": "refused", "exit_code": 4},
    ]


def test_secrets_are_masked_whoever_prints(capsys: pytest.CaptureFixture[str]) -> None:
    report.mask_secrets([Secret("hunter22")])
    report.say("hunter22")
    report.table(["hunter22"], [["x", "hunter22"][1:]])
    report.error(errors.HostError("password hunter22 refused"))
    report.say("hunter22", json=True)
    out, err = capsys.readouterr()
    assert "hunter22" not in out + err
    assert err == "error: password *** refused\n"


def test_a_reader_who_leaves_does_not_end_a_run() -> None:
    script = (
        "import sys, time; from deploy import report\n"
        "for n in range(200): report.say('x' * 1000)\n"
        "print('still here', file=sys.stderr)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b"still here\n"
    process.stderr.close()
    assert process.wait() == 0


def test_a_stream_of_ones_own_that_breaks_is_left_alone() -> None:
    class Broken(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise BrokenPipeError

    broken = Broken()
    sink = Sink(broken, Mask(), colour=False)
    sink.lines([[("one", "")]])
    sink.lines([[("two", "")]])
    assert broken.writes == 1


# Secrets


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


# Hostile output


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


# Words


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (words.count(1, "change"), "1 change"),
        (words.count(0, "change"), "0 changes"),
        (words.count(2, "entry", "entries"), "2 entries"),
        (words.size(0), "0 B"),
        (words.size(999), "999 B"),
        (words.size(1000), "1.0 kB"),
        (words.size(999_999), "1.0 MB"),
        (words.size(5_250_000_000), "5.2 GB"),
        (words.size(3 * 10**12), "3.0 TB"),
        (words.seconds(0.306), "0.31 s"),
        (words.seconds(9.999), "10.0 s"),
        (words.seconds(59.99), "1 min 0 s"),
        (words.seconds(125), "2 min 5 s"),
        (words.seconds(3725), "1 h 2 min"),
        (words.names(["a", "b"]), "a, b"),
        (words.names([str(n) for n in range(9)]), "0, 1, 2, 3, 4 and 4 more"),
        (words.shortened("abcdefghij", 5), "ab…ij"),
        (words.value(None), "none"),
        (words.value(True), "yes"),
        (words.value(False), "no"),
        (words.value(""), "empty"),
        (words.value(3), "3"),
        (words.value("f" * 64), "ffffffff"),
        (words.difference("gid", None, 5), "gid: none → 5"),
        (words.difference("loaded unit:x", "1", "2"), "has not loaded unit:x"),
        (words.outcome(Report("a", Result.FAILED)), "failed"),
        (words.outcome(Report("a", Result.FAILED, ("x",), Plan("a", storyboard.changes()))), "failed, 1 of 8 changed"),
        (words.outcome(Report("a", Result.PLANNED, plan=Plan("a", unfinished="1"))), "an unfinished run to undo"),
        (words.outcome(Report("a", Result.PLANNED, plan=Plan("a"))), "nothing to change"),
    ],
)  # fmt: skip
def test_words_are_short_and_their_plural_is_right(found: str, expected: str) -> None:
    assert found == expected


def test_no_sum_of_seconds_reads_as_sixty() -> None:
    assert words.seconds(119.7) == "2 min 0 s"
    assert words.seconds(3599.9) == "1 h 0 min"


# Progress


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Get:12 http://mirror.example.com/debian bookworm/main amd64 nginx amd64 1.22.1-9 [527 kB]", "fetching nginx"),
        ("Get:1 http://mirror.example.com/debian bookworm/main amd64 Packages [8.8 MB]", "reading index 1"),
        ("Get:1 http://mirror.example.com/debian bookworm InRelease [151 kB]", "reading index 1"),
        ("Hit:3 http://mirror.example.com/debian bookworm InRelease", "reading index 3"),
        ("Fetched 12.3 MB in 2s (6,150 kB/s)", "fetched 12.3 MB"),
        ("Unpacking libssl3:amd64 (3.0.15) over (3.0.14) ...", "unpacking libssl3"),
        ("Setting up nginx (1.22.1-9) ...", "setting up nginx"),
        ("Removing nginx (1.22.1-9) ...", "removing nginx"),
        ("Collecting flask[async]>=3", "collecting flask"),
        ("  Downloading flask-3.1.0-py3-none-any.whl (102 kB)", "downloading flask (102 kB)"),
        ("Downloading https://x/simple/a_b-1.whl.metadata (1.2 kB)", "downloading a_b (1.2 kB)"),
        ("  Building wheel for lxml (pyproject.toml): started", "building lxml"),
        ("Installing collected packages: a, b, c", "installing 3 packages"),
        ("Installing collected packages: a", "installing 1 package"),
        ("Resolved 12 packages in 103ms", "resolved 12 packages"),
        ("Selecting previously unselected package nginx.", "before"),
        ("Preparing to unpack .../nginx_1.22.1-9_amd64.deb ...", "before"),
        ("", "before"),
        ("   ", "before"),
        ("anything else ", "anything else"),
    ],
)  # fmt: skip
def test_a_line_of_output_tells_the_progress(line: str, expected: str) -> None:
    progress = Progress()
    progress.feed("before")
    progress.feed(line)
    assert progress.text == expected


def test_apt_says_how_many_there_are_and_we_count() -> None:
    progress = Progress()
    for line in storyboard.APT:
        progress.feed(line)
    assert progress.text == "setting up nginx (3 of 3)"


# The live display


class Terminal:
    """A pty, 100 columns wide, whose other end is read until it is closed."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 100))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self._read: list[bytes] = []
        self._reader = threading.Thread(target=self._drain)
        self._reader.start()

    def _drain(self) -> None:
        try:
            while block := os.read(self._master, 65536):
                self._read.append(block)
        except OSError:  # Linux says EIO when the last writer is gone
            return

    def wait_for(self, said: str) -> None:
        """Until it was shown; ten seconds at most."""
        deadline = time.monotonic() + 10
        while said not in plain(b"".join(self._read).decode(errors="replace")):
            assert time.monotonic() < deadline, f"never shown: {said}"
            time.sleep(0.01)

    def text(self) -> str:
        """All that was written; the terminal is gone after that."""
        self.stream.close()
        self._reader.join()
        os.close(self._master)
        return b"".join(self._read).decode().replace("\r\n", "\n")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    import rich.live  # noqa: F401  # so that its import does not eat into the pauses of a test

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(live, "APPEARS_AFTER", 0.02)
    monkeypatch.setattr(live, "_TICK", 0.02)
    yield Terminal()


def played(terminal: Terminal, *events: Event | str, **options: Any) -> str:
    """What a terminal was sent; a text between the events is waited for."""
    hosts = list(dict.fromkeys(event.host for event in events if isinstance(event, Event)))
    settings = {"verbose": 0, "diff": False, "hosts": hosts} | options
    with report.reporter(json=False, stream=terminal.stream, **settings) as show:
        assert isinstance(show, live.LiveReporter)
        for event in events:
            if isinstance(event, str):
                terminal.wait_for(event)
            else:
                show(event)
        show.close([event.report for event in events if isinstance(event, Finished)])
    return terminal.text()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_run_that_ends_at_once_draws_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "APPEARS_AFTER", 10)
    text = played(terminal, *(one for one in storyboard.quiet("web1", 0) if isinstance(one, Event)))
    assert "\x1b[?25l" not in text
    assert plain(text) == "web1  nothing to change · 0.31 s · 1 round trip · 12.4 kB\n"
    assert "\x1b[32mnothing to change\x1b[0m" in text


def test_the_display_follows_the_steps_and_leaves_no_trace(terminal: Terminal) -> None:
    text = played(
        terminal,
        Connecting("web1"), "connecting",
        Looking("web1", 1), "looking",
        planned("web1", change("package:[red]x", None, {})),
        StepStarted("web1", "install x", 1, 2),
        StepOutput("web1", "Unpacking nginx (1) ..."), "1/2 install x  unpacking nginx",
        StepFinished("web1", "install x", 0, 1.0),
        Sending("web1", "code", 640_000, 1_000_000), "sending code  64 %, 640.0 kB of 1.0 MB",
        Looking("web1", 2), "looking again",
        Finished("web1", Report("web1", Result.CHANGED, ("a",), urls=("http://x/",))), "✓ web1  1 changed",
    )  # fmt: skip
    flat = plain(text)
    assert "  + package  [red]x\n" in flat
    assert text.count("\x1b[?25l") == 1 and text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    after = flat[flat.rindex("✓ web1") :]
    assert after.count("web1  1 changed · 0.00 s · 0 round trips · 0 B\n      http://x/\n") == 1


def test_the_cursor_comes_back_when_a_run_is_interrupted(terminal: Terminal) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        report.reporter(json=False, verbose=0, diff=False, stream=terminal.stream, hosts=["a", "b"]) as show,
    ):
        show(planned("a", change("package:x", None, {})))
        terminal.wait_for("waiting")
        raise KeyboardInterrupt
    text = terminal.text()
    assert "\x1b[?25l" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "a  1 change\n  + package  x\n" in plain(text)


def test_hosts_with_the_same_plan_are_shown_once_in_their_order(terminal: Terminal) -> None:
    one = change("package:x", None, {})
    text = played(terminal, planned("b", one), planned("c", one), planned("a", one), hosts=["a", "b", "c"])
    assert plain(text).startswith("a, b, c  the same 1 change\n  + package  x\n")


def test_a_plan_waits_for_others_only_for_a_moment(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_GATHER", 0.05)
    one = change("package:x", None, {})
    text = played(terminal, planned("a", one), "a  1 change", planned("b", one), hosts=["a", "b", "c"])
    flat = plain(text)
    assert flat.index("a  1 change\n") < flat.index("b  the same 1 change as a\n")


def test_a_plan_stands_above_what_its_host_says_next(terminal: Terminal) -> None:
    text = played(
        terminal,
        planned("a", change("package:x", None, {})),
        Note("a", "careful"),
        Finished("a", Report("a", Result.FAILED, failures=(Failure("it broke", 7),))),
        hosts=["a", "b"],
    )
    assert plain(text) == (
        "a  1 change\n  + package  x\n\na | careful\n\na  failed\n  it broke\n\n"
        "a  failed · 0.00 s · 0 round trips · 0 B\n"
    )


def test_what_differs_gets_lines_of_its_own_where_the_screen_is_narrow(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    state = {"active": "active", "enabled": "enabled"}
    was = {"active": "inactive", "enabled": "disabled"}
    text = plain(played(terminal, planned("a", change("unit:nginx.service", was, state))))
    assert "  ~ unit  nginx.service\n          active: inactive → active\n          enabled: disabled" in text


def test_more_hosts_than_lines_are_counted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "8")
    hosts = [f"web{n:02}" for n in range(20)]
    done = Finished("web07", Report("web07", Result.FAILED, failures=(Failure("x", 7),)))
    text = plain(played(terminal, Connecting("web19"), done, "✗ web07", hosts=hosts))
    assert "web19    0 s  connecting" in text
    assert "✗ web07  failed" in text
    assert "  and 15 more: 1 done, 18 waiting in all" in text
    assert "web05" not in text


def test_no_color_keeps_the_display_but_no_colours(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = played(terminal, planned("a", change("package:x", None, {})), Connecting("a"), "connecting")
    assert "connecting" in text
    assert not re.search(r"\x1b\[[0-9;]*m", text)


def test_verbose_output_goes_above_the_display_and_no_markup_is_read(
    terminal: Terminal, fresh_mask: Mask
) -> None:
    fresh_mask.add([Secret("hunter22")])
    text = played(
        terminal,
        StepStarted("a", "build", 1, 1, "make hunter22"),
        "0 s  1/1 build",
        StepOutput("a", "[bold]hunt"),
        StepOutput("a", "er22 :smile:"),
        "build  *** :smile:",
        verbose=2,
    )
    flat = plain(text)
    assert "a |   make ***\n" in flat
    assert "a |   [bold]***\n" in flat and "a |   *** :smile:\n" in flat
    assert "er22" not in flat


def test_what_others_print_meanwhile_stands_above_the_display(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, fresh_mask: Mask
) -> None:
    fresh_mask.add([Secret("hunter22")])
    monkeypatch.setattr(sys, "stdout", terminal.stream)
    with report.reporter(json=False, verbose=0, diff=False, hosts=["a"]) as show:
        show(Connecting("a"))
        terminal.wait_for("connecting")
        print("a library says hunter22")
        report.say("and so do we")
    text = plain(terminal.text())
    assert "a library says ***\n" in text
    assert "and so do we\n" in text


# What it costs, and what is documented


def test_rich_is_not_imported_before_something_is_drawn() -> None:
    script = (
        "import io, sys; from deploy import report; from deploy.engine.events import Connecting, Finished, Report\n"
        "for json in (True, False):\n"
        "    with report.reporter(json=json, verbose=2, diff=True, stream=io.StringIO(), hosts=['a']) as show:\n"
        "        show(Connecting('a')); show.close([Report('a', 'unchanged')])\n"
        "print([name for name in ('rich', 'difflib', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_every_error_has_its_exit_code_documented() -> None:
    text = (ROOT / "docs/exit-codes.md").read_text()
    documented = {
        (int(code), name) for code, name in re.findall(r"^\| (\d+) \| (?:`(\w+)`)? ?\|", text, re.MULTILINE)
    }
    kinds = [errors.BarehostError, *_all_below(errors.BarehostError)]
    ours = {(kind.exit_code, kind.__name__) for kind in kinds if kind.__module__ == "deploy.errors"}
    assert documented == ours | {(0, ""), (2, ""), (130, "")}


def test_no_two_errors_share_an_exit_code() -> None:
    codes = [
        kind.exit_code for kind in errors.BarehostError.__subclasses__() if kind.__module__ == "deploy.errors"
    ]
    assert len(codes) == len(set(codes))


def _all_below(kind: type[errors.BarehostError]) -> list[type[errors.BarehostError]]:
    return [one for below in kind.__subclasses__() for one in (below, *_all_below(below))]
