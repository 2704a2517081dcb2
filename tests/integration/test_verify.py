"""`invoke verify` and `invoke status` on real hosts: what is well passes, and each kind of damage has its check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from booting import Boot, Clone
from releasing import edit, ship
from sites import HELLO, Project, Run, ask, new_project, sh

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
UNIT = 'hello@"$(basename "$(readlink /srv/hello/current)")".service'
SECRET = "a-secret-of-hello-4711"


@dataclass(frozen=True)
class Damage:
    """What somebody did to a host, the check that must fail then, and words that its message must hold."""

    done: str
    check: str
    told: str


STILL_SERVING = [
    Damage("chmod 755 /var/lib/barehost", "records of runs are for root alone", "mode 755"),
    Damage("rm /etc/sysctl.d/60-barehost.conf", "the queue survives a reboot", "is missing"),
    Damage(
        "sed -i s/SystemMaxUse/#/ /etc/systemd/journald.conf.d/60-barehost.conf",
        "the journal runs and its size is bounded",
        "sets no SystemMaxUse",
    ),
    Damage('sed -i "/$(hostname)/d" /etc/hosts', "its own name resolves", "does not resolve"),
    Damage("systemctl disable -q nginx", "nginx runs and starts at boot", "does not start at boot"),
    Damage(
        "echo 'server { listen 127.0.0.1:9; }' > /etc/nginx/sites-enabled/default",
        "the distributions default site is gone",
        "sites-enabled/default is there",
    ),
    Damage(
        "chown nobody /etc/nginx/mime.types",
        "nobody but root may write its configuration",
        "/etc/nginx/mime.types",
    ),
    Damage("usermod -s /bin/bash hello", "nobody can log in as the site", "/bin/bash"),
    Damage("gpasswd -d www-data hello", "nginx is in the sites group", "not in hello"),
    Damage("chmod 755 /srv/hello/shared", "its folders belong to whom they should", "/srv/hello/shared"),
    Damage("chmod g+w /srv/hello/current/release/hello.py", "the site cannot write its own code", "hello.py"),
    Damage(
        "chown root /srv/hello/shared/uploads && chmod 755 /srv/hello/shared/uploads",
        "the site may write its media",
        "/srv/hello/shared/uploads",
    ),
    Damage(
        "touch /srv/hello/shared/uploads/a && chmod 600 /srv/hello/shared/uploads/a",
        "nginx may read every upload",
        "uploads/a",
    ),
    Damage(f"systemctl disable -q {UNIT}", "it runs and starts at boot", "gone after a reboot"),
    Damage(
        "ln -s ../hello@99.service /etc/systemd/system/multi-user.target.wants/hello@99.service",
        "only one activation runs and is enabled",
        "hello@99.service",
    ),
    Damage(
        "echo >> /srv/hello/current/server/gunicorn.conf.py",
        "its process is younger than its configuration",
        "gunicorn",
    ),
    Damage(f"echo >> /etc/systemd/system/{UNIT}", "it runs the units it was activated with", "was changed"),
    Damage(
        "sed -i /^healthy/d /var/lib/barehost/apps/hello/*",
        "it was healthy when it was activated",
        "never seen",
    ),
    Damage(
        "chmod 777 /run/hello/*/app.sock /run/hello/*",
        "nobody else can connect to its socket",
        "any user",
    ),
    Damage("chmod 644 /srv/hello/current/env", "its environment file is for root alone", "644"),
    Damage(
        f"echo '# {SECRET}' > /etc/nginx/note", "no secret stands where others can read it", "a file of /etc"
    ),
    Damage(
        "sed -i 's/X-Real-IP .*/X-Real-IP $http_x_real_ip;/' /etc/nginx/conf.d/hello.conf",
        "the site is told the client and scheme by nginx alone",
        "X-Real-IP $remote_addr",
    ),
]
"""Each fails one check of its own, or drags along those of :data:`ALONG`."""

ALONG = {
    "its folders belong to whom they should",  # the uploads folder, too
    "nginx has loaded what lies on the disk",
    "it needs no daemon reload",
    "nginx needs no daemon reload",
    "nginx can connect to its socket",  # not in the site's group
}


@pytest.fixture(scope="module")
def machine(
    served: Served, session_bare: Boot, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """A provisioned host whose site has a secret, and a project that knows it."""
    image = served("bookworm")
    host = session_bare(image.suite, image=image.name)
    project = new_project(tmp_path_factory.mktemp("verify") / "project", state)
    project.serve(host, {"hello": HELLO | {"secrets": {"SECRET_KEY": SECRET}}})
    project.provision("--host", host.name)
    return Machine(host, project)


@dataclass(frozen=True)
class Machine:
    """A host, and the project that provisioned it."""

    host: StagingHost
    project: Project

    def verify(self, *words: str) -> Run:
        return self.project.run("verify", "--host", self.host.name, *words)

    def status(self) -> dict[str, object]:
        """The one site's row."""
        rows = self.project.run("status", "--host", self.host.name, "--json").events
        assert [one["event"] for one in rows] == ["row"], rows
        return rows[0]


def failed(run: Run) -> dict[str, str]:
    """The checks that failed, each with what was told of it."""
    blocks = run.out.split("  FAILED  ")[1:]
    return {block.partition(" (")[0]: block for block in blocks}


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_provisioned_host_passes_over_one_connection(
    suite: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    project.serve(host)
    sh(host, "journalctl --rotate --vacuum-time=1s -q")
    before, errors = everything(host), sh(host, "cat /var/log/nginx/hello.error.log")
    done = project.run("verify", "--host", host.name)
    assert (done.code, failed(done)) == (0, {}), done.said
    assert f"{host.name} hello: " in done.out
    logins = sh(host, "journalctl -q -o cat -t sshd -t sshd-session | grep -c 'Accepted publickey'")
    assert logins.strip() == "1"
    assert everything(host) == before, "verify changed the host"
    assert sh(host, "cat /var/log/nginx/hello.error.log") == errors, "its probes look like errors of the site"


def everything(host: StagingHost) -> str:
    """Every path where something of ours lies, with size, owner, mode and time; logs and sessions left out."""
    return sh(
        host,
        "find /etc /srv /var/www /usr /var/lib/barehost -path '*/sessions*' -prune -o "
        "-printf '%p %s %u %m %C@\\n' | sort",
    )


def test_a_run_says_one_line_a_host_and_site_and_lists_every_check_when_asked(machine: Machine) -> None:
    short, long = machine.verify(), machine.verify("-v")
    assert [line.partition(":")[0] for line in short.out.splitlines()] == [
        machine.host.name,
        f"{machine.host.name} hello",
    ]
    assert "  ok      the current release answers" in long.out


def test_static_files_are_served_with_gunicorn_stopped(machine: Machine) -> None:
    sh(machine.host, f"systemctl stop {UNIT}")
    try:
        assert ask(machine.host, "/static/app.css").status == 200
        assert ask(machine.host, "/").status == 502
        seen = failed(machine.verify())
        assert machine.status()["state"] == "stopped"
    finally:
        sh(machine.host, f"systemctl start {UNIT}")
    assert {
        "it runs and starts at boot",
        "the site is healthy",
        "nginx can connect to its socket",
    } <= seen.keys()
    assert "static files are served as they are in the release" not in seen
    assert machine.status()["state"] == "running"


def test_each_damage_fails_the_check_that_is_for_it(served: Served, clone: Clone, project: Project) -> None:
    host = clone(served("bookworm"))
    project.serve(host, {"hello": HELLO | {"secrets": {"SECRET_KEY": SECRET}}})
    for damage in STILL_SERVING:
        sh(host, damage.done)
    done = project.run("verify", "--host", host.name)
    seen = failed(done)
    assert done.code == 1
    assert SECRET not in done.said
    for damage in STILL_SERVING:
        assert damage.told in seen.get(damage.check, "it passed"), f"{damage.check}: {done.out}"
    assert seen.keys() - {damage.check for damage in STILL_SERVING} <= ALONG


def test_checks_of_the_project_run_too_and_replace_ours_of_the_same_name(machine: Machine) -> None:
    machine.project.write("pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    machine.project.write("tests/conftest.py", "raise RuntimeError('not for these')\n")
    mine = "tests/testinfra/test_mine.py"
    machine.project.write(
        mine,
        "def test_the_site_lives_where_it_should(host, site):\n"
        "    assert host.file(f'/srv/{site.name}').is_directory\n\n\n"
        "def test_sudo_becomes_the_user(host):\n"
        "    with host.sudo('nobody'):\n"
        "        assert host.check_output('id -un') == 'nobody'\n\n\n"
        "def test_what_cannot_be(host):\n"
        "    assert host.file('/no/such').exists, 'there is no /no/such'\n",
    )
    machine.project.write("tests/testinfra/test_base.py", "def test_ours_is_replaced(host):\n    pass\n")
    try:
        done = machine.project.run("verify", "--host", machine.host.name, "-v")
        broken = machine.project.write(mine, "def test_(:\n")
        unloadable = machine.verify()
    finally:
        for name in (mine, "tests/testinfra/test_base.py", "tests/conftest.py", "pytest.ini"):
            (machine.project.folder / name).unlink()
    assert done.code == 1
    assert failed(done).keys() == {"what cannot be"}
    assert "there is no /no/such" in done.out
    for sentence in (
        "the site lives where it should",
        "sudo becomes the user",
        "ours is replaced",
        "nginx is installed",
    ):
        assert f"  ok      {sentence}\n" in done.out
    assert "its own name resolves" not in done.out
    assert (unloadable.code, broken.name in unloadable.out) == (3, True), unloadable.said


def test_checks_of_roles_that_a_host_has_not_are_left_out(machine: Machine) -> None:
    machine.project.serve(
        machine.host, {"hello": HELLO | {"secrets": {"SECRET_KEY": SECRET}}}, roles=["base", "python"]
    )
    try:
        done = machine.verify("-v")
    finally:
        machine.project.serve(machine.host, {"hello": HELLO | {"secrets": {"SECRET_KEY": SECRET}}})
    assert done.code == 0, done.said
    assert "its own name resolves" in done.out
    assert "nginx is installed" not in done.out


def test_a_host_that_is_not_there_is_an_error_and_the_others_are_looked_at(machine: Machine) -> None:
    serving = {"apps": {"hello": HELLO | {"secrets": {"SECRET_KEY": SECRET}}}}
    gone = {"ansible_host": "127.0.0.1", "ansible_port": 9, **serving}
    machine.project.inventory({machine.host: serving, "gone": gone})
    try:
        verified = machine.verify("--host", "gone")
        status = machine.project.run("status", "--host", machine.host.name, "--host", "gone")
    finally:
        machine.project.inventory({machine.host: serving})
    assert (verified.code, status.code) == (4, 4)
    assert f"{machine.host.name} hello: " in verified.out
    assert "gone" in verified.err and "gone" in status.err
    assert "running" in status.out


@pytest.fixture
def apart(served: Served, clone: Clone, project: Project) -> Iterator[Machine]:
    """A provisioned host that a test may spoil."""
    host = clone(served("trixie"))
    project.serve(host)
    return Machine(host, project)


STATES = [
    ("systemctl kill -s KILL nginx; systemctl stop nginx", "running, not served: nginx is inactive"),
    ("echo >> /srv/hello/current/server/gunicorn.conf.py", "running, older than its configuration"),
    ("systemctl disable -q UNIT", "running, not started at boot"),
    (
        "systemctl start hello@99.service || true",
        "running, hello@99.service left over from an interrupted switch",
    ),
    ("systemctl stop UNIT", "stopped"),
]


def test_status_says_what_is_wrong(apart: Machine) -> None:
    sh(apart.host, "cp -a /srv/hello /tmp/hello")
    sh(apart.host, f"cd /etc/systemd/system && sed s,/%i/,/1/, {UNIT} > hello@99.service")
    assert apart.status()["state"] == "running"
    for done, state in STATES:
        sh(apart.host, done.replace("UNIT", UNIT))
        seen = apart.status()["state"]
        sh(
            apart.host,
            "systemctl stop hello@99; systemctl reset-failed; systemctl enable -q " + UNIT,
            ok=False,
        )
        sh(
            apart.host,
            "cp -a /tmp/hello/current/. /srv/hello/current/; systemctl start nginx; systemctl restart "
            + UNIT,
        )
        assert seen == state
    assert apart.status()["state"] == "running"


def test_status_names_what_the_inventory_does_not_and_what_was_never_deployed(apart: Machine) -> None:
    other = HELLO | {"server_names": ["other.example.com"]}
    apart.project.serve(apart.host, {"other": other})
    rows = apart.project.run("status", "--host", apart.host.name, "--json").events
    assert [(row["site"], row["state"]) for row in rows] == [
        ("other", "not deployed"),
        ("hello", "running, not in the inventory"),
    ]


def test_status_shouts_when_hosts_run_different_releases(
    served: Served, clone: Clone, project: Project
) -> None:
    hosts = [clone(served("bookworm")), clone(served("trixie"))]
    project.inventory({host: {"apps": {"hello": HELLO}} for host in hosts})
    edit(project, "# what one of them does not have")
    ship(project, "--host", hosts[0].name)
    done = project.run("status", "--host", hosts[0].name, "--host", hosts[1].name)
    assert done.code == 0
    assert "Attention: hello runs 2 releases at once: " in done.out
