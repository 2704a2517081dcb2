"""A systemd unit: what `systemctl show` and the record of what it loaded say, and what is done about it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError, LookError
from deploy.resource import Change, Check, Command, State
from deploy.resources.package import Package
from deploy.resources.path import File, Link
from deploy.resources.unit import Unit, loaded_digest
from deploy.shell import Script, sh
from tests.unit.fakes.sandbox import Sandbox, needs_root

CONFIG = File("/etc/x.conf", "new")
DROPIN = File("/etc/systemd/system/x.service.d/a.conf", "new")
UNIT = Unit("x.service", reload_on=(CONFIG,), restart_on=(DROPIN,), checks_on=(Check("x -t", sh("x -t")),))

SHOWN = b"""Unit=ssh.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
ActiveEnterTimestamp=Mon 2026-11-23 09:16:51 UTC
NeedDaemonReload=no
InvocationID=453994e9a02245a680b2541e120b6e93
Loaded=160f305635ece2300959616ab840adeb028dfc3a986bc14859675aaf55e70bbe path:/etc/ssh/sshd_config
Loaded=absent path:/etc/ssh/Unit=odd
Unit=nope.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
ActiveEnterTimestamp=
NeedDaemonReload=no
InvocationID=
Unit=systemd-journald.service
LoadState=loaded
ActiveState=active
UnitFileState=static
ActiveEnterTimestamp=Mon 2026-11-23 09:16:51 UTC
NeedDaemonReload=no
InvocationID=d5c1bad86d1945aa8e6312c10fc77a74
Unit=bad.service
LoadState=loaded
ActiveState=failed
UnitFileState=static
ActiveEnterTimestamp=Mon 2026-11-23 09:16:54 UTC
NeedDaemonReload=no
InvocationID=110026f7c16d4a0ab931690c7949d970
Unit=ok.service
LoadState=loaded
ActiveState=active
UnitFileState=disabled
ActiveEnterTimestamp=Mon 2026-11-23 09:16:54 UTC
NeedDaemonReload=yes
InvocationID=abeede9af62640e6979d38e12874525c
Unit=nonesuch.service
LoadState=masked
ActiveState=inactive
UnitFileState=masked
ActiveEnterTimestamp=
NeedDaemonReload=no
InvocationID=
"""
"""What the probe prints on Debian 12, systemd 252."""


def state(active: str = "active", enabled: str = "enabled", reload: bool = False, **loaded: str) -> State:
    return {"active": active, "enabled": enabled, "needs daemon-reload": reload, **loaded}


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        (
            Unit("ssh.service"),
            {
                **state(),
                "loaded path:/etc/ssh/sshd_config": "160f305635ece2300959616ab840adeb028dfc3a986bc14859675aaf55e70bbe",
                "loaded path:/etc/ssh/Unit=odd": "absent",
            },
        ),
        (Unit("nope.service"), None),
        (Unit("nope.service", running=False, enabled=False), state("inactive", "disabled")),
        (Unit("systemd-journald.service"), state()),
        (Unit("bad.service"), state("failed")),
        (Unit("bad.service", running=False), state("inactive")),
        (Unit("ok.service"), state("active", "disabled", True)),
        (Unit("nonesuch.service"), state("inactive", "masked")),
    ],
    ids=lambda value: value.name if isinstance(value, Unit) else "",
)
def test_what_systemd_shows(unit: Unit, told: State | None):
    assert Unit.parse([unit], SHOWN)[unit.id] == told


@pytest.mark.parametrize("output", [b"", SHOWN[: SHOWN.index(b"Unit=ok")], b"Unit=ok.service\n"])
def test_a_unit_that_systemd_did_not_tell_about_is_an_error(output: bytes):
    with pytest.raises(LookError, match=r"did not tell about ok.service"):
        Unit.parse([Unit("ok.service")], output)


@pytest.mark.parametrize("name", ["nginx", "a/b.service", "-x.service", "x\n.service", "", "x@.service"])
def test_a_name_that_is_no_unit_is_refused(name: str):
    with pytest.raises(InputError, match="unit"):
        Unit(name)


CURRENT = {f"loaded {one.id}": one.digest for one in (CONFIG, DROPIN)}
OLD_CONFIG = {**CURRENT, f"loaded {CONFIG.id}": "old"}
OLD_DROPIN = {**CURRENT, f"loaded {DROPIN.id}": "old"}
STOPPED = Unit("x.service", running=False, enabled=False)


@pytest.mark.parametrize(
    ("unit", "actual", "labels"),
    [
        (UNIT, None, ["start x.service", "enable x.service"]),
        (UNIT, state("inactive", "disabled"), ["start x.service", "enable x.service"]),
        (UNIT, state("failed", **CURRENT), ["start x.service"]),
        (UNIT, state("active", "disabled", **CURRENT), ["enable x.service"]),
        (UNIT, state(), ["restart x.service"]),
        (UNIT, state(**OLD_CONFIG), ["reload x.service"]),
        (UNIT, state(**OLD_DROPIN), ["restart x.service"]),
        (UNIT, state(reload=True, **CURRENT), ["systemctl daemon-reload", "restart x.service"]),
        (UNIT, state("inactive", "masked"), ["unmask x.service", "start x.service", "enable x.service"]),
        (Unit("x.service"), state(reload=True), ["systemctl daemon-reload"]),
        (Unit("x.service", restart_on=(CONFIG,)), state(**OLD_CONFIG), ["restart x.service"]),
        (STOPPED, state(), ["stop x.service", "disable x.service"]),
        (STOPPED, state("inactive"), ["disable x.service"]),
        (STOPPED, state("activating", "disabled"), ["stop x.service"]),
    ],
)
def test_steps(unit: Unit, actual: State | None, labels: list[str]):
    change = Change(unit, actual, unit.expected())
    assert change
    assert [step.label for step in Unit.steps([change]) if isinstance(step, Command)] == labels


@pytest.mark.parametrize(
    ("unit", "actual"), [(UNIT, state(**CURRENT)), (STOPPED, state("inactive", "disabled"))]
)
def test_nothing_to_do(unit: Unit, actual: State):
    assert not Change(unit, actual, unit.expected())


def test_one_daemon_reload_serves_all_units():
    units = [Unit("a.service"), Unit("b.service")]
    changes = [Change(one, state(reload=True), one.expected()) for one in units]
    assert [step.label for step in Unit.steps(changes)] == ["systemctl daemon-reload"]  # type: ignore[union-attr]


def test_the_checks_of_its_files_are_its_own():
    assert [one.label for one in UNIT.checks()] == ["x -t"]


def test_what_is_gone_or_a_link_counts_as_loaded_too():
    assert loaded_digest(File("/x", state="absent")) == "absent"
    assert loaded_digest(Link("/x", state="absent")) == "absent"
    assert loaded_digest(Link("/x", "a")) != loaded_digest(Link("/x", "b"))
    assert loaded_digest(Package("redis", version="1")) != loaded_digest(Package("redis", version="2"))
    with pytest.raises(InputError, match="absolute"):
        Unit("x.service", reload_on=("etc/x",))


@needs_root
class TestOnDisk:
    """The probe's own shell, and the script that starts and proves, over a stand-in of systemctl."""

    @pytest.fixture
    def box(self, tmp_path: Path) -> Sandbox:
        return Sandbox(tmp_path / "box")

    def unit(self, box: Sandbox, text: str = "new", proof: Script | None = None) -> Unit:
        watched = (File(f"{box.target}/conf", text), Link(f"{box.target}/link", "there"))
        gone = File(f"{box.target}/gone it's", state="absent")
        return Unit("x.service", reload_on=(*watched, gone), proof=proof)

    def look(self, box: Sandbox, unit: Unit, *, since: float, invocation: str = "one") -> State | None:
        stamp = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(since))
        (box.box / "pid").write_text(
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
            f"ActiveEnterTimestamp={stamp}\nNeedDaemonReload=no\nInvocationID={invocation}\n"
        )
        done = self.run(box, Unit.probe([unit]))
        assert done.returncode == 0, done.stderr
        return Unit.parse([unit], done.stdout)[unit.id]

    def run(self, box: Sandbox, script: Script) -> Any:
        (box.box / "script").write_text(script)
        return box.sh(str(box.box / "script"), SCRATCH=str(box.target), TZ="UTC")

    def lay(self, box: Sandbox) -> None:
        (box.target / "conf").write_text("new")
        (box.target / "link").symlink_to("there")

    def test_a_process_younger_than_its_files_has_loaded_what_lies_there(self, box: Sandbox):
        self.lay(box)
        unit = self.unit(box)
        told = self.look(box, unit, since=time.time() + 5)
        assert told == unit.expected()

    def test_a_process_older_than_a_file_has_loaded_nothing_known(self, box: Sandbox):
        self.lay(box)
        unit = self.unit(box)
        told = self.look(box, unit, since=time.time() - 60)
        assert Change(unit, told, unit.expected()).keys == tuple(sorted(f"loaded {id}" for id in unit.inputs))

    def test_a_record_of_this_invocation_counts_however_old_the_process(self, box: Sandbox):
        self.lay(box)
        unit = self.unit(box)
        lines = ["one", *(f"{digest} {id}" for id, digest in unit.inputs.items())]
        (box.box / "lib" / "loaded" / "x.service").write_text("\n".join(lines) + "\n")
        assert self.look(box, unit, since=0) == unit.expected()

    def test_a_record_of_another_invocation_counts_for_nothing(self, box: Sandbox):
        self.lay(box)
        unit = self.unit(box)
        (box.box / "lib" / "loaded" / "x.service").write_text("two\nabc path:/x\n")
        assert self.look(box, unit, since=time.time() - 60) == state()

    def test_a_file_edited_behind_its_back_is_not_taken_for_loaded(self, box: Sandbox):
        self.lay(box)
        unit = self.unit(box, "expected")
        told = self.look(box, unit, since=time.time() + 5)
        assert Change(unit, told, unit.expected()).keys == (f"loaded path:{box.target}/conf",)

    def bring(self, box: Sandbox, unit: Unit, main: int = 0) -> Any:
        (box.box / "pid").write_text(f"MainPID={main}\nInvocationID=seven\nActiveState=active\n")
        (step,) = Unit.steps([Change(unit, state(), unit.expected())])
        assert isinstance(step, Command)
        return self.run(box, step.script)

    def test_what_was_proven_is_recorded_with_its_invocation(self, box: Sandbox):
        unit = self.unit(box, proof=Script(f"[ -e {box.target} ]"))
        assert self.bring(box, unit).returncode == 0
        record = (box.box / "lib" / "loaded" / "x.service").read_text()
        assert record.split("\n") == ["seven", *(f"{digest} {id}" for id, digest in unit.inputs.items()), ""]
        assert (box.box / "systemctl").read_text().split("\n") == ["reload -- x.service", ""]

    def test_a_service_that_takes_a_signal_is_reloaded_by_it(self, box: Sandbox):
        with subprocess.Popen(["env", "--default-signal=HUP", "sleep", "60"]) as service:  # nohup ignores it
            done = self.bring(box, replace(self.unit(box), hup=True), service.pid)
            assert service.wait(10) == -signal.SIGHUP
        assert done.returncode == 0
        assert (box.box / "systemctl").read_text() == ""

    @pytest.mark.parametrize("main", [2**22 + 1, 0], ids=["gone", "active without a process"])
    def test_a_service_that_is_not_there_for_its_signal_says_so(self, box: Sandbox, main: int):
        done = self.bring(box, replace(self.unit(box), hup=True), main)
        assert done.returncode == 1
        assert b"the reload of x.service failed" in done.stdout

    def test_a_start_forgets_earlier_failures(self, box: Sandbox):
        (box.box / "pid").write_text("ActiveState=active\nInvocationID=seven\n")
        unit = self.unit(box)
        (step,) = Unit.steps([Change(unit, state("failed"), unit.expected())])
        assert isinstance(step, Command)
        assert self.run(box, step.script).returncode == 0
        assert (box.box / "systemctl").read_text().split("\n") == [
            "reset-failed -- x.service",
            "start -- x.service",
            "",
        ]

    def test_what_was_not_proven_leaves_no_record_of_before(
        self, box: Sandbox, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("deploy.resources.unit.PROOF_SECONDS", 0)
        record = box.box / "lib" / "loaded" / "x.service"
        record.write_text("six\n")
        done = self.bring(box, self.unit(box, proof=Script("false")))
        assert done.returncode == 1
        assert b"x.service did not show its new configuration within 0 s of the reload" in done.stdout
        assert not record.exists()

    def test_a_start_that_fails_says_so(self, box: Sandbox):
        (box.box / "systemctl-fails").touch()
        done = self.bring(box, self.unit(box))
        assert done.returncode == 1
        assert b"the reload of x.service failed" in done.stdout

    def look_later(
        self, box: Sandbox, unit: Unit, monkeypatch: pytest.MonkeyPatch, **how: Any
    ) -> State | None:
        """What the next run sees, whose key on the wire is another one."""
        monkeypatch.setattr("deploy.shell._key", ["of another run"])
        return self.look(box, unit, **{"since": 0.0, "invocation": "seven", **how})

    def test_a_secret_is_loaded_in_later_runs_too_and_the_record_says_nothing_of_it(
        self, box: Sandbox, monkeypatch: pytest.MonkeyPatch
    ):
        file = File(f"{box.target}/secret", "s3cret", secret=True)
        (box.target / "secret").write_text("s3cret")
        unit = Unit("x.service", restart_on=(file,))
        assert self.bring(box, unit).returncode == 0
        record = (box.box / "lib/loaded/x.service").read_text()
        assert "keyed:" not in record
        assert hashlib.sha256(b"s3cret").hexdigest() not in record
        assert (box.box / "lib/key").stat().st_mode & 0o777 == 0o600
        assert self.look_later(box, unit, monkeypatch) == unit.expected()

        (box.target / "secret").write_text("edited")
        told = self.look_later(box, unit, monkeypatch)
        assert Change(unit, told, unit.expected()).keys == (f"loaded path:{box.target}/secret",)

    def test_after_a_restart_by_hand_a_secret_that_is_older_counts_as_loaded(
        self, box: Sandbox, monkeypatch: pytest.MonkeyPatch
    ):
        unit = Unit("x.service", restart_on=(File(f"{box.target}/secret", "s3cret", secret=True),))
        (box.target / "secret").write_text("s3cret")
        told = self.look_later(box, unit, monkeypatch, since=time.time() + 5, invocation="eight")
        assert told == unit.expected()

    def test_a_path_that_only_lies_there_is_loaded_until_it_changes(
        self, box: Sandbox, monkeypatch: pytest.MonkeyPatch
    ):
        certificate = box.target / "chain.pem"
        certificate.write_text("of this year")
        unit = Unit("x.service", reload_on=(str(certificate),))
        assert self.bring(box, unit).returncode == 0
        assert self.look_later(box, unit, monkeypatch) == unit.expected()
        certificate.write_text("of the next")
        told = self.look_later(box, unit, monkeypatch)
        renewed = Change(unit, told, unit.expected())
        assert renewed.keys == (f"loaded path:{certificate}",)
        assert [step.label for step in Unit.steps([renewed])] == ["reload x.service"]  # type: ignore[union-attr]

    @pytest.mark.parametrize("invocation", ["seven", "after a reboot"])
    def test_another_resource_is_loaded_until_something_else_is_expected_of_it(
        self, box: Sandbox, monkeypatch: pytest.MonkeyPatch, invocation: str
    ):
        unit = Unit("x.service", restart_on=(Package("redis", version="1"),))
        assert self.bring(box, unit).returncode == 0
        assert self.look_later(box, unit, monkeypatch, invocation=invocation) == unit.expected()
        newer = replace(unit, restart_on=(Package("redis", version="2"),))
        told = self.look_later(box, newer, monkeypatch, invocation=invocation)
        assert Change(newer, told, newer.expected()).keys == ("loaded package:redis",)
