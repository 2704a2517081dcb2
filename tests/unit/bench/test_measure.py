"""What a measured command costs: its own and all that it started, ended at the limit, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

MEASURE = Path(__file__).parents[3] / "bench" / "measure.py"

SPIN = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"
HOLD = "held = b'x' * {size}; print('holds', flush=True); import time; time.sleep(0.5)"
KEEP = "import sys; held = b'x' * {size}; print('holds', flush=True); sys.stdin.read()"
"""Holds memory until whoever started it closes its stdin."""


def words(result: Path, *command: str, limit: float, watch: bool) -> list[str]:
    return [
        sys.executable,
        "-SE",
        str(MEASURE),
        str(result),
        str(limit),
        "1" if watch else "0",
        "--",
        *command,
    ]


def measured(folder: Path, *command: str, limit: float = 30, watch: bool = False) -> dict[str, Any]:
    """What bench/measure.py says of a command."""
    result = folder / "result"
    subprocess.run(words(result, *command, limit=limit, watch=watch), check=True, timeout=60)
    told: dict[str, Any] = json.loads(result.read_text())
    return told


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-IS", "-c", text)


def test_the_wall_is_that_of_the_command_and_waiting_is_no_cpu(tmp_path: Path) -> None:
    told = measured(tmp_path, "sleep", "0.3")
    assert 0.3 <= told["wall"] < 5
    assert told["cpu"] < 0.1
    assert told["code"] == 0
    assert not told["late"]


def test_cpu_is_the_commands_and_that_of_what_it_started(tmp_path: Path) -> None:
    spin = SPIN.format(seconds=0.2)
    text = f"import subprocess, sys; subprocess.run([sys.executable, '-IS', '-c', {spin!r}]); {spin}"
    assert 0.4 <= measured(tmp_path, *python(text))["cpu"] < 0.8


def test_what_outlives_the_command_is_counted_and_ended(tmp_path: Path) -> None:
    spin = SPIN.format(seconds=0.2) + "\nprint(os.getpid(), flush=True); time.sleep(60)"
    mark = tmp_path / "pid"
    text = f"""
import subprocess, sys
argv = [sys.executable, '-IS', '-c', {"import os; " + spin!r}]
left = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE, text=True)
open({str(mark)!r}, 'w').write(left.stdout.readline())
"""
    began = time.monotonic()
    told = measured(tmp_path, *python(text))
    assert time.monotonic() - began < 15
    assert told["wall"] < 10, "the command's own end counts, not that of what it left"
    assert told["cpu"] >= 0.2
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()


def test_memory_is_the_peak_of_all_processes_together(tmp_path: Path) -> None:
    hold, keep = HOLD.format(size=40 << 20), KEEP.format(size=40 << 20)
    start = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-IS', '-c', "
    small = measured(tmp_path, "sleep", "0.3", watch=True)["memory"]
    one = measured(tmp_path, *python(hold), watch=True)["memory"]
    child = measured(tmp_path, *python(f"{start}{hold!r}]); child.wait(); {hold}"), watch=True)["memory"]
    kept = f"{start}{keep!r}], stdin=-1, stdout=-1); child.stdout.readline()"
    beside = f"{kept}; {hold}; child.stdin.close(); child.wait()"
    both = measured(tmp_path, *python(beside), watch=True)["memory"]
    assert small < 10
    assert 40 <= one < 70
    assert 40 <= child < 80, "one after the other"
    assert 80 <= both < 120, "side by side"


def test_memory_is_not_told_of_a_command_that_is_not_watched(tmp_path: Path) -> None:
    assert measured(tmp_path, "true")["memory"] is None


def test_the_limit_ends_the_command_and_all_below_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    told = measured(tmp_path, "sh", "-c", f"sleep 60 & echo $! > {mark}; wait", limit=0.3)
    assert told["late"]
    assert told["wall"] < 60, "the command was not ended, it ended by itself"
    assert told["code"] == -signal.SIGTERM
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()


def test_a_command_that_does_not_heed_the_limit_is_still_late(tmp_path: Path) -> None:
    told = measured(tmp_path, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done", limit=0.3)
    assert told["late"]
    assert told["code"] == 0


def test_a_command_that_ignores_the_limit_is_killed(tmp_path: Path) -> None:
    stubborn = ("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
    result = tmp_path / "result"
    argv = words(result, *stubborn, limit=0.2, watch=False)
    less = "import runpy, sys; sys.argv = sys.argv[1:]; measure = runpy.run_path(sys.argv[0]); main = measure['main']; "
    argv[2:3] = ["-c", f"{less} main.__globals__['GRACE'] = 0.2; main()", argv[2]]
    subprocess.run(argv, check=True, timeout=60)
    told = json.loads(result.read_text())
    assert told["late"]
    assert told["wall"] > 0.2
    assert told["code"] == -signal.SIGKILL


def test_the_exit_code_is_the_commands(tmp_path: Path) -> None:
    assert measured(tmp_path, "sh", "-c", "exit 3")["code"] == 3
    assert measured(tmp_path, "sh", "-c", "kill -9 $$")["code"] == -9


def test_nothing_of_the_command_runs_on_when_the_measuring_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    text = f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 60"
    process = subprocess.Popen(
        words(tmp_path / "result", "sh", "-c", text, limit=30, watch=False), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.terminate()
    assert process.wait(10) != 0
    assert not (tmp_path / "result").exists()
    with pytest.raises(ProcessLookupError):
        for _ in range(200):  # it was adopted by another process, which may need a moment to bury it
            os.kill(int(mark.read_text()), 0)
            time.sleep(0.01)
