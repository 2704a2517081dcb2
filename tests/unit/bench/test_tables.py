"""The tables of a run: medians, ratios, what was ended or failed, and the price of one more host."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.hosts import Traffic, counted
from bench.series import Sample
from bench.tables import Results, fit
from tests.unit.fakes.samples import MACHINE, runs, text_of


def cells(text: str, heading: str) -> dict[str, dict[str, str]]:
    """The table below a heading, by row and column."""
    lines = text.split(f"## {heading}", 1)[1].split("\n\n")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


@pytest.fixture
def usual() -> list[Sample]:
    return [
        *runs("noop", "barehost", 0.5, 0.3, 0.4),
        *runs("noop", "script", 0.44, 0.4),
        *runs("noop", "ansible", 8.8, 9.2, 8.6),
        *runs("first", "barehost", 17.25),
    ]


def test_the_median_and_the_range_of_the_runs_that_count(usual: list[Sample], tmp_path: Path) -> None:
    row = cells(text_of(usual, tmp_path), "Seconds")["nothing to do, 1 host"]
    assert row == {
        "Barehost": "0.40 (0.30–0.50, 3)",
        "ssh + rsync": "0.42 (0.40–0.44, 2)",
        "Ansible": "8.80 (8.60–9.20, 3)",
    }


def test_when_a_change_was_in_force_is_a_table_of_its_own(usual: list[Sample], tmp_path: Path) -> None:
    asked = [
        replace(one, effective=one.wall + 0.1)
        for one in [*runs("template", "barehost", 0.5, 0.3, 0.4), *runs("template", "script", 0.44, 0.4)]
    ]
    text = text_of([*usual, *asked], tmp_path)
    assert cells(text, "Seconds until") == {
        "one template variable changed": {
            "Barehost": "0.50 (0.40–0.60, 3)",
            "ssh + rsync": "0.52 (0.50–0.54, 2)",
        }
    }
    assert "Seconds until" not in text_of(usual, tmp_path)


def test_a_watched_run_counts_only_where_there_is_no_other(tmp_path: Path) -> None:
    samples = [*runs("noop", "barehost", 0.4, 0.4, 0.4), *runs("noop", "pyinfra")]
    text = text_of(samples, tmp_path)
    row = cells(text, "Seconds")["nothing to do, 1 host"]
    assert row == {"Barehost": "0.40 (0.40–0.40, 3)", "pyinfra": "9.00 (1)"}
    assert cells(text, "CPU")["nothing to do, 1 host"] == {"Barehost": "0.20", "pyinfra": "8.00"}


def test_ratios_are_of_barehosts_median_and_never_in_powers_of_ten(tmp_path: Path) -> None:
    samples = [*runs("noop", "barehost", 0.4), *runs("noop", "script", 0.38), *runs("noop", "pyinfra", 61)]
    row = cells(text_of(samples, tmp_path), "How many times")["nothing to do, 1 host"]
    assert row == {"Barehost": "1", "ssh + rsync": "0.95", "pyinfra": "152"}


def test_memory_and_traffic_are_those_of_the_watched_run(usual: list[Sample], tmp_path: Path) -> None:
    text = text_of(usual, tmp_path)
    assert cells(text, "Peak memory")["nothing to do, 1 host"]["Barehost"] == "50"
    assert cells(text, "Over all hosts")["nothing to do, 1 host"]["Barehost"] == "1 / 3 / 27"


def test_a_peer_that_takes_no_part_in_a_case_is_a_dash(usual: list[Sample], tmp_path: Path) -> None:
    row = cells(text_of(usual, tmp_path), "Seconds")["first run, bare host"]
    assert row == {"Barehost": "17.2 (1)", "ssh + rsync": "–", "Ansible": "–"}


def test_a_peer_that_failed_once_has_no_figures_and_its_words_are_told(
    usual: list[Sample], tmp_path: Path
) -> None:
    samples = [*usual, Sample("noop", "ansible", 0.1, 0.1, failure="exit code 4: unreachable")]
    text = text_of(samples, tmp_path)
    for heading in ("Seconds", "How many times", "CPU", "Peak memory", "Over all hosts"):
        assert cells(text, heading)["nothing to do, 1 host"]["Ansible"] == "failed"
    assert "failed: noop, ansible: exit code 4: unreachable" in text
    assert Results(MACHINE, samples).failed == ["noop, ansible: exit code 4: unreachable"]


def test_nothing_is_compared_with_a_barehost_that_failed(tmp_path: Path) -> None:
    samples = [Sample("noop", "barehost", 0.1, 0.1, failure="exit code 1"), *runs("noop", "script", 0.4)]
    row = cells(text_of(samples, tmp_path), "How many times")["nothing to do, 1 host"]
    assert row == {"Barehost": "failed", "ssh + rsync": "–"}


def test_a_peer_that_was_ended_at_the_limit_took_more_than_that(tmp_path: Path) -> None:
    late = Sample("noop", "pyinfra", 240.2, 5, late=True, watched=True)
    text = text_of([*runs("noop", "barehost", 0.4), late], tmp_path)
    assert cells(text, "Seconds")["nothing to do, 1 host"]["pyinfra"] == "> 240"
    assert cells(text, "How many times")["nothing to do, 1 host"]["pyinfra"] == "> 600"


def test_a_busy_machine_is_told(usual: list[Sample], tmp_path: Path) -> None:
    assert "The machine did nothing else." in text_of(usual, tmp_path)
    disturbed = [*usual, *runs("template", "barehost", 1, 1, busy=0.4)]
    assert "Of 16 runs 2 began while the machine was busy" in text_of(disturbed, tmp_path)


def test_cases_that_the_run_did_not_come_to_are_named(usual: list[Sample], tmp_path: Path) -> None:
    text = text_of(usual, tmp_path, ("first", "noop", "push", "template"))
    assert "The run was ended before: 200 MB, first push, one template variable changed." in text
    assert "was ended before" not in text_of(usual, tmp_path, ("first", "noop"))


def test_the_raw_samples_are_kept_with_the_machine(usual: list[Sample], tmp_path: Path) -> None:
    text_of(usual, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"2026-01-02-0304.{kind}" for kind in ("json", "md", "svg")
    ]
    raw = json.loads((tmp_path / "2026-01-02-0304.json").read_text())
    assert raw["machine"] == MACHINE
    assert [(one["case"], one["peer"], one["wall"]) for one in raw["samples"]] == [
        (one.case, one.peer, one.wall) for one in usual
    ]
    assert raw["samples"][0]["traffic"]["connections"] == 1


def test_how_each_peer_compares_files_is_said(usual: list[Sample], tmp_path: Path) -> None:
    text = text_of(usual, tmp_path)
    assert "Barehost: what the host recorded" in text
    assert "ssh + rsync: size and mtime (rsync)" in text
    assert "SHA-1" not in text


def test_what_barehost_says_of_itself_stands_beside_what_was_counted(tmp_path: Path) -> None:
    samples = [*runs("noop-4", "barehost", 0.4), *runs("noop-4", "script", 0.4)]
    rows = cells(text_of(samples, tmp_path), "As Barehost itself reports it")
    assert rows == {"nothing to do, 4 hosts": {"round trips": "4", "kB": "74"}}


def fleet(peer: str, *counts: int) -> list[Sample]:
    """Runs whose CPU is 0.3 s and 0.05 s a host, and whose memory 40 MiB and half a one a host."""
    samples = []
    for count in counts:
        case = "noop" if count == 1 else f"noop-{count}"
        cpu = 0.3 + 0.05 * count
        samples += runs(case, peer, 2 * cpu, memory=40 + count / 2)
    return samples


def test_one_more_host_costs_the_slope(tmp_path: Path) -> None:
    text = text_of([*fleet("barehost", 1, 4, 8, 16, 64), *fleet("script", 1, 16)], tmp_path)
    rows = cells(text, "What one more host costs")
    assert rows["Barehost"] == {
        "measured on hosts": "1, 4, 8, 16, 64",
        "CPU s": "0.050",
        "MiB at the peak": "0.50",
        "s": "0.100",
        "kB": "0.4",
        "connections / sessions": "1 / 3",
        "round trips": "1",
        "1,000 hosts": "101 s, 50 CPU s, 540 MiB",
    }
    assert rows["ssh + rsync"]["measured on hosts"] == "1, 16"
    assert rows["ssh + rsync"]["round trips"] == "–"
    assert "They were not measured" in text


def test_a_fleet_that_failed_is_no_point_of_the_line(tmp_path: Path) -> None:
    samples = [*fleet("barehost", 1, 4), Sample("noop-64", "barehost", 100, 100, failure="exit code 1")]
    rows = cells(text_of(samples, tmp_path), "What one more host costs")
    assert rows["Barehost"]["measured on hosts"] == "1, 4"
    assert rows["Barehost"]["CPU s"] == "0.050"


def test_nothing_is_said_of_one_more_host_after_runs_on_one(usual: list[Sample], tmp_path: Path) -> None:
    assert "What one more host costs" not in text_of(usual, tmp_path)


def test_the_line_is_the_one_of_least_squares() -> None:
    line = fit([(1, 1.0), (2, 3.0), (3, 2.0)])
    assert (line.each, line.fixed) == pytest.approx((0.5, 1.0))
    assert line.at(5) == pytest.approx(3.5)


def test_a_fleets_traffic_is_the_sum_of_its_hosts() -> None:
    table = """Chain INPUT (policy ACCEPT)
    pkts      bytes target     prot opt in     out     source               destination
       1       60            tcp  --  *      *       0.0.0.0/0  0.0.0.0/0  tcp dpt:22 flags:0x17/0x02
      80     9000            tcp  --  *      *       0.0.0.0/0  0.0.0.0/0  tcp dpt:22

Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)
    pkts      bytes target     prot opt in     out     source               destination
      70    17000            tcp  --  *      *       0.0.0.0/0  0.0.0.0/0  tcp spt:22
"""
    one = counted(table, 3)
    assert one == Traffic(connections=1, sent=9000, received=17000, sessions=3)
    assert sum([one, one], Traffic()) == Traffic(2, 18000, 34000, 6)
    assert one - one == Traffic()


def test_the_tables_show_the_picture_that_was_written(usual: list[Sample], tmp_path: Path) -> None:
    (image,) = re.findall(r"!\[.*\]\((.*)\)", text_of(usual, tmp_path))
    ElementTree.fromstring((tmp_path / image).read_text())
