"""A project of one's own: what init writes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

from deploy.errors import InputError
from tests.unit.fakes.face import Face


def test_init_writes_a_project_that_loads(project: Path, invoke: Face):
    code, out, _ = invoke("init")
    assert (code, "inventory/hosts.yml" in out) == (0, True)
    assert {"tasks.py", "inventory", "roles", "templates", ".gitignore"} <= {
        path.name for path in project.iterdir()
    }
    (project / "shop").mkdir()
    code, out, err = invoke("hosts.list")
    assert (code, err) == (0, "")
    assert "web1" in out
    code, out, err = invoke("status")
    assert (code, err) == (0, ""), "a project that nobody has filled in yet has nothing that fails"
    assert "web1" in out


def test_init_overwrites_nothing(project: Path, invoke: Face):
    (project / "tasks.py").write_text("mine")
    code, out, err = invoke("init")
    assert (code, out) == (InputError.exit_code, "")
    assert err.startswith("error: ")
    assert "already has tasks.py" in err
    assert (project / "tasks.py").read_text() == "mine"
    assert invoke("init", "--folder", "other")[0] == 0
