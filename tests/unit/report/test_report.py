"""What a task prints itself: sentences, tables, errors; and which reporter a stream gets."""

from __future__ import annotations

import io

import pytest

from deploy import errors, report
from deploy.report import live
from deploy.shell import Secret
from tests.unit.fakes.shown import records


def test_a_dumb_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    show = report.reporter(json=False, verbose=0, diff=False, stream=terminal, hosts=["web1"])
    assert not isinstance(show, live.LiveReporter)


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
