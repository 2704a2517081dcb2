"""The loop of one host, whole, over a host in a dictionary: what is asked of it, and what the report says."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import structs

from deploy.engine.converge import PASSES, Wishes, converge
from deploy.engine.declare import declared
from deploy.engine.events import Event, Failure, Note, Planned, Report
from deploy.engine.reach import Ending
from deploy.errors import ApplyError, HostError, InputError, LockedError, LookError, UnsettledError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Change, Deferred, Phase, Resource
from deploy.resources.path import File
from deploy.roles import Role
from deploy.shell import Secret
from tests.unit.fakes.fake import BARE, FakeHost, Thing

HOST = Host("web1")


def says(*resources: Resource) -> Role:
    """A role that yields these, whatever the facts."""

    def role(host: Host, facts: Facts) -> Iterator[Resource]:
        yield from resources

    return role


def python_first(host: Host, facts: Facts) -> Iterator[Resource]:
    """What needs Python waits for it."""
    yield Thing("python", at=Phase.PACKAGES)
    if facts.python is None:
        yield Deferred(what="the venv", until="package:python3")
        return
    yield Thing("venv", value=f"for {facts.python}")


def installs_python(facts: Facts) -> Facts:
    return structs.replace(facts, python="3.11.2")


class Run:
    """One run of the loop, and everything it told."""

    def __init__(self, host: FakeHost, *roles: Role, known: Facts | None = BARE, **wishes: Any) -> None:
        self.events: list[Event] = []
        host.calls.clear()
        self.report, self.facts = converge(
            HOST, roles, host, Wishes("ada@desk provision", **wishes), self.events.append, known
        )

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    @property
    def failure(self) -> Failure:
        assert self.report.failure is not None
        return self.report.failure


def test_a_second_run_only_looks():
    host, role = FakeHost(), says(Thing("a"), Thing("b"))
    assert Run(host, role).report.outcome == "changed"
    again = Run(host, role)
    assert host.calls == ["look"]
    assert (again.report.outcome, again.report.changed, again.report.passes) == ("unchanged", (), 1)


def test_the_first_run_applies_and_looks_again():
    run = Run(host := FakeHost(), says(Thing("a")))
    assert host.calls == ["look", "apply a", "look"]
    assert run.report.changed == ("thing:a",)
    assert run.report.passes == 2
    assert host.abouts == ["ada@desk provision"]


def test_drift_behind_its_back_is_seen_and_repaired():
    host, role = FakeHost(), says(Thing("a"), Thing("b"))
    Run(host, role)
    host.states["thing:b"] = {"value": "edited"}
    assert Run(host, role).report.changed == ("thing:b",)
    assert host.states["thing:b"] == {"value": "new"}


def test_what_should_not_be_there_goes():
    host = FakeHost({"thing:old": {"value": "x"}})
    assert Run(host, says(Thing("old", wanted=False))).report.changed == ("thing:old",)
    assert host.states == {}


def test_packages_are_applied_alone_and_the_rest_is_planned_anew():
    role = says(Thing("file", at=Phase.FILES), Thing("nginx", at=Phase.PACKAGES))
    run = Run(host := FakeHost(), role)
    assert host.calls == ["look", "apply nginx", "look", "apply file", "look"]
    assert run.report.changed == ("thing:nginx", "thing:file")


def test_what_an_install_brings_is_used_in_the_next_pass():
    host = FakeHost(brings={"thing:python": installs_python})
    run = Run(host, python_first)
    assert host.calls[:2] == ["look", "apply python"]
    assert run.report.changed == ("thing:python", "thing:venv")
    assert host.states["thing:venv"] == {"value": "for 3.11.2"}
    assert [one.what for one in run.told(Planned)[0].plan.deferred] == ["the venv"]
    assert run.facts.python == "3.11.2"


def test_known_facts_that_still_hold_cost_one_look():
    host = FakeHost(brings={"thing:python": installs_python})
    first = Run(host, python_first)
    Run(host, python_first, known=first.facts)
    assert host.calls == ["look"]


def test_unknown_facts_that_change_what_roles_say_cost_two_looks():
    host = FakeHost(brings={"thing:python": installs_python})
    Run(host, python_first)
    again = Run(host, python_first, known=None)
    assert host.calls == ["look", "look"]
    assert again.report.outcome == "unchanged"


def test_facts_that_changed_without_changing_what_roles_say_cost_one_look():
    host = FakeHost({"thing:a": {"value": "new"}}, facts=structs.replace(BARE, memory=4096))
    run = Run(host, says(Thing("a")))
    assert host.calls == ["look"]
    assert run.facts.memory == 4096


def switches(host: Host, facts: Facts) -> Iterator[Resource]:
    """What runs decides what the code could be copied from."""
    yield Thing("code", at=Phase.BUILD if facts.memory else Phase.FILES)
    yield Thing("switch", at=Phase.SWITCH)


def test_what_is_remembered_is_the_look_that_the_next_run_will_ask_for():
    host = FakeHost(
        brings={"thing:switch": lambda facts: structs.replace(facts, memory=64)},
        facts=structs.replace(BARE, memory=0),
    )
    Run(host, switches, known=host.facts)
    assert host.calls == ["look", "apply code switch", "look", "look"]


def test_roles_are_asked_once_while_the_facts_hold():
    asked = []

    def role(host: Host, facts: Facts) -> Iterator[Resource]:
        asked.append(facts)
        yield Thing("a")

    report, _ = converge(HOST, [role], FakeHost(), Wishes("x"), lambda event: None, BARE)
    assert report.outcome == "changed"
    assert asked == [BARE]


def test_what_does_not_settle_is_an_error_that_names_it_and_both_states():
    host = FakeHost({"thing:a": {"value": "old"}}, stubborn=frozenset({"thing:a"}))
    run = Run(host, says(Thing("a")))
    assert [call for call in host.calls if call != "look"] == ["apply a"] * PASSES
    assert run.failure.exit_code_of_run == UnsettledError.exit_code
    assert run.failure.message.startswith("web1: thing:a still differs after 3 passes")
    assert "value is 'old' and should be 'new'" in run.failure.message


def test_what_waits_for_something_that_never_comes_is_an_error():
    run = Run(FakeHost({"thing:python": {"value": "new"}}), python_first)
    assert run.failure.exit_code_of_run == UnsettledError.exit_code
    assert "the venv waits for package:python3" in run.failure.message


def test_different_declarations_of_one_thing_name_both_lines():
    def twice(host: Host, facts: Facts) -> Iterator[Resource]:
        yield Thing("a", "one")
        yield from inner()

    def inner() -> Iterator[Resource]:
        yield Thing("a", "two")

    with pytest.raises(InputError) as caught:
        declared([twice], HOST, BARE)
    first = twice.__code__.co_firstlineno + 1
    second = inner.__code__.co_firstlineno + 1
    assert re.search(
        rf"thing:a is declared twice .* test_converge.py:{first} and at test_converge.py:{second};",
        str(caught.value),
    )


def test_equal_declarations_of_one_thing_merge():
    assert declared([says(Thing("a")), says(Thing("a"), Thing("b"))], HOST, BARE) == [Thing("a"), Thing("b")]


def test_a_role_that_is_wrong_is_in_the_report_and_nothing_is_contacted():
    run = Run(host := FakeHost(), says(Thing("a", "one"), Thing("a", "two")))
    assert host.calls == []
    assert run.failure.exit_code_of_run == InputError.exit_code


def test_a_check_plans_and_never_applies():
    run = Run(host := FakeHost(), says(Thing("a"), Thing("p", at=Phase.PACKAGES)), check=True)
    assert host.calls == ["look"]
    assert host.states == {}
    assert run.report.outcome == "planned"
    assert run.report.plan is not None
    assert [change.resource.id for change in run.report.plan.changes] == ["thing:p", "thing:a"]


def test_a_run_can_end_at_a_phase_and_leaves_the_rest_as_it_is():
    host = FakeHost()
    role = says(Thing("tree", at=Phase.BUILD), Thing("switch", at=Phase.SWITCH))
    run = Run(host, role, through=Phase.BUILD)
    assert run.report.changed == ("thing:tree",)
    assert list(host.states) == ["thing:tree"]
    assert run.report.failure is None


def test_diffs_are_fetched_only_when_asked_for():
    page = File("/etc/page", "new\n")
    host = FakeHost({"path:/etc/page": {"type": "file", "content": "x"}}, files={"/etc/page": b"old\n"})
    Run(host, says(page), check=True)
    assert host.calls == ["look"]
    run = Run(host, says(page, File("/etc/fresh", "1\n")), check=True, diffs=True)
    assert host.calls == ["look", "fetch /etc/page"]
    (planned,) = run.told(Planned)
    assert [(one.path, one.old, one.new) for one in planned.diffs] == [
        ("/etc/page", "old\n", "new\n"),
        ("/etc/fresh", None, "1\n"),
    ]


def test_a_secret_file_is_neither_shown_nor_fetched():
    hidden = File("/etc/key", "hunter2", secret=True)
    host = FakeHost({"path:/etc/key": {"type": "file", "content": "x"}}, files={"/etc/key": b"hunter1"})
    run = Run(host, says(hidden), check=True, diffs=True)
    assert run.told(Planned)[0].diffs == ()
    assert host.calls == ["look"]
    assert "hunter" not in repr(run.events) + repr(run.report)


def test_a_failed_step_is_reported_with_what_changed_before_it():
    host = FakeHost(breaks_at="thing:b")
    run = Run(host, says(Thing("a"), Thing("b"), Thing("c")))
    assert host.calls == ["look", "apply a b c"]
    assert run.report.outcome == "failed"
    assert (run.failure.resource, run.failure.command) == ("thing:b", "make thing:b")
    assert (run.failure.exit_code, run.failure.output) == (7, ("no space left",))
    assert run.failure.exit_code_of_run == ApplyError.exit_code
    assert "only go forward" in (run.failure.stands or "")
    assert "thing:c" not in host.states


def test_what_was_changed_in_an_earlier_pass_is_in_the_report_of_a_failure():
    role = says(Thing("nginx", at=Phase.PACKAGES), Thing("tree"))
    run = Run(FakeHost(breaks_at="thing:tree"), role)
    assert run.report.changed == ("thing:nginx",)


@pytest.mark.parametrize("breaks", ["file", "unit"])
def test_files_are_put_back_when_they_or_their_units_fail(breaks: str):
    host = FakeHost({"thing:file": {"value": "old"}}, breaks_at=f"thing:{breaks}")
    run = Run(host, says(Thing("file", at=Phase.FILES), Thing("unit", at=Phase.UNITS)))
    assert "put back" in (run.failure.stands or "")
    assert host.states["thing:file"] == {"value": "old"}


def test_a_failed_run_goes_on_where_it_stopped_once_the_cause_is_mended():
    host, role = FakeHost(breaks_at="thing:b"), says(Thing("a"), Thing("b"))
    Run(host, role)
    host.breaks_at = None
    assert Run(host, role).report.changed == ("thing:b",)


def test_a_run_that_the_host_ended_says_so():
    run = Run(host := FakeHost(lost_at="thing:file"), says(Thing("file", at=Phase.FILES)))
    assert "ended by the host" in run.failure.message
    assert run.failure.output == ("Killed",)
    assert host.unfinished is not None


def test_an_unfinished_transaction_is_undone_even_where_nothing_else_differs():
    host = FakeHost({"thing:a": {"value": "new"}}, unfinished="2026-11-23 09:00:00")
    run = Run(host, says(Thing("a")))
    assert host.calls == ["look", "apply ", "look"]
    assert run.told(Planned)[0].plan.unfinished == "2026-11-23 09:00:00"
    assert run.report.failure is None


def test_a_run_that_is_under_way_is_followed_and_then_looked_at():
    host = FakeHost({"thing:a": {"value": "new"}}, under_way=["/var/lib/barehost/runs/7"])
    run = Run(host, says(Thing("a")))
    assert host.calls == ["look", "attach /var/lib/barehost/runs/7", "look"]
    assert "ada@desk provision" in run.told(Note)[0].text
    assert run.report.outcome == "unchanged"


def test_a_look_that_fails_is_the_hosts_failure_and_nothing_is_applied():
    class Blind(FakeHost):
        def look(self, resources: Any) -> Any:
            raise LookError("looking at paths failed with exit code 1: find: I/O error")

    run = Run(host := Blind(), says(Thing("a")))
    assert run.failure.exit_code_of_run == LookError.exit_code
    assert host.calls == []


def test_a_report_can_be_pickled_and_tells_what_it_cost():
    run = Run(FakeHost(), says(Thing("a"), File("/etc/x", "y")))
    again = pickle.loads(pickle.dumps(run.report))
    assert isinstance(again, Report)
    assert again == run.report
    assert (again.round_trips, again.passes) == (3, 2)
    assert again.seconds < 5


def test_what_a_secret_was_never_shows_in_the_events_of_a_whole_run():
    secret = Secret("correct horse battery staple")
    role = says(File("/etc/secret", secret.reveal(), secret=True))
    run = Run(FakeHost(), role, diffs=True)
    assert secret.reveal() not in repr(run.events) + repr(run.report)


# Another apply that is first


def test_an_apply_that_comes_a_moment_too_late_follows_the_one_that_was_first():
    run = Run(host := FakeHost(late=1), says(Thing("a")))
    assert host.calls == ["look", "apply a", "look", "attach theirs", "look"]
    assert (run.report.outcome, run.report.changed) == ("unchanged", ())
    assert "bob@desk provision holds the host since 2026" in [note.text for note in run.told(Note)]


def test_one_that_is_never_first_says_who_holds_the_host():
    run = Run(FakeHost(late=99, stubborn=frozenset({"thing:a"})), says(Thing("a")))
    assert run.failure.exit_code_of_run == LockedError.exit_code
    assert "bob@desk provision holds the host since 2026" in run.failure.message


# Scopes: what fails by itself


def sites(*names: str) -> Role:
    """A file of the host, and of each site something to build and a switch."""
    return says(
        Thing("host", at=Phase.FILES),
        *(Thing(f"code {name}", scope=name) for name in names),
        *(Thing(f"switch {name}", at=Phase.SWITCH, scope=name) for name in names),
    )


def test_a_scope_that_fails_is_left_out_from_then_on_and_the_rest_comes_about():
    host = FakeHost(breaks_at="thing:code a")
    run = Run(host, sites("a", "b"))
    assert run.report.outcome == "failed"
    assert [one.scope for one in run.report.failures] == ["a"]
    assert run.failure.exit_code_of_run == ApplyError.exit_code
    assert run.report.changed == ("thing:code b", "thing:host", "thing:switch b")
    assert host.states.keys() == {"thing:host", "thing:code b", "thing:switch b"}
    assert host.calls == ["look", "apply code a code b host switch a switch b", "look"]


def test_where_all_scopes_are_as_they_should_be_but_one_nothing_of_the_others_is_done_again():
    host, role = FakeHost(breaks_at="thing:switch a"), sites("a", "b")
    Run(host, role)
    again = Run(host, role)
    assert host.calls == ["look", "apply switch a", "look"]
    assert (again.report.outcome, again.report.changed) == ("failed", ())


def test_a_scope_that_does_not_settle_fails_by_itself():
    host = FakeHost(stubborn=frozenset({"thing:code a"}))
    run = Run(host, sites("a", "b"))
    assert [(one.scope, one.exit_code_of_run) for one in run.report.failures] == [
        ("a", UnsettledError.exit_code)
    ]
    assert host.states["thing:switch b"] == {"value": "new"}


def test_once_a_scope_was_lost_no_later_apply_of_the_run_is_logged_as_done():
    package, code = Thing("lacks", at=Phase.PACKAGES, scope="a"), Thing("code", scope="b")
    host = FakeHost(breaks_at=package.id)
    run = Run(host, says(package, code))
    assert run.report.changed == (code.id,)
    assert host.endings == [Ending.PARTLY, Ending.PARTLY]


def test_the_hosts_failure_comes_before_those_of_its_scopes():
    host = FakeHost(breaks_at="thing:host")
    run = Run(host, sites("a"))
    assert (run.failure.scope, run.report.changed) == (None, ())


def test_an_apply_that_lost_a_scope_is_not_a_pass_too_many():
    failing = [f"thing:code {name}" for name in "abcd"]
    host = FakeHost(breaks_at=failing[0])

    class Unlucky(FakeHost):
        def look(self, resources: Any) -> Any:
            self.breaks_at = failing.pop(0) if failing else None
            return super().look(resources)

    host = Unlucky(stubborn=frozenset({"thing:code b", "thing:code c", "thing:code d"}))
    run = Run(host, sites("a", "b", "c", "d", "e"))
    assert [one.exit_code_of_run for one in run.report.failures] == [ApplyError.exit_code] * 4


def test_a_run_about_a_part_of_a_host_forgets_no_answers() -> None:
    known = structs.replace(BARE, own={"kernel": "Linux"})
    assert Run(FakeHost(), says(Thing("a")), known=known).facts.own == {"kernel": "Linux"}


class Service(Thing):
    """What others cannot do without where it is absent; another value is only older."""

    def hinders(self, change: Change) -> str | None:
        return f"{self.name} is not there" if change.actual is None else None


CHECKED = frozenset({Phase.SERVICES})


def test_a_run_that_only_checks_services_changes_none_and_says_which_is_older():
    host = FakeHost({"thing:db": {"value": "older"}})
    run = Run(host, says(Service("db", at=Phase.SERVICES), Thing("code")), only_checked=CHECKED)
    assert run.report.changed == ("thing:code",)
    assert host.states["thing:db"] == {"value": "older"}
    assert any("thing:db" in note.text for note in run.told(Note))


def test_a_run_that_only_checks_services_ends_before_any_change_where_one_is_not_there():
    host = FakeHost()
    run = Run(host, says(Service("db", at=Phase.SERVICES), Thing("code")), only_checked=CHECKED)
    assert run.failure.resource == "thing:db"
    assert host.calls == ["look"]
    shop = Service("db", at=Phase.SERVICES, scope="shop")
    other = Run(
        host, says(shop, Thing("code", scope="shop"), Thing("other", scope="blog")), only_checked=CHECKED
    )
    assert other.failure.scope == "shop"
    assert host.states.keys() == {"thing:other"}


@dataclass(frozen=True)
class Alone(Thing):
    """A thing of which there may be one among all hosts."""

    def only_here(self, change: Change[Any]) -> tuple[str, ...]:
        return (self.name,)


@pytest.mark.parametrize("asked", [True, False])
def test_what_is_to_run_here_alone_ends_on_other_hosts_before_the_apply(asked: bool):
    host, seen = FakeHost(), []

    def elsewhere(one: Host, scope: str, names: Any) -> None:
        seen.append((one.name, scope, names, list(host.calls)))
        if not asked:
            raise HostError("web2 cannot be asked")

    run = Run(host, says(Alone("beat", scope="shop"), Thing("a")), elsewhere=elsewhere)
    assert seen == [("web1", "shop", ("beat",), ["look"])]
    assert ("thing:beat" in host.states) == asked
    if not asked:
        assert (run.failure.exit_code_of_run, run.failure.message) == (4, "web1: web2 cannot be asked")
    assert Run(host, says(Alone("beat", scope="shop")), elsewhere=elsewhere).report.changed == ()
    assert len(seen) == 1 if asked else len(seen) == 2
