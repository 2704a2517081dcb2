"""What status makes of a host's answer; the answers are as real hosts gave them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from deploy.errors import LookError
from deploy.fleet.status import Standing, Status, differing, parse
from deploy.inventory.hosts import Host
from deploy.report.standings import table

NONCE = "0123456789abcdef"
RELEASE = "20261123-090927-e3275db"

ACTIVATION = {
    "current": "2",
    "release": RELEASE,
    "venv": "78df6c198d427112",
    "env": "aa",
    "file": "gunicorn.conf.py bb",
    "unit": "hello@.service cc",
    "active": "active",
    "enabled": "enabled",
    "stray": "",
    "proven": "2026-11-23T09:13:56Z",
}
TOLD = {
    "nginx": "active",
    "memory": "52454400",
    "NeedDaemonReload": "no",
    "ExecMainStartTimestamp": "Mon 2026-11-23 09:13:55.100994 UTC",
    "newer": "",
    "commit": "e3275db19b5d481a72e619048ab035966339b98c",
}


def answer(
    activation: Mapping[str, str | None] | None = None,
    told: dict[str, str] | None = None,
    *,
    site: str = "hello",
    alarms: str = "",
) -> bytes:
    """What a host says whose only site is ``site``; empty ``activation``: never activated."""
    state = ACTIVATION if activation is None else activation
    number = state.get("current") or "-"
    release = state.get("release", "-")
    look = "\n".join([site, *(f"{key} {value}" for key, value in state.items() if value is not None)])
    about = "\n".join([f"site={site}", *(f"{key}={value}" for key, value in (told or TOLD).items())])
    return (
        f"\n\x1e{NONCE} status 0\n"
        f"os debian\nversion 12\napp {site} {number} {release} - -\n"
        f"\n\x1e{NONCE} facts 0\n"
        f"{look}\n\0\x1d{NONCE}\n{about}\n\x1d{NONCE}\n{alarms}"
    ).encode()


def standing(output: bytes, host: Host | None = None) -> Standing:
    (one,), *_ = parse(host or serving(), NONCE, output)
    return one


def test_what_is_not_well_is_said_with_the_host_before_it() -> None:
    told = answer(alarms="unit\tbad.service has failed\ndisk\t/ is 91% full\n")
    assert parse(serving(), NONCE, told)[2] == ["web1: bad.service has failed", "web1: / is 91% full"]
    assert parse(serving(), NONCE, answer())[2] == []


def serving(*sites: str, state: str = "present") -> Host:
    from deploy.site.app import App

    apps = [
        App(name=name, state=state, source=".", wsgi="hello:app", server_names=("hello.example.com",))  # type: ignore[arg-type]
        for name in sites or ("hello",)
    ]
    return Host("web1", apps=tuple(apps))


@pytest.mark.parametrize(
    ("told", "down", "said"),
    [
        (
            {"unit hello-work@2.service": "active 0 0", "unit hello-tick.service": "inactive  0"},
            "",
            "running",
        ),
        (
            {"unit hello-work.1@2.service": "failed 3 1"},
            "hello-work.1@2.service",
            "running, hello-work.1 is down (failed, exit code 1)",
        ),
        ({"unit hello-work@2.service": "active 7 0"}, "", "running, hello-work was started again 7 times"),
        (
            {"unit hello-tick.service": "failed  7"},
            "",
            "running, the timer hello-tick failed at its last run",
        ),
        ({}, "hello-tick.timer", "running, hello-tick.timer does not run"),
    ],
)
def test_processes_and_timers_are_told_where_something_is_wrong(
    told: dict[str, str], down: str, said: str
) -> None:
    assert standing(answer({**ACTIVATION, "down": down}, {**TOLD, **told})).state == said


def test_a_site_that_runs_is_told_with_everything_that_is_known() -> None:
    assert standing(answer()) == Standing(
        host="web1",
        site="hello",
        release=RELEASE,
        activation=2,
        state="running",
        since=datetime(2026, 11, 23, 9, 13, 55, 100994, tzinfo=UTC),
        commit="e3275db19b5d481a72e619048ab035966339b98c",
        memory=52454400,
    )


@pytest.mark.parametrize(
    ("activation", "told", "state"),
    [
        ({"active": "inactive"}, {}, "stopped"),
        ({"active": "failed"}, {}, "failed"),
        ({"active": "activating"}, {}, "activating"),
        ({"enabled": "disabled"}, {}, "running, not started at boot"),
        ({"proven": None}, {}, "running, never proven through Nginx"),
        ({}, {"NeedDaemonReload": "yes"}, "running, needs daemon-reload"),
        ({}, {"newer": "/srv/hello/activations/2/env"}, "running, older than its configuration"),
        ({"active": "inactive"}, {"newer": "/srv/hello/activations/2/env"}, "stopped"),
        ({}, {"nginx": "failed"}, "running, not served: nginx is failed"),
        ({}, {"nginx": ""}, "running, not served: nginx is not there"),
        (
            {"stray": "hello@1.service hello@3.service"},
            {},
            "running, hello@1.service, hello@3.service left over from an interrupted switch",
        ),
    ],
)
def test_the_state_says_what_is_wrong(
    activation: dict[str, str | None], told: dict[str, str], state: str
) -> None:
    assert standing(answer(ACTIVATION | activation, TOLD | told)).state == state


def test_a_site_that_was_never_activated_is_not_deployed() -> None:
    told = standing(answer({"current": "", "stray": ""}, {"nginx": "active"}))
    assert (told.state, told.release, told.since) == ("not deployed", None, None)


def test_a_systemd_that_tells_whole_seconds_is_understood() -> None:
    told = standing(answer(told=TOLD | {"ExecMainStartTimestamp": "Mon 2026-11-23 09:13:55 UTC"}))
    assert told.since is not None
    assert told.since.second == 55


def test_what_stopped_has_no_since() -> None:
    assert standing(answer(ACTIVATION | {"active": "inactive"})).since is None


def test_a_site_that_the_inventory_does_not_name_is_told_as_such() -> None:
    assert standing(answer(site="shop")).state == "running, not in the inventory"


def test_a_site_that_should_be_absent_is_told_only_while_it_is_there() -> None:
    gone = serving(state="absent")
    assert standing(answer(), gone).state == "running, absent in the inventory"
    assert parse(gone, NONCE, answer({"current": "", "stray": ""}, {"nginx": "active"}))[0] == []


def test_an_answer_that_was_cut_short_is_an_error_and_never_absence() -> None:
    whole = answer()
    for end in (whole.index(b"\x1d"), whole.rindex(b"\x1d"), 10):
        with pytest.raises(LookError):
            parse(serving(), NONCE, whole[:end])


def test_a_run_under_way_and_one_cut_short_are_noted() -> None:
    running = answer().replace(
        f"\n\x1e{NONCE} status".encode(),
        b"running /var/lib/barehost/runs/1\nholder ann@laptop provision\n" + f"\n\x1e{NONCE} status".encode(),
        1,
    )
    assert parse(serving(), NONCE, running)[1] == ["web1: a run is under way: ann@laptop provision"]
    unfinished = answer().replace(
        f"\n\x1e{NONCE} status".encode(),
        b"unfinished 2026-11-23 09:00:00\n" + f"\n\x1e{NONCE} status".encode(),
        1,
    )
    assert "2026-11-23 09:00:00 was cut short" in parse(serving(), NONCE, unfinished)[1][0]


def test_different_releases_of_one_site_are_shouted_about() -> None:
    fleet = [
        Standing("web1", "hello", "r1", 1, "running"),
        Standing("web2", "hello", "r2", 4, "running"),
        Standing("web3", "hello", "r1", 1, "running"),
        Standing("web3", "shop", "r9", 1, "running"),
        Standing("web4", "hello", None, None, "not deployed"),
    ]
    assert list(differing(fleet)) == ["hello runs 2 releases at once: r1 on web1, web3; r2 on web2"]


def test_one_release_everywhere_needs_no_words() -> None:
    assert list(differing([Standing(name, "hello", "r1", 1, "running") for name in ("web1", "web2")])) == []


def test_the_table_is_short_for_people_and_whole_for_programs() -> None:
    status = Status((standing(answer()),), (), ())
    headers, rows = table(status, json=False)
    assert dict(zip(headers, rows[0], strict=True)) == {
        "host": "web1",
        "site": "hello",
        "release": RELEASE,
        "activation": 2,
        "state": "running",
        "since (UTC)": "2026-11-23 09:13:55",
        "memory": "52.5 MB",
    }
    headers, rows = table(status, json=True)
    told = dict(zip(headers, rows[0], strict=True))
    assert (told["memory"], told["since"]) == (52454400, "2026-11-23T09:13:55.100994+00:00")
    assert told["commit"] == "e3275db19b5d481a72e619048ab035966339b98c"
