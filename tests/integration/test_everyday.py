"""logs and run on a served host: the newest lines in the order of time, what is piped in, and what stops at once."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable

import pytest
from booting import Clone
from sites import Project, sh, until

from deploy.staging import Image

SPEAK = r"""
n=$(readlink /srv/hello/current)
say() {
  printf 'MESSAGE=said %s\nOBJECT_SYSTEMD_UNIT=hello@%s.service\n' "$1" "${n##*/}" | logger --journald; sleep 1.1
}
say one; say two; say three
printf '%s [error] 1#1: said four\n' "$(date '+%Y/%m/%d %H:%M:%S')" >> /var/log/nginx/hello.error.log; sleep 1.1
say five
printf '2020/01/01 00:00:00 [error] 1#1: said long ago\n' >> /var/log/nginx/hello.error.log
"""
"""Lines of the site's unit, each in a second of its own, with one of Nginx's between them."""


def words(text: str) -> list[str]:
    """What SPEAK said, in the order it is shown."""
    return re.findall(r"said (\w+)", text)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_logs_are_the_newest_lines_in_the_order_of_time_and_commands_are_fed(
    suite: str, served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served(suite))
    project.serve(host)
    sh(host, SPEAK)
    until(lambda: "said five" in project.run("logs", host.name).out)
    shown = project.run("logs", host.name, "-n", "2")
    assert words(shown.out)[-2:] == ["four", "five"], shown.said
    assert "one" not in words(shown.out)
    assert [one for one in words(project.run("logs", host.name).out) if one != "ago"] == [
        "one",
        "two",
        "three",
        "four",
        "five",
    ]

    refused = project.run("logs", host.name, "--since", "blah")
    assert (refused.code, refused.out) == (3, "")
    assert "'blah'" in refused.err

    piped = project.start(
        "run", host.name, "--", "sh", "-c", "cat; echo complaint >&2", stdin=subprocess.PIPE
    )
    assert piped.communicate("piped in\n", timeout=60) == ("piped in\n", "complaint\n")
    assert piped.returncode == 0
    assert project.run("run", host.name, "--", "sh", "-c", "cat; exit 3").code == 3


def test_following_ends_at_the_first_interrupt_and_leaves_nothing_on_the_host(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host)
    follows = "ps -e -o args | grep -c '[j]ournalctl -f'"
    with project.start("logs", host.name, "--follow", "-n", "1") as process:
        until(lambda: sh(host, f"{follows} || true").strip() == "1")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, out + err
    assert err == ""
    until(lambda: sh(host, f"{follows} || true").strip() == "0")
