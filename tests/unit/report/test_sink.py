"""Where lines go: a stream that cannot say them all, a reader who leaves, a stream that breaks."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from deploy.report.mask import Mask
from deploy.report.sink import Sink

ROOT = Path(__file__).parents[3]


def test_a_stream_that_cannot_say_arrows_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Sink(stream, Mask(), colour=False).lines([[("0600 → 0644 · ü", "")]])
    assert raw.getvalue() == b"0600 -> 0644 - \\xfc\n"


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
