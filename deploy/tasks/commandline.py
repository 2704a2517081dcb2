"""What a command line says, looked at before Invoke runs anything of it: words, options, and a hint for a slip."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import invoke.program
from invoke import Exit, ParseError, Task
from invoke.parser import Parser, ParserContext, ParseResult

from deploy.errors import InputError


class Commands(Parser):
    """Invoke's parser; what it refuses names what was probably meant, and ends with the code of any wrong option."""

    def parse_argv(self, argv: list[str]) -> ParseResult:
        contexts = list(self.contexts.values())
        try:
            return super().parse_argv(argv)
        except ParseError as error:
            raise Exit(f"error: {_sentence(error, contexts)}", code=InputError.exit_code) from error
        except ValueError as error:  # of Invoke's own int()
            raise Exit(f"error: {_no_number(argv, contexts)}", code=InputError.exit_code) from error

    @classmethod
    def install(cls) -> None:
        """Have Invoke parse with it from now on. Its program has no place to say so: it takes the name it imported."""
        vars(invoke.program)["Parser"] = cls


def bare_words(
    argv: Sequence[str], name: str, known: Mapping[str, bool], tasks: Collection[str]
) -> list[str]:
    """The words after the task ``name`` (or ``collection.name``) that are neither options, their values, nor tasks.

    known: the task's options, and whether each takes a value; what follows another one is left for Invoke to refuse.
    tasks: names that end the words of this one.
    """
    found: list[str] = []
    for place, word in enumerate(argv):
        if word != name and not word.endswith(f".{name}"):
            continue
        rest = iter(argv[place + 1 :])
        for one in rest:
            flag, joined, _ = one.partition("=")
            if one == "--" or one in tasks or (flag.startswith("--") and flag not in known):
                break
            if not one.startswith("-"):
                found.append(one)
            elif known.get(flag) and not joined:
                next(rest, None)
        break
    return found


def options(arguments: Iterable[Any]) -> dict[str, bool]:
    """A task's options as they are written on a command line, and whether each takes a value."""
    return {option(name): one.takes_value for one in arguments if not one.positional for name in one.names}


def option(name: str) -> str:
    """How Invoke wants an option written: ``max_fail`` is ``--max-fail``, ``v`` is ``-v``."""
    return f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}"


def refuse_empty(argv: Sequence[str], made: Task[Any], words: Iterable[str]) -> None:
    """Raise InputError where a command line gives an option, or a bare word, without a value.

    ``--host "$UNSET"`` in a script would otherwise choose every host. Invoke itself refuses a missing value, but not
    an empty one, nor a missing one of an option that may be repeated. words: the bare ones of this task.
    """
    argv = argv[: argv.index("--")] if "--" in argv else argv
    known = options(made.get_arguments())
    for word, following in zip_longest(argv, argv[1:]):
        name, joined, value = word.partition("=")
        if not known.get(name):
            continue
        given = value if joined else following
        if given is None or not given.strip(" ,") or (not joined and given.partition("=")[0] in known):
            raise InputError(f"{name} has no value; leave it out, or say what it is")
    if not all(word.strip(" ,") for word in words):
        raise InputError(f"an empty word follows {made.name}; leave it out, or say what it is")


def _sentence(error: ParseError, contexts: Sequence[ParserContext]) -> str:
    """What Invoke found wrong, and what looks most like it."""
    from deploy.schema.marked import nearest

    unknown = re.fullmatch(r"No idea what (.*) is!", str(error), re.DOTALL)
    if not unknown:
        return str(error)
    word = str(ast.literal_eval(unknown[1]))
    within = error.context.name if error.context and error.context.name else None
    if not word.startswith("-"):
        tasks = [name for one in contexts for name in (one.name, *one.aliases) if name]
        if within is None:
            return f"there is no command {word!r}{nearest(word, tasks)} (invoke --list shows all)"
        return f"{within} takes no further word, and there is no command {word!r}{nearest(word, tasks)}"
    name = word.partition("=")[0]
    flags = [*error.context.flags, *error.context.inverse_flags] if within and error.context else []
    of = f"{within} has no option {name}" if within else f"there is no option {name} before the command"
    known = nearest(name, [flag for flag in flags if flag.startswith("--")])
    return f"{of}{known}{f' (invoke --help {within} shows all)' if within else ''}"


def _no_number(argv: Sequence[str], contexts: Sequence[ParserContext]) -> str:
    """Which option was given what is no number."""
    whole = {
        flag
        for context in contexts
        for flag, one in context.flags.items()
        if one.kind is int and one.takes_value
    }
    for word, following in zip_longest(argv, argv[1:], fillvalue=""):
        name, joined, value = word.partition("=")
        given = value if joined else following
        if name in whole and not re.fullmatch(r"\s*[+-]?\d+\s*", given):
            return f"{name} takes a whole number, not {given!r}"
    return "an option takes a whole number and was given something else"
