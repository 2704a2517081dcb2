"""What comes after what: edges that roles declare, the order they make, and what cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from deploy.engine.apply import compile_plan
from deploy.engine.converge import Wishes, converge
from deploy.engine.declare import declared
from deploy.engine.plan import Plan, diff, ordered
from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Change, Phase, Resource, Unknown
from deploy.resources.path import File
from deploy.resources.run import Run
from deploy.resources.unit import Unit
from tests.unit.fakes.fake import BARE, FakeHost, Thing
from tests.unit.fakes.sandbox import NONCE, Sandbox, needs_root

WEB1 = Host("web1")


def of(*resources: Resource) -> list[Resource]:
    def role(host: Host, facts: Facts) -> Iterator[Resource]:
        yield from resources

    return declared([role], WEB1, BARE)


def ids(*resources: Resource) -> list[str]:
    return [one.id for one in ordered(of(*resources))]


def test_a_command_after_a_file_runs_behind_the_files_and_before_the_unit_that_waits_for_it():
    conf = File("/etc/x.conf", "1")
    load = Run("load it", "load", unless="loaded", after=(conf,))
    unit = Unit("x.service", restart_on=(conf,), after=(load,))
    assert (Run("other", "x", unless="y").when, load.when, unit.when) == (
        Phase.BUILD,
        Phase.UNITS,
        Phase.UNITS,
    )
    assert ids(unit, load, conf) == ["path:/etc/x.conf", "run:load it", "unit:x.service"]


def test_a_unit_that_is_restarted_on_another_comes_after_it():
    first = Unit("a.service")
    assert ids(Unit("b.service", restart_on=(first,)), first) == ["unit:a.service", "unit:b.service"]


def test_without_edges_the_order_of_reading_stays():
    assert ids(Thing("b"), Thing("a"), Thing("c")) == ["thing:b", "thing:a", "thing:c"]


def test_edges_of_equal_declarations_add_up():
    first, second = Thing("first"), Thing("second")
    said = of(Thing("x", after=(first,)), Thing("x", after=(second,)), first, second)
    (found,) = [one for one in said if one.id == "thing:x"]
    assert {one.id for one in found.after} == {"thing:first", "thing:second"}


def test_a_circle_is_an_error_with_the_lines():
    one, two = Thing("one"), Thing("two")
    with pytest.raises(InputError) as caught:
        of(replace(one, after=(two,)), replace(two, after=(one,)))
    assert re.search(r"thing:one \(.*:\d+\) and thing:two \(.*:\d+\)", str(caught.value))


def test_what_nobody_declares_is_waited_for_in_vain():
    with pytest.raises(InputError, match="thing:two, which no role declares"):
        of(Thing("one", after=(Thing("two"),)))


def test_a_file_cannot_come_after_what_runs_when_files_are_in_their_places():
    unit = Unit("x.service")
    with pytest.raises(InputError, match=r"path:/etc/y .* comes after unit:x.service"):
        of(unit, File("/etc/y", "", after=(unit,)))


def test_what_builds_need_keeps_its_edges_among_itself():
    conf = File("/etc/db.conf", "1", when=Phase.SERVICES)
    load = Run("load it", "load", unless="loaded", after=(conf,), when=Phase.SERVICES)
    unit = Unit("db.service", restart_on=(conf,), after=(load,), when=Phase.SERVICES)
    assert (load.when, unit.when) == (Phase.SERVICES, Phase.SERVICES)
    assert ids(unit, load, conf) == ["path:/etc/db.conf", "run:load it", "unit:db.service"]
    with pytest.raises(InputError, match=r"path:/etc/z .* comes after unit:db.service"):
        of(unit, load, conf, File("/etc/z", "", when=Phase.SERVICES, after=(unit,)))
    assert [one.id for one in of(load, conf, replace(load))] == ["run:load it", "path:/etc/db.conf"]


def test_an_edge_that_only_one_of_two_declarations_has_is_no_difference():
    conf = File("/etc/x.conf", "1")
    load = Run("load it", "load", unless="loaded")
    assert ids(conf, load, replace(load, after=(conf,))) == ["path:/etc/x.conf", "run:load it"]


@needs_root
def test_a_command_after_a_file_that_fails_takes_the_file_back(tmp_path: Path):
    box = Sandbox(tmp_path / "box")
    conf = File(f"{box.target}/conf", "new")
    (box.target / "conf").write_text("old")
    load = Run("load it", f"grep -q new {box.target}/conf; exit 9", unless="false", after=(conf,))
    plan = Plan("web1", tuple(Change(one, None, one.expected()) for one in ordered(of(load, conf))))
    program = compile_plan(plan, id="one", nonce=NONCE, about="x")
    code, events = box.run(program)
    assert (code, events) == (1, ["switched", "begin 0 load it", "end 0 9", "restored", "finished failed"])
    assert (box.target / "conf").read_text() == "old"


def test_what_cannot_be_asked_before_a_unit_runs_is_known_after_it():
    database = Thing("database", at=Phase.UNITS)
    plan = diff("web1", [database], {database.id: Unknown("unit:db.service")})
    assert (plan.changes, [(one.what, one.until) for one in plan.deferred]) == (
        (),
        [("thing:database", "unit:db.service")],
    )


def test_a_stopped_service_is_started_and_then_asked():
    unit, database = Thing("db.service", at=Phase.UNITS), Thing("database", at=Phase.UNITS)

    class Stopped(FakeHost):
        def look(self, resources):  # type: ignore[no-untyped-def]
            seen = super().look(resources)
            if unit.id in self.states:
                return seen
            return structs.replace(seen, states={**seen.states, database.id: Unknown(unit.id)})

    host = Stopped()
    report, _ = converge(
        WEB1, [lambda host, facts: iter((database, unit))], host, Wishes("x"), lambda event: None, BARE
    )
    assert report.failures == ()
    assert report.changed == (unit.id, database.id)
    assert [call for call in host.calls if call.startswith("apply")] == ["apply db.service", "apply database"]
