"""Which keys and callables belong to which server; a wrong one is an error of the inventory."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.schema.model import Faulty, build
from deploy.site.app import App

SITE: dict[str, Any] = {"name": "hello", "source": ".", "server_names": ["hello.example.com"]}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"wsgi": "a:b", "asgi": "a:b"}, ("both",)),
        ({}, ("wsgi", "asgi", "none")),
        ({"wsgi": "a:b", "server": "uvicorn"}, ("uvicorn", "wsgi", "gunicorn")),
        ({"asgi": "a:b", "server": "waitress"}, ("waitress", "asgi", "uvicorn")),
        ({"wsgi": "a:b", "server": "uwsgi", "worker_class": "sync"}, ("uwsgi", "worker_class", "gunicorn")),
        ({"wsgi": "a:b", "server": "waitress", "workers": 3}, ("waitress", "workers", "gunicorn")),
        ({"asgi": "a:b", "threads": 3}, ("uvicorn", "threads", "granian")),
        ({"wsgi": "a:b", "server": "../x"}, ("server",)),
    ],
)
def test_what_a_server_does_not_understand_is_refused(keys: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(Faulty) as refused:
        build(App, {**SITE, **keys})
    assert all(word in str(refused.value) for word in words)


@pytest.mark.parametrize(
    ("keys", "server"),
    [
        ({"wsgi": "a:b"}, "gunicorn"),
        ({"asgi": "a:b"}, "uvicorn"),
        ({"asgi": "a:b", "server": "gunicorn"}, "gunicorn"),
        ({"wsgi": "a:create()", "server": "cheroot", "threads": 3}, "cheroot"),
        ({"wsgi": "a:b", "server": "mine", "workers": 3, "timeout": 5}, "mine"),
    ],
)
def test_a_site_says_what_runs_it_or_gets_the_usual_one(keys: dict[str, Any], server: str) -> None:
    assert build(App, {**SITE, **keys}).runs_by == server
