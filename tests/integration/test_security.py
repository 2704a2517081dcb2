"""What a site brings never becomes root, nor another site: each line of docs/security.md attacked for real."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attacks import site, wheel
from booting import Clone
from sites import HELLO, Project, ask, sh

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]

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
    for files in (
        {"evil-1.0.data/scripts/python": script},
        {"evil-1.0.data/scripts/python3": script, "spy.pth": f"import os; exec({swap!r})\n"},
    ):
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
    for what, build in LINKS.items():
        app = site(project, "evil", static={"/static/": "static"}, build=[build])
        project.serve(host, {"hello": HELLO, "evil": app})
        done = project.run("provision")
        assert sh(host, "find /root/vault /etc/cron.d -printf '%p %m %u %s\\n' | sort") == before, what
        assert sh(host, "ls -A /srv/evil/assets; ls /srv/evil/current 2>/dev/null; true") == "", what
        if what == "the name that a compressed file gets at first":
            assert done.code == 7, done.said
        else:
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

    site(project, "evil", SWAP + "swap()\n")
    done = project.run("release", "--site", "evil")
    assert done.code == 7, done.said
    assert ask(host, name=name).release == release
    assert sh(host, "find /run/evil -maxdepth 1 -type l") == "", "what is a link is nobody's socket"
