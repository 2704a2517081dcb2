"""Models: what becomes of a value, and what is said of one that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from deploy.schema.marked import Unsafe
from deploy.schema.model import After, Before, Faulty, Key, Model, build


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value


class Inner(Model, frozen=True, kw_only=True):
    must: Annotated[str, Key("needed", "text")]
    may: Annotated[bool, Key("not needed", "true or false")] = False


class Outer(Model, frozen=True, kw_only=True):
    number: Annotated[int, Key("a number", "a number below 100"), Meta(lt=100), After(_even)] = 0
    truth: Annotated[bool, Key("a truth", "true or false")] = True
    text: Annotated[str | None, Key("a text", "text")] = None
    either: Annotated[Literal["auto"] | int, Key("one of two", "auto or a number")] = "auto"
    shout: Annotated[str, Key("a text", "text"), Before(lambda value: f"{value}!")] = ""
    many: Annotated[tuple[int, ...], Key("numbers", "a list of numbers"), Meta(max_length=2)] = ()
    named: Annotated[Mapping[str, int], Key("numbers by name", "a mapping to numbers")] = {}
    inner: Annotated[Inner | None, Key("a mapping", "a mapping")] = None

    def check(self, written: Collection[str]) -> None:
        if "truth" in written and self.text:
            raise ValueError("truth and text do not go together")


def faults(**values: Any) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(Faulty) as caught:
        build(Outer, values)
    return [(fault.path, fault.sentence) for fault in caught.value.faults]


@pytest.mark.parametrize("value", [8, 8.0, "8", " 8 ", "+8", "08", "8.0", "8.00", "8\n"])
def test_a_whole_number_may_be_quoted_or_come_from_a_template(value: Any):
    assert repr(build(Outer, {"number": value}).number) == "8"


@pytest.mark.parametrize(
    "value",
    ["", "eight", "8.5", 8.5, "8.", "8e1", "0x8", "1 0", "--8", "٨", "_8", True, None, [8], float("inf")],
)
def test_what_is_no_whole_number_is_refused(value: Any):
    assert [path for path, _ in faults(number=value)] == [("number",)]


def test_a_number_of_more_digits_than_python_reads_is_refused_like_any_other():
    ((_, sentence),) = faults(number="9" * 5000)
    assert sentence.startswith("expected a number below 100, found '999")


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", "yes", "Y", "on", "TRUE", "t"])
def test_a_truth_has_many_words(value: Any):
    assert build(Outer, {"truth": value}).truth is True


@pytest.mark.parametrize("value", [False, 0, 0.0, "0", "no", "N", "off", "False", "f"])
def test_and_so_has_the_contrary(value: Any):
    assert build(Outer, {"truth": value}).truth is False


@pytest.mark.parametrize("value", [2, -1, 0.5, "", "yes!", "2", None, [True]])
def test_what_is_neither_true_nor_false_is_refused(value: Any):
    assert [path for path, _ in faults(truth=value)] == [("truth",)]


def test_text_is_plain_and_can_be_written():
    assert type(build(Outer, {"text": Unsafe("a")}).text) is str
    assert build(Outer, {"text": None}).text is None
    assert faults(text="\ud800") == [(("text",), "expected text, found '\\ud800'")]
    assert faults(text=8) == [(("text",), "expected text, found 8")]


def test_the_first_of_two_types_that_takes_a_value_has_it():
    assert build(Outer, {"either": "auto"}).either == "auto"
    assert build(Outer, {"either": "4"}).either == 4
    assert faults(either="many") == [(("either",), "expected auto or a number, found 'many'")]


def test_a_check_comes_before_or_after_the_type():
    assert build(Outer, {"shout": 7}).shout == "7!"
    assert faults(number=7) == [(("number",), "7 is odd")]
    assert faults(number=101) == [(("number",), "expected a number below 100, found 101")]


def test_every_fault_is_found_with_its_place():
    assert faults(many=[1, "x", None], named={"a": 1, "b": "x", 3: 4}, inner={"may": 3}, nope=1) == [
        (("many", 1), "expected a list of numbers, found 'x'"),
        (("many", 2), "expected a list of numbers, found nothing"),
        (("named", "b"), "expected a mapping to numbers, found 'x'"),
        (("named", 3), "expected a mapping to numbers, found 3"),
        (("inner", "must"), "expected the key 'must', found none"),
        (("inner", "may"), "expected true or false, found 3"),
        (("nope",), "this key is not known"),
    ]


def test_a_list_a_mapping_and_a_model_are_nothing_else():
    assert faults(many=[1, 2, 3], named=[], inner="x") == [
        (("many",), "expected a list of numbers, found a list"),
        (("named",), "expected a mapping to numbers, found a list"),
        (("inner",), "expected a mapping, found 'x'"),
    ]


def test_an_unknown_key_names_the_nearest():
    assert faults(inner={"must": "x", "my": 1}) == [
        (("inner", "my"), "this key is not known; did you mean 'may'?")
    ]


def test_a_default_is_not_written():
    assert build(Outer, {"text": "x"}).truth
    assert faults(text="x", truth=True) == [((), "truth and text do not go together")]
