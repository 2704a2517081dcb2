"""The face: options, exit codes, one sentence for each error; nothing heavy before a task needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke import Program

from deploy.engine.events import Failure, Report
from deploy.engine.plan import Plan
from deploy.errors import ApplyError, BarehostError, HostError, InputError
from deploy.fleet import run as fleet
from deploy.inventory.hosts import Host
from deploy.resource import Change
from deploy.resources.path import File
from deploy.tasks import common, namespace
from deploy.tasks.common import bare_words, password_once, task
from deploy.tasks.provision import exit_code
from tests.unit.fakes.sandbox import Sandbox, SandboxSession, needs_root

HEAVY = {"paramiko", "fabric", "jinja2", "msgspec", "rich", "pytest", "testinfra", "cryptography"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that we stand in."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("BAREHOST_STATE", raising=False)
    monkeypatch.delenv("BAREHOST_INVENTORY", raising=False)
    return folder


class Face:
    """Runs a command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["invoke", *words])
        code = 0
        try:
            Program(namespace=namespace, name="invoke", binary="invoke").run(["invoke", *words], exit=True)
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = self.capsys.readouterr()
        return code, told.out, told.err


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Face:
    return Face(monkeypatch, capsys)


def test_listing_tasks_imports_nothing_heavy(project: Path):
    script = "import sys, deploy.tasks; print(*(one for one in sys.modules if '.' not in one))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()


@pytest.mark.parametrize(("said", "kept"), [({}, True), ({"PYTHONDONTWRITEBYTECODE": "1"}, False)])
def test_what_a_command_compiles_is_kept_though_invoke_would_not(
    project: Path, tmp_path: Path, said: dict[str, str], kept: bool
):
    """A checkout that nobody compiled would be compiled by each command; who wants no bytecode gets none."""
    unset = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [Path(sys.executable).with_name("invoke"), "--list"],
        cwd=Path(__file__).parents[3],
        env=unset | {"PYTHONPYCACHEPREFIX": str(tmp_path / "cache")} | said,
        capture_output=True,
        check=True,
    )
    assert any((tmp_path / "cache").rglob("deploy/tasks/provision.*.pyc")) is kept


def test_every_task_says_what_it_does_in_one_line(invoke: Face):
    code, out, _ = invoke("--list")
    assert code == 0
    for name in namespace.task_names:
        assert name in out
    for name, made in namespace.tasks.items():
        assert (made.__doc__ or "").strip(), name


OPTIONS = {
    name: [one for one in namespace[name].get_arguments() if not one.positional]
    for name in namespace.task_names
}
"""Read once: Invoke hands out each option's text a single time."""


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_every_task_has_a_text(name: str):
    assert [one.name for one in OPTIONS[name] if not one.help] == []


def test_init_writes_a_project_that_loads(project: Path, invoke: Face):
    code, out, _ = invoke("init")
    assert (code, "inventory/hosts.yml" in out) == (0, True)
    assert {"tasks.py", "inventory", "roles", "templates", ".gitignore"} <= {
        path.name for path in project.iterdir()
    }
    (project / "shop").mkdir()
    code, out, err = invoke("hosts.list")
    assert (code, err) == (0, "")
    assert "web1" in out
    code, out, err = invoke("status")
    assert (code, err) == (0, ""), "a project that nobody has filled in yet has nothing that fails"
    assert "web1" in out


def test_init_overwrites_nothing(project: Path, invoke: Face):
    (project / "tasks.py").write_text("mine")
    code, out, err = invoke("init")
    assert (code, out) == (InputError.exit_code, "")
    assert err.startswith("error: ")
    assert "already has tasks.py" in err
    assert (project / "tasks.py").read_text() == "mine"
    assert invoke("init", "--folder", "other")[0] == 0


def test_without_an_inventory_it_is_one_sentence(project: Path, invoke: Face):
    code, _, err = invoke("plan")
    assert code == InputError.exit_code
    assert err.startswith("error: ")
    assert "Traceback" not in err


INVENTORY = """
all:
  hosts:
    web1: {ansible_host: 127.0.0.1, ansible_user: root, ansible_port: 9, roles: [tiny]}
    web2: {ansible_host: 127.0.0.1, ansible_user: root, ansible_port: 19, roles: [tiny]}
"""

ROLE = """
from deploy.resources.path import File

def tiny(host, facts):
    yield File(host.vars["where"] + "/x", "new\\n")
"""


@pytest.fixture
def hosts(project: Path) -> Path:
    (project / "tasks.py").write_text("from deploy.tasks import namespace\n")
    (project / "inventory").mkdir()
    (project / "inventory" / "hosts.yml").write_text(INVENTORY)
    (project / "roles").mkdir()
    (project / "roles" / "tiny.py").write_text(ROLE)
    return project


def test_hosts_that_cannot_be_reached_are_told_one_by_one(hosts: Path, invoke: Face):
    (hosts / "inventory" / "group_vars").mkdir()
    (hosts / "inventory" / "group_vars" / "all.yml").write_text("where: /nowhere\n")
    code, out, _ = invoke("provision")
    assert code == HostError.exit_code
    assert "web1" in out
    assert "web2" in out
    assert invoke("status", "--host", "web1")[0] == HostError.exit_code


def test_options_choose_hosts(hosts: Path, invoke: Face):
    assert "web2" not in invoke("hosts.list", "--host", "web1")[1]
    both = invoke("hosts.list", "--host", "web1", "--host", "web2")[1]
    assert "web1" in both
    assert "web2" in both
    other = hosts / "other.yml"
    other.write_text("all: {hosts: {db1: {ansible_host: 127.0.0.1}}}\n")
    assert "db1" in invoke("hosts.list", "--inventory", str(other))[1]
    code, _, err = invoke("hosts.list", "--host", "wbe1")
    assert code == InputError.exit_code
    assert "wbe1" in err


@pytest.mark.parametrize(
    "words",
    [
        ("hosts.list", "--host", ""),
        ("hosts.list", "--host="),
        ("hosts.list", "--host", " , "),
        ("hosts.list", "--host"),
        ("hosts.list", "--host", "--group", "all"),
        ("hosts.list", "--host", "web1", "--host"),
        ("hosts.list", "--group", ""),
        ("hosts.list", "--inventory", ""),
        ("hosts.list", ""),
        ("hosts.list", "web1", ""),
        ("logs", "--site", ""),
        ("rollback", "--to", ""),
        ("release", "--batch="),
        ("staging.down", ""),
        ("status", "hosts.list", "--host", ""),
    ],
    ids=" ".join,
)
def test_an_option_that_is_given_empty_chooses_nothing(hosts: Path, invoke: Face, words: tuple[str, ...]):
    """As `--host "$UNSET"` in a script: every host would be the most dangerous reading of it."""
    code, out, err = invoke(*words)
    assert (code, "web" in out) == (InputError.exit_code, False)
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_what_follows_two_dashes_may_be_empty(hosts: Path, invoke: Face):
    _, _, err = invoke("run", "--", "echo", "--host", "")
    assert "none of the chosen hosts has any site" in err


def test_an_empty_variable_does_not_choose_the_usual_inventory(
    hosts: Path, invoke: Face, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BAREHOST_INVENTORY", "")
    code, out, _ = invoke("hosts.list")
    assert (code, out) == (InputError.exit_code, "")


def test_keys_are_not_pinned_without_a_person_or_a_word(hosts: Path, invoke: Face):
    code, _, err = invoke("hosts.trust", "--host", "web1")
    assert code == HostError.exit_code
    assert "web1" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("maintenance", "maybe"), "maintenance is on or off, not 'maybe'"),
        (("maintenance", "on", "--site", "nothing"), "nothing"),
        (("logs", "--site", "nothing"), "nothing"),
        (("release", "--site", "nothing"), "nothing"),
        (("staging.ssh", "nowhere"), "nowhere is not up: run invoke staging.up nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_one_sentence(hosts: Path, invoke: Face, words: tuple[str, ...], says: str):
    code, _, err = invoke(*words)
    assert code not in (0, 1)
    assert says in err
    assert err.count("\n") == 1


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


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["staging.up", "a", "b"], ["a", "b"]),
        (["staging.up"], []),
        (["staging.up", "a", "--suite", "trixie"], ["a"]),
        (["staging.up", "a", "provision", "--host", "a"], ["a"]),
        (["plan", "staging.up", "a", "b", "hosts.list"], ["a", "b"]),
        (["staging.down", "a"], []),
        (["staging.up", "a", "--suite", "trixie", "--python", "b"], ["a", "b"]),
        (["staging.up", "--suite=trixie", "a", "--", "b"], ["a"]),
        (["staging.up", "--sweet", "a"], []),
        ([], []),
    ],
)
def test_bare_words_stand_anywhere_after_the_task(argv: list[str], words: list[str]):
    known = {"--suite": True, "--python": False, "--host": True}
    assert bare_words(argv, "up", known, namespace.task_names) == words


def test_hosts_may_be_bare_words_before_and_after_options(hosts: Path, invoke: Face):
    one = invoke("hosts.list", "web1")
    assert invoke("hosts.list", "--inventory", "inventory", "web1") == one
    assert invoke("hosts.list", "--inventory=inventory", "web1", "web2")[1].count("web2") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("provison",), "provision"),
        (("staging.upp",), "staging.up"),
        (("plan", "--hots", "web1"), "--host"),
        (("plan", "web1", "--inventry=x"), "--inventory"),
        (("plan", "--check", "web1"), "--check"),
        (("release", "web1", "--max-fail", "x"), "--max-fail"),
        (("history", "-n", "x"), "-n"),
        (("maintenance",), "state"),
        (("init", "shop"), "shop"),
        (("--hist",), "--hist"),
    ],
)
def test_a_slip_is_one_sentence_that_names_it_or_what_was_meant(
    hosts: Path, invoke: Face, words: tuple[str, ...], says: str
):
    code, out, err = invoke(*words)
    assert (code, out) == (3, ""), err
    assert says in err
    assert err.count("\n") == 1


class Broken(BarehostError):
    """An error with an exit code of its own."""

    exit_code = 77


@pytest.mark.parametrize(("ending", "code"), [(Broken("no good"), 77), (5, 5), (0, 0), (None, 0)])
def test_how_a_task_ends_is_the_exit_code(ending: Any, code: int, capsys: pytest.CaptureFixture[str]):
    @task()
    def ends(context: object) -> Any:
        if isinstance(ending, Exception):
            raise ending
        return ending

    from invoke import Context, Exit

    if code:
        with pytest.raises(Exit) as caught:
            ends(Context())
        assert caught.value.code == code
    else:
        ends(Context())
    assert capsys.readouterr().err == ("error: no good\n" if code == 77 else "")


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


def test_the_password_is_asked_once_for_all_hosts(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return "hunter2"

    monkeypatch.setattr("getpass.getpass", getpass)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ask = password_once()
    assert [ask("sudo on web1").reveal(), ask("sudo on web2").reveal()] == ["hunter2", "hunter2"]
    assert asked == ["sudo on web1: "]


def test_without_a_terminal_a_missing_password_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(HostError, match=r"sudo on web1: none given .* ansible_become_password"):
        password_once()("sudo on web1")


def test_the_state_folder_lies_in_the_project_wherever_one_stands_in_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "tasks.py").touch()
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    assert common.project() == project
    assert common.state() == project / ".barehost"
    monkeypatch.setenv("BAREHOST_STATE", "elsewhere")
    assert common.state() == project / "deep" / "elsewhere"


def test_the_console_script_knows_its_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from importlib.metadata import version

    from deploy import cli

    monkeypatch.setattr(sys, "argv", ["barehost", "--version"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out == f"Barehost {version('barehost')}\n"


@pytest.mark.parametrize("when", ["invoke", "deploy.tasks", "deploy.tasks.release"])
def test_an_interrupt_in_the_first_moments_is_no_traceback(project: Path, when: str):
    script = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {when!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from deploy.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""A locale whose encoding is ASCII, kept from becoming UTF-8."""


def test_every_file_is_utf8_in_whatever_locale(project: Path):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("barehost")
        command = [
            sys.executable,
            "-X",
            "warn_default_encoding",
            "-W",
            "error::EncodingWarning",
            program,
            *words,
        ]
        environment = os.environ | ASCII
        return subprocess.run(command, capture_output=True, env=environment, text=True, check=False)

    assert run("init").returncode == 0
    hosts = project / "inventory/hosts.yml"
    text = hosts.read_text(encoding="utf-8").replace("        web1:", "        web1:\n          place: Köln")
    hosts.write_text(f"# größer …\n{text}", encoding="utf-8")
    (project / "site/hello.py").write_text("# größer …\n", encoding="utf-8")
    for words, code in (
        (["hosts.list"], 0),
        (["--list"], 0),
        (["status"], 0),
        (["plan"], 4),
        (["plan", "wéb"], 3),
    ):
        done = run(*words)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, done.stdout + done.stderr


def test_an_answer_that_ends_instead_of_coming_is_one_sentence(
    hosts: Path, invoke: Face, monkeypatch: pytest.MonkeyPatch
):
    def ended(*_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    monkeypatch.setattr("getpass.getpass", ended)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(InputError, match="not answered"):
        common.answer("Are these the keys? ")
    with pytest.raises(HostError, match="not answered"):
        password_once()("sudo password of ada on web1")


def test_a_run_that_is_interrupted_ends_with_130_and_says_what_goes_on(project: Path):
    script = (
        "from deploy.tasks.common import task\nfrom invoke import Context\n"
        "@task()\ndef stop(context):\n    raise KeyboardInterrupt\nstop(Context())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "goes on there" in done.stdout
    assert os.environ.get("BAREHOST_STATE") is None
