"""Databases and caches of sites: brought with the first release, seen when somebody changes them, closed to others."""

from __future__ import annotations

import pytest
from booting import Boot, Clone
from sites import Project, leftovers, sh, until
from stocking import Served, page, shop, sql, stocked

__all__ = ["stocked"]  # a fixture: pytest finds it by its name here


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_one_provision_brings_a_site_with_its_database_and_caches(
    stocked: Served, clone: Clone, project: Project, suite: str
) -> None:
    host = clone(stocked(suite))
    project.serve(host, shop(project))
    done = project.run("provision", "--json")
    assert done.report()["round_trips"] <= 2, done.said
    project.settled()
    assert page(host).startswith("0 visits [")
    assert page(host, "/add").startswith("1 visits [")
    assert leftovers(host) == ""
    verified = project.run("verify")
    assert verified.code == 0, verified.said


def test_another_sites_account_comes_into_neither_the_database_nor_a_cache(
    stocked: Served, clone: Clone, project: Project
) -> None:
    """As the account of another site of the host, and as Nginx's: by every way that the host has."""
    host = clone(stocked("bookworm"))
    project.serve(host, shop(project) | shop(project, "blog"))
    project.provision()
    for account in ("blog", "www-data"):
        who = f"setpriv --reuid {account} --regid {account} --init-groups --reset-env"
        for database in (
            "postgresql:///shop",
            "postgresql:///shop?user=shop",
            "postgresql://shop@127.0.0.1/shop",
        ):
            tried = sh(host, f"{who} psql -w -X '{database}' -c 'SELECT 1' && echo came in; true")
            assert "came in" not in tried, f"{account} by {database}"
            assert "FATAL" in tried or "no password supplied" in tried, tried
        for purpose in ("cache", "queue"):
            socket = f"/run/redis-shop-{purpose}/redis.sock"
            assert "Permission denied" in sh(host, f"{who} redis-cli -s {socket} ping 2>&1; true")
            assert "Permission denied" in sh(host, f"{who} ls /var/lib/redis-shop-{purpose} 2>&1; true")
    assert "PONG" in sh(
        host,
        "setpriv --reuid shop --regid shop --clear-groups redis-cli -s /run/redis-shop-cache/redis.sock ping",
    )
    listening = sh(host, "ss -Hltn")
    assert ":6379" not in listening
    local = [line.split()[3] for line in listening.splitlines() if ":5432" in line]
    assert all(one.startswith(("127.0.0.1:", "[::1]:")) for one in local)


def test_what_somebody_changed_by_hand_is_seen_and_a_release_says_what_is_down(
    stocked: Served, clone: Clone, project: Project
) -> None:
    host = clone(stocked("trixie"))
    project.serve(host, shop(project))
    project.settled()
    assert page(host, "/add").startswith("1 visits")
    sql(host, "ALTER ROLE shop SUPERUSER PASSWORD 'by hand'; GRANT CONNECT ON DATABASE shop TO PUBLIC")
    sh(host, "systemctl stop redis-server@shop-cache.service")
    planned = project.run("plan", "--json").events
    changed = {
        one["id"]: one["differs"] for event in planned for one in event.get("plan", event).get("changes", [])
    }
    assert set(changed) == {"role:shop", "database:shop", "unit:redis-server@shop-cache.service"}, changed
    assert changed["role:shop"].keys() == {"password", "privileges"}
    assert "SCRAM" not in str(planned)
    project.provision()
    project.settled()

    sh(host, "systemctl stop postgresql.service 'postgresql@*'")
    shown = project.run("plan")
    assert "known after its server runs" in shown.out, shown.said
    project.write("shop/more.py", "")
    done = project.run("release", "--json")
    assert done.code == 7, done.said
    (failure,) = done.report()["failures"]
    assert failure["resource"] == "unit:postgresql@17-main.service", failure
    project.provision()
    project.settled()
    assert page(host).startswith("1 visits"), "the data is there"
    before = sh(
        host,
        "systemctl show --value -p InvocationID postgresql@17-main.service redis-server@shop-cache.service",
    )
    assert project.run("release").code == 0
    after = sh(
        host,
        "systemctl show --value -p InvocationID postgresql@17-main.service redis-server@shop-cache.service",
    )
    assert after == before, "a release restarts no service"


def test_services_that_cannot_be_had_are_one_sentence_each(
    stocked: Served, clone: Clone, project: Project
) -> None:
    host = clone(stocked("bookworm"))
    for keys, code, says in (
        ({"database": {"extensions": ["no_such"]}}, 3, "no extension 'no_such'"),
        ({"database": {"name": "Quoted"}}, 3, "need not quote"),
        ({"redis": {"kind": "valkey", "cache": "auto"}}, 3, "has no Valkey"),
    ):
        project.serve(host, shop(project, **keys))
        done = project.fails("--json", code=code) if code != 3 else project.run("provision")
        assert says in done.said, done.said
    project.serve(host, shop(project, **{"database": {"locale": "xx_YY.UTF-8"}}))
    done = project.run("provision")
    assert "knows no locale xx_YY" in done.said, done.said
    project.serve(host, shop(project, **{"database": {"encoding": "LATIN1", "locale": "C"}}))
    done = project.run("provision")
    assert "PostgreSQL cannot change that" in done.said, done.said
    assert page(host).endswith("]"), "what served before serves on"
    sh(host, "mkdir -p /usr/lib/postgresql/99/bin && cp /bin/true /usr/lib/postgresql/99/bin/postgres")
    project.serve(host, shop(project))
    assert "pg_upgradecluster 15 main" in project.run("provision").said


SETTINGS = """import os, urllib.parse
SECRET_KEY, DEBUG, ALLOWED_HOSTS, ROOT_URLCONF = "x", False, ["django.example.com"], "mall.urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "mall"]
MIDDLEWARE = []
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql",
    "NAME": urllib.parse.urlsplit(os.environ["DATABASE_URL"]).path[1:]}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
    "LOCATION": os.environ["REDIS_CACHE_URL"]}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""

MALL = {
    "requirements.txt": "django>=4.2,<6\npsycopg[binary]\ncelery[redis]\n",
    "manage.py": "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'mall.settings'\n"
    "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
    "mall/__init__.py": "",
    "mall/settings.py": SETTINGS,
    "mall/wsgi.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'mall.settings'\n"
    "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    "mall/jobs.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'mall.settings'\nimport django\ndjango.setup()\n"
    "from celery import Celery\napp = Celery('mall')\n\n@app.task\ndef visit(name):\n"
    "    from django.contrib.auth.models import User\n    User.objects.create(username=name)\n",
    "mall/urls.py": "from django.urls import path\nfrom django.http import HttpResponse\n"
    "from django.core.cache import cache\nfrom django.contrib.auth.models import User\n\n"
    "def index(request):\n    cache.get_or_set('since', 'first')\n"
    "    return HttpResponse(f\"{User.objects.count()} {cache.get('since')}\")\n\n"
    "def job(request, name):\n    from mall.jobs import visit\n    visit.delay(name)\n    return HttpResponse(name)\n\n"
    "urlpatterns = [path('', index), path('job/<str:name>', job)]\n",
}


def test_a_django_site_with_database_cache_queue_and_worker_in_one_provision(
    bare: Boot, project: Project
) -> None:
    host = bare("bookworm")
    for name, text in MALL.items():
        project.write(f"django/{name}", text)
    site = {
        "source": "django",
        "wsgi": "mall.wsgi:application",
        "server_names": ["django.example.com"],
        "workers": 1,
        "migrate": ["python manage.py migrate"],
        "database": "postgresql",
        "redis": ["cache", "queue"],
        "backup": True,
        "processes": {"worker": {"command": "celery -A mall.jobs worker -c 1"}},
    }
    project.serve(host, {"django": site})
    project.provision()
    assert page(host, name="django") == "0 first"
    assert page(host, "/job/ada", name="django") == "ada"
    until(lambda: page(host, name="django") == "1 first", what="the worker has not done its job")
    again = project.run("provision", "--json").report()
    assert (again["outcome"], again["round_trips"]) == ("unchanged", 1)
