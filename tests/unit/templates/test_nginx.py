"""Nginx's configuration, rendered from the roles and judged by a real Nginx and by gixy."""

from __future__ import annotations

import datetime
import gzip
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.render import literals
from deploy.render.templates import render
from deploy.roles.nginx import nginx, proof
from deploy.schema.model import Faulty
from deploy.site.app import App
from tests.unit.fakes.front import Front, activation, inside, lay, serving, site, switch
from tests.unit.fakes.site import BOOKWORM, app, host

TLS = {"certificate": "/srv/tls/site.crt", "key": "/srv/tls/site.key"}


def certificate(folder: Path) -> None:
    """A self-signed one, where the TLS sites expect theirs."""
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hello.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "site.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "site.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


SPOOFED = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Real-IP", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Protocol", "ssl"),
    ("X-Forwarded-Ssl", "on"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "666"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Forwarded-Scheme", "https"),
    ("X-Scheme", "https"),
    ("X-Url-Scheme", "https"),
    ("Forwarded", "for=6.6.6.6;proto=https;host=evil.example"),
    ("X-Script-Name", "/evil"),
    ("X-Original-URL", "/evil"),
    ("X-Rewrite-URL", "/evil"),
    ("X-Client-IP", "6.6.6.6"),
    ("True-Client-IP", "6.6.6.6"),
    ("Front-End-Https", "on"),
    ("Proxy", "http://evil.example"),
    ("X_Forwarded_Proto", "https"),
    ("SCRIPT_NAME", "/evil"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
]


def test_a_client_cannot_say_who_it_is_or_how_it_came(front: Front) -> None:
    seen = front.get("/", headers=SPOOFED).seen
    assert seen["headers"] | {"HTTP2-Settings": ""} == {
        "Host": "hello.example.com",
        "X-Real-IP": "127.0.0.1",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "Connection": "close",
        "HTTP2-Settings": "",
    }
    assert len(seen["names"]) == len(set(seen["names"]))


def test_a_websocket_may_upgrade_and_nothing_else(front: Front) -> None:
    asked = front.get("/", headers=[("Upgrade", "WebSocket")]).seen["headers"]
    assert (asked["Upgrade"], asked["Connection"]) == ("websocket", "upgrade")


@pytest.mark.parametrize(
    ("asked", "seen"),
    [("hello.example.com", "hello.example.com"), ("HELLO.example.com:80", "hello.example.com")],
)
def test_the_site_sees_its_own_name_as_host(front: Front, asked: str, seen: str) -> None:
    assert front.get("/", host=asked).seen["headers"]["Host"] == seen


def test_the_host_of_an_absolute_request_line_wins_over_a_header_that_lies(front: Front) -> None:
    answer = front.get("http://hello.example.com/", host="evil.example")
    assert answer.seen["headers"]["Host"] == "hello.example.com"


@pytest.mark.parametrize("name", ["evil.example", "hello.example.com.evil.example", "127.0.0.1", "_"])
def test_a_name_that_no_site_has_gets_no_answer(front: Front, name: str) -> None:
    assert front.get("/", host=name).status == 0


def test_who_names_no_site_gets_no_answer(front: Front) -> None:
    assert front.send(b"GET / HTTP/1.0\r\n\r\n").status == 0
    assert front.get("/", host="").status == 400


def test_a_server_does_not_tell_its_version(front: Front) -> None:
    assert front.get("/").headers["server"] == "nginx"


@pytest.mark.parametrize(
    "path",
    [
        "/static/.env",
        "/static/.git/config",
        "/static/../hello.py",
        "/static/../env",
        "/static../env",
        "/static../releases/r1/hello.py",
        "/static/..%2fenv",
        "/static/..%2f..%2fenv",
        "/static/%2e%2e/env",
        "/static/%2e%2e%2f%2e%2e%2fenv",
        "/static/..%5cenv",
        "/static/..\\env",
        "/static/..;/env",
        "/static/%00",
        "/static/site.css%00.png",
        "//static/.env",
        "/static//..//env",
        "/static/./.env",
        "/%73tatic/.env",
        "/media/../../activations/1/env",
        "/media../env",
        "/media/..%2f..%2factivations/1/env",
        "/media",
        "/media../activations/1/env",
        "/media/passwd.txt",
        "/media/etc/passwd",
        "/media/env.txt",
        "/media/.hidden",
        "/media/folder/",
        "/media/",
        "/static/",
        "/current/env",
        "/.well-known/acme-challenge/../../hello/activations/1/env",
        "/.well-known/acme-challenge/..%2f..%2f..%2fetc/passwd",
        "/.barehost/config",
        "/.barehost/unavailable.html",
    ],
)
def test_no_path_leads_out_of_what_is_served(front: Front, path: str) -> None:
    answer = front.get(path)
    by_the_site = answer.headers.get("x-release") == "r1"
    assert by_the_site or answer.status in (0, 400, 403, 404), (answer.status, answer.body)
    assert b"SECRET" not in answer.body
    assert b"root:" not in answer.body


def test_a_static_file_is_served_by_nginx_alone_and_asked_for_again_soon(front: Front) -> None:
    answer = front.get("/static/site.css")
    assert answer.body == b"/* release 1 */"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["content-type"] == "text/css"
    assert "x-release" not in answer.headers
    assert front.get("/static/site.css", headers=[("If-None-Match", answer.headers["etag"])]).status == 304


def test_a_packed_sibling_is_sent_to_those_who_take_it(front: Front) -> None:
    answer = front.get("/static/site.css", headers=[("Accept-Encoding", "gzip")])
    assert gzip.decompress(answer.body) == b"/* release 1 */"
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", ["app.0123456789ab.css", "old.ba9876543210.css"])
def test_a_name_with_a_hash_is_kept_for_a_year(front: Front, name: str) -> None:
    assert front.get(f"/static/{name}").headers["cache-control"] == "public, max-age=31536000, immutable"


def test_an_asset_of_an_older_release_is_still_there(front: Front) -> None:
    assert front.get("/static/old.ba9876543210.css").body == b"old"
    assert front.get("/static/never.ba9876543210.css").status == 404


def test_a_static_file_takes_no_post(front: Front) -> None:
    assert front.get("/static/site.css", method="POST").status == 405


def test_a_switch_moves_code_and_files_at_once_without_a_reload(front: Front) -> None:
    for number in itertools.islice(itertools.cycle((1, 2)), 20):
        switch(front.root, number)
        assert front.get("/").headers["x-release"] == f"r{number}"
        assert front.get("/static/site.css").body == f"/* release {number} */".encode()
        assert front.get(f"/static/only{3 - number}.0123456789ab.css").status == 404


def test_a_site_that_does_not_listen_gets_a_page_that_says_so_and_keeps_its_files(front: Front) -> None:
    gone = front.root / "srv/hello/run/1.sock"
    gone.rename(gone.with_suffix(".away"))
    try:
        answer = front.get("/")
        assert (answer.status, answer.headers["retry-after"]) == (502, "5")
        assert b"Back in a moment" in answer.body
        assert answer.headers["cache-control"] == "no-store"
        assert front.get("/static/site.css").status == 200
        assert front.get("/media/photo.png").status == 200
    finally:
        gone.with_suffix(".away").rename(gone)


def test_a_closed_site_asks_all_but_the_proof_of_a_release_to_come_back(front: Front) -> None:
    closed = front.root / "srv/hello/maintenance"
    closed.touch()
    try:
        answer = front.get("/")
        assert (answer.status, answer.headers["retry-after"]) == (503, "300")
        assert b"Being worked on" in answer.body
        assert front.get("/static/site.css").status == 200
        assert front.get("/", headers=[("User-Agent", "barehost-health")]).headers["x-release"] == "r1"
    finally:
        closed.unlink()
    assert front.get("/").status == 200


@pytest.mark.parametrize(
    ("name", "shown"), [("photo.png", True), ("page.html", False), ("drawing.svg", False), ("noext", False)]
)
def test_an_upload_is_never_run_as_part_of_the_site(front: Front, name: str, shown: bool) -> None:
    answer = front.get(f"/media/{name}")
    assert answer.status == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (answer.headers.get("content-disposition") is None) == shown
    assert ("sandbox" in answer.headers.get("content-security-policy", "")) != shown


def test_a_folder_is_never_listed(front: Front) -> None:
    assert front.get("/media/folder/").status == 403
    moved = front.get("/media/folder")
    assert (moved.status, moved.headers["location"]) == (301, "/media/folder/")


def test_an_uploaded_gz_never_stands_for_another_upload(front: Front) -> None:
    answer = front.get("/media/page.html", headers=[("Accept-Encoding", "gzip")])
    assert b"<script>" in answer.body


def test_the_proof_holds_for_the_loaded_configuration_only(front: Front) -> None:
    mark = front.root / "etc/nginx/barehost.d/hello.conf"
    assert front.run(proof(80, 2)).returncode == 0
    assert front.run(proof(81, 2)).returncode == 1
    before = mark.read_text()
    mark.write_text(re.sub("[0-9a-f]{64}", "0" * 64, before))
    try:
        assert front.run(proof(80, None)).returncode == 1
    finally:
        mark.write_text(before)


HOSTS: dict[str, tuple[App, ...]] = {
    "no site at all": (),
    "one site": (app(),),
    "a site without files": (app(static={}, media={}),),
    "two sites": (app(), app(name="shop-2", server_names=["shop.example.com", "*.shop.example.com"])),
    "several ports": (app(listen=[80, 8080]), app(name="shop", server_names=["s.example"], listen=[8081])),
    "behind proxies": (app(trusted_proxies=["10.0.0.0/8", "2001:db8::/32"]),),
    "two behind proxies": (
        app(trusted_proxies=["10.0.0.0/8"]),
        app(name="a-b", server_names=["b.example"], trusted_proxies=["10.0.0.1"]),
    ),
    "TLS": (app(tls=TLS),),
    "TLS without redirect": (app(tls={**TLS, "redirect": False, "port": 8443}),),
    "TLS beside plain": (app(tls=TLS), app(name="shop", server_names=["shop.example.com"])),
    "prefixes within prefixes": (
        app(static={"/static/": "a", "/admin-static/": "b", "/a.b/~c-d/": "c"}, media={"/static/up/": "m"}),
    ),
    "addresses": (app(server_names=["192.0.2.1", "2001:db8::1", "münchen.example"]),),
    "a site that left": (app(state="absent"), app(name="shop", server_names=["shop.example.com"])),
}


@pytest.mark.parametrize("apps", HOSTS.values(), ids=HOSTS.keys())
def test_nginx_takes_the_configuration_and_gixy_finds_nothing(root: Path, apps: tuple[App, ...]) -> None:
    lay(root, nginx(host(*apps), BOOKWORM))
    certificate(root / "srv/tls")
    tested = inside(root, "nginx -T")
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    assert issues(root, tested.stdout) == []


def test_gixy_would_find_something(root: Path) -> None:
    lay(root, nginx(host(app()), BOOKWORM))
    site = root / "etc/nginx/conf.d/hello.conf"
    site.write_text(site.read_text().replace("server_name ", "location /i { alias /data/; } server_name ", 1))
    assert "alias_traversal" in issues(root, inside(root, "nginx -T").stdout)


def issues(root: Path, dump: str) -> list[str]:
    """What gixy finds in a configuration as `nginx -T` writes it out: names of its checks. In this process, since a
    program of its own would take half a second for each."""
    from gixy.core.config import Config
    from gixy.core.manager import Manager

    (root / "dump").write_text(dump)
    gixy = Manager(Config(skips=["hsts_header"]))
    gixy.audit(str(root / "dump"), None)
    return [found.name for found in gixy.results]


def test_a_host_without_ipv6_is_not_asked_to_listen_to_it() -> None:
    written = [
        getattr(one, "body", "")
        for one in nginx(host(app(tls=TLS)), Facts(own={"nginx": "1.22.1"}, ipv6=False))
    ]
    assert not any("[::]" in str(text) for text in written)


@pytest.mark.parametrize(
    ("version", "written", "not_written"),
    [
        ("1.18.0", "listen 443 ssl http2;", "http2 on"),
        ("1.22.1", "listen 443 ssl http2;", "http2 on"),
        ("1.26.3", "http2 on;", "ssl http2"),
    ],
)
def test_http2_is_written_as_the_hosts_nginx_reads_it(version: str, written: str, not_written: str) -> None:
    found = {
        one.id: getattr(one, "body", "") for one in nginx(host(app(tls=TLS)), Facts(own={"nginx": version}))
    }
    text = str(found["path:/etc/nginx/conf.d/hello.conf"])
    assert written in text
    assert not_written not in text


@pytest.mark.parametrize("version", ["1.18.0", "1.22.1"])
def test_tls_serves_its_site_and_nobody_elses_name(root: Path, version: str) -> None:
    lay(root, nginx(host(app(tls=TLS, static={}, media={})), Facts(own={"nginx": version}, ipv6=False)))
    certificate(root / "srv/tls")
    challenge = root / "var/www/acme/.well-known/acme-challenge/token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("key")
    activation(root, 1, {}, lambda here: None)
    switch(root, 1)
    with site(root / "srv/hello/activations/1/app.sock", "r1"), serving(root) as front:
        assert front.get("/", port=443, tls=True).seen["headers"]["X-Forwarded-Proto"] == "https"
        moved = front.get("/a?b=c")
        assert (moved.status, moved.headers["location"]) == (308, "https://hello.example.com/a?b=c")
        assert front.get("/.well-known/acme-challenge/token").body == b"key"
        try:
            refused = front.get("/", host="evil.example", port=443, tls=True).status == 0
        except OSError as error:
            refused = "unrecognized name" in str(error).lower().replace("_", " ")
        assert refused


def test_only_a_trusted_proxy_is_believed(root: Path) -> None:
    def asked(front: Front, port: int) -> dict[str, str]:
        headers = [("X-Forwarded-For", "192.0.2.7, 198.51.100.9"), ("X-Forwarded-Proto", "https")]
        seen: dict[str, str] = front.get("/", headers=headers, port=port, host=f"h{port}.example").seen[
            "headers"
        ]
        return seen

    trusted = app(name="hello", server_names=["h80.example"], trusted_proxies=["127.0.0.0/8", "198.51.100.9"])
    other = app(name="other", server_names=["h81.example"], listen=[81], trusted_proxies=["10.0.0.0/8"])
    lay(root, nginx(host(trusted, other), BOOKWORM))
    for name in ("hello", "other"):
        (root / "srv" / name / "current").mkdir(parents=True)
    hello, second = (root / "srv" / name / "current/app.sock" for name in ("hello", "other"))
    with site(hello, "r1"), site(second, "r1"), serving(root) as front:
        believed, not_believed = asked(front, 80), asked(front, 81)
    assert (believed["X-Forwarded-For"], believed["X-Forwarded-Proto"]) == ("192.0.2.7", "https")
    assert (not_believed["X-Forwarded-For"], not_believed["X-Forwarded-Proto"]) == ("127.0.0.1", "http")


def test_a_site_on_another_port_sees_the_port_in_its_host(root: Path) -> None:
    lay(root, nginx(host(app(listen=[8080])), BOOKWORM))
    (root / "srv/hello/current").mkdir(parents=True)
    with site(root / "srv/hello/current/app.sock", "r1"), serving(root, 8080) as front:
        assert front.get("/", port=8080).seen["headers"]["Host"] == "hello.example.com:8080"


PAGES = {
    "files": {
        "/robots.txt": "static/robots.txt",
        "/favicon.ico": "icons/site.ico",
        "/passwd": "static/passwd",
    },
    "static": {"/static/": "static", "/app/": "dist"},
    "fallback": {"/app/": "index.html"},
    "error_pages": {404: "errors/404.html", 502: "errors/502.html"},
    "max_header": "32k",
}


@pytest.fixture
def pages(root: Path) -> Iterator[Front]:
    """A site with files at its root, a single-page application, error pages of its own, and large cookies."""
    lay(root, nginx(host(app(**PAGES)), BOOKWORM))
    files = {
        "static/robots.txt": "User-agent: *",
        "icons/site.ico": "icon",
        "dist/index.html": "the application",
        "dist/main.js": "script",
        "errors/404.html": "nothing here",
        "errors/502.html": "asleep",
        "secret": "SECRET",
    }
    here = activation(
        root, 1, files, lambda here: (here / "www/app").symlink_to("/srv/hello/releases/r1/dist")
    )
    (root / "srv/hello/releases/r1/static/passwd").symlink_to("/etc/passwd")
    switch(root, 1)
    with site(here / "app.sock", "r1"), serving(root) as front:
        yield front


def test_single_files_are_served_at_the_root_and_links_out_of_the_release_are_not(pages: Front) -> None:
    robots = pages.get("/robots.txt")
    assert (robots.status, robots.body, robots.headers["content-type"]) == (
        200,
        b"User-agent: *",
        "text/plain",
    )
    assert "x-release" not in robots.headers
    assert pages.get("/favicon.ico").body == b"icon"
    assert pages.get("/robots.txt.bak").headers["x-release"] == "r1"
    linked = pages.get("/passwd")
    assert linked.status in (403, 404)
    assert b"root:" not in linked.body


def test_pages_of_an_application_fall_back_to_its_index_and_missing_scripts_do_not(pages: Front) -> None:
    for path in ("/app/", "/app/orders", "/app/orders/7", "/app/orders/7/?tab=1"):
        answer = pages.get(path)
        assert (answer.status, answer.body) == (200, b"the application"), path
    assert pages.get("/app/main.js").body == b"script"
    assert pages.get("/app/gone.js").status == 404
    assert pages.get("/app/.env").status == 403
    assert pages.get("/other").headers["x-release"] == "r1"


def test_what_nginx_answers_itself_has_the_sites_own_pages(pages: Front) -> None:
    missing = pages.get("/static/missing.css")
    assert (missing.status, missing.body) == (404, b"nothing here")
    (pages.root / "srv/hello/activations/1/app.sock").rename(pages.root / "srv/hello/away")
    try:
        asleep = pages.get("/")
        assert (asleep.status, asleep.body, asleep.headers["retry-after"]) == (502, b"asleep", "5")
    finally:
        (pages.root / "srv/hello/away").rename(pages.root / "srv/hello/activations/1/app.sock")
    assert pages.get("/.barehost/error-502").body != b"asleep"


def test_large_cookies_pass_where_the_site_asks_for_them(pages: Front, front: Front) -> None:
    def asked(where: Front, size: int) -> int:
        return where.get("/", headers=[("Cookie", "a" * size)]).status

    assert [asked(pages, size) for size in (7000, 30_000, 40_000)] == [200, 200, 400]
    assert [asked(front, size) for size in (7000, 30_000)] == [200, 400]


def test_an_answer_with_headers_of_twelve_kilobytes_passes(front: Front) -> None:
    assert front.get(f"/headers/{12_000}").status == 200


@pytest.mark.parametrize(
    "keys",
    [
        {"server_names": ["a.example; return 200"]},
        {"server_names": ["a.example\nreturn 200;"]},
        {"server_names": ["~^.*$"]},
        {"server_names": ['"']},
        {"server_names": ["$host"]},
        {"static": {"/static/ { return 200; } location /x/": "static"}},
        {"static": {"/static": "static"}},
        {"static": {"/../": "static"}},
        {"static": {"/static/$uri/": "static"}},
        {"media": {"/media/": "../../etc"}},
        {"media": {"/media/": "/etc"}},
        {"max_body": "10m; return 200"},
        {"trusted_proxies": ["10.0.0.0/8 1; default"]},
        {"wsgi": "hello:app -c /tmp/evil.py"},
        {"wsgi": "-c:app"},
        {"wsgi": "hello:app\nExecStartPre=/bin/sh"},
        {"tls": {"certificate": "/a;b", "key": "/k"}},
        {"sandbox": {"writable": ["/a /etc"]}},
        {"sandbox": {"writable": ["/a\nPrivateTmp=no"]}},
        {"worker_class": "gthread'\nimport os"},
        {"name": "a/../b"},
        {"name": "a%i"},
    ],
)
def test_a_hostile_value_is_an_error_of_the_inventory_never_configuration(keys: dict[str, Any]) -> None:
    with pytest.raises(Faulty):
        app(**keys)


def test_a_value_that_a_template_cannot_hold_is_named_with_the_templates_line(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/mine.j2").write_text("one\n{{ value | nginx }}\n")
    with pytest.raises(InputError, match=r"mine\.j2, line 2: .*'\$'"):
        render("mine.j2", tmp_path, {"value": "$x"})


def test_nginx_itself_reads_quoted_words_back(root: Path) -> None:
    """``\\n`` and ``\\t`` mean something to Nginx only as long as their backslash is not doubled."""
    values = ['a"b', "a\\b", "a\\nb", "\\", "a b;c{d}#e", "'", "{{ x }}", 'é\\"', "", "a\\\\tb"]
    locations = [
        f"location = /{number} {{ return 200 {literals.nginx(value)}; }}"
        for number, value in enumerate(values)
    ]
    lay(root, ())
    text = "events {} http { server { listen 80; " + "\n".join(locations) + "} }"
    (root / "etc/nginx/nginx.conf").write_text(text)
    with serving(root) as front:
        assert [front.get(f"/{number}").body.decode() for number in range(len(values))] == values
