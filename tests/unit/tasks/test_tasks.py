"""The face: options, exit codes, one sentence for each error; nothing heavy before a task needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.errors import HostError, InputError
from deploy.tasks import namespace
from tests.unit.fakes.face import Face

HEAVY = {"paramiko", "fabric", "jinja2", "msgspec", "rich", "pytest", "testinfra", "cryptography"}


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


def test_without_an_inventory_it_is_one_sentence(project: Path, invoke: Face):
    code, _, err = invoke("plan")
    assert code == InputError.exit_code
    assert err.startswith("error: ")
    assert "Traceback" not in err


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
