"""What a real Nginx does with the keys of a site that face the internet: names, paths, passwords, headers, TLS."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.roles.auth import hashed
from deploy.roles.nginx import nginx
from deploy.schema.model import build
from deploy.site.app import App
from tests.unit.fakes.front import Answer, Front, activation, inside, lay, serving, site, switch
from tests.unit.templates.test_nginx import certificate, issues

DEBIAN_12 = Facts(own={"nginx": "1.22.1"}, cores=2, ipv6=False)
HELLO: dict[str, Any] = {
    "name": "hello",
    "source": ".",
    "wsgi": "hello:app",
    "server_names": ["hello.example.com"],
}
PAIR = {"certificate": "/srv/tls/site.crt", "key": "/srv/tls/site.key"}
PROOF = [("User-Agent", "barehost-health")]


def app(**keys: Any) -> App:
    return build(App, {**HELLO, **keys})


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder with a name short enough for a socket, that Nginx's user may enter."""
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def front(root: Path, *apps: App, facts: Facts = DEBIAN_12) -> Iterator[Front]:
    """Nginx as the role writes it, before the sites ``hello`` (release r1) and ``api`` (release a1)."""
    lay(root, nginx(Host("web1", apps=apps), facts))
    certificate(root / "srv/tls")
    live = root / "var/lib/barehost/tls/hello/live"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_bytes((root / "srv/tls/site.crt").read_bytes())
    (live / "privkey.pem").write_bytes((root / "srv/tls/site.key").read_bytes())
    token = root / "var/www/acme/.well-known/acme-challenge/token"
    token.parent.mkdir(parents=True)
    token.write_text("proof")
    (root / "var/www/.barehost").mkdir(exist_ok=True)
    activation(root, 1, {"static/a.css": "a"}, lambda here: None)
    switch(root, 1)
    (root / "srv/api/current").mkdir(parents=True)
    for name in (root / "etc/nginx/barehost").glob("*"):
        name.chmod(0o644)
    with (
        site(root / "srv/hello/activations/1/app.sock", "r1"),
        site(root / "srv/api/current/app.sock", "a1"),
        serving(root) as running,
    ):
        yield running


def basic(user: str, password: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


EVERYTHING: dict[str, Any] = {
    "redirects": ["www.hello.example.com", "*.old.example.com"],
    "tls": PAIR,
    "hsts": {"subdomains": True},
    "paths": {
        "/api/": {"site": "api", "strip": True},
        "/events/": {"buffering": False, "read_timeout": 3600},
        "/api/up/": {"site": "api", "max_body": "1g"},
    },
    "auth": {"users": {"ada": "pass word"}, "allow": ["192.0.2.0/24"]},
    "headers": {"X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'self'; x \"\\\""},
    "static": {"/static/": "static"},
    "media": {"/media/": "uploads"},
    "error_pages": {404: "404.html", 502: "502.html"},
}
API = app(name="api", server_names=["api.example.com"])


@pytest.mark.parametrize(
    "apps",
    [
        (app(**EVERYTHING), API),
        (app(**{**EVERYTHING, "tls": {"acme": {"names": ["hello.example.com"]}}}), API),
        (
            app(**EVERYTHING | {"redirects": ["www.hello.example.com"], "trusted_proxies": ["10.0.0.0/8"]}),
            API,
        ),
        (
            app(tls="acme", redirects=["www.hello.example.com"], hsts=True),
            app(name="b", server_names=["b.example"]),
        ),
        (app(tls={"acme": {}, "redirect": False}),),
        (app(auth={"allow": ["10.0.0.0/8"]}),),
        (app(auth={"users": {"ada": "x"}}),),
        (app(paths={"/api/": {"site": "api"}}, trusted_proxies=["10.0.0.0/8"]), API),
    ],
)
def test_nginx_takes_it_and_gixy_finds_nothing(root: Path, apps: tuple[App, ...]) -> None:
    lay(root, nginx(Host("web1", apps=apps), DEBIAN_12))
    certificate(root / "srv/tls")
    live = root / "var/lib/barehost/tls/hello/live"
    live.mkdir(parents=True)
    (live / "fullchain.pem").symlink_to("/srv/tls/site.crt")
    (live / "privkey.pem").symlink_to("/srv/tls/site.key")
    tested = inside(root, "nginx -T")
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    assert issues(root, tested.stdout) == []


def test_another_name_leads_to_the_first_in_one_step(root: Path) -> None:
    with front(root, app(redirects=["www.hello.example.com"], tls=PAIR, hsts=True)) as running:
        for port, tls in ((80, False), (443, True)):
            moved = running.get("/a?b=c", host="www.hello.example.com", port=port, tls=tls)
            assert (moved.status, moved.headers["location"]) == (308, "https://hello.example.com/a?b=c")
        assert running.get("/.well-known/acme-challenge/token", host="www.hello.example.com").body == b"proof"


def test_until_there_is_a_certificate_http_serves_and_then_it_leads_to_https(root: Path) -> None:
    hello = app(tls="acme", redirects=["www.hello.example.com"], hsts=True, static={"/static/": "static"})
    with front(root, hello) as running:

        def asked(path: str, port: int = 80, host: str = "hello.example.com") -> Answer:
            return running.get(path, host=host, port=port, tls=port == 443)

        assert asked("/").headers["x-release"] == "r1"
        assert asked("/static/a.css").body == b"a"
        assert asked("/", host="www.hello.example.com").headers["location"] == "http://hello.example.com/"
        assert "strict-transport-security" not in asked("/", 443).headers
        (root / "srv/hello/issued").touch()
        assert (asked("/x").status, asked("/x").headers["location"]) == (308, "https://hello.example.com/x")
        assert asked("/", host="www.hello.example.com").headers["location"] == "https://hello.example.com/"
        for path in ("/", "/static/a.css", "/static/none.css"):
            assert asked(path, 443).headers["strict-transport-security"] == "max-age=31536000", path
        assert asked("/.well-known/acme-challenge/token").body == b"proof"
        assert asked("/.well-known/acme-challenge/none").status == 404


def test_the_longest_prefix_says_who_answers(root: Path) -> None:
    paths = {
        "/api/": {"site": "api", "strip": True},
        "/api/v2/": {"site": "api"},
        "/api/mine/": {"read_timeout": 5},
    }
    with front(root, app(paths=paths), API) as running:

        def seen(path: str) -> tuple[str, str, str | None]:
            answer = running.get(path, headers=[("X-Forwarded-Prefix", "/evil")])
            return (
                answer.headers["x-release"],
                answer.seen["path"],
                answer.seen["headers"].get("X-Forwarded-Prefix"),
            )

        assert seen("/") == ("r1", "/", None)
        assert seen("/api/users?a=b") == ("a1", "/users?a=b", "/api")
        assert seen("/api/v2/users") == ("a1", "/api/v2/users", None)
        assert seen("/api/mine/x") == ("r1", "/api/mine/x", None)
        assert seen("/api/a%0d%0aX-Evil:%201")[:2] == ("a1", "/a%0D%0AX-Evil:%201")
        assert seen("/apis") == ("r1", "/apis", None)
        assert seen("/api/../admin") == ("r1", "/admin", None) or seen("/api/../admin")[0] == "r1"
        (root / "srv/api/maintenance").touch()
        assert running.get("/api/users").status == 503
        assert running.get("/").status == 200


def test_only_who_knows_the_password_comes_in_but_for_certificates_and_the_proof(root: Path) -> None:
    hello = app(auth={"users": {"ada": "pass word"}}, static={"/static/": "static"}, media={"/media/": "m"})
    with front(root, hello) as running:
        for path in ("/", "/static/a.css", "/media/x", "/nothing"):
            assert running.get(path).status == 401, path
            assert running.get(path, headers=[basic("ada", "password")]).status == 401, path
            assert running.get(path, headers=[basic("eve", "pass word")]).status == 401, path
        inside = running.get("/", headers=[basic("ada", "pass word")])
        assert inside.status == 200
        assert "Authorization" not in inside.seen["headers"], "the site was shown the password"
        assert running.get("/static/a.css", headers=[basic("ada", "pass word")]).body == b"a"
        assert running.get("/", headers=PROOF).headers["x-release"] == "r1"
        assert running.get("/.well-known/acme-challenge/token").body == b"proof"
        socket = root / "srv/hello/activations/1/app.sock"
        away = socket.rename(socket.with_suffix(".away"))
        assert running.get("/", headers=[basic("ada", "pass word")]).status == 502
        assert running.get("/").status == 401
        away.rename(socket)


def test_a_network_comes_in_without_a_password(root: Path) -> None:
    hello = app(auth={"users": {"ada": "x"}, "allow": ["127.0.0.0/8"]})
    with front(root, hello) as running:
        answer = running.get("/", headers=[("Authorization", "Bearer token-of-the-site")])
        assert answer.seen["headers"]["Authorization"] == "Bearer token-of-the-site"


def test_without_passwords_everybody_else_is_turned_away(root: Path) -> None:
    with front(root, app(auth={"allow": ["192.0.2.0/24"]}, static={"/static/": "static"})) as running:
        assert running.get("/").status == 403
        assert running.get("/static/a.css").status == 403
        assert running.get("/.well-known/acme-challenge/token").body == b"proof"
        assert running.get("/", headers=PROOF).status == 200
        assert running.get("/.barehost/unavailable.html").status in (403, 404)


def test_a_header_is_on_every_answer_once_whatever_it_holds(root: Path) -> None:
    value = "default-src 'self'; x \"\\\" # {} ;"
    headers = {"X-Policy": value, "X-Large": "ours"}
    with front(root, app(headers=headers, static={"/static/": "static"})) as running:
        for path in ("/", "/static/a.css", "/static/none.css", "/headers/10"):
            answer = running.get(path)
            assert answer.headers["x-policy"] == value, path
            assert answer.headers["x-large"] == "ours", "the site's own stands beside it"


def test_bytes_pass_as_they_come_only_where_buffering_is_off(root: Path) -> None:
    lay(
        root,
        nginx(
            Host("web1", apps=[app(paths={"/events/": {"buffering": False, "read_timeout": 999}})]), DEBIAN_12
        ),
    )
    text = (root / "etc/nginx/conf.d/hello.conf").read_text()
    events = text[text.index("location ^~ /events/") :]
    events = events[: events.index("\n    }")]
    assert "proxy_buffering off;" in events and "proxy_read_timeout 999s;" in events
    rest = text.replace(events, "")
    assert "proxy_buffering on;" in rest and "proxy_buffering off;" not in rest


def test_http3_is_listened_to_where_the_hosts_nginx_has_it() -> None:
    def written(**own: str) -> str:
        found = nginx(Host("web1", apps=[app(tls=PAIR, http3=True)]), Facts(own={"nginx": "1.26.3", **own}))
        return "".join(str(getattr(one, "body", "")) for one in found)

    there = written(http3="yes")
    assert "listen 443 quic;" in there and "listen 443 quic default_server reuseport;" in there
    assert "h3=" in there
    assert "quic" not in written()


def test_a_password_is_hashed_the_same_in_every_run_and_otherwise_for_everybody_else() -> None:
    assert hashed("shop", "ada", "secret") == hashed("shop", "ada", "secret")
    assert (
        len({hashed(*one) for one in (("shop", "ada", "s"), ("shop", "bob", "s"), ("blog", "ada", "s"))}) == 3
    )
    with pytest.raises(InputError):
        hashed("shop", "ada", "x" * 73)
