"""provision and plan: exit codes, hosts that cannot be reached, JSON, and what goes on after an interrupt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.engine.events import Failure, Report
from deploy.engine.plan import Plan
from deploy.errors import ApplyError, HostError
from deploy.fleet import run as fleet
from deploy.inventory.hosts import Host
from deploy.resource import Change
from deploy.resources.path import File
from deploy.tasks.provision import exit_code
from tests.unit.fakes.face import Face
from tests.unit.fakes.sandbox import Sandbox, SandboxSession, needs_root


def test_hosts_that_cannot_be_reached_are_told_one_by_one(hosts: Path, invoke: Face):
    (hosts / "inventory" / "group_vars").mkdir()
    (hosts / "inventory" / "group_vars" / "all.yml").write_text("where: /nowhere\n")
    code, out, _ = invoke("provision")
    assert code == HostError.exit_code
    assert "web1" in out
    assert "web2" in out
    assert invoke("status", "--host", "web1")[0] == HostError.exit_code


@needs_root
class TestSandboxed:
    """The tasks over a host that is a folder of this machine."""

    @pytest.fixture
    def box(self, hosts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
        box = Sandbox(tmp_path / "box")
        session = SandboxSession(box, Host("web1"))
        monkeypatch.setattr(fleet.transport, "connect", lambda host, password: session)
        (hosts / "inventory" / "group_vars").mkdir()
        (hosts / "inventory" / "group_vars" / "all.yml").write_text(f"where: {box.target}\n")
        return box

    def test_plan_says_whether_there_is_something_to_do(self, box: Sandbox, invoke: Face):
        code, out, _ = invoke("plan", "--host", "web1", "--diff")
        assert code == 2
        assert "+new" in out
        assert not (box.target / "x").exists()
        assert invoke("provision", "--host", "web1", "--check")[0] == 2
        assert invoke("provision", "--host", "web1")[0] == 0
        assert (box.target / "x").read_text() == "new\n"
        assert invoke("plan", "web1")[0] == 0

    def test_json_is_one_event_a_line_and_nothing_else(self, box: Sandbox, invoke: Face):
        code, out, err = invoke("provision", "--host", "web1", "--json")
        assert (code, err) == (0, "")
        events = [json.loads(line)["event"] for line in out.splitlines()]
        assert {"planned", "finished"} <= set(events)


CHANGES = Plan("a", (Change(File("/x"), None, {}),))


FAILED = Report("b", "failed", failures=(Failure("b: no", ApplyError.exit_code),))


@pytest.mark.parametrize(
    ("reports", "check", "code"),
    [
        ([Report("a", "unchanged", plan=Plan("a"))], False, 0),
        ([Report("a", "changed", plan=CHANGES)], False, 0),
        ([Report("a", "planned", plan=CHANGES)], True, 2),
        ([Report("a", "planned", plan=Plan("a"))], True, 0),
        ([Report("a", "planned", plan=CHANGES), FAILED], True, ApplyError.exit_code),
        ([FAILED], False, ApplyError.exit_code),
    ],
)
def test_how_a_run_ends_is_the_exit_code(reports: list[Report], check: bool, code: int):
    assert exit_code(reports, check=check) == code


def test_a_run_that_is_interrupted_ends_with_130_and_says_what_goes_on(project: Path):
    script = (
        "from deploy.tasks.common import task\nfrom invoke import Context\n"
        "@task()\ndef stop(context):\n    raise KeyboardInterrupt\nstop(Context())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "goes on there" in done.stdout
    assert os.environ.get("BAREHOST_STATE") is None
