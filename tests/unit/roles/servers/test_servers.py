"""Every server as a value: what it is started with, which keys reach its configuration, and who may bring another."""

from __future__ import annotations

import ast
import configparser
import runpy
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.roles.servers import server_of
from deploy.schema.model import build
from deploy.site.app import App
from deploy.site.servers import SERVERS

MACHINE = Facts(cores=2)


def site(server: str = "", project: Path | None = None, **keys: Any) -> App:
    """A site that ``server`` runs, by the callable that it likes best."""
    interface = SERVERS[server].interfaces[0] if server in SERVERS else "wsgi"
    values = {"name": "hello", "source": ".", interface: "hello:app", "server_names": ["hello.example.com"]}
    made = build(App, {**values, "server": server, **keys})
    return made if project is None else build(App, {**values, "server": server, **keys, "project": project})


def served(server: str = "", cores: int = 2, **keys: Any) -> Any:
    one = site(server, **keys)
    return server_of(Host("web1", apps=(one,), project=one.project), one, Facts(cores=cores))


@pytest.mark.parametrize("name", SERVERS)
def test_every_server_is_started_with_its_own_files_and_the_entry_module(name: str) -> None:
    server = served(name)
    assert "barehost_entry.py" in server.files
    program = server.command.split()[0]
    assert program.startswith(("/srv/hello/activations/%i/venv/bin/", "/usr/bin/"))
    configurations = [word for word in server.command.split() if "/activations/%i/server/" in word]
    assert configurations
    for word in configurations:
        assert word.rpartition("/server/")[2] in server.files, (
            f"{word} is not among what the activation brings"
        )
    assert bool(server.packages) != bool(server.requirements), "from Debian or from an index, not both"


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_python_compiles_for_the_oldest_python_served(name: str) -> None:
    for file, text in served(name).files.items():
        if file.endswith(".py"):
            ast.parse(text, feature_version=(3, 9))


@pytest.mark.parametrize(
    ("name", "key", "value", "written"),
    [
        ("gunicorn", "workers", 4, "workers = 4"),
        ("gunicorn", "timeout", 45, "timeout = 45"),
        ("uvicorn", "workers", 4, "workers=4"),
        ("uvicorn", "max_requests", 99, "limit_max_requests=99"),
        ("hypercorn", "workers", 4, "config.workers = 4"),
        ("hypercorn", "max_requests", 99, "config.max_requests = 99"),
        ("granian", "workers", 4, "workers=4"),
        ("waitress", "threads", 3, "threads=3"),
        ("cheroot", "threads", 3, "numthreads=3"),
        ("uwsgi", "workers", 4, "processes = 4"),
        ("uwsgi", "timeout", 45, "harakiri = 45"),
        ("apache", "workers", 4, "processes=4"),
        ("apache", "timeout", 45, "request-timeout=45"),
    ],
)
def test_a_key_reaches_the_servers_configuration(name: str, key: str, value: int, written: str) -> None:
    assert any(written in text for text in served(name, **{key: value}).files.values())
    assert not any(written in text for text in served(name).files.values())


@pytest.mark.parametrize("name", SERVERS)
def test_running_requests_get_the_sites_time_in_a_stop(name: str) -> None:
    assert any("77" in text for text in served(name, graceful_timeout=77).files.values())


@pytest.mark.parametrize(
    ("keys", "cores", "expected"),
    [
        ({}, 1, 2),
        ({}, 8, 8),
        ({"worker_class": "sync"}, 2, 5),
        ({"worker_class": "gevent"}, 4, 4),
        ({"workers": 3}, 8, 3),
        ({"workers": 1}, 8, 1),
    ],
)
def test_gunicorns_workers_follow_the_cores_by_how_they_wait(
    keys: dict[str, Any], cores: int, expected: int
) -> None:
    assert f"workers = {expected}\n" in served("gunicorn", cores, **keys).files["gunicorn.conf.py"]


def test_gunicorn_listens_in_its_runtime_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(served("gunicorn", max_requests=1000, max_requests_jitter=100).files["gunicorn.conf.py"])
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/hello/7")
    read = runpy.run_path(str(file))
    assert read["bind"] == "unix:/run/hello/7/app.sock"
    assert read["wsgi_app"] == "barehost_entry:application"
    assert read["pythonpath"] == str(tmp_path)
    assert (read["workers"], read["threads"], read["worker_class"]) == (2, 8, "gthread")
    assert (read["limit_request_line"], read["limit_request_field_size"]) == (8190, 8192)
    assert (read["max_requests"], read["max_requests_jitter"]) == (1000, 100)
    assert read["control_socket_disable"] is True
    assert read["umask"] == 0o007


def test_gunicorn_runs_asgi_by_its_own_worker() -> None:
    config = served("gunicorn", wsgi="", asgi="hello:app").files["gunicorn.conf.py"]
    assert "worker_class = 'asgi'" in config
    assert "threads = 1\n" in config


def test_uwsgis_configuration_is_one() -> None:
    read = configparser.ConfigParser(strict=True)
    read.read_string(served("uwsgi").files["uwsgi.ini"])
    assert read["uwsgi"]["http-socket"] == "$(RUNTIME_DIRECTORY)/app.sock"


@pytest.mark.parametrize("name", ["uwsgi", "apache"])
def test_debians_builds_run_debians_python_only(name: str) -> None:
    with pytest.raises(InputError, match="Debian's Python"):
        served(name, python="python3.12")


def test_a_server_of_the_projects_own_wins_and_may_be_a_new_one(tmp_path: Path) -> None:
    own = tmp_path / "roles/servers"
    own.mkdir(parents=True)
    (own / "mine.py").write_text(
        "from deploy.roles.servers import Server, here\n"
        "def mine(site, facts):\n"
        "    return Server(f'{here(site)}/venv/bin/mine', {'mine.conf': 'x'}, requirements=('mine==1',))\n"
    )
    server = served("mine", project=tmp_path)
    assert (server.requirements, server.files["mine.conf"]) == (("mine==1",), "x")
    assert "barehost_entry.py" in server.files


def test_mistakes_in_a_projects_own_server_are_named_with_their_line(tmp_path: Path) -> None:
    own = tmp_path / "roles/servers"
    own.mkdir(parents=True)
    (own / "mine.py").write_text("def mine(site, facts):\n    return site.nonsense\n")
    with pytest.raises(InputError, match=r"mine\.py, line 2: AttributeError"):
        served("mine", project=tmp_path)


def test_a_server_that_is_none_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no server 'unicorn'.*gunicorn"):
        served("unicorn")
