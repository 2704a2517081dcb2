"""The module by which every server loads a site: whose request it is, over what, and which release answers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NUMBERS = itertools.count()
"""A module is imported once, so each test's has a name of its own."""

ENTRY = Path(__file__).parents[3] / "deploy/host/entry.py"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Loads the entry module for a site of this text, as a server would in the release's folder."""

    def load(text: str, callable: str = "app", interface: str = "wsgi", loggers: str = "") -> Any:
        name = f"site_of_test_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        for key, value in {
            "CALLABLE": f"{name}:{callable}",
            "INTERFACE": interface,
            "LOGGERS": loggers,
            "RELEASE": "r7",
            "ACTIVATION": "7",
        }.items():
            monkeypatch.setenv(f"BAREHOST_{key}", value)
        return runpy.run_path(str(ENTRY))["application"]

    yield load


ECHO = """
def app(environ, start_response):
    start_response("200 OK", [("X-RELEASE", "mine"), ("A", "b")])
    return [repr((environ.get("REMOTE_ADDR"), environ["wsgi.url_scheme"])).encode()]
"""


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1", "0.0.0.0", None])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_visitor_is_who_nginx_says_and_came_as_it_says(
    entry: Callable[..., Any], address: str | None, scheme: str
) -> None:
    environ = {
        "REMOTE_ADDR": address,
        "wsgi.url_scheme": "http",
        "HTTP_X_REAL_IP": "192.0.2.7",
        "HTTP_X_FORWARDED_PROTO": scheme,
    }
    [body] = entry(ECHO)(environ, lambda *_: None)
    assert body.decode() == repr(("192.0.2.7", scheme))


def test_every_answer_carries_its_release_once(entry: Callable[..., Any]) -> None:
    started: list[Any] = []
    entry(ECHO)({"wsgi.url_scheme": "http"}, lambda *values: started.append(values))
    assert started == [("200 OK", [("A", "b"), ("X-Release", "r7"), ("X-Activation", "7")])]


@pytest.mark.parametrize("scheme", ["ftp", "", "javascript"])
def test_a_scheme_that_is_none_is_not_taken(entry: Callable[..., Any], scheme: str) -> None:
    environ = {"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": scheme}
    [body] = entry(ECHO)(environ, lambda *_: None)
    assert body.decode() == repr((None, "http"))


def test_a_factory_and_a_callable_below_another_name_are_found(entry: Callable[..., Any]) -> None:
    text = ECHO + "\ndef create():\n    return app\nclass shop:\n    served = staticmethod(app)\n"
    for callable in ("create()", "shop.served"):
        assert entry(text, callable)({"wsgi.url_scheme": "http"}, lambda *_: None)


@pytest.mark.parametrize(
    "text",
    [
        "import sys\ndef app(environ, start):\n    sys.exit(3)\n",
        "import sys\ndef app(environ, start):\n    start('200 OK', [])\n    yield b'a'\n    sys.exit(4)\n",
    ],
    ids=["a view", "a stream"],
)
def test_a_view_that_exits_fails_its_request_and_not_the_server(entry: Callable[..., Any], text: str) -> None:
    with pytest.raises(RuntimeError, match=r"sys\.exit"):
        list(entry(text)({"wsgi.url_scheme": "http"}, lambda *_: None))


CLOSING = """
import sys
closed = []
class Closing:
    def __init__(self, parts): self.parts = iter(parts)
    def __iter__(self): return self
    def __next__(self): return next(self.parts)
    def close(self): closed.append(True)
def parts():
    yield b"first"
    sys.exit(4)
def app(environ, start):
    start("200 OK", [])
    environ["closed"] = closed
    return Closing(parts())
"""


def test_an_answer_of_a_framework_is_guarded_as_well_and_closed(entry: Callable[..., Any]) -> None:
    environ: dict[str, Any] = {"wsgi.url_scheme": "http"}
    body = entry(CLOSING)(environ, lambda *_: None)
    assert next(body) == b"first"
    with pytest.raises(RuntimeError, match=r"sys\.exit"):
        next(body)
    body.close()
    assert environ["closed"] == [True]


def test_a_file_that_the_server_sends_by_itself_stays_one(entry: Callable[..., Any]) -> None:
    class Wrapper:
        def __iter__(self) -> Iterator[bytes]:
            return iter(())

    text = "def app(environ, start):\n    start('200 OK', [])\n    return environ['wsgi.file_wrapper']()\n"
    environ = {"wsgi.url_scheme": "http", "wsgi.file_wrapper": Wrapper}
    assert isinstance(entry(text)(environ, lambda *_: None), Wrapper)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ([("Content-Type", "text/event-stream; charset=utf-8")], ["no"]),
        ([("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "yes")], ["yes"]),
        ([("Content-Type", "text/html")], []),
    ],
)
def test_events_are_passed_on_as_they_come_unless_the_site_says_otherwise(
    entry: Callable[..., Any], headers: list[tuple[str, str]], says: list[str]
) -> None:
    started: list[Any] = []
    text = f"def app(environ, start):\n    start('200 OK', {headers!r})\n    return []\n"
    entry(text)({"wsgi.url_scheme": "http"}, lambda *values: started.append(values))
    assert [value for name, value in started[0][1] if name.lower() == "x-accel-buffering"] == says

    pairs = [(name.encode(), value.encode()) for name, value in headers]
    text = (
        "async def app(scope, receive, send):\n"
        f"    await send({{'type': 'http.response.start', 'status': 200, 'headers': {pairs!r}}})\n"
    )
    (start,) = asked(entry(text, interface="asgi"), "http")
    assert [
        value.decode() for name, value in start["headers"] if name.lower() == b"x-accel-buffering"
    ] == says


def test_a_logging_configuration_does_not_silence_the_server(entry: Callable[..., Any]) -> None:
    logger = logging.getLogger("server.of.test")
    entry(
        "import logging\nlogging.getLogger('server.of.test').disabled = True\napp = None\n",
        loggers="server.of.test",
    )
    assert logger.disabled is False


SCOPES = """
seen = []
class App:
    async def __call__(self, scope, receive, send):
        seen.append((scope["type"], scope.get("client"), scope.get("scheme")))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Release", b"mine")]})
            await send({"type": "http.response.body", "body": repr(seen[-1]).encode()})
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
app = App()
"""


def asked(application: Any, type: str, *headers: tuple[bytes, bytes]) -> list[Any]:
    """What an ASGI site sends for one scope."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": type,
        "client": None,
        "scheme": "ws" if type == "websocket" else "http",
        "headers": headers,
    }
    asyncio.run(application(scope, None, send))
    return sent


def test_an_asgi_site_knows_its_visitor_and_carries_its_release(entry: Callable[..., Any]) -> None:
    application = entry(SCOPES, interface="asgi")
    said = ((b"x-real-ip", b"192.0.2.7"), (b"x-forwarded-proto", b"https"))
    start, body = asked(application, "http", *said)
    assert start["headers"] == [(b"x-release", b"r7"), (b"x-activation", b"7")]
    assert body["body"].decode() == repr(("http", ("192.0.2.7", 0), "https"))
    [accepted] = asked(application, "websocket", *said)
    assert accepted["headers"] == [(b"x-release", b"r7"), (b"x-activation", b"7")]


def test_a_lifespan_reaches_the_site_as_it_is(entry: Callable[..., Any]) -> None:
    assert asked(entry(SCOPES, interface="asgi"), "lifespan") == []


def test_an_asgi_view_that_exits_fails_its_request_and_not_the_server(entry: Callable[..., Any]) -> None:
    text = "import sys\nasync def app(scope, receive, send):\n    sys.exit(3)\n"
    with pytest.raises(RuntimeError, match=r"sys\.exit"):
        asked(entry(text, interface="asgi"), "http")
