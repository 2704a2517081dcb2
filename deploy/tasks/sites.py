"""maintenance, logs, run: a site on its ordinary days."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from invoke import Context

from deploy.tasks.common import INTERRUPTED, Choice, leave, password_once, present, task

if TYPE_CHECKING:
    from deploy.inventory.hosts import Host
    from deploy.site.app import App


@task(positional=["state"], help={"state": "on or off", "site": "only this site; default: all"})
def maintenance(
    context: Context,
    state: str,
    choice: Choice,
    site: str = "",
) -> int:
    """Close sites to visitors (503, Retry-After, a page; static files are still served), or open them again."""
    from deploy import report
    from deploy.errors import BarehostError, InputError
    from deploy.fleet import run as fleet
    from deploy.release.everyday import maintenance as script

    if state not in ("on", "off"):
        raise InputError(f"maintenance is on or off, not {state!r}")
    hosts = choice.hosts()
    sites = present(hosts, site)
    answers = fleet.ask(
        hosts,
        lambda session: session.run(script(sites[session.host.name], on=state == "on"), timeout=60),
        password=password_once(),
    )
    failed = 0
    for one, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, BarehostError):
            report.error(answer)
            failed = failed or answer.exit_code
            continue
        for line in answer.stdout.decode(errors="replace").splitlines():
            report.say(f"{one.name} | {line}")
        if answer.rc != 0:
            report.error(BarehostError(f"{one.name}: {answer.stderr.decode(errors='replace').strip()}"))
            failed = failed or BarehostError.exit_code
    return failed


@task(
    help={
        "site": "only this site; default: all",
        "process": "only what this process or timer said; default: the whole site, and Nginx's errors",
        "follow": "go on as lines come, until ^C",
        "since": "how far back, as journalctl takes it: 10m ago, yesterday, 2026-11-23 10:00; default: 1h ago",
        "n": "how many lines of each log at most; default: 200",
    }
)
def logs(
    context: Context,
    choice: Choice,
    site: str = "",
    process: str = "",
    follow: bool = False,
    since: str = "1h ago",
    n: int = 200,
) -> int:
    """Show what the sites said (journal) and what Nginx complained of, each line with its host and site."""
    from deploy import report
    from deploy.errors import BarehostError, HostError, InputError
    from deploy.fleet import run as fleet
    from deploy.release.everyday import NO_TIME, check_process
    from deploy.release.everyday import logs as script
    from deploy.transport import Session
    from deploy.transport.session import each

    hosts = choice.hosts()
    sites = present(hosts, site)
    if process:
        check_process([app for apps in sites.values() for app in apps], process, timers=True)
    if n < 1:
        raise InputError(f"-n takes the number of lines to show, not {n}")

    def show(session: Session) -> None:
        name = session.host.name
        text = script(sites[name], since=since, lines=n, follow=follow, process=process)
        reply = each(
            session.stream(text, timeout=None, idle=None), lambda line: report.say(f"{name} | {line}")
        )
        if reply.rc == NO_TIME:
            raise InputError(
                f"--since takes a time as journalctl does (10m ago, yesterday, 12:30), not {since!r}"
            )
        if reply.rc:
            raise HostError(
                f"{name}: its logs cannot be read: {reply.stderr.decode(errors='replace').strip()}"
            )

    try:
        answers = fleet.ask(hosts, show, password=password_once())
    except KeyboardInterrupt:
        if not follow:
            raise
        leave(INTERRUPTED)  # how following ends; nothing was begun that goes on
    failed = 0
    for message in dict.fromkeys(str(one) for one in answers if isinstance(one, InputError)):
        raise InputError(message)
    for answer in answers:
        if isinstance(answer, BarehostError):
            report.error(answer)
            failed = failed or answer.exit_code
    return failed


@task(help={"site": "whose venv and environment; default: the host's only site"})
def run(
    context: Context,
    choice: Choice,
    site: str = "",
) -> int:
    """Run a command in a site's current release, with its venv and environment: `invoke run --host web1 -- argv...`."""
    from deploy.errors import InputError

    argv = (
        sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    )  # Invoke would join it with spaces
    if not argv:
        raise InputError("say what to run after two dashes: invoke run --host web1 -- python manage.py shell")
    hosts = choice.hosts()
    sites = present(hosts, site)
    for one in hosts:
        if len(sites[one.name]) != 1:
            raise InputError(f"{one.name} has several sites; say which with --site")
    return in_site(hosts, sites, argv)


def in_site(hosts: Sequence[Host], sites: Mapping[str, Sequence[App]], argv: Sequence[str]) -> int:
    """Run ``argv`` in the first of each host's sites: on a terminal where this is one, else with what is piped in."""
    from deploy import report, transport
    from deploy.release.everyday import STDIN, command
    from deploy.transport.session import each

    if sys.stdin.isatty() and sys.stdout.isatty() and len(hosts) == 1:
        (only,) = hosts
        return transport.interact(only, command(sites[only.name][0], argv, terminal=True))
    code = 0
    with _piped() as given:
        for one in hosts:
            prefix = f"{one.name} | " if len(hosts) > 1 else ""
            with transport.connect(one, password=password_once()) as session:
                if given is not None:
                    given.seek(0)
                    session.put(STDIN, iter(lambda: given.read(BLOCK), b""))
                script = command(sites[one.name][0], argv, terminal=False, stdin=given is not None)
                reply = each(session.stream(script, timeout=None, idle=None), functools.partial(_say, prefix))
            for line in reply.stderr.decode(errors="replace").splitlines():
                report.complain(prefix + line)
            code = code or reply.rc
    return code


BLOCK = 1 << 16
"""Bytes of what is piped in that are handed on at once."""


@contextmanager
def _piped() -> Iterator[IO[bytes] | None]:
    """What is piped into this command, read to its end and kept on disk; None where nothing is."""
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, ValueError, OSError):  # closed, or no file at all
        kind = 0
    if not (stat.S_ISFIFO(kind) or stat.S_ISREG(kind) or stat.S_ISSOCK(kind)):
        yield None
        return
    with TemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept, BLOCK)
        yield kept


def _say(prefix: str, line: str) -> None:
    from deploy import report

    report.say(prefix + line)
