"""Sites of every kind on one host: Django, two at once, from git, from wheels; changed, hidden, orphaned, leaving."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from booting import Clone
from sites import CHECKOUT, HELLO, Project, ask, leftovers, sh, visitors

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]
SECRET = "very-s3cret-value'with\"quotes-4711"

SHOWING = """import os
def app(environ, start):
    start('200 OK', [('Content-Type', 'text/plain')])
    return [os.environ.get(environ['PATH_INFO'].strip('/'), 'unset').encode()]
"""
"""A site without requirements that shows any variable of its environment."""


@pytest.fixture
def host(served: Served, clone: Clone) -> StagingHost:
    """A host that serves the example site, as one run left it."""
    return clone(served("bookworm"))


# Other kinds of source


def django(project: Project) -> None:
    """A Django site: its own settings, a page that writes and reads its database, the admin's static files."""
    project.write("shop/requirements.txt", "django>=4.2,<6\n")
    project.write(
        "shop/manage.py",
        "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'\n"
        "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
    )
    project.write("shop/shop/__init__.py", "")
    project.write(
        "shop/shop/settings.py",
        "import os\nfrom pathlib import Path\nBASE = Path(__file__).resolve().parents[1]\n"
        "SECRET_KEY = os.environ['SECRET_KEY']\nALLOWED_HOSTS = ['django.example.com']\nROOT_URLCONF = 'shop.urls'\n"
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'django.contrib.sessions',\n"
        "    'django.contrib.messages', 'django.contrib.admin', 'django.contrib.staticfiles']\n"
        "MIDDLEWARE = ['django.contrib.sessions.middleware.SessionMiddleware']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.environ['DATABASE']}}\n"
        "STATIC_URL = '/static/'\nSTATIC_ROOT = BASE / 'collected'\n"
        "DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n"
        "SILENCED_SYSTEM_CHECKS = ['admin.E403', 'admin.E408', 'admin.E409']  # only its static files are served\n",
    )
    project.write(
        "shop/shop/urls.py",
        "from django.contrib.sessions.models import Session\nfrom django.http import HttpResponse\n"
        "from django.urls import path\n"
        "def visit(request):\n    request.session['seen'] = True\n    request.session.save()\n"
        "    return HttpResponse(f'{Session.objects.count()} visits over {request.scheme} to {request.get_host()}')\n"
        "urlpatterns = [path('', visit)]\n",
    )
    project.write(
        "shop/shop/wsgi.py",
        "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'\n"
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    )


DJANGO = {
    "source": "shop",
    "wsgi": "shop.wsgi:application",
    "server_names": ["django.example.com"],
    "static": {"/static/": "collected"},
    "env": {"DATABASE": "/srv/shop/shared/db.sqlite3"},
    "secrets": {"SECRET_KEY": SECRET},
    "build": ["python manage.py collectstatic --noinput"],
    "migrate": ["python manage.py migrate --noinput"],
}


def test_a_django_site_is_built_migrated_and_served_beside_a_flask_one(
    host: StagingHost, project: Project
) -> None:
    django(project)
    project.serve(host, {"hello": HELLO, "shop": DJANGO})
    done = project.provision("-vv", "--diff")
    assert SECRET not in done.said
    page = ask(host, name="django.example.com")
    assert page.status == 200
    assert page.text.endswith(" visits over http to django.example.com")
    before = int(page.text.split()[0])
    assert ask(host, "/static/admin/css/base.css", name="django.example.com").status == 200
    assert ask(host, "/healthz").text == "ok\n"
    assert "hello" in ask(host).text.lower()
    sh(host, "systemctl stop 'shop@*'")
    assert ask(host, "/static/admin/css/base.css", name="django.example.com").status == 200
    project.provision()
    assert int(ask(host, name="django.example.com").text.split()[0]) > before, "the database was not kept"
    project.settled()


def test_wheels_are_pushed_to_a_host_that_reaches_no_index(
    host: StagingHost, project: Project, tmp_path: Path
) -> None:
    sh(
        host,
        "for n in /sys/class/net/*; do n=${n##*/}; [ $n = lo ] || ip route del default dev $n || :; done",
    )
    sh(host, "rm -f /etc/pip.conf /root/.config/pip/pip.conf; echo > /etc/resolv.conf")
    project.write("offline/requirements.txt", "itsdangerous==2.2.0\n")
    project.write("offline/offline.py", f"import itsdangerous\n{SHOWING}")
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary=:all:",
         "--python-version=3.11", "-d", str(project.folder / "wheels"), "itsdangerous==2.2.0", "gunicorn"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert fetched.returncode == 0, fetched.stderr
    site = {
        "source": "offline",
        "wsgi": "offline:app",
        "wheels": "wheels",
        "server_names": ["off.example.com"],
    }
    project.serve(host, {"hello": HELLO, "offline": site})
    project.provision()
    assert ask(host, name="off.example.com").status == 200
    project.settled()


def test_a_git_source_is_served_at_its_ref(host: StagingHost, project: Project) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(project.folder / "code"), *words],
            check=True,
            capture_output=True,
        )

    project.write("code/page.py", SHOWING.replace("'unset'", "'one'"))
    git("init", "-q", "-b", "main")
    git("add", "page.py")
    git("commit", "-q", "-m", "one")
    git("tag", "v1")
    project.write("code/page.py", SHOWING.replace("'unset'", "'two'"))
    git("commit", "-q", "-a", "-m", "two")
    site = {
        "source": f"file://{project.folder}/code",
        "ref": "v1",
        "wsgi": "page:app",
        "requirements": None,
        "server_names": ["git.example.com"],
    }
    project.serve(host, {"hello": HELLO, "page": site})
    project.provision()
    assert ask(host, "/nothing", name="git.example.com").text == "one"
    project.settled()
    project.serve(host, {"hello": HELLO, "page": {**site, "ref": "v9"}})
    refused = project.run("provision")
    assert refused.code == 3
    assert "has no branch, tag or commit 'v9'" in refused.said


# What changes


def test_a_changed_environment_and_secret_reach_the_site_without_a_lost_request_and_are_seen_nowhere(
    host: StagingHost, project: Project
) -> None:
    project.write("show/show.py", SHOWING)
    site = {"source": "show", "wsgi": "show:app", "requirements": None, "server_names": ["show.example.com"]}
    project.serve(
        host, {"hello": HELLO, "show": {**site, "env": {"A": "1"}, "secrets": {"KEY": "a" + SECRET}}}
    )
    project.provision()
    assert ask(host, "/KEY", name="show.example.com").text == "a" + SECRET

    project.serve(
        host, {"hello": HELLO, "show": {**site, "env": {"A": "2"}, "secrets": {"KEY": "b" + SECRET}}}
    )
    with visitors(host, name="show.example.com") as wrong:
        told = project.run("plan", "-vv", "--diff").said
        told += project.provision("-vv", "--diff").said
    assert wrong == []
    assert ask(host, "/A", name="show.example.com").text == "2"
    assert ask(host, "/KEY", name="show.example.com").text == "b" + SECRET
    project.serve(
        host, {"hello": HELLO, "show": {**site, "env": {"A": "3"}, "secrets": {"KEY": "c" + SECRET}}}
    )
    told += project.provision("-vv", "--diff", "--json").out
    for form in (SECRET, json.dumps(SECRET)[1:-1], "s3cret-value"):
        assert form not in told
    assert shown(host, "s3cret-value") == []
    project.settled()


def shown(host: StagingHost, text: str) -> list[str]:
    """Where on the host ``text`` can be read that is not the site's own environment, root's alone."""
    found = sh(
        host,
        "journalctl -q --no-pager | grep -q -F s3cret-value && echo journal\n"
        "for one in /proc/[0-9]*; do [ ${one#/proc/} = $$ ] && continue\n"
        "  tr '\\0' ' ' 2>/dev/null < $one/cmdline | grep -v grep | grep -q -F s3cret-value && echo $one; done\n"
        "grep -rlIF s3cret-value /etc /run /tmp /var /srv /root 2>/dev/null\n"
        "true".replace("s3cret-value", text),
    ).split()
    return [one for one in found if not own_environment(host, one)]


def own_environment(host: StagingHost, path: str) -> bool:
    """Whether this is an activation's environment that only root reads."""
    if not path.startswith("/srv/show/activations/") or not path.endswith("/env"):
        return False
    return sh(host, f"stat -c '%a %U %G' {path}").strip() == "600 root root"


def test_a_site_the_inventory_forgot_is_shown_and_left_alone(host: StagingHost, project: Project) -> None:
    project.write("other/other.py", SHOWING)
    other = {"source": "other", "wsgi": "other:app", "requirements": None, "server_names": ["x.example.com"]}
    project.serve(host, {"hello": HELLO, "other": other})
    project.provision()
    project.serve(host, {"hello": HELLO})
    planned = project.run("plan")
    assert "other is on the host but not in the inventory; left alone" in planned.out
    project.provision()
    assert ask(host, name="x.example.com").status == 200
    assert ask(host).status == 200


def test_a_site_that_leaves_keeps_its_shared_data_until_it_is_purged(
    host: StagingHost, project: Project
) -> None:
    sh(host, "echo kept > /srv/hello/shared/uploads/note.txt")
    sh(
        host, "cp /var/log/nginx/hello.access.log /var/log/nginx/hello.access.log.1"
    )  # as logrotate leaves them
    project.serve(host, {"hello": {"state": "absent"}})
    planned = project.run("plan")
    assert planned.code == 2
    project.provision()
    with pytest.raises(OSError):  # an unknown name gets no answer
        ask(host)
    left = sh(
        host,
        "ls -A /srv/hello; ls /etc/systemd/system /etc/systemd/system/*.wants /etc/nginx/conf.d /run | grep hello; "
        "systemctl list-units --all --plain --no-legend 'hello*'; ls /var/lib/barehost/apps /var/lib/barehost/trees",
        ok=False,
    )
    assert left.split() == ["shared", "/var/lib/barehost/apps:", "/var/lib/barehost/trees:"]
    assert sh(host, "cat /srv/hello/shared/uploads/note.txt; id -un hello") == "kept\nhello\n"
    assert "hello.access.log.1" in sh(host, "ls /var/log/nginx")
    assert leftovers(host) == ""
    project.settled()

    project.serve(host)
    project.provision()
    assert ask(host, "/media/note.txt").text == "kept\n"
    project.serve(host, {"hello": {"state": "absent"}})
    project.provision("--purge")
    assert sh(host, "ls -d /srv/hello; id hello; getent group hello", ok=False).count("no such") >= 1
    assert "kept" not in sh(host, "cat /srv/hello/shared/uploads/note.txt", ok=False)
    assert sh(host, "ls /var/log/nginx | grep hello", ok=False) == "", "what visitors asked for is data, too"
    project.settled()
    assert project.provision("--purge", "--json").report()["outcome"] == "unchanged"


# TLS


CERTIFICATE = {"certificate": "/etc/ssl/site.pem", "key": "/etc/ssl/site.key"}


def certified(host: StagingHost) -> None:
    """A certificate of its own on the host."""
    sh(
        host,
        "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=site -keyout /etc/ssl/site.key "
        "-out /etc/ssl/site.pem 2>/dev/null && chmod 600 /etc/ssl/site.key",
    )


def over_tls(host: StagingHost, name: str) -> int | None:
    """The status of / over TLS, the name in the handshake where it is none of an address; None: no answer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host.address, 443), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as secure:
                secure.sendall(f"GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                head = secure.makefile("rb").readline().split()
                return int(head[1]) if head else None
        except (ssl.SSLError, ConnectionResetError):
            return None


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_site_with_an_address_among_its_names_is_served_over_tls(
    suite: str, served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    certified(host)
    names = ["hello.example.com", host.address]
    project.serve(host, {"hello": HELLO | {"server_names": names, "tls": CERTIFICATE, "env": {"TRY": "1"}}})
    project.provision()
    for name in names:
        assert over_tls(host, name) == 200
        assert ask(host, "/healthz", name=name).status in (301, 308)
    assert over_tls(host, "nobody.example.com") is None
    project.settled()
    verified = project.run("verify")
    assert verified.code == 0, verified.said


def test_a_release_that_one_of_its_names_does_not_lead_to_is_not_proven(
    host: StagingHost, project: Project
) -> None:
    certified(host)
    own = (CHECKOUT / "deploy/templates/nginx-default.conf.j2").read_text()
    project.write("templates/nginx-default.conf.j2", own.replace("{% if tls %}", "{% if false %}"))
    before = sh(host, "readlink /srv/hello/current")
    names = ["hello.example.com", host.address]
    project.serve(host, {"hello": HELLO | {"server_names": names, "tls": CERTIFICATE, "env": {"TRY": "1"}}})
    failed = project.fails(code=7)
    assert f"https://{host.address}:443: no answer" in failed.said
    assert sh(host, "readlink /srv/hello/current") == before
