"""A plan as a program, run for real by sh: staged, checked, switched, proven; put back; killed anywhere, recovered."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from deploy.engine.apply import Program, compile_plan
from deploy.engine.declare import declared
from deploy.engine.plan import Plan, diff
from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Blob, Change, Check, Command, Phase, Put, Remove, Resource, Step, Symlink, Upload
from deploy.resources.package import Package
from deploy.resources.path import Directory, File, Link
from deploy.resources.unit import Unit
from deploy.shell import sh
from tests.unit.fakes.fake import Thing
from tests.unit.fakes.sandbox import NONCE, Sandbox, needs_root


def program(*changes: Change, id: str = "one", through: Phase = Phase.LEAVE, partly: bool = False) -> Program:
    plan = Plan("web1", changes)
    return compile_plan(plan, id=id, nonce=NONCE, about="ada@desk provision", through=through, partly=partly)


def create(resource: Resource) -> Change:
    return Change(resource, None, resource.expected())


def failing() -> Change:
    """A unit that does not come up: what is proven after the files took their places."""
    return create(Broken("broken", at=Phase.UNITS))


class Broken(Thing):
    """A Thing whose one step fails."""

    @classmethod
    def steps(cls, changes: object) -> Iterator[Step]:
        yield Command("start it", sh("echo it will not start; exit 3"))


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "box")


# What a program looks like


def test_what_is_planned_after_a_phase_is_left_out():
    early, late = Thing("early"), Thing("late", at=Phase.SWITCH)
    labels = [one.label for one in program(create(early), create(late), through=Phase.FILES).steps]
    assert labels == ["make thing:early"]


def test_a_step_names_its_resource_where_there_is_one():
    assert [one.resource for one in program(create(Thing("a"))).steps] == ["thing:a"]
    assert [one.resource for one in program(create(Thing("a")), create(Thing("b"))).steps] == [None, None]


def test_equal_contents_travel_once():
    same = [create(File(f"/etc/{name}", "same")) for name in "abc"]
    assert len(program(*same).blobs) == 1


def test_a_check_runs_once_however_many_files_ask_for_it():
    check = Check("nginx -t", sh("nginx -t -q"))
    files = [create(File(f"/etc/{name}", name, check=check)) for name in "ab"]
    assert [one.label for one in program(*files).steps] == ["check: nginx -t"]


def test_a_unit_file_brings_a_daemon_reload_before_the_units():
    unit = File("/etc/systemd/system/x.service", "[Service]")
    steps = program(create(unit), failing()).steps
    assert [one.label for one in steps] == ["systemctl daemon-reload", "start it"]


@pytest.mark.parametrize("where", ["early", "late"])
def test_a_file_outside_of_the_files_phase_is_a_mistake(where: str):
    class Odd(Thing):
        @classmethod
        def steps(cls, changes: object) -> Iterator[Step]:
            yield Remove("/etc/x")

    with pytest.raises(TypeError, match="Remove belongs into the files phase"):
        program(create(Odd("x", at=Phase.BUILD if where == "early" else Phase.LEAVE)))


def test_a_command_in_the_files_phase_is_a_mistake():
    with pytest.raises(TypeError, match="Command cannot be part of the files transaction"):
        program(create(Thing("x", at=Phase.FILES)))


def test_uploads_travel_beside_the_program():
    class Sent(Thing):
        @classmethod
        def steps(cls, changes: object) -> Iterator[Step]:
            yield Upload("tree", lambda: iter([b"x"]), 1, 1)

    assert [one.name for one in program(create(Sent("x"))).uploads] == ["tree"]


# What it does


@needs_root
class TestFiles:
    """A transaction of everything a file can become: new, changed, gone; links too."""

    OWNER = 65534

    @pytest.fixture
    def old(self, box: Sandbox) -> dict[str, object]:
        target = box.target
        (target / "changed").write_text("old")
        os.chown(target / "changed", self.OWNER, self.OWNER)
        (target / "changed").chmod(0o4710)
        (target / "removed").write_text("was here")
        (target / "removed").chmod(0o600)
        (target / "link").symlink_to("old-target")
        (target / "dangling").symlink_to("/nowhere")
        (target / "was-file").write_text("a file")
        return seen(target)

    def changes(self, target: Path) -> list[Change]:
        wanted: list[Resource] = [
            File(f"{target}/changed", "new", mode=0o640),
            File(f"{target}/created it's", "fresh"),
            File(f"{target}/deep/er/file", "below"),
            File(f"{target}/removed", state="absent"),
            Link(f"{target}/link", "new-target"),
            Link(f"{target}/dangling", state="absent"),
            Link(f"{target}/was-file", "now-a-link"),
        ]
        there = {"type": "file"}
        absent = [one for one in wanted if one.expected() is None]
        return [Change(one, there if one in absent else None, one.expected()) for one in wanted]

    @property
    def new(self) -> dict[str, object]:
        return {
            "changed": ("new", 0, 0o640),
            "created it's": ("fresh", 0, 0o644),
            "deep/er/file": ("below", 0, 0o644),
            "link": "-> new-target",
            "was-file": "-> now-a-link",
        }

    def test_everything_takes_its_place(self, box: Sandbox, old: object):
        code, events = box.run(program(*self.changes(box.target)))
        assert (code, events) == (0, ["switched", "committed", "finished done"])
        assert seen(box.target) == self.new
        assert box.left == []
        assert (box.box / "log").read_text().endswith("done ada@desk provision\n")

    def test_a_second_time_does_no_harm(self, box: Sandbox, old: object):
        box.run(program(*self.changes(box.target)))
        assert box.run(program(*self.changes(box.target), id="two"))[0] == 0
        assert seen(box.target) == self.new
        assert box.left == []

    def test_a_unit_that_fails_puts_everything_back(self, box: Sandbox, old: object):
        one = program(*self.changes(box.target), failing())
        code, events = box.run(one)
        assert (code, events) == (
            1,
            ["switched", "begin 0 start it", "end 0 3", "restored", "finished failed"],
        )
        assert "it will not start" in box.log_of(one)
        assert seen(box.target) == old
        assert box.left == []

    def test_a_refused_candidate_leaves_everything_as_it_was(self, box: Sandbox, old: object):
        first, *rest = self.changes(box.target)
        assert isinstance(first.resource, File)
        check = Check("no", sh("echo not like this; exit 9"))
        refused = structs.replace(first, resource=replace(first.resource, check=check))
        code, events = box.run(program(refused, *rest))
        assert (code, events) == (1, ["begin 0 check: no", "end 0 9", "finished failed"])
        assert seen(box.target) == old
        assert box.left == []

    def test_an_owner_that_does_not_exist_fails_before_anything_is_switched(self, box: Sandbox, old: object):
        wrong = create(File(f"{box.target}/x", "x", owner="nobody-of-that-name"))
        code, events = box.run(program(*self.changes(box.target), wrong))
        assert (code, events) == (1, ["finished failed"])
        assert seen(box.target) == old
        assert box.left == []

    @pytest.mark.parametrize("command", ["ln", "mv"])
    def test_one_file_that_cannot_be_kept_or_renamed_takes_all_back_though_the_others_could(
        self, box: Sandbox, old: object, command: str
    ):
        box.install(
            command,
            '#!/bin/sh\ncase "$*" in *-fPT*/changed" "*|*-fT*/changed)\n'
            '  [ -e "$BOX/once" ] || { : > "$BOX/once"; echo no; exit 1; } ;;\nesac\n'
            f'exec /usr/bin/{command} "$@"\n',
        )
        one = program(*self.changes(box.target))
        code, events = box.run(one)
        assert (code, events[-1]) == (1, "finished failed")
        assert "switched" not in events
        assert (box.box / "once").exists()
        assert seen(box.target) == old
        assert box.left == []

    def test_killed_at_every_command_it_is_all_old_or_all_new(self, box: Sandbox, old: dict[str, object]):
        box.count_commands()
        box.run(program(*self.changes(box.target)))
        assert seen(box.target) == self.new
        last, outcomes = box.counted, []
        for point in range(1, last + 1):
            self.reset(box, old)
            killed = program(*self.changes(box.target), id=f"kill-{point}")
            assert box.run(killed, kill_at=point)[0] == -9
            box.run(program(id=f"recover-{point}"))
            outcomes.append(seen(box.target))
            assert outcomes[-1] in (old, self.new), f"a mix after a kill at command {point} of {last}"
            assert box.left == [], f"left after a kill at command {point}"
        assert outcomes[0] == old
        assert outcomes[-1] == self.new
        turned = outcomes.index(self.new)
        assert all(one == self.new for one in outcomes[turned:]), "once committed it stays"

    def test_a_recovery_killed_at_every_command_is_repeated(self, box: Sandbox, old: dict[str, object]):
        box.count_commands()
        one = program(*self.changes(box.target))
        box.run(one)
        opened = next(point for point in range(box.counted, 0, -1) if self.is_open(box, old, one, point))
        some = opened - 3  # some are renamed, some are not yet
        self.is_open(box, old, one, some)
        box.run(program(id="whole"))
        for number in range(1, box.counted + 1):
            assert self.is_open(box, old, one, some)
            box.run(program(id=f"cut-{number}"), kill_at=number)
            box.run(program(id=f"again-{number}"))
            assert seen(box.target) == old, f"recovery cut at command {number}"
            assert box.left == []

    def is_open(self, box: Sandbox, old: dict[str, object], one: Program, point: int) -> bool:
        """From the old files again: run until ``point``; whether that left an open transaction."""
        shutil.rmtree(box.box / "lib" / "runs" / one.id)
        for name in ("undo", "sweep"):
            (box.box / "lib" / name).unlink(missing_ok=True)
        self.reset(box, old)
        box.run(one, kill_at=point)
        return (box.box / "lib" / "undo").exists()

    def test_an_undo_that_cannot_be_done_is_kept_with_the_old_files(
        self, box: Sandbox, old: dict[str, object]
    ):
        one = program(*self.changes(box.target), failing())
        box.install("mv", '#!/bin/sh\n[ ! -e "$BOX/stuck" ] || exit 1\nexec /usr/bin/mv "$@"\n')
        box.install("sleep", '#!/bin/sh\n: > "$BOX/stuck"\n')
        stuck = replace(one, steps=(structs.replace(one.steps[0], script=sh("sleep 0; exit 3")),))
        code, events = box.run(stuck)
        assert (code, events[-1]) == (1, "finished failed")
        assert "restored" not in events
        assert (box.box / "lib" / "undo").exists()
        (box.box / "stuck").unlink()
        assert "restored" in box.run(program(id="later"))[1]
        assert seen(box.target) == old
        assert box.left == []

    def test_a_service_that_does_not_reload_does_not_hold_up_the_undo(
        self, box: Sandbox, old: dict[str, object]
    ):
        changes = self.changes(box.target)
        watching = Unit("x.service", reload_on=(File(f"{box.target}/changed", "new", mode=0o640),))
        (box.box / "systemctl-fails").touch()
        code, events = box.run(program(*changes, create(watching)))
        assert code == 1
        assert "restored" in events
        assert "try-reload-or-restart -- x.service" in (box.box / "systemctl").read_text()
        assert seen(box.target) == old
        assert box.left == []

    def reset(self, box: Sandbox, old: dict[str, object]) -> None:
        """The target as it was before the first run."""
        for path in sorted(box.target.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, what in old.items():
            path = box.target / name
            if isinstance(what, str):
                path.symlink_to(what.removeprefix("-> "))
            else:
                text, owner, mode = what  # type: ignore[misc]
                path.write_text(text)
                os.chown(path, owner, owner)
                path.chmod(mode)


def seen(folder: Path) -> dict[str, object]:
    """Every file and link below: content, owner and mode, or target. Folders an apply made don't count."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            about = path.stat()
            found[name] = (path.read_text(), about.st_uid, about.st_mode & 0o7777)
    return found


@needs_root
def test_a_check_sees_the_whole_candidate_etc_and_nobody_else_does(box: Sandbox):
    etc = box.box / "etc"
    (etc / "old").mkdir(parents=True)
    (etc / "old" / "gone").touch()
    for name in ("passwd", "group"):
        (etc / name).write_bytes(Path("/etc", name).read_bytes())
    look = sh(
        "[ -e /etc/passwd ] && [ ! -e /etc/old/gone ] && grep -qx new /etc/fresh/new && [ -L /etc/link ]"
    )
    code, events = box.run(
        program(
            create(File("/etc/fresh/new", "new\n", check=Check("look", look))),
            create(Link("/etc/link", "passwd")),
            Change(File("/etc/old/gone", state="absent"), {"type": "file"}, None),
            create(File("/etc/more", "", check=Check("stop here", sh("exit 8")))),
        )
    )
    assert (code, events) == (
        1,
        ["begin 0 check: look", "end 0 0", "begin 1 check: stop here", "end 1 8", "finished failed"],
    )
    assert {str(path.relative_to(etc)) for path in etc.rglob("*") if not path.is_dir()} == {
        "passwd",
        "group",
        "old/gone",
    }


# Scopes: what fails by itself


class Proving(Thing):
    """A Thing whose step shows that its scope works."""

    @classmethod
    def steps(cls, changes: Sequence[Change]) -> Iterator[Step]:
        for change in changes:
            yield Command(f"prove {change.resource.id}", sh(":"), proves=True)


class TestScopes:
    """Two sites, a and b, and the host itself: what becomes of each where something of one fails."""

    @staticmethod
    def file(box: Sandbox, name: str, scope: str, text: str = "new", check: Check | None = None) -> Change:
        return Change(File(f"{box.target}/{name}", text, scope=scope, check=check), None, {"type": "file"})

    @staticmethod
    def files(box: Sandbox) -> set[str]:
        return {path.name for path in box.target.iterdir()}

    def everywhere(self, box: Sandbox) -> list[Change]:
        return [self.file(box, "host", ""), self.file(box, "a", "a"), self.file(box, "b", "b")]

    @needs_root
    def test_a_build_that_fails_ends_its_scope_before_its_files_and_the_others_go_on(self, box: Sandbox):
        one = program(
            create(Broken("x", scope="a")),
            create(Thing("y", scope="a")),
            create(Thing("z", scope="b")),
            *self.everywhere(box),
            create(Thing("late a", at=Phase.SWITCH, scope="a")),
            create(Thing("late b", at=Phase.SWITCH, scope="b")),
        )
        code, events = box.run(one)
        ran = [one.steps[int(event.split()[1])].label for event in events if event.startswith("begin")]
        assert ran == ["start it", "make thing:z", "make thing:late b"]
        assert (code, events[-1]) == (0, "finished partly")
        assert f"lost {one.scopes.index('a')}" in events
        assert self.files(box) == {"host", "b"}
        assert box.left == []
        assert " partly ada@desk" in (box.box / "log").read_text()

    @needs_root
    def test_of_a_run_that_has_lost_a_scope_before_the_log_never_ends_with_done(self, box: Sandbox):
        code, events = box.run(program(create(Thing("a")), partly=True))
        assert (code, events[-1]) == (0, "finished partly")
        assert " partly ada@desk" in (box.box / "log").read_text()

    @needs_root
    @pytest.mark.parametrize("proven", [False, True])
    def test_files_go_back_where_the_switch_of_their_scope_fails_and_stay_once_it_is_proven(
        self, box: Sandbox, proven: bool
    ):
        (box.target / "a").write_text("old")
        one = program(
            *self.everywhere(box),
            *([create(Proving("shown", at=Phase.SWITCH, scope="a"))] if proven else []),
            create(Broken("switch", at=Phase.SWITCH, scope="a")),
            create(Thing("switch b", at=Phase.SWITCH, scope="b")),
        )
        code, events = box.run(one)
        assert (code, events[-2:]) == (0, ["committed", "finished partly"])
        assert ("restored 1" in events) is not proven
        assert (box.target / "a").read_text() == ("new" if proven else "old")
        assert self.files(box) == {"host", "a", "b"}
        assert box.left == []

    @needs_root
    def test_what_had_loaded_files_that_went_back_loads_the_old(self, box: Sandbox):
        box.install(
            "systemctl",
            """#!/bin/sh
[ "$1" != show ] || exec printf 'ActiveState=active\nInvocationID=1\nMainPID=1\n'
echo "$@" >> "$BOX/systemctl"
""",
        )
        (box.target / "a").write_text("old")
        web = Unit("web.service", reload_on=(File(f"{box.target}/a", "new"), File(f"{box.target}/b", "new")))
        other = Unit("other.service", reload_on=(File(f"{box.target}/b", "new"),))
        one = program(
            *self.everywhere(box),
            *(
                Change(unit, {"active": "active", "enabled": "enabled"}, unit.expected())
                for unit in (web, other)
            ),
            create(Broken("switch", at=Phase.SWITCH, scope="a")),
        )
        assert box.run(one)[1][-1] == "finished partly"
        called = (box.box / "systemctl").read_text().splitlines()
        assert called == [
            "reload -- web.service",
            "reload -- other.service",
            "try-reload-or-restart -- web.service",
        ]
        loaded = {path.name: path.read_text() for path in (box.box / "lib/loaded").iterdir()}
        assert loaded.keys() == {"other.service"}, "what web.service was proven with no longer holds"

    @needs_root
    def test_of_a_scope_that_failed_a_service_is_recorded_to_have_loaded_what_lies_on_the_disk(
        self, box: Sandbox
    ):
        box.install(
            "systemctl",
            """#!/bin/sh
[ "$1" != show ] || exec printf 'ActiveState=active\nInvocationID=1\nMainPID=1\n'
""",
        )
        web = Unit("web.service", reload_on=(File(f"{box.target}/a", "new"), File(f"{box.target}/b", "new")))
        box.run(
            program(
                create(Broken("x", scope="a")),
                *self.everywhere(box),
                Change(web, {"active": "active", "enabled": "enabled"}, web.expected()),
            )
        )
        lines = (box.box / "lib/loaded/web.service").read_text().splitlines()
        new = hashlib.sha256(b"new").hexdigest()
        assert lines[1:] == [f"absent path:{box.target}/a", f"{new} path:{box.target}/b"]

    @needs_root
    def test_a_check_that_refuses_one_scopes_files_lets_the_others_take_their_places(self, box: Sandbox):
        etc = box.box / "etc"
        etc.mkdir()
        for name in ("passwd", "group"):
            (etc / name).write_bytes(Path("/etc", name).read_bytes())
        check = Check("no bad ones", sh("! grep -l bad /etc/*.conf"))
        changes = [
            create(File(f"/etc/{name or 'host'}.conf", text, scope=name, check=check))
            for name, text in (("", "good"), ("a", "bad"), ("b", "good"), ("c", "bad"))
        ]
        one = program(*changes)
        code, events = box.run(one)
        assert code == 0
        refused = ["begin 0 check: no bad ones", "end 0 1"]
        assert events == [*refused, "lost 1", *refused, "lost 3", "switched", "committed", "finished partly"]
        assert {path.name for path in etc.glob("*.conf")} == {"host.conf", "b.conf"}
        assert "/etc/a.conf" in box.log_of(one)

    @needs_root
    def test_where_the_hosts_own_files_are_refused_none_takes_its_place(self, box: Sandbox):
        check = Check("no", sh("echo not like this; exit 9"))
        code, events = box.run(program(self.file(box, "host", "", check=check), self.file(box, "a", "a")))
        assert (code, events) == (1, ["begin 0 check: no", "end 0 9", "finished failed"])
        assert self.files(box) == set()

    @needs_root
    def test_where_the_host_fails_what_is_proven_stays(self, box: Sandbox):
        code, events = box.run(
            program(
                *self.everywhere(box),
                create(Proving("shown", at=Phase.SWITCH, scope="a")),
                create(Thing("next", at=Phase.SWITCH, scope="b")),
                create(Broken("whole", at=Phase.LEAVE)),
            )
        )
        assert (code, events[-2:]) == (1, ["restored", "finished failed"])
        assert self.files(box) == {"host", "a"}
        assert box.left == []

    @needs_root
    def test_killed_at_every_command_each_scope_is_all_old_or_all_new(self, box: Sandbox):
        def one(id: str) -> Program:
            both = [self.file(box, f"{scope}{n}", scope) for scope in ("a", "b") for n in (1, 2)]
            proofs = [create(Proving(f"of {scope}", at=Phase.SWITCH, scope=scope)) for scope in ("a", "b")]
            return program(*both, *proofs, create(Broken("end", at=Phase.LEAVE, scope="b")), id=id)

        box.count_commands()
        box.run(one("whole"))
        assert self.files(box) == {"a1", "a2", "b1", "b2"}
        outcomes = []
        for point in range(1, box.counted + 1):
            for path in box.target.iterdir():
                path.unlink()
            assert box.run(one(f"kill-{point}"), kill_at=point)[0] == -9
            box.run(program(id=f"recover-{point}"))
            outcomes.append(frozenset(self.files(box)))
            assert box.left == [], f"left after a kill at command {point}"
        old, first, both = frozenset(), frozenset({"a1", "a2"}), frozenset({"a1", "a2", "b1", "b2"})
        assert list(dict.fromkeys(outcomes)) == [old, first, both]

    def test_what_two_scopes_need_is_the_hosts(self):
        def role(host: Host, facts: Facts) -> Iterator[Resource]:
            yield Thing("shared", scope="a")
            yield Thing("own", scope="a")
            yield Thing("shared", scope="b")

        found = {one.id: one.scope for one in declared([role], Host("web1"), Facts())}
        assert found == {"thing:shared": "", "thing:own": "a"}

    def test_packages_of_the_host_come_before_those_of_scopes(self):
        wanted = [
            Package("libx", scope="a"),
            Package("nginx"),
            Package("liby", scope="b"),
            Package("python3"),
        ]
        plan = diff("web1", wanted, {one.id: None for one in wanted})
        assert [change.resource.id for change in plan.changes] == [
            "package:nginx", "package:python3", "package:libx", "package:liby"
        ]  # fmt: skip
        assert [one.scope for one in program(*plan.changes).steps] == ["", "a", "b"]


@needs_root
def test_a_step_runs_as_it_was_promised_and_its_failure_ends_the_run(box: Sandbox):
    class Asking(Thing):
        @classmethod
        def steps(cls, changes: object) -> Iterator[Step]:
            yield Command(
                "ask",
                sh(
                    'echo "$(id -u) $(pwd) $(umask) $LC_ALL $HOME $DEBIAN_FRONTEND"\n'
                    '[ -d "$UPLOAD" ] && [ -d "$RUN" ] && ! read -r line && [ ! -e /proc/self/fd/9 ]'
                ),
            )
            yield Command("fail", sh("exit 4"))
            yield Command("never", sh("echo never"))

    one = program(create(Asking("x")))
    code, events = box.run(one)
    assert (code, events) == (1, ["begin 0 ask", "end 0 0", "begin 1 fail", "end 1 4", "finished failed"])
    assert "0 / 0022 C /root noninteractive" in box.log_of(one)


@needs_root
def test_a_step_that_takes_too_long_is_ended(box: Sandbox):
    one = program(create(Thing("x")))
    slow = replace(one, text=type(one.text)(one.text.replace("step 0 600", "step 0 1")))
    slow = replace(slow, steps=(structs.replace(one.steps[0], script=sh("sleep 30"), timeout=1),))
    assert box.run(slow) == (1, ["begin 0 make thing:x", "end 0 124", "finished failed"])


@needs_root
def test_a_host_that_another_run_holds_is_left_alone(box: Sandbox):
    import fcntl

    with (box.box / "run" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, events = box.run(program(create(Thing("x"))))
        assert (code, events[0].split()[0]) == (75, "locked")
    assert box.run(program(create(Thing("x")), id="two"))[0] == 0


@needs_root
def test_what_a_run_was_sent_does_not_stay(box: Sandbox):
    one = program(create(File(f"{box.target}/x", "secret words")))
    box.run(one)
    folder = box.box / "lib" / "runs" / one.id
    assert {path.name for path in folder.iterdir()}.isdisjoint({"blobs", "upload", "steps", "candidate"})
    assert not [path for path in folder.rglob("*") if path.is_file() and b"secret words" in path.read_bytes()]


@needs_root
def test_hostile_paths_and_targets_stay_what_they_are(box: Sandbox):
    names = ["-rf", "a b", "quo'te", "$(touch pwned)", "new\nline", "back\\slash", "*", "`id`", "ünïcode"]
    files = [create(File(f"{box.target}/{name}", name)) for name in names]
    links = [create(Link(f"{box.target}/to {name}", name)) for name in names]
    assert box.run(program(*files, *links))[0] == 0
    assert {path.name: path.read_text() for path in box.target.iterdir() if not path.is_symlink()} == {
        name: name for name in names
    }
    assert {str(path.readlink()) for path in box.target.iterdir() if path.is_symlink()} == set(names)
    for name in names:
        (box.target / name).write_text("edited")
    changed = [structs.replace(one, actual={"type": "file"}) for one in [*files, *links]]
    assert box.run(program(*changed, failing(), id="two"))[0] == 1
    assert {path.read_text() for path in box.target.iterdir() if not path.is_symlink()} == {"edited"}


def test_a_directory_in_the_place_of_a_file_is_refused_while_planning():
    file = File("/etc/x", "")
    plan = diff("web1", [file], {file.id: {"type": "directory"}})
    from deploy.errors import InputError

    with pytest.raises(InputError, match="/etc/x is a directory on the host where a file or link should be"):
        compile_plan(plan, id="x", nonce=NONCE, about="x")


def test_a_blob_can_come_from_a_file(tmp_path: Path, box: Sandbox):
    (tmp_path / "big").write_bytes(b"from a file")
    blob = replace(Blob.of(b"from a file"), data=None, source=tmp_path / "big")

    class Sourced(Thing):
        @classmethod
        def steps(cls, changes: object) -> Iterator[Step]:
            yield Put(f"{box.target}/x", blob, "root", "root", 0o644)
            yield Symlink(f"{box.target}/y", "x")

    one = program(create(Sourced("x", at=Phase.FILES)))
    assert (box.unpack(one) / "blobs" / blob.sha256).read_bytes() == b"from a file"


def test_a_folder_is_made_before_the_files():
    plan = diff(
        "web1",
        [File("/etc/x/y", "1"), Directory("/etc/x")],
        {"path:/etc/x/y": None, "path:/etc/x": None},
    )
    assert [change.resource.id for change in plan.changes] == ["path:/etc/x", "path:/etc/x/y"]


# Services: a transaction of its own, before what depends on them


def service(box: Sandbox, text: str = "new") -> Change:
    return create(File(f"{box.target}/service.conf", text, when=Phase.SERVICES))


def test_services_are_in_their_places_and_proven_before_anything_is_built(tmp_path: Path):
    made = program(
        create(File("/etc/site", "x")),
        create(Thing("build")),
        create(Unit("db.service", when=Phase.SERVICES)),
        create(File("/etc/db", "x", when=Phase.SERVICES)),
        create(Unit("web.service")),
    )
    lines = made.text.splitlines()
    labels = [one.label for one in made.steps]
    assert labels == [
        "start db.service",
        "enable db.service",
        "make thing:build",
        "start web.service",
        "enable web.service",
    ]
    order = [
        line for line in lines if line.startswith(("transaction ", "commit", "event services", "switch"))
    ]
    assert order[-7:] == [
        *("transaction services 0", "switch", "commit", "event services"),
        *("transaction files 0", "switch", "commit"),
    ]


@needs_root
class TestServices:
    def test_what_is_proven_stays_when_a_build_or_a_file_fails_later(self, box: Sandbox):
        (box.target / "service.conf").write_text("old")
        (box.target / "site").write_text("old")
        site = create(File(f"{box.target}/site", "new"))
        for number, broken in enumerate((create(Broken("build")), failing())):
            code, events = box.run(program(service(box), site, broken, id=f"one-{number}"))
            assert code == 1
            assert events[:3] == ["switched", "committed", "services"]
            assert (box.target / "service.conf").read_text() == "new"
            assert (box.target / "site").read_text() == "old"
            assert box.left == []

    def test_a_service_that_does_not_come_up_takes_its_files_back_and_nothing_is_built(self, box: Sandbox):
        (box.target / "service.conf").write_text("old")
        broken = replace(Broken("db"))
        broken.__dict__["when"] = Phase.SERVICES
        code, events = box.run(program(service(box), create(broken), create(Thing("build"))))
        assert (code, events) == (
            1,
            ["switched", "begin 0 start it", "end 0 3", "restored", "finished failed"],
        )
        assert (box.target / "service.conf").read_text() == "old"
        assert box.left == []

    def test_killed_at_every_command_each_transaction_is_all_old_or_all_new(self, box: Sandbox):
        def start() -> None:
            for name in ("service.conf", "service.more", "site", "site.more"):
                (box.target / name).write_text("old")

        changes = [
            create(File(f"{box.target}/{name}", "new", when=when))
            for when, names in (
                (Phase.SERVICES, ("service.conf", "service.more")),
                (None, ("site", "site.more")),
            )
            for name in names
        ]
        box.count_commands()
        start()
        box.run(program(*changes))
        last, outcomes = box.counted, []
        for point in range(1, last + 1):
            start()
            box.run(program(*changes, id=f"kill-{point}"), kill_at=point)
            box.run(program(id=f"recover-{point}"))
            texts = [
                {(box.target / name).read_text() for name in pair}
                for pair in (("service.conf", "service.more"), ("site", "site.more"))
            ]
            assert all(len(one) == 1 for one in texts), f"a mix after a kill at command {point} of {last}"
            outcomes.append("".join(text for one in texts for text in one))
            assert box.left == [], f"left after a kill at command {point}"
        assert list(dict.fromkeys(outcomes)) == ["oldold", "newold", "newnew"]

    def test_files_that_cannot_go_back_end_the_run_before_another_transaction_begins(self, box: Sandbox):
        (box.target / "service.conf").write_text("old")
        lost = replace(Broken("db"), scope="shop")
        lost.__dict__["when"] = Phase.SERVICES
        conf = File(f"{box.target}/service.conf", "new", when=Phase.SERVICES, scope="shop")
        box.install("mv", '#!/bin/sh\n[ ! -e "$BOX/stuck" ] || exit 1\nexec /usr/bin/mv "$@"\n')
        box.install("sleep", '#!/bin/sh\n: > "$BOX/stuck"\n')
        one = program(create(conf), create(lost), create(File(f"{box.target}/site", "new")))
        stuck = replace(one, steps=(structs.replace(one.steps[0], script=sh("sleep 0; exit 3")),))
        code, events = box.run(stuck)
        assert (code, events[-1]) == (1, "finished failed")
        assert (box.box / "lib" / "undo").exists(), "the next run tries again"
        assert not (box.target / "site").exists()
        (box.box / "stuck").unlink()
        box.run(program(id="later"))
        assert (box.target / "service.conf").read_text() == "old"
        assert box.left == []


@pytest.mark.parametrize("phase", [Phase.FILES, Phase.PACKAGES, Phase.SWITCH])
def test_only_what_can_come_earlier_may_be_a_service(phase: Phase):
    if phase is Phase.FILES:
        with pytest.raises(InputError, match=r"when= takes Phase\.SERVICES"):
            File("/etc/x", when=Phase.BUILD)
    else:
        with pytest.raises(InputError, match="PACKAGES"):
            Package("nginx", when=phase if phase is Phase.SWITCH else Phase.SERVICES)
