"""What of a site faces the internet: which values are accepted, and that a hostile one never becomes configuration."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.schema.model import Faulty, build
from deploy.shell import Secret
from deploy.site import edge
from deploy.site.app import App
from deploy.site.checks import beside

GOOD: dict[str, Any] = {
    "name": "shop",
    "source": "site",
    "wsgi": "shop:app",
    "server_names": ["shop.example.com"],
}
PAIR = {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}


def app(**values: Any) -> App:
    return build(App, {**GOOD, **values})


def refused(**values: Any) -> bool:
    try:
        app(**values)
    except Faulty:
        return True
    return False


def test_acme_stands_for_a_mapping_of_defaults():
    tls = app(tls="acme").tls
    assert tls is not None
    assert tls == app(tls={"acme": True}).tls
    assert tls.acme == edge.Acme()
    assert (tls.acme.directory, tls.acme.key_type) == (edge.LETS_ENCRYPT, "ecdsa")


def test_the_certificate_has_every_name_that_leads_to_the_site():
    site = app(tls="acme", redirects=["www.shop.example.com"])
    assert edge.issued_names(site) == ("shop.example.com", "www.shop.example.com")
    assert edge.issued_names(app(tls={"acme": {"names": ["shop.example.com"]}})) == ("shop.example.com",)
    assert edge.issued_names(app(tls=PAIR)) == ()


@pytest.mark.parametrize(
    "values",
    [
        {"tls": {"acme": {"names": ["other.example.com"]}}},
        {"tls": "acme", "server_names": ["*.example.com"]},
        {"tls": "acme", "server_names": ["192.0.2.7"]},
        {"tls": "acme", "server_names": ["localhost"]},
        {"tls": "acme", "listen": [8080]},
        {"tls": "letsencrypt"},
        {"tls": {"acme": {}, **PAIR}},
        {"tls": {"certificate": "/etc/ssl/shop.pem"}},
        {"tls": {"certificate": "/etc/ssl/shop.pem", "key": Secret("-----BEGIN PRIVATE KEY-----")}},
        {"tls": {**PAIR, "key": Secret("not a key")}},
        {"tls": {"acme": {"email": "a@b.c;rm"}}},
        {"tls": {"acme": {"directory": "http://ca.example.com/dir"}}},
        {"tls": {"acme": {"directory": "https://ca.example.com/dir' --x"}}},
        {"tls": {"acme": {"key_type": "dsa"}}},
        {"hsts": True},
        {"http3": True},
        {"tls": PAIR, "hsts": {"preload": True}},
        {"tls": PAIR, "hsts": {"max_age": 1, "subdomains": True, "preload": True}},
        {"tls": PAIR, "hsts": -1},
        {"redirects": ["shop.example.com"]},
        {"redirects": ["www.shop.example.com;"]},
        {"auth": {}},
        {"auth": {"users": {"a:b": "x"}}},
        {"auth": {"users": {"ada": ""}}},
        {"auth": {"users": {"ada": "x" * 73}}},
        {"auth": {"allow": ["10.0.0.0/8; allow all"]}},
        {"paths": {"/.well-known/acme-challenge/": {"buffering": False}}},
        {"paths": {"/.barehost/x/": {"buffering": False}}},
        {"paths": {"/a b/": {}}},
        {"paths": {"/api": {"site": "api"}}},
        {"paths": {"/api/": {"site": "shop"}}},
        {"paths": {"/api/": {"site": "a; }"}}},
        {"paths": {"/api/": {"strip": True}}},
        {"paths": {"/api/": {"read_timeout": 0}}},
        {"paths": {"/static/": {"site": "api"}}, "static": {"/static/": "static"}},
        {"headers": {"X-A": "a\nb"}},
        {"headers": {"X-A": "$http_cookie"}},
        {"headers": {"X-A": " a"}},
        {"headers": {"X A": "a"}},
        {"headers": {"X-A;": "a"}},
        {"headers": {"X-Release": "a"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"Strict-Transport-Security": "max-age=1"}},
        {"headers": {"X-A": "1", "x-a": "2"}},
    ],
)
def test_what_cannot_be_meant_or_could_be_more_than_a_value_is_refused(values: dict[str, Any]):
    assert refused(**values)


def test_a_year_is_what_hsts_means_unless_it_says_more():
    def value(hsts: Any) -> str:
        found = app(tls=PAIR, hsts=hsts).hsts
        assert found is not None
        return found.value

    assert value(True) == "max-age=31536000"
    assert value(60) == "max-age=60"
    assert value({"subdomains": True, "preload": True}) == "max-age=31536000; includeSubDomains; preload"
    assert app(tls=PAIR, hsts=False).hsts is None


@given(st.text())
def test_whatever_is_accepted_as_a_header_cannot_leave_its_quotes(text: str):
    if not refused(headers={"X-A": text}):
        assert "$" not in text and text.isascii() and text.isprintable()


def test_every_secret_of_a_site_is_known_as_one():
    key = Secret("-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----")
    site = app(
        secrets={"A": "1"},
        auth={"users": {"ada": Secret("pass")}},
        tls={"certificate": Secret("-----BEGIN CERTIFICATE-----"), "key": key},
    )
    assert [one.reveal() for one in site.confidential] == ["1", "pass", key.reveal()]
    assert "pass" not in repr(site)


def test_a_name_that_another_site_redirects_is_taken():
    other = app(name="blog", server_names=["www.shop.example.com"])
    with pytest.raises(ValueError, match=r"www\.shop\.example\.com port 80 belongs to the site 'shop'"):
        beside([app(redirects=["www.shop.example.com"]), other])


def test_a_path_leads_to_a_site_of_this_host():
    site = app(paths={"/api/": {"site": "api"}})
    with pytest.raises(ValueError, match="names the site 'api'"):
        beside([site])
    beside([site, app(name="api", server_names=["api.example.com"])])
