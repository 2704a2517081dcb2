"""JSON lines: one object an event, stable names, documented, masked before they are encoded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deploy.engine.events import (
    Event,
    Note,
    Report,
    Sending,
    StepFinished,
    StepOutput,
    StepStarted,
)
from deploy.report.jsonlines import NAMES
from deploy.report.mask import Mask
from deploy.shell import Secret
from tests.unit.fakes.shown import change, planned, records, shown, story

ROOT = Path(__file__).parents[3]


def test_json_is_one_object_a_line_with_stable_names() -> None:
    found = records(story("failure", json=True))
    assert [one["event"] for one in found if one["event"] not in ("step_output", "sending")] == [
        "connecting",
        "looking",
        "planned",
        *["step_started", "step_finished"] * 2,
        "note",
        "step_started",
        "step_finished",
        "finished",
        "summary",
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]) for one in found)
    assert all(one["host"] == "web1" for one in found[:-1])
    assert found[-1]["hosts"][0]["failure"]["exit_code_of_run"] == 7
    assert found[-1]["hosts"][0]["outcome"] == found[-2]["outcome"] == "failed"


def test_json_tells_a_plan_whole() -> None:
    one = next(one for one in records(story("plan", json=True)) if one["event"] == "planned")
    assert one["changes"][3]["differs"]["mode"] == ["0600", "0644"]
    assert "diffs" not in one


def test_json_adds_diffs_and_scripts_when_asked_for() -> None:
    found = records(story("provision", json=True, diff=True, verbose=2))
    assert found[2]["diffs"][1]["old"] is None
    assert found[3]["script"] == "apt-get install -y nginx python3-venv"


def test_json_thins_out_sending_but_keeps_its_end() -> None:
    found = records(shown(*(Sending("web1", "code", n, 1000) for n in range(1001)), json=True, close=False))
    assert found[0]["done"] == 0
    assert found[-1]["done"] == 1000
    assert len(found) < 10


def test_json_masks_before_it_encodes(fresh_mask: Mask) -> None:
    secret = 'a"b\nc\\d ü'
    fresh_mask.add([Secret(secret), Secret("ok")])
    noted = shown(Note("web1", f"it is {secret}, ok?"), json=True, close=False)
    assert json.loads(noted)["text"] == "it is ***, ***?"
    stepped = shown(StepOutput("web1", f"x {json.dumps(secret)}"), StepFinished("web1", "x", 0, 1), json=True)
    assert records(stepped)[0]["line"] == 'x "***"'


def test_the_vocabulary_of_json_survives_a_secret_that_is_one_of_its_words(fresh_mask: Mask) -> None:
    fresh_mask.add([Secret("planned"), Secret("create")])
    one = records(shown(planned("web1", change("a:create", None, {})), json=True))[0]
    assert (one["event"], one["changes"][0]["action"], one["changes"][0]["id"]) == (
        "planned",
        "create",
        "a:***",
    )


def test_every_event_has_a_name_and_is_documented() -> None:
    text = (ROOT / "docs/output.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \|", text[text.index("| event |") :], re.MULTILINE)
    assert set(NAMES) == set(Event.__subclasses__())
    assert documented == [*NAMES.values(), "summary", "message", "row", "error"]


@pytest.mark.parametrize("kind", [Sending, StepStarted, StepOutput, StepFinished, Note, Report])
def test_the_documentation_names_every_key_of_an_event(kind: type[Event | Report]) -> None:
    name = "finished" if kind is Report else NAMES[kind]
    line = re.search(rf"^\| `{name}` .*", (ROOT / "docs/output.md").read_text(), re.MULTILINE)
    assert line
    keys = set(kind.__struct_fields__) - {"host", "plan"}
    assert keys <= set(re.findall(r"`(\w+)`", line[0]))
