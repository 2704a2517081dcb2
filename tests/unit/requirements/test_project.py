"""Projects that are packages of their own, in each form that describes one; and which file auto chooses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.requirements import find, read
from deploy.requirements.headers import HINTS
from deploy.requirements.project import specifier_of

BUILD = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
PROJECT = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'
EXTRA = '[project.optional-dependencies]\nprod = ["sentry-sdk"]\n'
DYNAMIC = '[project]\nname = "shop"\ndynamic = ["dependencies"]\n'


def files(folder: Path, given: dict[str, str]) -> Path:
    for name, text in given.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


FORMS: dict[str, tuple[dict[str, str], str, tuple[str, ...], tuple[str, ...]]] = {
    "src layout": (
        {"pyproject.toml": BUILD + PROJECT, "src/shop/__init__.py": ""},
        "pyproject.toml",
        ("flask",),
        (".",),
    ),
    "flat, of its own name": (
        {"pyproject.toml": BUILD + PROJECT, "shop/__init__.py": ""},
        "pyproject.toml",
        ("flask",),
        (".",),
    ),
    "built, and nothing of its name": (
        {"pyproject.toml": BUILD + PROJECT, "app.py": ""},
        "pyproject.toml",
        ("flask",),
        (),
    ),
    "not built": ({"pyproject.toml": PROJECT, "shop/__init__.py": ""}, "pyproject.toml", ("flask",), ()),
    "entry points": (
        {"pyproject.toml": BUILD + PROJECT + '[project.scripts]\nshop = "app:main"\n', "app.py": ""},
        "pyproject.toml",
        ("flask",),
        (".",),
    ),
    "src layout beside requirements": (
        {"requirements.txt": "redis\n", "pyproject.toml": BUILD + PROJECT, "src/shop/__init__.py": ""},
        "requirements.txt",
        (),
        (".",),
    ),
    "-e .[prod]": (
        {"requirements.txt": "-e .[prod]\nredis", "pyproject.toml": BUILD + PROJECT + EXTRA, "shop.py": ""},
        "requirements.txt",
        ("flask", "sentry-sdk"),
        (".",),
    ),
    ". and a folder beside": (
        {
            "requirements.txt": ".\n./libs/core\n",
            "setup.py": "from setuptools import setup\nsetup()",
            "libs/core/pyproject.toml": BUILD + PROJECT,
        },
        "requirements.txt",
        ("flask",),
        (".", "libs/core"),
    ),
    "setup.py alone": (
        {
            "setup.py": "import setuptools\nNEEDS = ['flask']\nsetuptools.setup(name='x', install_requires=NEEDS)"
        },
        "setup.py",
        ("flask",),
        (".",),
    ),
    "setup.cfg": (
        {
            "setup.cfg": "[metadata]\nname = shop\n[options]\ninstall_requires =\n  flask\n  redis>=5\n",
            "setup.py": "from setuptools import setup\nsetup()",
        },
        "setup.cfg",
        ("flask", "redis>=5"),
        (".",),
    ),
    "dependencies in a file": (
        {
            "pyproject.toml": BUILD
            + DYNAMIC
            + '[tool.setuptools.dynamic]\ndependencies = {file = ["needs.txt"]}\n',
            "needs.txt": "flask\n",
        },
        "pyproject.toml",
        (),
        (),
    ),
    "files that only configure tools": (
        {
            "pyproject.toml": "[tool.ruff]\n",
            "setup.cfg": "[flake8]\n",
            "requirements/production.txt": "flask",
        },
        "requirements/production.txt",
        (),
        (),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_auto_finds_and_whether_the_project_is_installed_itself(tmp_path: Path, form: str) -> None:
    given, name, lines, projects = FORMS[form]
    files(tmp_path, given)
    assert find(tmp_path) == name
    needs = read(tmp_path, name)
    assert (needs.lines, needs.projects) == (lines, projects)


def test_a_project_in_its_requirements_is_not_left_for_pip(tmp_path: Path) -> None:
    """pip would look for the folder beside the file, where only requirements files are."""
    files(tmp_path, {"requirements.txt": "# all\n-e . # us\nredis\n", "pyproject.toml": BUILD + PROJECT})
    ((_, text),) = read(tmp_path, "requirements.txt").files
    assert text == "\n\nredis\n"


def test_files_that_a_project_reads_its_dependencies_from_are_read(tmp_path: Path) -> None:
    files(
        tmp_path,
        {
            "requirements.txt": "-e .\n",
            "setup.cfg": "[metadata]\nname = shop\n[options]\ninstall_requires = file: deps/base.txt\n",
            "deps/base.txt": "flask\n",
        },
    )
    needs = read(tmp_path, "requirements.txt")
    assert needs.names == ("requirements.txt", "deps/base.txt")
    assert dict(needs.files)["deps/base.txt"] == "flask\n"


def test_with_hashes_what_serves_is_resolved_by_itself(tmp_path: Path) -> None:
    files(tmp_path, {"r.txt": "flask==1 \\\n  --hash=sha256:aa\n"})
    needs = read(tmp_path, "r.txt", ("gunicorn",))
    assert (needs.names, needs.lines, needs.apart) == (("r.txt",), (), ("gunicorn",))


def test_an_editable_checkout_is_installed_as_usual_and_needs_git(tmp_path: Path) -> None:
    files(tmp_path, {"r.txt": "--editable=git+https://example.org/x.git#egg=x\n"})
    needs = read(tmp_path, "r.txt")
    assert needs.files == (("r.txt", "git+https://example.org/x.git#egg=x\n"),)
    assert needs.system == ("git",)
    files(tmp_path, {"r.txt": "flask\n"})
    assert read(tmp_path, "r.txt").system == ()


def test_a_comment_ends_a_line_that_is_continued_as_pip_reads_it(tmp_path: Path) -> None:
    files(tmp_path, {"r.txt": "# one \\\nflask\ndjango \\\n  >=5 # why\n"})
    ((_, text),) = read(tmp_path, "r.txt").files
    assert [line.split() for line in text.splitlines() if line] == [["flask"], ["django", ">=5"]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("setup(install_requires=open('r.txt').read().split())", "computes its dependencies"),
        ("setup(**config)", "computes its dependencies"),
        ("setup(install_requires=['-r x'])", "install_requires"),
        ("setup(python_requires='>=3.12')", "is for Python >=3.12"),
        ("setup(", "cannot read"),
    ],
)
def test_a_setup_py_is_read_and_never_run(tmp_path: Path, text: str, says: str) -> None:
    files(tmp_path, {"setup.py": f"raise SystemExit\n{text}"})
    with pytest.raises(InputError, match=says):
        read(tmp_path, "setup.py")


def test_an_extra_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    files(tmp_path, {"requirements.txt": ".[prod]", "pyproject.toml": BUILD + PROJECT})
    with pytest.raises(InputError, match="no extra 'prod'"):
        read(tmp_path, "requirements.txt")


def test_auto_does_not_guess_among_several_files(tmp_path: Path) -> None:
    files(tmp_path, {"requirements/base.txt": "", "requirements/dev.txt": ""})
    with pytest.raises(InputError, match=r"base\.txt, requirements/dev\.txt: name the one for servers"):
        find(tmp_path)
    (tmp_path / "requirements" / "dev.txt").unlink()
    assert find(tmp_path) == "requirements/base.txt"


@pytest.mark.parametrize(
    ("poetry", "specifier"),
    [
        ("^3.11", ">=3.11,<4"),
        ("~3.11", ">=3.11,<3.12"),
        ("~3", ">=3,<4"),
        (">=3.10, <3.14", ">=3.10,<3.14"),
        ("3.12", "==3.12"),
        ("3.*", "==3.*"),
        ("*", ""),
    ],
)
def test_poetrys_versions_of_python_in_the_words_of_everybody(poetry: str, specifier: str) -> None:
    assert specifier_of(poetry) == specifier


PRINTED = {
    "build-essential": "  error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'",
    "python3-dev": "src/_x.c:5:10: fatal error: Python.h: No such file or directory",
    "libpq-dev": "Error: pg_config executable not found.",
    "default-libmysqlclient-dev": "Exception: Can not find valid pkg-config name.",
    "libffi-dev": "c/_cffi_backend.c:15:10: fatal error: ffi.h: No such file or directory",
    "libxml2-dev": "Error: Please make sure the libxml2 and libxslt development packages are installed.",
    "libjpeg-dev": "RequiredDependencyException: jpeg",
    "libldap-dev": "Modules/common.h:15:10: fatal error: lber.h: No such file or directory",
    "cargo": "Cargo, the Rust package manager, is not installed or is not on PATH.",
    "git": "ERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?",
}


@pytest.mark.parametrize("package", PRINTED)
def test_what_a_failed_build_prints_names_the_apt_package(package: str, tmp_path: Path) -> None:
    """grep decides, as on the host."""
    file = tmp_path / "printed"
    file.write_text(f"Building wheel\n{PRINTED[package]}\n")
    named = [
        names
        for pattern, names in HINTS
        if subprocess.run(["grep", "-Eq", "-e", pattern, file], check=False).returncode == 0
    ]
    assert named
    assert all(package in names.split() for names in named)


def test_every_expression_is_one_that_grep_knows() -> None:
    for pattern, _ in HINTS:
        done = subprocess.run(["grep", "-Eq", "-e", pattern], input=b"", check=False, capture_output=True)
        assert (done.returncode, done.stderr) == (1, b""), pattern
