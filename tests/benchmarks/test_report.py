"""The benchmark's arithmetic: what is divided by what, and what is written down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchmarks import report, rounds
from billing_project.paths import BASE_DIR

RATES = {
    "spend": [700.0, 90.0, 800.0],
    "pgbench_spend": [1000.0, 100.0, 1000.0],
    "minimal_transaction": [1250.0, 160.0, 1000.0],
    "minimal_function": [2000.0, 200.0, 2000.0],
    "hordak": [100.0, 30.0, 200.0],
    "hordak_transfer": [350.0, 45.0, 400.0],
    "spend_many": [7000.0, 1800.0, 6400.0],
    "hot_wallet": [500.0, 60.0, 500.0],
    "pgbench_hot_wallet": [1000.0, 100.0, 1000.0],
    "hold_and_capture": [300.0, 40.0, 320.0],
}


def result(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "sync_microseconds": [float(number) for number in range(1, 101)],
        "machine": {
            "PostgreSQL": "18.4",
            "Python": "3.11.7",
            "Django": "5.2.19",
            "cores": 2,
            "load": 0.5,
            "rounds": 3,
        },
        "webhooks": {"stored_per_second": 100.0, "settled_per_second": 10.0},
        "pages": {"dashboard_p95_ms": 31.5, "trivial_p95_ms": 12.0},
    }
    return report.result(RATES | changes, RATES, **told)


def test_a_ratio_is_the_median_of_what_each_round_says() -> None:
    assert report.ratio(RATES, "spend", "pgbench_spend") == 0.8


def test_a_slow_round_moves_no_ratio() -> None:
    rates = {"one": [100.0, 10.0, 100.0], "other": [50.0, 5.0, 50.0]}

    assert report.ratio(rates, "one", "other") == 2.0


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        report.ratio({"one": [1.0], "other": [1.0, 2.0]}, "one", "other")


def test_the_five_ratios_are_written_down() -> None:
    assert result()["ratios"] == {
        "spend_vs_pgbench": 0.8,
        "function_vs_minimal_debit": 0.8,
        "spend_vs_hordak": 4.0,
        "spend_many_vs_spend": 10.0,
        "hot_wallet_vs_pgbench": 0.5,
    }


def test_everything_measured_survives_json() -> None:
    found = result()

    assert json.loads(json.dumps(found)) == found
    assert found["per_second"]["spend"] == 700.0
    assert found["rounds"]["spend"] == [700.0, 90.0, 800.0]
    assert found["sync_microseconds"] == {"median": 50.5, "95th": 96.0}
    assert found["synchronous_commit_off"]["ratios"]["spend_vs_pgbench"] == 0.8


def test_a_missed_target_is_said() -> None:
    found = result(spend_many=[600.0, 80.0, 700.0])

    assert found["met"] == {name: name != "spend_many_vs_spend" for name in report.TARGETS}
    missed = [line for line in report.text(found).splitlines() if "MISSED" in line]
    assert [line.split()[0] for line in missed] == ["spend_many_vs_spend"]


def test_the_report_tells_the_disk_beside_the_ratios() -> None:
    said = report.text(result())

    assert "50 µs here (95 in 100: 96 µs)" in said
    assert "settled and delivered per second" in said


@pytest.mark.parametrize(("load", "is_said"), [(0.5, False), (0.6, True)])
def test_a_busy_machine_is_said(load: float, is_said: bool) -> None:
    found = result()
    found["machine"]["load"] = load

    assert ("measure again" in report.text(found)) is is_said


def test_without_webhooks_the_report_leaves_them_out() -> None:
    found = result() | {"webhooks": {}}

    assert "Webhooks" not in report.text(found)


class Counter:
    """A contender that writes down when it was its turn."""

    def __init__(self, name: str, turns: list[str]) -> None:
        self.name, self.turns = name, turns

    def rate(self, seconds: int, *, commit: str = "on") -> float:
        self.turns.append(f"{self.name} {commit}")
        return float(len(self.turns) * seconds)


def test_all_take_turns_and_every_other_round_goes_backwards() -> None:
    turns: list[str] = []
    everybody = {name: Counter(name, turns) for name in ("one", "other")}

    rates = rounds.interleave(everybody, rounds=2, commit="off", say=lambda line: None)

    assert turns == ["one off", "other off", "other off", "one off"]
    assert rates == {"one": [1.0, 4.0], "other": [2.0, 3.0]}


@pytest.mark.parametrize(("seconds", "count"), [(100, 10), (25, 2), (3, 1)])
def test_there_are_as_many_rounds_as_fit_and_one_at_least(seconds: int, count: int) -> None:
    assert rounds.that_fit(seconds, 10) == count


def test_a_worker_answers_each_turn_with_what_it_did() -> None:
    program = "from benchmarks import loop; loop.serve({'act': lambda: 5}, print)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=BASE_DIR,
        env=dict(os.environ),
        input="act 0.01 on\nact 0.01 off\n",
        capture_output=True,
        text=True,
        check=True,
    )

    ready, on, first, off, second = done.stdout.splitlines()
    assert (ready, on, off) == ("ready", "on", "off")
    for answer in (first, second):
        told = json.loads(answer)
        assert told["done"] % 5 == 0
        assert told["done"] > 0
        assert told["seconds"] >= 0.01


def test_a_slow_first_page_is_told() -> None:
    slow = {"dashboard_p95_ms": 50.1, "trivial_p95_ms": 12.0}

    assert "MISSED" not in report.text(result())
    assert "50.10     <= 50   MISSED" in report.text(result() | {"pages": slow})
