"""Somebody is told once when a host is not well, once when that is over, and again where nobody could be reached."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ALERT = Path(__file__).parents[3] / "deploy/host/alert.py"


class Ears(HTTPServer):
    """Hears what is posted and asked for."""

    posted: list[dict[str, Any]]
    asked: list[str]

    def handle_error(self, request: Any, client_address: Any) -> None:
        raise


class Hearing(BaseHTTPRequestHandler):
    server: Ears

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.answer()

    def answer(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def ears() -> Iterator[Ears]:
    with Ears(("127.0.0.1", 0), Hearing) as server:
        server.posted, server.asked = [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(folder: Path, config: str, alarms: str) -> int:
    (folder / "config").write_text(config)
    (folder / "alarms").write_text(f"cat <<'END'\n{alarms}END\n")
    words = [folder / "config", folder / "state", "web1", folder / "alarms"]
    done = subprocess.run(
        [sys.executable, "-I", ALERT, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert "/hook" not in done.stderr, "the address is a secret"
    return done.returncode


def test_what_begins_and_what_is_over_is_told_once(ears: Ears, tmp_path: Path) -> None:
    config = (
        f"webhook http://127.0.0.1:{ears.server_port}/hook\nping http://127.0.0.1:{ears.server_port}/up\n"
    )
    for alarms in ("", "unit\tbad has failed\n", "unit\tbad has failed\n", "", ""):
        assert run(tmp_path, config, alarms) == 0
    assert [(one["alarms"], one["over"]) for one in ears.posted] == [
        (["bad has failed"], []),
        ([], ["bad has failed"]),
    ]
    assert "web1: bad has failed" in ears.posted[0]["text"]
    assert ears.asked == ["/up"] * 3, "the ping says that all is well"


def test_who_could_not_be_told_is_told_by_the_next_run(ears: Ears, tmp_path: Path) -> None:
    alarms = "disk\t/ is 91% full\n"
    assert run(tmp_path, "webhook http://127.0.0.1:9/hook\n", alarms) == 1
    assert run(tmp_path, f"webhook http://127.0.0.1:{ears.server_port}/hook\n", alarms) == 0
    assert len(ears.posted) == 1


def test_a_command_gets_the_text(tmp_path: Path) -> None:
    assert run(tmp_path, f"mail cat > {tmp_path}/mail\n", "disk\t/ is 91% full\n") == 0
    assert (tmp_path / "mail").read_text() == "web1: / is 91% full\n"
