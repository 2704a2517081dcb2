"""What a host tells about itself: real output taken apart, kept between runs, printed by any Linux."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import LookError
from deploy.facts import PROBE, AppFacts, Facts, parse
from tests.unit.fakes import local

BARE = b"""os debian
version 12
codename bookworm
arch amd64
hostname web1
cores 2
memory 24684092
ipv6 yes
container systemd-nspawn
clock none
"""
"""As a bare Debian 12 prints it."""

SERVING = (
    BARE.replace(b"clock none", b"clock systemd-timesyncd")
    + b"""python 3.11.2
app hello 3 20261123-091500-3fa9c1e 4f6bc2ad 9d8f
app half - - - -
"""
)
BARE_FACTS: dict[str, Any] = {
    "os": "debian",
    "version": "12",
    "codename": "bookworm",
    "arch": "amd64",
    "hostname": "web1",
    "cores": 2,
    "memory": 24105,
    "ipv6": True,
    "container": "systemd-nspawn",
    "clock": "none",
}
HELLO = AppFacts("hello", 3, "20261123-091500-3fa9c1e", "4f6bc2ad", "9d8f")


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (BARE, Facts(**BARE_FACTS)),
        (
            SERVING,
            Facts(
                **BARE_FACTS | {"clock": "systemd-timesyncd"},
                python="3.11.2",
                apps=(HELLO, AppFacts("half")),
            ),
        ),
        (b"os debian\narch \nversion \nipv6 no\n", Facts(os="debian", ipv6=False)),
        (b"os debian\nhostname \xff\n", Facts(os="debian", hostname="\ufffd")),
    ],
    ids=["bare", "serving", "empty values", "bytes that are no text"],
)
def test_what_hosts_print(output: bytes, told: Facts):
    assert parse(output) == told


@pytest.mark.parametrize("output", [b"", b"version 12\n", b"os \n"])
def test_a_host_that_does_not_name_its_system_is_an_error(output: bytes):
    with pytest.raises(LookError, match="only Linux hosts are served"):
        parse(output)


def test_this_machine_can_be_asked():
    done = local.run(PROBE)
    assert (done.returncode, done.stderr) == (0, b"")
    told = parse(done.stdout)
    assert None not in (told.os, told.arch, told.hostname, told.ipv6, told.clock)
    assert told.cores == len(os.sched_getaffinity(0))
    assert (told.memory or 0) > 100


def test_a_site_that_was_never_set_up_has_only_its_name():
    assert Facts(apps=(HELLO,)).app("hello") is HELLO
    assert Facts(apps=(HELLO,)).app("other") == AppFacts("other")


words = st.none() | st.text(max_size=8)
numbers = st.none() | st.integers(0, 1 << 20)
apps = st.builds(AppFacts, st.text(max_size=8), numbers, words, words, words)


@given(
    st.builds(
        Facts, os=words, python=words, cores=numbers, ipv6=st.none() | st.booleans(), apps=st.tuples(apps)
    )
)
def test_facts_come_back_from_the_cache_as_they_went_in(facts: Facts):
    assert Facts.from_json(facts.as_json()) == facts


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"apps": [], "colour": "red"}', '{"os": "debian"}', '{"apps": [{"x": 1}]}', "null"],
)
def test_a_cache_of_something_else_is_an_error(text: str):
    with pytest.raises((ValueError, TypeError, KeyError)):
        Facts.from_json(text)


def test_the_cache_is_plain_json():
    assert json.loads(Facts(os="debian", apps=(HELLO,)).as_json())["apps"][0]["release"] == HELLO.release
