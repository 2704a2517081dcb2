"""Plain text, for logs and CI: what of a run is shown, and in which lines."""

from __future__ import annotations

import io
import re

from deploy import report
from deploy.engine.events import (
    Diff,
    Event,
    Failure,
    Finished,
    Planned,
    Report,
    Result,
)
from deploy.engine.plan import Plan
from deploy.resource import Change
from tests.unit.fakes import storyboard
from tests.unit.fakes.shown import change, planned, shown, story


def test_a_run_where_nothing_differs_is_one_line() -> None:
    assert story("noop") == "web1  nothing to change · 0.31 s · 1 round trip · 12.4 kB\n"


def test_a_plan_shows_each_change_with_its_sign_and_what_differs() -> None:
    text = story("provision")
    assert "web1 | 8 changes\n" in text
    assert "web1 |   + package  nginx\n" in text
    assert "web1 |   ~ file     /etc/nginx/nginx.conf  content, mode: 0600 → 0644\n" in text
    assert "web1 |   - link     /etc/nginx/sites-enabled/default\n" in text
    assert "web1 |   ~ tree     /srv/hello/static  digest: 1f1f1f1f → 2e2e2e2e\n" in text
    assert "enabled: disabled → enabled, has not loaded /etc/nginx/nginx.conf\n" in text
    assert "web1 |   ? venv of hello  known after python is installed\n" in text


def test_plain_text_has_one_line_per_event_that_matters_and_the_host_in_front() -> None:
    lines = story("provision").splitlines()
    assert "web1 | 1/4 install 2 packages" in lines
    assert "web1 | sent code of hello, 6.4 MB" in lines
    assert "web1 | nginx was masked while apt ran" in lines
    assert not any("Unpacking" in line for line in lines)
    assert lines[-3:] == [
        "web1  8 changed · 7.31 s · 5 round trips · 6.4 MB",
        "      http://hello.example.com/",
        "      http://10.77.0.2/",
    ]


def test_an_unfinished_transaction_is_announced_before_anything_else() -> None:
    text = shown(Planned("web1", Plan("web1", unfinished="run 20250131-1"), 1))
    assert text == "web1 | nothing to change\nweb1 |   ! unfinished run 20250131-1, undone first\n"


def test_a_later_look_tells_only_what_is_new() -> None:
    one, two = change("package:a", None, {"status": "installed"}), change("venv:b", None, {"digest": "1"})
    again = shown(planned("web1", one), planned("web1", one, number=2))
    more = shown(planned("web1", one), planned("web1", one, two, number=2))
    assert again == "web1 | 1 change\nweb1 |   + package  a\n"
    assert more == again + "web1 | 1 more change, known now\nweb1 |   + venv  b\n"


def test_hosts_with_the_same_plan_refer_to_the_first() -> None:
    one = change("package:a", None, {"status": "installed"})
    other = change("package:a", None, {"status": "held"})
    text = shown(planned("web1", one), planned("web2", one), planned("web3", other))
    assert "web2 | the same 1 change as web1\n" in text
    assert "web3 | 1 change\n" in text


def test_plans_that_differ_only_in_their_diffs_are_the_same_unless_diffs_are_shown() -> None:
    one = change("path:/a", None, {"type": "file"})
    events = (
        planned("web1", one, diffs=(Diff("/a", None, "1\n"),)),
        planned("web2", one, diffs=(Diff("/a", None, "2\n"),)),
    )
    assert "web2 | the same 1 change as web1" in shown(*events)
    assert "web2 |   +2\n" in shown(*events, diff=True)


def test_several_hosts_end_with_a_sum() -> None:
    text = story("plan")
    assert "db1   8 to change, 1 not known yet · 0.40 s · 1 round trip · 12.4 kB\n" in text
    assert re.search(r"^3 hosts: 3 to change · \d\.\d\d s$", text, re.MULTILINE)
    assert "web2 | 8 to change, 1 not known yet · 0.40 s\n" in text


def test_hosts_that_a_plan_found_converged_are_counted_as_such() -> None:
    def looked(host: str, plan: Plan) -> list[Event]:
        return [Planned(host, plan, 1), Finished(host, Report(host, "planned", plan=plan))]

    todo = Plan("web2", (Change(storyboard.Thing("package:nginx"), None, {"status": "installed"}),))
    text = shown(*looked("web1", Plan("web1")), *looked("web2", todo))
    assert "2 hosts: 1 unchanged, 1 to change" in text
    assert "2 hosts: 2 unchanged" in shown(*looked("web1", Plan("web1")), *looked("web3", Plan("web3")))


def test_a_failure_is_shown_once_also_when_its_host_never_finished() -> None:
    failed = Report("web1", Result.FAILED, failures=(Failure("no route to web1", 4),))
    stream = io.StringIO()
    with report.reporter(json=False, verbose=0, diff=False, stream=stream, hosts=["web1"]) as show:
        show.close([failed])
    assert stream.getvalue().count("no route to web1") == 1
    assert shown(Finished("web1", failed)).count("no route to web1") == 1


def test_verbose_shows_steps_with_their_output_and_twice_verbose_their_scripts() -> None:
    once, twice = story("failure", verbose=1), story("failure", verbose=2)
    assert "web1 |   Unpacking nginx (1.22.1-9) ...\n" in once
    assert "web1 | install 2 packages: 1.70 s\n" in once
    assert "web1 | check nginx: exit code 1 after 0.30 s\n" in once
    assert "line 0\n" in once and "lines before" not in once
    assert "version: 3.11.2-1+b1" in once
    assert "script" not in once and "web1 |   apt-get install -y" not in once
    assert "web1 |   apt-get install -y nginx python3-venv\n" in twice
    assert "web1 |   script     │ nginx -t -q\n" in twice


def test_a_skipped_host_has_a_line_without_figures() -> None:
    assert shown(Finished("web1", Report("web1", Result.SKIPPED))) == "web1  not started\n"


def test_markup_in_data_stays_text() -> None:
    assert "/etc/nginx/conf.d/[red]hello.conf" in story("provision")


def test_a_log_holds_no_control_characters() -> None:
    for name in ("noop", "plan", "provision", "failure"):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", story(name, verbose=2, diff=True))
