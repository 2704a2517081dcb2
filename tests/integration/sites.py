"""A project of a user's own and a visitor of its sites, for tests that run the real command line. Mocks nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy import staging
from deploy.staging import StagingHost

CHECKOUT = Path(__file__).resolve().parents[2]
INVOKE = Path(sys.executable).with_name("invoke")
NAME = "hello.example.com"

HELLO: dict[str, Any] = {
    "source": "site",
    "wsgi": "hello:app",
    "server_names": [NAME],
    "static": {"/static/": "static"},
    "media": {"/media/": "uploads"},
    "env": {"LOG_LEVEL": "info", "MEDIA_ROOT": "/srv/hello/shared/uploads"},
    "health": {"path": "/healthz", "timeout": 20},
}
"""The example site as an inventory has it."""


@dataclass(frozen=True)
class Run:
    """How one command ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def events(self) -> list[dict[str, Any]]:
        """What ``--json`` printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    def report(self, host: str | None = None) -> dict[str, Any]:
        """How the run of one host ended, by its ``finished`` event; ``host`` None: the only one."""
        found = [
            event
            for event in self.events
            if event["event"] == "finished" and (host is None or event["host"] == host)
        ]
        assert len(found) == 1, self.out + self.err
        return found[0]

    @property
    def said(self) -> str:
        """Everything that was printed."""
        return self.out + self.err


STARTED: list[subprocess.Popen[str]] = []
"""Commands that tests have started; what still runs when its test is over is ended then."""


OF_HOSTS = (
    *("provision", "plan", "release", "rollback", "restart", "maintenance", "run"),
    *("releases", "history", "status", "logs", "verify"),
)
"""Tasks that are about all hosts of the inventory where none is named."""


@dataclass
class Project:
    """A folder with an inventory, as a user has one; commands run in it, each in a process of its own.

    environment: what the commands find besides the state folder and an empty home. hosts: those of the inventory;
    runs are kept to them, for staging adds all hosts that are up, other tests' among them.
    """

    folder: Path
    state: Path
    environment: dict[str, str] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        """A file of the project, with the folders above it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def serve(self, host: StagingHost | str, apps: Mapping[str, Any] | None = None, **variables: Any) -> None:
        """Let the inventory say that ``host`` serves ``apps`` (None: the example site)."""
        self.inventory({host: {"apps": dict({"hello": HELLO} if apps is None else apps), **variables}})

    def inventory(self, hosts: Mapping[StagingHost | str, Mapping[str, Any]]) -> None:
        """Write the inventory: variables by host."""
        named = {
            one if isinstance(one, str) else one.name: dict(variables) for one, variables in hosts.items()
        }
        self.hosts = list(named)
        self.write("inventory/hosts.yml", yaml.safe_dump({"all": {"hosts": named}}, sort_keys=False))

    def role(self, name: str, body: str) -> None:
        """A role of the project's own that yields what ``body`` says."""
        self.write(
            f"roles/{name}.py",
            "from deploy.resources.path import Directory, File, Template\n"
            "from deploy.resources.run import Run\n"
            "from deploy.resources.package import Package\n"
            "from deploy.resources.unit import Unit\n\n\n"
            f"def {name}(host, facts):\n    {body}\n",
        )

    def environ(self) -> dict[str, str]:
        """The environment of a user without key, agent or ssh_config of their own."""
        home = self.folder / ".home"
        home.mkdir(exist_ok=True)
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in ("SSH_AUTH_SOCK", "BAREHOST_INVENTORY", "NO_COLOR", "COLUMNS")
        }
        return (
            kept | {"HOME": str(home), "BAREHOST_STATE": str(self.state), "TERM": "dumb"} | self.environment
        )

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """A command that runs while the test goes on."""
        if words[0] in OF_HOSTS and "--host" not in words and self.hosts:
            end = words.index("--") if "--" in words else len(words)
            words = (*words[:end], "--host", ",".join(self.hosts), *words[end:])
        process = subprocess.Popen(
            [str(INVOKE), *words],
            cwd=self.folder,
            env=self.environ(),
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )
        STARTED.append(process)
        return process

    def run(self, *words: str, timeout: float = 240) -> Run:
        """A command from its start to its end."""
        began = time.monotonic()
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return Run(process.returncode, out, err, time.monotonic() - began)

    def provision(self, *words: str) -> Run:
        """`invoke provision` that must succeed."""
        done = self.run("provision", *words)
        assert done.code == 0, done.said
        return done

    def fails(self, *words: str, code: int) -> Run:
        """`invoke provision` that must fail with this exit code, and never with a traceback."""
        done = self.run("provision", *words)
        assert done.code == code, done.said
        assert "Traceback" not in done.said, done.said
        return done

    def settled(self, *words: str) -> None:
        """`invoke plan` finds nothing to do."""
        done = self.run("plan", "--diff", *words)
        assert done.code == 0, done.said


@dataclass(frozen=True)
class Answer:
    """What a visitor got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def release(self) -> str | None:
        """The release that answered, as its header says."""
        return self.headers.get("X-Release") or self.headers.get("x-release")


def ask(
    host: StagingHost,
    path: str = "/",
    *,
    name: str = NAME,
    port: int = 80,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request over a connection of its own; raises what http.client and socket raise."""
    connection = http.client.HTTPConnection(host.address, port, timeout=10)
    try:
        connection.request(method, path, body, {"Host": name, "Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def until(true: Callable[[], Any], seconds: float = 60, what: str = "it did not come about") -> Any:
    """Wait until something has come about, and give back what it was.

    seconds: as much as a busy machine may need; only a test that fails takes them.
    """
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


def answers(host: StagingHost, status: int = 200, **where: Any) -> bool:
    """Whether the site answers with this status; nobody listening is no answer. where: as :func:`ask` has it."""
    try:
        return ask(host, **where).status == status
    except (OSError, http.client.HTTPException):
        return False


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """The next line of a running command's output that holds ``text``, as soon as it is printed."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        if text in line:
            return line
        seen.append(line)
    raise AssertionError(f"the command ended and had not printed {text!r}: {''.join(seen)}")


def end_started() -> None:
    """End and bury what :meth:`Project.start` has started; its pipes are closed."""
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        with contextlib.suppress(ValueError):  # a test may have closed its pipes itself
            process.communicate()


@contextlib.contextmanager
def visitors(host: StagingHost, path: str = "/healthz", *, name: str = NAME) -> Iterator[list[str]]:
    """Two who ask all the time, each time over a new connection; yields the list of what went wrong.

    Of a lost request it tells when it was begun, how far it came, what the other visitor met meanwhile, and the
    longest time for which this process itself stood still: a machine that is halted looks like a silent site.
    """
    over, wrong, asked = threading.Event(), [], [0, 0]
    stood = 0.0

    def visit(number: int) -> None:
        while not over.is_set():
            began, others, far = time.time(), asked[1 - number], "connecting"
            try:
                connection = http.client.HTTPConnection(host.address, 80, timeout=10)
                with contextlib.closing(connection):
                    connection.connect()
                    far = f"connected from port {connection.sock.getsockname()[1]}"
                    connection.request("GET", path, headers={"Host": name, "Connection": "close"})
                    answer = connection.getresponse()
                    far = f"answered {answer.status}"
                    answer.read()
                    problem = "" if answer.status == 200 else far
            except (OSError, http.client.HTTPException) as error:
                problem = f"{far}, then {error!r}"
            if problem:
                wrong.append(
                    f"begun at {began:.2f}: {problem} after {time.time() - began:.2f} s; the other visitor had "
                    f"{asked[1 - number] - others} answers meanwhile; this process stood still for {stood:.2f} s"
                )
            asked[number] += 1
            time.sleep(0.01)

    def tick() -> None:
        nonlocal stood
        while not over.is_set():
            began = time.monotonic()
            time.sleep(0.05)
            stood = max(stood, time.monotonic() - began - 0.05)

    threads = [threading.Thread(target=visit, args=(0,)), threading.Thread(target=visit, args=(1,))]
    threads.append(threading.Thread(target=tick))
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert sum(asked) > 20, f"only {asked} requests were made"


def sh(host: StagingHost, script: str, *, timeout: float = 60, ok: bool = True) -> str:
    """A script run in the host as root behind everybody's back; what it printed, both streams."""
    done = staging.inside(host.name, "sh", "-c", script, timeout=timeout)
    assert not ok or done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def leftovers(host: StagingHost) -> str:
    """Staged files, kept old ones, and open transactions on the host: nothing, after a run that ended."""
    return sh(host, LEFTOVERS)


LEFTOVERS = """
find /etc /srv /var/www /usr/local -name '.barehost-*'
ls -d /var/lib/barehost/undo /var/lib/barehost/sweep 2>/dev/null; true
"""


def new_project(folder: Path, state: Path) -> Project:
    """A project with the example site in the folder ``site``, and no inventory yet."""
    shutil.copytree(
        CHECKOUT / "examples/hello", folder / "site", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(CHECKOUT / "deploy/scaffold/tasks.py", folder)
    return Project(folder, state)
