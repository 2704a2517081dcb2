"""The live display, on a pty of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import report
from deploy.engine.events import (
    Connecting,
    Event,
    Failure,
    Finished,
    Looking,
    Note,
    Report,
    Result,
    Sending,
    StepFinished,
    StepOutput,
    StepStarted,
)
from deploy.report import live
from deploy.report.mask import Mask
from deploy.shell import Secret
from tests.unit.fakes import storyboard
from tests.unit.fakes.shown import Terminal, change, plain, planned

ROOT = Path(__file__).parents[3]


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
