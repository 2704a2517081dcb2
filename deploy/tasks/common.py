"""What every task needs: the chosen hosts, the state folder, errors as one sentence with an exit code."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from invoke import Argument, Exit, Task
from invoke import task as invoke_task

from deploy.tasks.commandline import bare_words, options, refuse_empty

if TYPE_CHECKING:
    from deploy.inventory.hosts import Host
    from deploy.inventory.inventory import Inventory
    from deploy.shell import Secret
    from deploy.site.app import App
    from deploy.transport.connections import Connections

HELP = {
    "host": "a host, group or pattern (web*, !web3), also as bare words; repeatable; default: all",
    "group": "a group; repeatable",
    "inventory": "another inventory file or folder; repeatable (or BAREHOST_INVENTORY)",
    "json": "one JSON event a line, nothing else on stdout",
    "v": "show steps and what they print; twice: their scripts too",
    "diff": "show what changes in files, line by line",
    "check": "only plan: change nothing",
    "executor": "spread the hosts over the workers of a Dask cluster: dask://HOST:PORT or tls://HOST:PORT",
    "batch": "hosts switched at once: a number or a percentage; default: all",
    "max_fail": "hosts that may fail and are left out; one more ends the run and takes back what it switched",
    "keep_going": "leave what was switched where it is when a host fails",
    "wait": "seconds to wait for another run that holds a host",
}
"""Option texts that several tasks share."""


@dataclass(frozen=True)
class Choice:
    """Options: which hosts of which inventory."""

    host: Sequence[str] = ()
    group: Sequence[str] = ()
    inventory: Sequence[str] = ()

    def hosts(self, *, reveal: str | None = None) -> tuple[Host, ...]:
        """The hosts that the options choose; their secrets are masked in everything printed from here on.

        reveal: the name of the site, "" for every site and stack, whose secrets this command needs, so that one that
        cannot be had is an InputError before any host is contacted; None: it needs none.
        """
        from deploy.inventory.secrets import within

        hosts = opened(self.inventory).select(*self.host, *self.group)
        apps = [app for one in hosts for app in one.apps]
        secrets = [one.sudo_password for one in hosts if one.sudo_password is not None]
        stacks = [stack for one in hosts for stack in one.stacks if stack.state == "present"]
        secrets += [secret for app in apps for secret in app.confidential]
        alerts = [one.alerts for one in hosts if one.alerts is not None]
        secrets += [secret for one in alerts for secret in (one.webhook, one.ping) if secret is not None]
        secrets += [secret for stack in stacks for secret in stack.secrets.values()]
        secrets += [secret for one in hosts for secret in within(one.vars)]
        mask(secrets)
        for app in apps if reveal is not None else ():
            if app.state == "present" and reveal in ("", app.name):
                for secret in app.confidential:
                    secret.reveal()
        for stack in stacks if reveal == "" else ():
            for secret in stack.secrets.values():
                secret.reveal()
        return hosts


@dataclass(frozen=True)
class Output:
    """Options: what a run shows. json: events for programs. v: how much of its steps, 0 to 2."""

    json: bool = False
    v: int = 0


@dataclass(frozen=True)
class Course:
    """Options: how sites are switched, host by host."""

    site: str = ""
    batch: str = ""
    max_fail: int = 0
    keep_going: bool = False
    wait: int = 0


GROUPS = {one.__name__: one for one in (Choice, Output, Course)}
"""Options that go together: a task takes them as one argument of that type, and its command line has each of them."""


class WordsTask(Task[Any]):
    """Invoke's Task, with lists whose default is a tuple, and with any number of bare words.

    They are ``names``, or hosts where a task has no names: ``invoke plan web1 web2``. Invoke has no variable
    number of positional arguments, so the number is read off the command line, see
    :func:`deploy.tasks.commandline.bare_words`.
    """

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        if name in self.iterable:
            default = None
        return super().arg_opts(name, default, taken_names)

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        arguments = super().get_arguments(ignore_unknown_help)
        if not {one.name for one in arguments} & {"names", "host"}:
            return arguments
        first = [one for one in arguments if one.positional and one.name != "names"]
        count = len(_words(self.name, arguments)) - len(first)
        words = [Argument(name=f"name{number}", positional=True) for number in range(count)]
        return [*first, *words, *(one for one in arguments if one not in first and one.name != "names")]


def _words(name: str, arguments: Iterable[Argument]) -> list[str]:
    """The bare words of that task on this process's own command line."""
    from deploy.tasks import namespace

    return bare_words(sys.argv[1:], name, options(arguments), namespace.task_names)


def task(**options: Any) -> Callable[[Callable[..., int | None]], Task[Any]]:
    """Invoke's task, with errors a user can understand as one sentence, and the exit code as the function's value.

    Every option has a long name only, but for ``-v``; ``host``, ``group`` and ``inventory`` may be repeated.
    An argument whose type is one of :data:`GROUPS` stands for all its options.
    """

    def wrap(body: Callable[..., int | None]) -> Task[Any]:
        signature = inspect.signature(body)
        groups = {
            name: GROUPS[one.annotation]
            for name, one in signature.parameters.items()
            if one.annotation in GROUPS
        }
        flat = [
            option
            for one in signature.parameters.values()
            for option in (
                inspect.signature(groups[one.name]).parameters.values() if one.name in groups else (one,)
            )
        ]
        names = [one.name for one in flat]

        @functools.wraps(body)
        def run(*arguments: Any, **values: Any) -> None:
            def checked() -> int | None:
                refuse_empty(sys.argv[1:], made, _words(made.name, made.get_arguments()))
                return body(*arguments, **_grouped(groups, values))

            numbered = sorted((key for key in values if key[4:].isdigit()), key=lambda key: int(key[4:]))
            if words := [values.pop(key) for key in numbered]:
                values |= {"names": words} if "names" in names else {"host": [*words, *values["host"]]}
            code = _exit_code(checked)
            if code:
                raise Exit(code=code)

        run.__signature__ = signature.replace(parameters=flat)  # type: ignore[attr-defined]
        texts = {name: HELP[name] for name in names if name in HELP} | options.pop("help", {})
        made: Any = invoke_task(
            run,
            klass=WordsTask,
            auto_shortflags=False,
            help=texts,
            iterable=[name for name in ("host", "group", "inventory") if name in names],
            incrementable=[name for name in ("v",) if name in names],
            **options,
        )
        return cast(Task[Any], made)

    return wrap


def _grouped(groups: Mapping[str, type[Any]], values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a task's body, from the values of its options."""
    made = {
        name: group(**{one.name: values.pop(one.name) for one in fields(group) if one.name in values})
        for name, group in groups.items()
    }
    return values | made


def _exit_code(body: Callable[[], int | None]) -> int:
    from deploy.errors import BarehostError

    try:
        return body() or 0
    except BarehostError as error:
        from deploy import report

        report.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        from deploy import report

        report.say("Stopped here. What has begun on a host goes on there: the same command follows it.")
        leave(INTERRUPTED)


INTERRUPTED = 130
"""The exit code after ^C, as a shell has it."""


def leave(code: int) -> NoReturn:
    """End the process now: threads that wait for hosts would keep it until those answer."""
    sys.stdout.flush()
    os._exit(code)


def answer(question: str) -> str:
    """What somebody types at the terminal; InputError where it ends instead (^D)."""
    from deploy.errors import InputError

    try:
        return input(question).strip()
    except EOFError:
        raise InputError("the question was not answered; nothing was changed") from None


def project() -> Path:
    """The user's project: the nearest folder upwards that holds a tasks.py, where Invoke found it."""
    here = Path.cwd()
    return next((one for one in (here, *here.parents) if (one / "tasks.py").is_file()), here)


def state() -> Path:
    """The project's state folder: facts between runs, pinned host keys, staging hosts, clones. Not for git."""
    return Path(os.environ.get("BAREHOST_STATE") or project() / ".barehost").absolute()


def present(hosts: Sequence[Host], site: str) -> dict[str, list[App]]:
    """The present sites of each host, or the one that was asked for; none at all is an InputError."""
    from deploy.errors import InputError

    found = {
        host.name: [app for app in host.apps if app.state == "present" and (not site or app.name == site)]
        for host in hosts
    }
    if not any(found.values()):
        raise InputError(f"none of the chosen hosts has {f'a site {site!r}' if site else 'any site'}")
    return found


def connections() -> Connections:
    """Where a run's sessions come from; one that logs in ahead starts doing so now."""
    try:
        from deploy import shortcut
    except ImportError:  # the folder is taken out: hosts are connected to as they are asked for
        from deploy.transport.connections import Connections

        return Connections(password_once())
    return shortcut.connections(password_once())


def opened(inventory: Sequence[str]) -> Inventory:
    """The inventory that the options name; what is passed over in it is said on stderr."""
    from deploy import report
    from deploy.inventory.inventory import Inventory

    sources = [Path(one) for one in inventory]
    ask = asked if sys.stdin.isatty() else None
    loaded = Inventory.load(*sources, project=None if inventory else project(), ask=ask)
    for warning in loaded.warnings:
        report.warning(warning)
    return loaded


def mask(secrets: Iterable[Secret]) -> None:
    """Hide these in everything printed from here on; those that are not read yet, from when they are."""
    from deploy import report

    report.mask_secrets(one for one in secrets if one.known() is not None)


def with_site(hosts: Sequence[Host], site: str) -> tuple[Host, ...]:
    """Those of the hosts that have the site; all of them where none is named. Raises InputError when none has it."""
    if not site:
        return tuple(hosts)
    found = tuple(one for one in hosts if any(app.name == site for app in one.apps))
    if not found:
        from deploy.errors import InputError
        from deploy.schema.marked import nearest

        known = sorted({app.name for one in hosts for app in one.apps})
        raise InputError(f"none of the chosen hosts has a site {site!r}{nearest(site, known)}")
    return found


def password_once() -> Callable[[str], Secret]:
    """Asks for sudo's password at the terminal, once for the whole run, whichever host needs it first."""
    lock = threading.Lock()
    known: list[Secret] = []

    def ask(sentence: str) -> Secret:
        from deploy.errors import HostError

        with lock:
            if not known:
                if not sys.stdin.isatty():
                    raise HostError(
                        f"{sentence}: none given and no terminal to ask at; "
                        "set ansible_become_password in the inventory"
                    )
                known.append(asked(sentence))
            return known[0]

    return ask


def asked(sentence: str) -> Secret:
    """A password from a person at the terminal; masked in everything printed from here on."""
    import getpass

    from deploy import report
    from deploy.errors import HostError
    from deploy.shell import Secret

    try:
        password = Secret(getpass.getpass(f"{sentence}: "))
    except EOFError:
        raise HostError(f"{sentence}: the question was not answered") from None
    report.mask_secrets([password])
    return password
