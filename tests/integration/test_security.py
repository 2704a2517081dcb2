"""What a site brings never becomes root, nor another site: each line of docs/security.md attacked for real."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest
from attacks import site, wheel
from booting import Clone
from sites import HELLO, Project, ask, sh, until

from deploy.resource import Change
from deploy.resources.path import Directory
from deploy.shell import Command, quote
from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
Case = TypeVar("Case")

SPY = """import os
try:
    open(f'/var/tmp/ran-by-{os.getuid()}', 'w').close()
except OSError:
    pass
"""
"""Leaves a mark of whoever runs it, where every account of the host can write."""

RAN = "cd /var/tmp && ls -d ran-by-* 2>/dev/null; true"


@pytest.fixture(params=["bookworm", "trixie"])
def host(request: pytest.FixtureRequest, served: Served, clone: Clone) -> StagingHost:
    """A host that serves the example site, Debian 12 and 13."""
    return clone(served(request.param))


def turns(host: StagingHost, cases: Iterable[Case]) -> list[Case]:
    """Every second case on Debian 12, the others on 13: what they try is told apart by our own programs alone."""
    return list(cases)[0 if host.suite == "bookworm" else 1 :: 2]


def test_root_and_nginx_run_nothing_out_of_a_venv(host: StagingHost, project: Project) -> None:
    needs = wheel(
        project,
        "evil",
        {
            "spy.pth": f"import os; exec({SPY!r})\n",
            "sitecustomize.py": SPY,
            "evil-1.0.data/data/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = true\n",
        },
    )
    apps = {"hello": HELLO, "evil": site(project, "evil", requirements=needs)}
    project.serve(host, apps)
    project.provision()
    assert ask(host, name="evil.example.com").status == 200
    assert sh(host, RAN) == "", "a package ran outside of its build and its site"
    project.run("verify")
    project.run("restart", "--site", "evil")
    assert sh(host, RAN) == ""


def test_a_package_that_replaces_the_interpreter_is_run_by_nobody(
    host: StagingHost, project: Project
) -> None:
    script = '#!/bin/sh\ntouch /var/tmp/ran-by-$(id -u)\nexec /usr/bin/python3 "$@"\n'
    swap = (
        "import os, sys\n"
        "b = os.path.join(sys.prefix, 'bin', 'python')\n"
        "if os.access(os.path.dirname(b), os.W_OK):\n"
        f"    os.remove(b); open(b, 'w').write({script!r}); os.chmod(b, 0o755)\n"
    )
    scripts = {"evil-1.0.data/scripts/python": script}
    later = {"evil-1.0.data/scripts/python3": script, "spy.pth": f"import os; exec({swap!r})\n"}
    for files in turns(host, (scripts, later)):
        needs = wheel(project, "evil", files)
        project.serve(host, {"hello": HELLO, "evil": site(project, "evil", requirements=needs)})
        done = project.run("provision")
        assert sh(host, RAN) == "", done.said
        assert done.code == 7, done.said
        assert "bin/python" in done.said


LINKS = {
    "the name that a compressed file gets at first": "ln -s /etc/cron.d/pwned static/x.css.gz.barehost",
    "the name of a compressed file": "ln -s /etc/cron.d/pwned static/x.css.gz",
    "a link to a file of root's": "ln -s /etc/shadow static/shadow.txt",
    "a link to a folder of root's": "ln -s /root/vault static/vault",
    "the folder itself": "rm -rf static && ln -s /root/vault static",
    "a chain of links that ends outside": "ln -s . static/up && ln -s up/../../../../root/vault static/vault",
    "a link to the code of another site": "ln -s /srv/hello/current/release static/hello",
}


def test_no_link_leads_out_of_a_folder_that_nginx_serves(host: StagingHost, project: Project) -> None:
    sh(
        host,
        "mkdir -m 700 /root/vault && umask 077 && seq 2000 > /root/vault/a.1a2b3c4d.css; chmod 700 /root",
    )
    before = sh(host, "find /root/vault /etc/cron.d -printf '%p %m %u %s\\n' | sort")
    project.write("evil/static/x.css", "a {}\n" * 1000)
    for what, build in turns(host, LINKS.items()):
        app = site(project, "evil", static={"/static/": "static"}, build=[build])
        project.serve(host, {"hello": HELLO, "evil": app})
        done = project.run("provision")
        assert sh(host, "find /root/vault /etc/cron.d -printf '%p %m %u %s\\n' | sort") == before, what
        assert sh(host, "ls -A /srv/evil/assets; ls /srv/evil/current 2>/dev/null; true") == "", what
        assert done.code == 7, done.said
        assert "leads out of" in done.said, done.said


SWAP = """
def swap():
    import glob
    here = os.environ['RUNTIME_DIRECTORY']
    other = max(glob.glob('/run/hello/[0-9]*'))
    os.symlink(other if other.endswith('.sock') else other + '/app.sock', here + '/link')
    os.rename(here + '/link', here + '/app.sock')
    return os.readlink(here + '/app.sock')
PAGES['/swap'] = swap
"""
"""Puts a link to the socket of the site ``hello`` in the place of its own."""


def test_a_site_that_swaps_its_socket_is_not_served_as_another(host: StagingHost, project: Project) -> None:
    apps = {"hello": HELLO, "evil": site(project, "evil", SWAP)}
    project.serve(host, apps)
    project.provision()
    name = "evil.example.com"
    release = ask(host, name=name).release
    assert ask(host, "/swap", name=name).text.startswith("/run/hello/")
    for _ in range(5):
        assert ask(host, name=name).release == release, "a request for one site reached another"
    assert ask(host).release != release
    sh(host, "systemctl kill -s KILL 'evil@*'")
    until(lambda: ask(host, name=name).release == release, what="a restarted instance got no name of its own")

    # As it starts: whoever is first, Nginx opens a socket of the site's own, or the release fails.
    site(project, "evil", SWAP + "swap()\n")
    done = project.run("release", "--site", "evil")
    assert done.code in (0, 7), done.said
    served = ask(host, name=name).release
    assert (served == release) == (done.code == 7), done.said
    assert f"{served}\n" in sh(host, "ls /var/lib/barehost/apps/evil")
    assert sh(host, "find /run/evil -maxdepth 1 -type l") == "", "what is a link is nobody's socket"


COMMANDS = {
    "build": [
        "echo home=$HOME; ls -A $HOME; cat $HOME/.evilrc 2>/dev/null; touch $HOME/.evilrc; id -un",
        "ls -A $HOME; echo $TOKEN; printf %s $TOKEN | base64; echo $TOKEN | sed 's/-/-\\n/'",
        "(trap '' TERM HUP; while sleep 0.2; do touch late.txt; done) & sleep 1",
    ],
    "migrate": [
        "echo home=$HOME; cat $HOME/.evilrc 2>/dev/null; echo $TOKEN >&2; touch $BAREHOST_SHARED/migrated"
    ],
}
TOKEN = "hunter2-4711-s3cret"


def test_a_build_reads_nothing_that_a_site_could_write_and_leaves_nothing_running(
    host: StagingHost, project: Project
) -> None:
    sh(host, "install -d -o hello -g hello -m 750 /srv/evil /srv/evil/shared; chown root: /srv/evil")
    sh(host, "echo dotfile-of-a-site > /srv/evil/shared/.evilrc; chmod 644 /srv/evil/shared/.evilrc")
    app = site(project, "evil", secrets={"TOKEN": TOKEN}, **COMMANDS)
    project.serve(host, {"hello": HELLO, "evil": app})
    done = project.provision("-v")
    assert "dotfile-of-a-site" not in done.said
    assert "home=/srv/evil/shared" not in done.said
    assert ".evilrc" in done.said, "HOME is the same for all commands of a build"
    assert sh(host, "ls /srv/evil/shared") == "migrated\n"
    assert sh(host, "pgrep -u evil -f late.txt; find /var/cache/barehost/home -mindepth 1; true") == ""
    assert sh(host, "find /srv/evil/releases ! -user root") == ""

    logs = "find /var/lib/barehost/runs -name log -exec cat {} +"
    assert "home=/var/cache/barehost/home/evil" in sh(host, logs)
    assert "***" in sh(host, logs)
    for spelled in (TOKEN, "s3cret", "aHVudGVyMi00NzEx"):
        assert spelled not in sh(host, f"{logs}; cat /var/log/barehost.log; journalctl --no-pager -o cat")


def test_a_package_reads_nothing_that_another_sites_package_left(host: StagingHost, project: Project) -> None:
    spread = (
        "import os, subprocess, sys\n"
        "cache = os.environ.get('PIP_CACHE_DIR')\n"
        "if cache:\n"
        "    for top in (cache, '/var/cache', '/var/tmp', '/tmp', '/dev/shm', '/srv', os.environ['HOME']):\n"
        "        for folder, _, _ in os.walk(top):\n"
        "            try: open(os.path.join(folder, 'left-by-NAME'), 'w').close()\n"
        "            except OSError: pass\n"
        "    subprocess.Popen(['sh', '-c', 'trap \"\" TERM HUP; exec sleep 86407'], start_new_session=True)\n"
    )
    seen = (
        "import os\n"
        "if os.environ.get('PIP_CACHE_DIR'):\n"
        "    tops = (os.environ['PIP_CACHE_DIR'], '/var/cache', '/var/tmp', '/tmp', '/dev/shm', os.environ['HOME'])\n"
        "    names = [os.path.join(a, c) for top in tops for a, _, b in os.walk(top) for c in b]\n"
        "    found = [name for name in names if 'left-by-evil' in name]\n"
        "    pids = [pid for pid in os.listdir('/proc') if pid.isdigit()]\n"
        "    running = [pid for pid in pids if b'86407' in open(f'/proc/{pid}/cmdline', 'rb').read()]\n"
        "    open(os.path.join(sys.prefix, 'seen'), 'a').write(repr(found + running) + chr(10))\n"
    )
    apps = {"hello": HELLO}
    for name, code in (("evil", spread.replace("NAME", "evil")), ("good", seen)):
        needs = wheel(project, name, {"x.pth": f"import sys; exec({code!r})\n"})
        apps[name] = site(project, name, requirements=needs)
        project.serve(host, apps)
        project.provision()
    assert set(sh(host, "cat /srv/good/venvs/*/seen").splitlines()) == {"[]"}
    left = sh(host, "find / -xdev -name 'left-by-*' ! -path '/proc/*' ! -path '/srv/evil/*'").splitlines()
    assert all(path.startswith("/var/cache/barehost/pip/") for path in left), left
    assert len({path.split("/")[5] for path in left}) == 1, "one site's build wrote to another's cache"
    assert sh(host, "pgrep -f 'sleep 8640[7]'; find /srv/good -name 'left-by-*'; true") == ""


TRIES = """
def tries():
    import glob, signal, socket
    def write(path):
        open(path, 'w').close()
    def connect(path):
        socket.socket(socket.AF_UNIX).connect(path)
    def memory(pid):
        open(f'/proc/{pid}/mem', 'r+b').read(1)
    other = max(glob.glob('/run/hello/[0-9]*.sock'))
    about = open('/srv/evil/shared/pids').read().split()
    tried = {
        'its own release': lambda: write('/srv/evil/current/release/evil.py'),
        'its own packages': lambda: write(glob.glob('/srv/evil/current/venv/lib/*/site-packages')[0] + '/x.pth'),
        'its own configuration': lambda: write('/srv/evil/current/server/gunicorn.conf.py'),
        'its own environment file': lambda: open('/srv/evil/current/env').read(),
        'its unit': lambda: write('/etc/systemd/system/x.service'),
        'the name that Nginx opens': lambda: os.unlink(other.replace('hello', 'evil')),
        'the folder of that name': lambda: write('/run/evil/x'),
        'the pool of assets': lambda: write('/srv/evil/assets/x'),
        'the HOME of its builds': lambda: os.makedirs('/var/cache/barehost/home/evil/x'),
        'the cache of its builds': lambda: os.listdir(glob.glob('/var/cache/barehost/pip/*')[0]),
        'the code of another site': lambda: os.listdir('/srv/hello/releases'),
        'the data of another site': lambda: os.listdir('/srv/hello/shared'),
        'the activations of another site': lambda: os.listdir('/srv/hello/activations'),
        'the socket of another site': lambda: connect(other),
        'the process of another site': lambda: os.kill(int(about[0]), 0),
        'a command of its own account': lambda: os.listdir(f'/proc/{about[1]}/root/'),
        'the memory of that command': lambda: memory(about[1]),
        'the records of releases': lambda: os.listdir('/var/lib/barehost'),
        'the locks of runs': lambda: write('/run/barehost/lock'),
        'the logs of Nginx': lambda: os.listdir('/var/log/nginx'),
        'another account': lambda: os.setuid(0),
    }
    done = []
    for what, attempt in tried.items():
        try:
            attempt()
        except OSError:
            continue
        done.append(what)
    return ', '.join(done) or 'nothing'
PAGES['/tries'] = tries
"""


def test_a_running_site_reaches_nothing_but_its_own_data(host: StagingHost, project: Project) -> None:
    project.serve(host, {"hello": HELLO, "evil": site(project, "evil", TRIES)})
    project.provision()
    pids = (
        "systemd-run -q --unit=barehost-step-x -p User=evil -p PrivateUsers=yes sleep 600; "
        "show='systemctl show --value -p MainPID'; "
        'echo "$($show "hello@$(readlink /srv/hello/current | cut -d/ -f2)") $($show barehost-step-x)" '
        "> /srv/evil/shared/pids"
    )
    sh(host, pids)
    assert ask(host, "/tries", name="evil.example.com").text == "nothing"
    assert sh(host, "systemctl is-active barehost-step-x") == "active\n"
    project.provision()  # root does nothing to a path of the site while a command of it may still run
    project.run("restart", "--site", "evil")
    assert sh(host, "systemctl is-active barehost-step-x", ok=False).strip() != "active"


def test_media_that_are_swapped_for_a_link_lead_root_nowhere(host: StagingHost, project: Project) -> None:
    swap = (
        "import ctypes, os\n"
        "os.chdir('/srv/hello/shared')\n"
        "os.mkdir('pictures')\nos.symlink('/etc/ssl', 'link')\n"
        "exchange = ctypes.CDLL(None).renameat2\n"
        "while True:\n    exchange(-100, b'pictures', -100, b'link', 2)\n"
    )
    (step,) = Directory.steps(
        [
            Change(one, None, one.expected())
            for one in (Directory("/srv/hello/shared/pictures", "hello", "hello", 0o750),)
        ]
    )
    assert isinstance(step, Command)
    before = sh(host, "stat -c '%a %U %G' /etc/ssl")
    sh(host, f"systemd-run -q --unit=swap -p User=hello /usr/bin/python3 -c {quote(swap)}")
    until(lambda: sh(host, "readlink /srv/hello/shared/pictures; true"), what="nothing was swapped")
    sh(host, f"for n in $(seq 60); do sh -c {quote(str(step.script))}; done; true", timeout=240)
    assert sh(host, "systemctl is-active swap") == "active\n"
    assert sh(host, "stat -c '%a %U %G' /etc/ssl") == before
