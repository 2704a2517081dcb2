"""What a project says of itself in pyproject.toml, setup.cfg or setup.py. Reads the source and runs none of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from deploy.errors import InputError
from deploy.schema.text import Unreadable, text_of

if TYPE_CHECKING:
    import ast

FILES = ("pyproject.toml", "setup.cfg", "setup.py")
"""In the order in which they count."""


class Project(Struct, frozen=True):
    """A project that describes itself.

    file: which file says so. dependencies: lines for pip; None: they are computed, so that only running it tells.
    included: requirements files, below the project, whose lines are dependencies too. extras: more lines by name.
    python: the versions it is for, as ``>=3.11``; empty: any. built: it says how it is built, so it can be installed.
    is_package: it has commands, entry points, or code under its own name, or says which code it ships.
    """

    file: Path
    dependencies: tuple[str, ...] | None = ()
    included: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = {}
    python: str = ""
    built: bool = True
    is_package: bool = True

    def lines(self, extras: Sequence[str] = ()) -> tuple[str, ...]:
        """What it depends on; InputError where that cannot be read, or where it has no such extra."""
        if self.dependencies is None:
            raise InputError(
                f"{self.file} computes its dependencies: list them in pyproject.toml under [project], "
                "or in a requirements file that you name with requirements:"
            )
        unknown = [name for name in extras if name not in self.extras]
        if unknown:
            raise InputError(f"{self.file} has no extra {unknown[0]!r}")
        return self.dependencies + tuple(line for name in extras for line in self.extras[name])


def project_in(folder: Path) -> Project | None:
    """What the project in ``folder`` says of itself; None: nothing. Raises InputError for a file with mistakes."""
    readers = (_of_pyproject, _of_setup_cfg, _of_setup_py)
    found = [
        read(folder / name) for name, read in zip(FILES, readers, strict=True) if (folder / name).is_file()
    ]
    versions = [one for one in found if one is not None]
    return versions[0] if versions else None


def build_requires(folder: Path) -> tuple[str, ...]:
    """What the project in ``folder`` is built with."""
    file = folder / "pyproject.toml"
    system = toml(file).get("build-system", {}) if file.is_file() else {}
    return tuple(system.get("requires", ("setuptools", "wheel")))


def toml(file: Path) -> dict[str, Any]:
    """The content of a TOML file; InputError where it has none."""
    import tomllib  # 6 ms that requirements.txt does not need

    try:
        return tomllib.loads(text_of(file))
    except Unreadable as error:
        raise InputError(f"cannot read {file}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file} is not TOML: {error}") from error


def specifier_of(constraint: str) -> str:
    """Poetry's ``^3.11`` and ``~3.11`` as the specifiers of everybody else."""
    parts = []
    for part in constraint.replace(" ", "").split(","):
        if match := re.fullmatch(r"([\^~])(\d+)(?:\.(\d+))?(?:\.(\d+))?", part):
            numbers = [int(one) for one in match.groups()[1:] if one is not None]
            up = 0 if match[1] == "^" and numbers[0] else min(1, len(numbers) - 1)
            above = [*numbers[:up], numbers[up] + 1]
            parts += [f">={'.'.join(map(str, numbers))}", f"<{'.'.join(map(str, above))}"]
        elif re.fullmatch(r"\d+(\.\d+)*(\.\*)?", part):
            parts.append(f"=={part}")
        elif part not in ("", "*"):
            parts.append(part)
    return ",".join(parts)


def _of_pyproject(file: Path) -> Project | None:
    content = toml(file)
    built = "build-system" in content
    tool = content.get("tool", {})
    project = content.get("project")
    poetry = tool.get("poetry", {}) if isinstance(tool, Mapping) else {}
    if not isinstance(project, Mapping):
        if "dependencies" not in poetry:
            return None
        python = specifier_of(str(poetry["dependencies"].get("python", "")))
        built = poetry.get("package-mode", True)
        return Project(file, None, python=python, built=built, is_package=_is_package(file, poetry, tool))
    python = str(project.get("requires-python", ""))
    lines = _lines(file, "project.dependencies", project.get("dependencies", []))
    optional = project.get("optional-dependencies", {})
    extras = {
        name: _lines(file, f"project.optional-dependencies.{name}", some) for name, some in optional.items()
    }
    built = built and poetry.get("package-mode", True)
    package = _is_package(file, project, tool)
    if "dependencies" not in project.get("dynamic", ()):
        return Project(file, lines, (), extras, python, built, package)
    named = tool.get("setuptools", {}).get("dynamic", {}).get("dependencies", {}).get("file", ())
    hooks = tool.get("hatch", {}).get("metadata", {}).get("hooks", {})
    named = named or hooks.get("requirements_txt", {}).get("files", ())
    files = (named,) if isinstance(named, str) else tuple(named)
    if files:
        return Project(file, lines, files, extras, python, built, package)
    beside = _of_setup_cfg(file.with_name("setup.cfg")) or _of_setup_py(file.with_name("setup.py"))
    return Project(file, beside.dependencies if beside else None, (), extras, python, built, package)


def _is_package(file: Path, project: Mapping[str, Any], tool: Mapping[str, Any]) -> bool:
    name = str(project.get("name", "")).lower().replace("-", "_").replace(".", "_")
    folder = file.parent
    return bool(
        {"scripts", "gui-scripts", "entry-points", "plugins", "packages"} & project.keys()
        or {"packages", "py-modules"} & tool.get("setuptools", {}).keys()
        or (name and ((folder / name).is_dir() or (folder / f"{name}.py").is_file()))
        or (name and (folder / "src" / name).is_dir())
    )


def _lines(file: Path, key: str, lines: Any) -> tuple[str, ...]:
    from packaging.requirements import InvalidRequirement, Requirement  # 12 ms that most runs do not need

    if not isinstance(lines, list | tuple):
        raise InputError(f"{file}, {key}: expected a list of requirements")
    for line in lines:
        try:
            Requirement(line)
        except (InvalidRequirement, TypeError) as error:
            raise InputError(f"{file}, {key}: {error}") from error
    return tuple(lines)


def _of_setup_cfg(file: Path) -> Project | None:
    """None for one that only configures tools."""
    if not file.is_file():
        return None
    import configparser  # as tomllib, only for who has such a file

    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    options = dict(config["options"]) if config.has_section("options") else {}
    if not options and not config.has_section("metadata"):
        return None
    python = options.get("python_requires", "").strip()
    wanted = options.get("install_requires", "").strip()
    extras = dict(config["options.extras_require"]) if config.has_section("options.extras_require") else {}
    optional = {name: _lines(file, name, _split(text)) for name, text in extras.items()}
    if wanted.startswith("file:"):
        files = tuple(name.strip() for name in wanted.removeprefix("file:").split(","))
        return Project(file, (), files, optional, python)
    if "install_requires" not in options and file.with_name("setup.py").is_file():
        beside = _of_setup_py(file.with_name("setup.py"))
        return Project(file, beside.dependencies if beside else (), (), optional, python)
    return Project(file, _lines(file, "install_requires", _split(wanted)), (), optional, python)


def _split(text: str) -> list[str]:
    """The requirements of one key of setup.cfg: a line or a semicolon-free part each."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _of_setup_py(file: Path) -> Project | None:
    """What setup() is given as literals, or by names that stand for literals; it is not run."""
    if not file.is_file():
        return None
    import ast

    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    names = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "setup":
            given = {one.arg: one.value for one in node.keywords}
            if None in given:  # setup(**config)
                return Project(file, None)
            wanted = _literal(given.get("install_requires"), names, [])
            extras = _literal(given.get("extras_require"), names, {})
            python = _literal(given.get("python_requires"), names, "")
            return Project(
                file,
                None if wanted is None else _lines(file, "install_requires", wanted),
                (),
                {name: _lines(file, f"extras_require.{name}", some) for name, some in (extras or {}).items()},
                python or "",
            )
    return Project(file, None)


def _literal(node: ast.expr | None, names: Mapping[str, ast.expr], missing: Any) -> Any:
    """The value of a literal or of a name for one; ``missing`` where there is none, None where it is computed."""
    import ast

    if node is None:
        return missing
    if isinstance(node, ast.Name) and node.id in names:
        node = names[node.id]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
