"""A site's processes and timers as units: their names, what stands in them, and who gets them."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.release.processes import beside
from deploy.schema.model import build
from deploy.site.app import App


def app(**values: Any) -> App:
    good = {"name": "shop", "source": "site", "wsgi": "a:b", "server_names": ["shop.example.com"]}
    return build(App, {**good, **values})


MANY = app(
    processes={
        "worker": {
            "command": "work -c $N '100%'",
            "count": 2,
            "stop": {"signal": "INT", "timeout": 600},
            "env": {"N": 4},
            "settle": 7,
        },
        "beat": {"command": "beat", "hosts": "first", "stop": {"timeout": 20}},
    },
    timers={
        "clear": {"schedule": "0 0 1 * 5", "command": "clear | tail", "timeout": 60},
        "mail": {"schedule": "@hourly", "command": "mail", "hosts": "first"},
    },
)


@pytest.mark.parametrize("first", [True, False])
def test_what_one_host_alone_runs_is_on_the_first(first: bool) -> None:
    found = beside(MANY, MANY.processes or {}, None, first=first)
    more = ["shop-beat@.service"] if first else []
    assert [name for name, _ in found.units] == ["shop-worker.1@.service", "shop-worker.2@.service", *more]
    timers = ["clear", "mail"] if first else ["clear"]
    assert [name for name, _ in found.jobs] == [f"shop-{name}@.service" for name in timers]
    assert {name for name, _ in found.timers} == {
        f"shop-{name}.{kind}" for name in timers for kind in ("timer", "service")
    }
    assert found.alone == (("shop-beat@.service", "shop-mail.timer") if first else ())
    assert (found.settle, found.stopping) == (7, 20 if first else 0)


def test_what_stands_in_the_units() -> None:
    found = beside(MANY, MANY.processes or {}, None, first=True)
    units = dict((*found.units, *found.jobs, *found.timers))
    worker = units["shop-worker.2@.service"].splitlines()
    for line in (
        "ExecStart=/bin/sh -c \"exec /usr/bin/env work -c $$N '100%%'\"",
        "KillMode=mixed",
        "KillSignal=SIGINT",
        "TimeoutStopSec=600",
        "CollectMode=inactive-or-failed",
        "EnvironmentFile=/srv/shop/activations/%i/server/worker.env",
        "ProtectSystem=strict",
    ):
        assert line in worker, units["shop-worker.2@.service"]
    assert any(line.endswith("BAREHOST_PROCESS=worker BAREHOST_NUMBER=2") for line in worker)
    assert dict(found.files) == {"worker.env": 'N="4"\n'}
    timer = units["shop-clear.timer"].splitlines()
    assert [line for line in timer if line.startswith("OnCalendar=")] == [
        "OnCalendar=*-*-01 00:00:00",
        "OnCalendar=Fri *-*-* 00:00:00",
    ]
    assert "Persistent=yes" in timer
    job = units["shop-clear@.service"].splitlines()
    assert 'ExecStart=/bin/sh -c "clear | tail"' in job
    assert "[Install]" not in job, "a boot would start it"


def test_a_site_with_a_web_process_alone_has_none() -> None:
    site = app()
    found = beside(site, {}, None, first=True)
    assert (found.units, found.jobs, found.timers, found.settle) == ((), (), (), 0)
