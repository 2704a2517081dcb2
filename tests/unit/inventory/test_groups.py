"""The tree of groups: shapes that would take for ever, or end in a traceback, and precedence in odd ones."""

from __future__ import annotations

import pytest

from deploy.errors import InputError
from deploy.inventory import files, groups
from deploy.inventory.files import expanded
from deploy.inventory.groups import Groups
from deploy.schema.marked import Mark, parsed

HERE = Mark("f", 1, 1, "")


def tree(text: str) -> Groups:
    made = Groups()
    made.add_yaml(parsed(text, "f"), "f")
    made.finish()
    return made


def test_a_chain_of_a_thousand_groups_is_a_tree_like_any_other():
    lines = [f"g{n}: {{children: {{g{n + 1}: }}}}" for n in range(1000)]
    made = tree("\n".join([*lines, "g1000: {hosts: {web1: }}"]))
    assert made.ancestors("web1")[-1] == "g1000"
    assert len(made.ancestors("web1")) == 1002
    assert list(made.members("g0")) == ["web1"]


def test_sixty_diamonds_in_a_row_are_no_more_work_than_their_groups():
    """Ways through them: two to the sixtieth."""
    lines = []
    for n in range(60):
        lines += [f"t{n}: {{children: {{l{n}: , r{n}: }}}}"]
        lines += [f"{side}{n}: {{children: {{t{n + 1}: }}}}" for side in "lr"]
    made = tree("\n".join([*lines, "t60: {hosts: {web1: }}"]))
    assert list(made.members("t0")) == ["web1"]
    assert made.ancestors("web1")[-1] == "t60"


@pytest.mark.parametrize(
    "text",
    [
        "a: {children: {a: }}",
        "a: {children: {b: }}\nb: {children: {a: }}",
        "a: {children: {b: }}\nb: {children: {c: }}\nc: {children: {b: }}\nd: {hosts: {x: }}",
    ],
)
def test_groups_that_contain_each_other_are_named(text: str):
    with pytest.raises(InputError, match=r"the groups (\w) → .*\1 contain each other"):
        tree(text)


def test_a_host_that_is_in_a_group_is_not_ungrouped_whoever_says_so():
    made = tree("ungrouped: {hosts: {a: , b: }}\nweb: {hosts: {a: }}")
    assert list(made.groups["ungrouped"].hosts) == ["b"]


@pytest.mark.parametrize("pattern", ["h[0:999][0:999][0:999]", "h[a:z][a:z][a:z][a:z][a:z][a:z][a:z]"])
def test_ranges_that_multiply_are_counted_before_they_are_written_out(pattern: str):
    with pytest.raises(InputError, match=f"more than {files.LARGEST} hosts"):
        expanded(pattern, HERE)


def test_all_ranges_together_have_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(groups, "MOST", 25)
    tree("a: {hosts: {'h[1:10]': }}\nb: {hosts: {'h[1:10]': }}")
    with pytest.raises(InputError, match="more than 25 hosts"):
        tree("\n".join(f"g{n}: {{hosts: {{'h[1:10]': }}}}" for n in range(3)))
