"""One site: what its keys accept, what they refuse and with which words."""

from __future__ import annotations

import ipaddress
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.schema.model import Faulty, build
from deploy.shell import Secret, secrets_travel
from deploy.site.app import App
from deploy.site.names import server_name

GOOD: dict[str, Any] = {
    "name": "hello",
    "source": "site",
    "wsgi": "hello:app",
    "server_names": ["hello.example.com"],
}


def app(**values: Any) -> App:
    return build(App, {**GOOD, **values})


def refusal(**values: Any) -> str:
    """What the first fault says."""
    with pytest.raises(Faulty) as caught:
        app(**values)
    return str(caught.value)


def test_a_site_needs_only_source_wsgi_and_a_name():
    site = app()
    assert (site.workers, site.keep, site.listen, site.health.path) == ("auto", 5, (80,), "/")
    assert (site.root, site.shared, site.user) == ("/srv/hello", "/srv/hello/shared", "hello")


def test_an_absent_site_needs_nothing_else():
    assert App(name="old", state="absent").source == ""


def test_a_site_is_hashable_picklable_and_equal_to_its_copy():
    site = app(secrets={"KEY": "x"}, env={"A": "b"}, static={"/static/": "static"}, health={"path": "/up"})
    with secrets_travel():
        again = pickle.loads(pickle.dumps(site))
    assert again == site
    assert hash(again) == hash(site)
    assert "x" not in repr(site.secrets)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        (
            "env",
            {"A": True, "B": 7, "C": "a\nb\tc", "_d": ""},
            {"A": "true", "B": "7", "C": "a\nb\tc", "_d": ""},
        ),
        ("server_names", ["EXAMPLE.com"], ("example.com",)),
        ("server_names", ["bücher.example", "*.Example.com"], ("xn--bcher-kva.example", "*.example.com")),
        ("server_names", ["::1", "[2001:DB8::1]", "10.0.0.1"], ("[::1]", "[2001:db8::1]", "10.0.0.1")),
        ("workers", "4", 4),
        ("workers", "auto", "auto"),
        ("static", {"/static/": "static", "/a/b/": "web/dist"}, {"/static/": "static", "/a/b/": "web/dist"}),
        ("media", {"/.well-known/x/": "known"}, {"/.well-known/x/": "known"}),
        ("max_body", "20M", "20m"),
        ("max_body", 1048576, "1048576"),
        ("wsgi", "shop.wsgi:create_app()", "shop.wsgi:create_app()"),
        ("python", "python3.12", "python3.12"),
        ("python", "/opt/python/bin/python3", "/opt/python/bin/python3"),
        ("worker_class", "uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornWorker"),
        ("trusted_proxies", ["10.0.0.0/8", "192.0.2.1"], ("10.0.0.0/8", "192.0.2.1/32")),
        ("requirements", None, None),
        ("packages", ["libpq5", "g++"], ("libpq5", "g++")),
    ],
)
def test_a_value_is_kept_in_one_form(key: str, value: Any, kept: Any):
    assert getattr(app(**{key: value}), key) == kept


SEGMENTS = "letters, digits, '.', '_', '-', '+', '@' and '/', without '.' or '..' parts"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"wsgi": ""}, "expected the key 'wsgi' or 'asgi', found none"),
        ({"server_names": []}, "expected the key 'server_names', found none"),
        ({"wsgi": "hello"}, "expected module:callable, like hello:app, found 'hello'"),
        ({"wsgi": "hello:app; rm"}, "expected module:callable, like hello:app, found 'hello:app; rm'"),
        ({"ref": "main"}, "ref belongs to a git source, but source is the folder 'site'"),
        ({"source": "https://h/x.git", "ref": "-x"}, "expected a branch, tag or commit, found '-x'"),
        ({"source": "https://h/x.git", "ref": "a..b"}, "expected a branch, tag or commit, found 'a..b'"),
        (
            {"source": "ext://sh"},
            "expected a folder or an https, ssh, git or file URL as source, found 'ext://sh'",
        ),
        (
            {"server_names": ["a.example", "A.example"]},
            "'a.example' stands here twice",
        ),
        ({"static": {"/s/": "a"}, "media": {"/s/": "b"}}, "/s/ stands under both static and media"),
        (
            {"static": {"/s/": "a/b"}, "writable": ["a"]},
            "the static folder a/b lies in a, which is writable as a whole",
        ),
        ({"writable": ["a/b", "a"]}, "the writable folder a/b lies in a, which is writable as a whole"),
        ({"static": {"/s/": "../up"}}, f"expected a relative folder of {SEGMENTS}, found '../up'"),
        ({"static": {"/s/": "."}}, f"expected a relative folder of {SEGMENTS}, found '.'"),
        ({"media": {"/s/": "/etc"}}, f"expected a relative folder of {SEGMENTS}, found '/etc'"),
        ({"env": {"A": "x"}, "secrets": {"A": "y"}}, "A stands under both env and secrets"),
        ({"env": {"A-B": "x"}}, "expected a variable's name of letters, digits and '_', found 'A-B'"),
        ({"env": {"1A": "x"}}, "expected a variable's name of letters, digits and '_', found '1A'"),
        (
            {"env": {"BAREHOST_RELEASE": "x"}},
            "BAREHOST_RELEASE is set by the service itself; choose another name",
        ),
        ({"env": {"NOTIFY_SOCKET": "x"}}, "NOTIFY_SOCKET is set by the service itself; choose another name"),
        ({"env": {"A": 1.10}}, "expected text, a whole number or true/false, found 1.1; quote it"),
        ({"env": {"A": None}}, "expected text, a whole number or true/false, found nothing; quote it"),
        ({"env": {"A": "x\0"}}, "expected text without control characters, found '\\x00' in it"),
        ({"secrets": {"A": 7}}, "expected text, {env: NAME}, {file: path} or {command: PROGRAM}"),
        ({"secrets": {"A": "x\r"}}, "expected a secret without control characters"),
        (
            {"worker_class": "sync", "threads": 4},
            "a sync worker has one thread, found threads: 4; choose gthread",
        ),
        (
            {"worker_class": "fast"},
            "expected gthread, sync, asgi, gevent, tornado or a class as package.module.Class, found 'fast'",
        ),
        ({"max_body": "10 MB"}, "expected a size like 10m, 512k or 1g, found '10 MB'"),
        ({"max_body": True}, "expected a size like 10m, 512k or 1g, found true"),
        (
            {"trusted_proxies": ["10.0.0.1/8"]},
            "expected a network, found '10.0.0.1/8' with host bits set; write 10.0.0.0/8",
        ),
        (
            {"trusted_proxies": ["fe80::1%;x"]},
            "expected a network like 10.0.0.0/8 or an address, found 'fe80::1%;x'",
        ),
        ({"trusted_proxies": ["office"]}, "expected a network like 10.0.0.0/8 or an address, found 'office'"),
        (
            {"tls": {"certificate": "/c", "key": "/k", "port": 80}},
            "port 80 is both in listen and the TLS port",
        ),
        (
            {"tls": {"certificate": "c.pem", "key": "/k"}},
            f"expected an absolute path of {SEGMENTS}, found 'c.pem'",
        ),
        ({"python": "python2"}, "expected python3, python3.N or an absolute path, found 'python2'"),
        ({"packages": ["a b"]}, "expected the name of an apt package, found 'a b'"),
        ({"build": ["a\0b"]}, "expected a command without control characters, found '\\x00' in it"),
        ({"sandbox": {"writable": ["/a/../b"]}}, f"expected an absolute path of {SEGMENTS}, found '/a/../b'"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(values: dict[str, Any], sentence: str):
    assert refusal(**values) == sentence


@pytest.mark.parametrize(
    "prefix", ["/", "static/", "/static", "/a/../b/", "/./", "//", "/a b/", "/a;/", "/$x/", "/a{/", '/"/']
)
def test_a_url_prefix_is_plain_and_between_slashes(prefix: str):
    assert refusal(static={prefix: "static"}).startswith(
        "expected a URL prefix that starts and ends with '/'"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workers", 0),
        ("workers", True),
        ("threads", False),
        ("keep", 1),
        ("listen", [0]),
        ("listen", []),
        ("timeout", -1),
        ("health", {"path": "up"}),
        ("health", {"path": '/"; x'}),
        ("health", {"expect": 99}),
        ("health", {"tries": 3}),
        ("source", "-oProxyCommand=x"),
        ("name", "Hello"),
        ("nope", 1),
    ],
)
def test_a_value_out_of_bounds_is_refused(key: str, value: Any):
    assert refusal(**{key: value})


HOSTILE = [
    "a b.example", "a;b", "a.example;", "a{", "a}", '"a"', "'a'", "$host", "~^x$", "_", "", ".", "a..b", ".a.example",
    "a.example.", "*", "*.", "*.*.example", "www.*", "a\nb", "a.example\n", "-a.example", "a-.example", "a_b.example",
    "1.2.3.4.5", "1.2.3.999", "[1.2.3.4]", "fe80::1%eth0", "[fe80::1%;x]", "[::1", "a/b", "a\\b", "a#b", "x" * 64,
    ".".join(["abcdefghi"] * 26), "\u200b", "a\0b",
]  # fmt: skip


@pytest.mark.parametrize("name", [*HOSTILE, None, 7, ["a"]])
def test_a_hostile_server_name_never_becomes_configuration(name: Any):
    with pytest.raises(ValueError, match="expected a DNS name"):
        server_name(name)


@given(st.text(max_size=60) | st.from_regex(r"[\[*.:%a-f0-9;{}$ -]{1,40}", fullmatch=True))
def test_whatever_is_accepted_as_server_name_holds_nothing_that_nginx_reads(text: str):
    try:
        name = server_name(text)
    except ValueError:
        return
    if name.startswith("["):
        assert ipaddress.ip_address(name[1:-1]).version == 6
        assert "%" not in name
    else:
        assert re.fullmatch(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*", name)
    assert server_name(name) == name


@given(st.dictionaries(st.text(max_size=8), st.text() | st.integers() | st.booleans(), max_size=4))
def test_an_accepted_environment_is_what_systemd_takes(env: dict[str, Any]):
    try:
        kept = app(env=env).env
    except Faulty:
        return
    for name, value in kept.items():
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value)


def test_text_that_cannot_be_written_as_utf8_is_refused_in_an_environment():
    assert refusal(env={"A": "\ud800"}) == "expected text without control characters, found '\\ud800' in it"


def test_a_site_without_source_says_so():
    with pytest.raises(Faulty, match="expected the key 'source', found none"):
        build(App, {"name": "hello", "wsgi": "hello:app", "server_names": ("a.example",)})


@pytest.mark.parametrize(
    ("source", "git"),
    [
        ("https://example.com/x.git", True),
        ("git@example.com:me/x.git", True),
        ("ssh://git@example.com/x", True),
        ("file:///srv/git/x", True),
        ("examples/hello", False),
        ("../elsewhere", False),
        ("C:x", False),
    ],
)
def test_a_source_is_a_folder_or_a_git_url(source: str, git: bool):
    assert app(source=source).is_git is git


def test_folders_start_from_the_project_and_tilde_is_home(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert app(project=Path("/p"), source="../site").source_folder == Path("/site")
    assert app(project=Path("/p"), wheels="~/wheels").wheels_folder == Path("/home/me/wheels")
    assert app(project=Path("/p"), source="~nobody-of-that-name/x").source_folder == Path(
        "/p/~nobody-of-that-name/x"
    )
    assert app().wheels_folder is None


def test_a_secret_object_is_kept_as_it_is():
    assert app(secrets={"A": Secret("x")}).secrets["A"].reveal() == "x"
