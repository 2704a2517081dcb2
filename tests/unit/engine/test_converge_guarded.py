"""Changes that could lock people out: in an apply of their own, and kept only by a new login."""

from __future__ import annotations

from deploy.engine.apply import compile_plan
from deploy.engine.converge import Wishes, converge
from deploy.engine.events import Report, Result
from deploy.engine.plan import Plan
from deploy.errors import InputError, LockoutError
from deploy.inventory.hosts import Host
from deploy.resource import Change, Phase, Resource
from deploy.resources.path import Directory, File
from deploy.resources.unit import Unit
from tests.unit.fakes.fake import FakeHost, Thing


def run(reach: FakeHost, *things: Resource) -> Report:
    report, _ = converge(
        Host("web1"), [lambda host, facts: iter(things)], reach, Wishes("test"), lambda event: None
    )
    return report


def test_they_come_last_in_an_apply_of_their_own_and_are_confirmed() -> None:
    reach = FakeHost()
    risky = Thing("risky", at=Phase.FILES, guarded=True)
    report = run(reach, risky, Thing("plain"), Thing("unit", at=Phase.UNITS))
    assert report.outcome is Result.CHANGED
    assert [call for call in reach.calls if call != "look" and call != "room"] == [
        "apply plain unit",
        "apply risky",
        "confirm",
    ]
    assert report.changed == ("thing:plain", "thing:unit", "thing:risky")


def test_what_nobody_confirms_is_the_failure_of_the_run_with_a_code_of_its_own() -> None:
    reach = FakeHost(goes_back="port 22 did not answer")
    report = run(reach, Thing("risky", at=Phase.FILES, guarded=True))
    assert report.failure is not None
    assert report.failure.exit_code_of_run == LockoutError.exit_code
    assert report.failure.output == ("port 22 did not answer",)


def test_a_run_that_finds_a_change_armed_confirms_it_and_looks_again() -> None:
    reach = FakeHost(armed=True, unfinished="2026-11-23 09:00:00")
    assert run(reach, Thing("plain")).outcome is Result.CHANGED
    assert reach.calls.index("confirm") < reach.calls.index("apply plain")


def test_a_plan_only_shows_that_something_is_armed() -> None:
    reach = FakeHost(armed=True, unfinished="2026-11-23 09:00:00")
    report, _ = converge(
        Host("web1"), [lambda host, facts: iter(())], reach, Wishes("test", check=True), lambda event: None
    )
    assert report.plan and report.plan.unfinished
    assert "confirm" not in reach.calls


def test_what_has_no_old_state_to_go_back_to_cannot_be_guarded() -> None:
    reach = FakeHost()
    report = run(reach, Thing("built", at=Phase.BUILD, guarded=True))
    assert report.failure is not None and report.failure.exit_code_of_run == InputError.exit_code
    assert "confirm" not in reach.calls


def test_what_lets_people_in_is_guarded_by_itself() -> None:
    for path in ("/etc/ssh/sshd_config", "/etc/sudoers", "/etc/sudoers.d/deploy", "/etc/network/interfaces"):
        assert File(path, "x").locks_out, path
    assert not File("/etc/nginx/nginx.conf", "x").locks_out
    assert not Directory("/etc/ssh/sshd_config.d").locks_out
    assert File("/etc/own", "x", guarded=True).locks_out
    assert Unit("ssh.service", reload_on=(File("/etc/ssh/sshd_config", "x"),)).locks_out
    assert not Unit("nginx.service").locks_out


def test_the_old_state_is_armed_after_the_checks_and_before_anything_takes_its_place() -> None:
    file, unit = File("/etc/ssh/x", "new"), Unit("ssh.service", reload_on=(File("/etc/ssh/x", "new"),))
    plan = Plan("web1", (Change(file, None, file.expected()), Change(unit, None, unit.expected())))
    lines = compile_plan(plan, id="r", nonce="n", about="a", guarded=True).text.splitlines()
    order = [lines.index(word) for word in ("announce", "arm", "switch", "hold")]
    assert order == sorted(order)
    assert "commit" not in lines and "finish done" not in lines
