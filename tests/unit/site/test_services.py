"""The keys of a site's database and caches: short and long forms, what is refused, what the environment gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.schema.model import Faulty, build
from deploy.site.app import App
from deploy.site.services import Database, environment


def app(**keys: Any) -> App:
    given = {
        "name": "shop",
        "source": "s",
        "wsgi": "a:b",
        "server_names": ["x.example.com"],
        "project": Path(),
    }
    return build(App, given | keys)


def test_the_short_form_is_the_whole_with_its_defaults() -> None:
    assert app(database="postgresql").database == Database()
    assert app().database is None


def test_where_services_are_is_said_without_a_secret() -> None:
    assert environment(app(database="postgresql")) == {
        "DATABASE_URL": "postgresql:///shop",
        "PGHOST": "/var/run/postgresql",
        "PGDATABASE": "shop",
    }
    assert environment(app()) == {}
    assert environment(app(database={"name": "other"}))["PGDATABASE"] == "other"


def test_one_redis_is_the_redis_and_of_two_none_is() -> None:
    one = environment(app(redis="cache"))
    assert one["REDIS_URL"] == one["REDIS_CACHE_URL"] == "unix:///run/redis-shop-cache/redis.sock"
    both = environment(app(redis=["cache", "queue"]))
    assert "REDIS_URL" not in both
    assert both["CELERY_BROKER_URL"] == "redis+socket:///run/redis-shop-queue/redis.sock"
    valkey = environment(app(redis={"kind": "valkey", "queue": "64m"}))
    assert valkey["REDIS_URL"] == "unix:///run/valkey-shop-queue/valkey.sock"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"database": "oracle"}, "expected postgresql"),
        ({"database": {"name": "Shop-DB"}}, "need not quote"),
        ({"database": {"extensions": ["a;b"]}}, "extension"),
        ({"database": {"locale": "../x"}}, "a locale"),
        ({"database": {"hosts": "db1"}}, "not known"),
        ({"redis": "store"}, "cache, queue"),
        ({"redis": []}, "cache, queue"),
        ({"redis": {"kind": "valkey"}}, "found neither"),
        ({"redis": {"cache": "lots"}}, "auto or a size"),
        ({"database": "postgresql", "env": {"DATABASE_URL": "x"}}, "DATABASE_URL stands"),
        ({"redis": "queue", "secrets": {"REDIS_URL": "x"}}, "REDIS_URL stands"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(Faulty, match=says):
        app(**keys)
