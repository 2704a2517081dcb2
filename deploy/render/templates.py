"""Jinja2 templates to text: the user's own folder first, strict about what is undefined. Never connects."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket

from deploy.errors import InputError
from deploy.files import cache
from deploy.render import literals, systemd
from deploy.shell import Secret

OURS = Path(__file__).parents[1] / "templates"


_secret: ContextVar[bool] = ContextVar("secret", default=False)
"""Whether a Secret went into what is being rendered, for each thread its own."""


def _revealed(value: Any) -> Any:
    """What goes into the text for a value; notes that it was secret."""
    if isinstance(value, Secret):
        _secret.set(True)
        return value.reveal()
    return value


@lru_cache
def environment(project: Path | None) -> jinja2.Environment:
    """The environment for one project: ``<project>/templates`` wins over ours, undefined names are errors.

    It keeps its compiled templates: compiling is nine tenths of what a host's templates cost, and all hosts share it.
    So do later runs, through files: eight templates take 1 ms instead of 15.
    """
    folders = [OURS] if project is None else [project / "templates", OURS]
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # configuration files, not HTML; what a value may hold is settled by filters
        finalize=_revealed,
        bytecode_cache=_compiled(),
    )
    found.filters["digest"] = lambda text: hashlib.sha256(str(text).encode()).hexdigest()
    found.filters |= {
        "nginx": literals.nginx,
        "nginx_regex": literals.nginx_regex,
        "python": literals.python,
        "unit": systemd.word,
        "unit_command": systemd.command_word,
    }
    return found


def _compiled() -> jinja2.BytecodeCache | None:
    """Compiled templates of earlier runs, in the user's cache folder; None where that is not this user's alone.

    What lies there is run as code. Another version of Jinja2 or of our filters has a folder of its own, because what a
    filter makes of a constant is compiled in.
    """
    parts = [str(Path(module.__file__ or "").stat().st_mtime_ns) for module in (jinja2, literals, systemd)]
    version = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
    folder = cache.folder("templates", version)
    return _Compiled(str(folder)) if folder else None


class _Compiled(jinja2.FileSystemBytecodeCache):
    """Jinja2's own; a full disk costs the next run its time, not this one its templates."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def render(name: str, project: Path | None, values: dict[str, Any]) -> tuple[str, bool]:
    """The rendered text, and whether a :class:`~deploy.shell.Secret` went into it.

    Raises InputError with the template's name and line for anything wrong in it.
    """
    before = _secret.set(False)
    try:
        text = environment(project).get_template(name).render(values)
        return text, _secret.get()
    except jinja2.TemplateNotFound as error:
        where = "templates/" if project is None else f"{project / 'templates'} and ours"
        raise InputError(f"no template {error.name!r} in {where}; check the name") from error
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"template {error.name or name}, line {error.lineno}: {error.message}") from error
    except _MISTAKES as error:
        raise InputError(f"template {name}, line {_line(error, name)}: {error}") from error
    finally:
        _secret.reset(before)


_MISTAKES = (jinja2.TemplateError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError)
"""What an expression in a template can raise."""


def _line(error: BaseException, name: str) -> int | str:
    """The template's line that raised, from the traceback Jinja2 rewrites; ``?`` when it isn't there."""
    line: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
