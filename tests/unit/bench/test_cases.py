"""The proofs of the cases fail when the hosts do not show the result: against a real web server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench import cases, hosts
from bench.cases import CASE, FLEETS, Case
from bench.contenders import Target
from bench.job import Job, static_content


class Site:
    """What the server answers; a page that is not set is a 404."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {"/": b"version 3", "/static/d7/0107.bin": b"x" * 16_000}


@pytest.fixture
def site() -> Iterator[tuple[Site, Target]]:
    """A site on the loopback address, and the host that has it."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = site.pages.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site, Target("web", f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of a site that will not answer as it should."""
    monkeypatch.setattr(cases, "SERVED_SECONDS", 0.8)


def test_a_site_that_answers_is_served(site: tuple[Site, Target]) -> None:
    cases.served([site[1]], 1)


@pytest.mark.usefixtures("impatient")
def test_a_site_with_another_page_is_not_served(site: tuple[Site, Target]) -> None:
    site[0].pages["/"] = b"Welcome to nginx!"
    with pytest.raises(AssertionError, match="web does not serve the site"):
        cases.served([site[1]], 1)


@pytest.mark.usefixtures("impatient")
def test_a_site_without_its_static_files_is_not_served(site: tuple[Site, Target]) -> None:
    del site[0].pages["/static/d7/0107.bin"]
    with pytest.raises(OSError, match="404"):
        cases.served([site[1]], 1)
    site[0].pages["/static/d7/0107.bin"] = b""
    with pytest.raises(AssertionError, match="web does not serve its files"):
        cases.served([site[1]], 1)


@pytest.mark.usefixtures("impatient")
def test_a_host_that_does_not_answer_serves_nothing() -> None:
    with pytest.raises(AssertionError, match="gone does not serve the site"):
        cases.served([Target("gone", "127.0.0.1:1")], 1)


@pytest.mark.usefixtures("impatient")
def test_one_bad_host_among_good_ones_is_seen(site: tuple[Site, Target]) -> None:
    with pytest.raises(AssertionError, match="gone"):
        cases.served([site[1], Target("gone", "127.0.0.1:1")], 1)


@pytest.mark.usefixtures("impatient")
def test_a_release_is_proven_by_the_version_of_this_run(site: tuple[Site, Target]) -> None:
    cases.released([site[1]], 3)
    with pytest.raises(AssertionError, match="web serves another version"):
        cases.released([site[1]], 4)


def test_the_version_is_waited_for(site: tuple[Site, Target]) -> None:
    timer = threading.Timer(0.2, site[0].pages.update, args=({"/": b"version 4"},))
    timer.start()
    cases.released([site[1]], 4)
    timer.join()


@pytest.mark.usefixtures("impatient")
def test_a_file_is_shipped_when_it_is_served_as_it_is_in_this_run(site: tuple[Site, Target]) -> None:
    site[0].pages["/static/d3/0103.bin"] = static_content(3)
    cases.shipped([site[1]], 3)
    with pytest.raises(AssertionError, match="web serves another file"):
        cases.shipped([site[1]], 4)


def test_a_file_that_was_not_replaced_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "inside", lambda host, script: "3")
    cases.replaced([Target("web", "")], 3)
    with pytest.raises(AssertionError, match="web has another file"):
        cases.replaced([Target("web", "")], 30)


def test_another_value_in_nginx_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "inside", lambda host, script: "server {\n client_max_body_size 14m;\n}")
    cases.configured([Target("web", "")], 3)
    for number in (4, 30):  # 14m is not 15m, and no part of 41m
        with pytest.raises(AssertionError, match="web has another value"):
            cases.configured([Target("web", "")], number)


def test_a_file_that_did_not_arrive_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"there": "2000\n", "short": "1999\n", "none": "0\n"}
    monkeypatch.setattr(hosts, "inside", lambda host, script: told[host.name])
    cases.arrived([Target("there", "")], 1)
    for name in ("short", "none"):
        with pytest.raises(AssertionError, match=f"{name} has"):
            cases.arrived([Target("there", ""), Target(name, "")], 1)


@pytest.mark.parametrize("case", CASE.values(), ids=CASE)
def test_a_run_is_judged_by_what_it_says_or_by_a_proof(case: Case) -> None:
    assert case.quiet or case.proof


def test_a_run_that_changes_something_changes_it_to_something_new_each_time(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.write()
    seen = set()
    for number in (1, 2):
        assert CASE["release"].act(job, number).what == "release"
        seen.add((job.site / "shop.py").read_text())
        assert CASE["static"].act(job, number).what == "release"
        seen.add((job.site / "static/d3/0103.bin").read_bytes())
        seen.add(CASE["template"].act(job, number).body)
    assert len(seen) == 6


def test_one_file_of_the_folder_is_another_in_each_run(tmp_path: Path) -> None:
    job = Job(tmp_path)
    folder = CASE["tree-1"].act(job, 1).folder
    assert folder
    before = {path: path.read_bytes() for path in folder.rglob("*.txt")}
    assert len(before) == 5000
    CASE["tree-1"].act(job, 2)
    assert sum(path.read_bytes() != content for path, content in before.items()) == 1
    cases.tidy(job)
    assert not folder.exists()


def test_the_fleets_are_the_same_run_on_ever_more_hosts() -> None:
    assert [CASE[name].count for name in FLEETS] == [1, 4, 8, 16, 64]
    assert {CASE[name].act for name in FLEETS} == {CASE["noop"].act}
