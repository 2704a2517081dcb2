"""What a project's files ask for: requirements files, locks and project files."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.requirements import Requirements, read

SHA = "a" * 64
UV_LOCK = f"""
version = 1
[[package]]
name = "site"
version = "1"
source = {{ editable = "." }}
dependencies = [
    {{ name = "flask", extra = ["async"] }},
    {{ name = "colorama", marker = "sys_platform == 'win32'" }},
    {{ name = "tomli", marker = "python_full_version < '3.11'" }},
]
[package.dev-dependencies]
dev = [{{ name = "pytest" }}]
[[package]]
name = "flask"
version = "3.1"
source = {{ registry = "https://pypi.org/simple" }}
dependencies = [{{ name = "numpy", version = "2.0", marker = "python_full_version < '3.12'" }},
                {{ name = "numpy", version = "2.3", marker = "python_full_version >= '3.12'" }}]
optional-dependencies.async = [{{ name = "asgiref" }}]
sdist = {{ url = "https://example.org/flask.tar.gz", hash = "sha256:{SHA}" }}
[[package]]
name = "asgiref"
version = "3"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://example.org/a.whl", hash = "sha256:{SHA}" }}]
[[package]]
name = "numpy"
version = "2.0"
source = {{ registry = "https://pypi.org/simple" }}
resolution-markers = ["python_full_version < '3.12'"]
wheels = [{{ url = "https://example.org/a.whl", hash = "sha256:{SHA}" }}]
[[package]]
name = "numpy"
version = "2.3"
source = {{ registry = "https://pypi.org/simple" }}
resolution-markers = ["python_full_version >= '3.12'"]
wheels = [{{ url = "https://example.org/a.whl", hash = "sha256:{SHA}" }}]
[[package]]
name = "colorama"
version = "1"
source = {{ registry = "https://pypi.org/simple" }}
[[package]]
name = "tomli"
version = "1"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://example.org/a.whl", hash = "sha256:{SHA}" }}]
[[package]]
name = "pytest"
version = "8"
source = {{ git = "https://example.org/pytest" }}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_toml", ".toml").replace("_lock", ".lock").replace(
            "_txt", ".txt"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_requirements_file_travels_with_all_it_includes(tmp_path: Path) -> None:
    write(
        tmp_path,
        requirements_txt="-r deploy/base.txt # all\n--constraint=limits.txt\nflask\n",
        deploy__base_txt="-r more.txt\ndjango \\\n  >=5\n",
        deploy__more_txt="-c https://example.org/limits.txt\n",
        limits_txt="jinja2<4",
    )
    needs = read(tmp_path, "requirements.txt", ("gunicorn>=23", "Flask"))
    assert [name for name, _ in needs.files] == [
        "deploy/base.txt",
        "deploy/more.txt",
        "limits.txt",
        "requirements.txt",
    ]
    assert (needs.names, needs.lines) == (("requirements.txt",), ("gunicorn>=23",))


def test_a_wheel_that_a_line_names_travels_too(tmp_path: Path) -> None:
    write(tmp_path, r_txt="./vendor/own-1.0-py3-none-any.whl ; sys_platform == 'linux'\n", vendor__x_txt="")
    (tmp_path / "vendor" / "own-1.0-py3-none-any.whl").write_bytes(b"wheel")
    needs = read(tmp_path, "r.txt", ("own", "gunicorn"))
    assert [name for name, _, _ in needs.archives] == ["vendor/own-1.0-py3-none-any.whl"]
    assert needs.lines == ("gunicorn",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flask\n-e .", "line 2: .* is no project"),
        ("-e ../other", "no wheel, archive or project"),
        ("# a\n\nx \\\n >1\n-r gone.txt", r"line 5: cannot read .*gone.txt"),
        ("-r ../other.txt", "outside of"),
        ("-r /etc/passwd", "outside of"),
        ("./folder", "is no project"),
        ("./gone.whl", "line 1: no wheel, archive or project"),
        ("file:///x.whl", "line 1: no wheel, archive or project"),
    ],
)
def test_what_cannot_be_built_on_a_host_is_an_error_that_names_the_line(
    tmp_path: Path, text: str, says: str
) -> None:
    write(tmp_path, r_txt=text, folder__x_txt="")
    with pytest.raises(InputError, match=says):
        read(tmp_path, "r.txt", ("gunicorn",))


def test_a_project_file_gives_its_dependencies(tmp_path: Path) -> None:
    write(tmp_path, pyproject_toml='[project]\nname = "x"\ndependencies = ["flask>=3", "Gunicorn"]\n')
    assert read(tmp_path, "pyproject.toml", ("gunicorn",)).lines == ("flask>=3", "Gunicorn")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.x]", "does not list its dependencies"),
        ('[project]\ndynamic = ["dependencies"]', "computes its dependencies"),
        ('[tool.poetry.dependencies]\nflask = "^3"', "computes its dependencies"),
        ('[project]\nrequires-python = ">=3.12"', "is for Python >=3.12, and the site runs on 3.11"),
        ('[project]\nrequires-python = "three"', "is no version of Python"),
        ('[project]\ndependencies = ["-r x"]', "project.dependencies"),
        ("[project", "is not TOML"),
    ],
)
def test_a_project_file_without_dependencies_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(write(tmp_path, pyproject_toml=text), "pyproject.toml")


@pytest.mark.parametrize(
    ("python", "numpy", "tomli"), [("3.11.2", "2.0", False), ("3.13", "2.3", False), ("3.9", "2.0", True)]
)
def test_a_uv_lock_gives_what_this_host_needs_with_its_hashes(
    tmp_path: Path, python: str, numpy: str, tomli: bool
) -> None:
    needs = read(write(tmp_path, uv_lock=UV_LOCK), "uv.lock", python=python)
    expected = ["asgiref==3", "flask==3.1", f"numpy=={numpy}", *(["tomli==1"] if tomli else [])]
    assert needs.locked == tuple(f"{one} --hash=sha256:{SHA}" for one in expected)
    assert needs.projects == (".",)


def test_a_uv_lock_that_cannot_come_from_an_index_is_an_error(tmp_path: Path) -> None:
    lock = UV_LOCK.replace('{ name = "flask", extra', '{ name = "pytest" }, { name = "flask", extra')
    lock = lock.replace('git = "https://example.org/pytest"', 'path = "pytest.whl"')
    with pytest.raises(InputError, match="pytest comes from no index"):
        read(write(tmp_path, uv_lock=lock), "uv.lock")
    with pytest.raises(InputError, match="does not hold the project"):
        read(write(tmp_path, uv_lock="version = 1"), "uv.lock")
    with pytest.raises(InputError, match="0 entries for flask"):
        read(
            write(tmp_path, uv_lock=UV_LOCK.replace('name = "flask"\nversion', 'name = "x"\nversion')),
            "uv.lock",
        )


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for name in ("r.txt", "uv.lock"):
        with pytest.raises(InputError, match="cannot read"):
            read(tmp_path, name)


def test_no_file_means_only_what_serves(tmp_path: Path) -> None:
    assert read(tmp_path, None, ("gunicorn",)) == Requirements(lines=("gunicorn",))
