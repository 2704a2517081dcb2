"""Templates to text: whose wins, what is undefined, what is secret, and where a mistake lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.errors import InputError
from deploy.render.templates import environment, render
from deploy.shell import Secret


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    return tmp_path


def rendered(project: Path, text: str, **values: Any) -> tuple[str, bool]:
    (project / "templates" / "x.j2").write_text(text)
    environment.cache_clear()  # a file written twice within one tick of the clock has the same time
    return render("x.j2", project, values)


def test_a_value_goes_in_as_it_is(project: Path):
    assert rendered(project, "a {{ b }}\n", b="<&'\">") == ("a <&'\">\n", False)


def test_a_block_leaves_no_empty_line(project: Path):
    assert (
        rendered(project, "{% for x in y %}\n  - {{ x }}\n  {% endfor %}\nend\n", y=[1, 2])[0]
        == "  - 1\n  - 2\nend\n"
    )


def test_a_secret_goes_in_and_marks_the_whole(project: Path):
    assert rendered(project, "{{ a }} {{ s }}", a=1, s=Secret("hunter2")) == ("1 hunter2", True)
    assert rendered(project, "{% if s %}yes{% endif %}", s=Secret("hunter2")) == ("yes", False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one\n{{ nothing }}\n", r"template x.j2, line 2: 'nothing' is undefined"),
        ("one\ntwo\n{{ a.b }}\n", r"template x.j2, line 3: .*has no attribute 'b'"),
        ("{% if a %}\n", r"template x.j2, line \d: .*end of template"),
        ("{{ a | nofilter }}", r"template x.j2, line 1: No filter named 'nofilter'"),
        ("one\n{{ bad | unit }}\n", r"template x.j2, line 2: systemd's files cannot hold"),
        ("{{ 1 + 'a' }}", r"template x.j2, line 1: unsupported operand"),
        ("{{ 1 / 0 }}", r"template x.j2, line 1: division by zero"),
        ("\n{{ s | unit }}", r"template x.j2, line 2: "),
        ("{% include 'none.j2' %}", r"no template 'none.j2' in .*templates and ours; check the name"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(project: Path, text: str, says: str):
    with pytest.raises(InputError, match=says) as caught:
        rendered(project, text, a=1, bad="\x01", s=Secret("hunter2"))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_project_only_ours_are_there():
    with pytest.raises(InputError, match=r"no template 'x.j2' in templates/; check the name"):
        render("x.j2", None, {})


def test_a_digest_stands_for_a_text(project: Path):
    assert rendered(project, "{{ a | digest }}", a="x")[0] == (
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    )


def test_what_one_rendering_reveals_does_not_make_the_next_one_secret(project: Path):
    assert rendered(project, "{{ v }}", v=Secret("hunter2")) == ("hunter2", True)
    assert render("x.j2", project, {"v": "plain"}) == ("plain", False)


def test_a_template_is_compiled_once_however_many_hosts_ask(project: Path):
    rendered(project, "{{ v }}", v=1)
    assert environment(project).get_template("x.j2") is environment(project).get_template("x.j2")
    assert {render("x.j2", project, {"v": number})[0] for number in range(5)} == set("01234")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_later_run_finds_the_compiled_template_and_its_mistakes_where_they_are(project: Path, cache: Path):
    text = "{{ a }}\n{{ nothing }}\n"
    for _ in range(2):
        with pytest.raises(InputError, match="line 2: 'nothing' is undefined"):
            rendered(project, text, a=1)
    assert len([one for one in cache.rglob("*") if one.is_file()]) == 1


def test_an_edited_template_is_compiled_again(project: Path, cache: Path):
    assert rendered(project, "one")[0] == "one"
    assert rendered(project, "two")[0] == "two"


def test_compiled_templates_that_somebody_else_may_write_are_not_run(project: Path, cache: Path):
    (cache / "barehost").mkdir(parents=True)
    (cache / "barehost").chmod(0o777)
    assert rendered(project, "one")[0] == "one"
    assert not [one for one in cache.rglob("*") if one.is_file()]


def test_templates_render_where_nothing_can_be_cached(project: Path, cache: Path):
    cache.write_text("a file, no folder")
    assert rendered(project, "one")[0] == "one"
