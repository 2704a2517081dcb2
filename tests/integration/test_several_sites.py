"""Several sites on one host: they switch in one run, and what happens to one leaves the others alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from booting import Clone
from releasing import broken, edit, serving, ship
from sites import HELLO, Project, ask, leftovers, sh, visitors

from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]

PAGE = """def app(environ, start):
    start('200 OK', [('Content-Type', 'text/plain')])
    return [b'%s']
"""
"""A site of one page that needs no package."""


def small(name: str, **changes: Any) -> dict[str, Any]:
    """A site of the inventory whose code is :data:`PAGE`, in a folder of its name."""
    site = {
        "source": name,
        "wsgi": "page:app",
        "requirements": None,
        "server_names": [f"{name}.example.com"],
        "health": {"path": "/", "timeout": 20},
        "workers": 1,
    }
    return {name: site | changes}


def page(project: Project, name: str, text: str) -> None:
    """What the site ``name`` answers, from its next release on."""
    project.write(f"{name}/page.py", PAGE.replace("%s", text))


def answer(host: StagingHost, name: str) -> str:
    return ask(host, name=f"{name}.example.com").text


@contextlib.contextmanager
def asked(host: StagingHost, *names: str) -> Iterator[None]:
    """Visitors ask each of these sites all the time, and none of their requests is lost."""
    with contextlib.ExitStack() as stack:
        wrong = {name: stack.enter_context(visitors(host, "/", name=f"{name}.example.com")) for name in names}
        yield
    assert not any(wrong.values()), wrong


SIX = ("one", "two", "three", "four", "five", "six")


def test_six_sites_switch_in_one_run_and_lose_no_request(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    sites: dict[str, Any] = {"hello": HELLO}
    for name in SIX:
        page(project, name, "first")
        sites |= small(name)
    project.serve(host, sites)
    project.provision()
    assert {answer(host, name) for name in SIX} == {"first"}
    for name in SIX:
        page(project, name, "second")
    with asked(host, "hello", *SIX):
        ship(project)
        assert {answer(host, name) for name in SIX} == {"second"}
        before = {name: sh(host, f"readlink /srv/{name}/current") for name in SIX}
        ship(project, task="restart")
        assert all(sh(host, f"readlink /srv/{name}/current") != before[name] for name in SIX)
        ship(project, task="rollback")
        assert {answer(host, name) for name in SIX} == {"first"}
    project.settled()


def test_each_site_fails_by_itself_and_the_run_says_which(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    for name in ("good", "asks", "moved", "absent", "refused", "lacks", "foreign"):
        page(project, name, name)
    project.write("moved/page.py", PAGE.replace("200 OK", "302 Found"))
    project.write("asks/requirements.txt", "no-such-package-of-barehost==1\n")
    tls = {"certificate": "/etc/ssl/none.pem", "key": "/etc/ssl/none.key"}
    bad = (
        small("lacks", packages=["no-such-package"])
        | small("asks", requirements="requirements.txt")
        | small("refused", tls=tls)
        | small("absent", wsgi="nothing:app")
        | small("moved")
        | small("foreign")
    )
    sh(host, "mkdir -p /srv/foreign/releases/of-another-tool")
    project.serve(host, {**bad, "hello": HELLO, **small("good")})
    with asked(host, "hello"):
        done = broken(project, "--json", task="provision")
    report = done.report()
    assert {one["scope"] for one in report["failures"]} == set(bad), report["failures"]
    assert "activation:good" in report["changed"]
    assert not {f"activation:{name}" for name in bad} & set(report["changed"])
    assert answer(host, "good") == "good"
    assert leftovers(host) == ""
    there = sh(host, "ls /etc/nginx/conf.d; ls -d /srv/*/current").split()
    assert [one for one in there if any(name in one for name in bad)] == [], "a failed site's files went back"
    assert " partly " in sh(host, "tail -n 1 /var/log/barehost.log"), (
        "the last word on a run is not that it is done"
    )

    again = broken(project, task="provision")
    assert all(name in again.out.splitlines()[-1] for name in bad), "the summary names the sites that failed"

    assert project.run("plan", "--site", "good").code == 0
    assert project.run("plan", "--site", "moved").code == 2
    project.provision("--site", "good")
    checked = project.run("verify", "--site", "good")
    assert checked.code == 0, checked.said
    assert not any(name in checked.out for name in ("hello", *bad))
    nobody = broken(project, "--site", "god", task="provision", code=3)
    assert "good" in nobody.err, "the nearest name is said"

    page(project, "moved", "moved")
    sh(host, "rm -r /srv/foreign/releases")
    project.serve(
        host,
        {"hello": HELLO}
        | {key: value for name in ("good", *bad) if name != "refused" for key, value in small(name).items()},
    )
    with asked(host, "hello", "good"):
        project.provision()
    assert {answer(host, name) for name in bad if name != "refused"} == set(bad) - {"refused"}
    project.settled()


def test_a_rollback_skips_what_was_gone_back_from_and_a_retry_goes_to_the_same_release(
    served: Served, clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host, {"hello": HELLO})
    releases = [serving(host)]
    for number in range(2):
        edit(project, f"# {number}")
        ship(project)
        releases.append(serving(host))
    ship(project, task="rollback")
    assert serving(host) == releases[1]
    edit(project, "# after a rollback")
    ship(project)
    releases.append(serving(host))

    sh(
        host, "mkdir /srv/hello/.gone && mount -t tmpfs tmpfs /srv/hello/.gone"
    )  # what is pruned goes through it
    failed = broken(project, "--json", task="rollback")
    assert serving(host) == releases[1], "the third was gone back from, so it is skipped"
    assert failed.report()["failure"]["command"].startswith("prune")
    sh(host, "umount /srv/hello/.gone")
    ship(project, task="rollback")
    assert serving(host) == releases[1], "the same command again goes no further back"
    ship(project, task="rollback")
    assert serving(host) == releases[0]
    refused = broken(project, task="rollback", code=3)
    assert "no earlier release" in refused.err
    ship(project, "--to", releases[2], task="rollback")
    assert serving(host) == releases[2]
    ship(project, task="rollback")
    assert serving(host) == releases[0]
