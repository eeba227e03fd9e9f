"""The page of figures says what was measured, what was missed, and what was not measured at all."""

from tests.bench.goals import GOALS, Goal
from tests.bench.table import page


def bench(name: str, *rows: dict[str, object]) -> dict[str, dict[str, object]]:
    return {name: {"bench": name, "machine": "m", "at": "2026-01-01", "load": 0.1, "rows": list(rows)}}


def row(name: str, value: float, ratio: float | None = None) -> dict[str, object]:
    return {"name": name, "value": value, "unit": "ms", "baseline": None, "ratio": ratio}


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {start}"))


def test_a_goal_that_is_missed_is_said_to_be_missed() -> None:
    text = page(bench("landing", row("landing beyond the test command p50", 146.8)))
    assert line_of(text, "landing beyond the test command p50:").endswith("| ≤ 100 | 147 | **missed** |")


def test_a_goal_that_is_reached_and_one_that_was_not_measured() -> None:
    text = page(bench("landing", row("landing beyond the test command p50", 88.0)))
    assert line_of(text, "landing beyond the test command p50:").endswith("| 88.00 | reached |")
    assert line_of(text, "restart to ready, ms").endswith("| not measured |")


def test_a_ratio_that_is_missing_is_no_success() -> None:
    text = page(bench("webhooks", row("acks", 900.0)))
    assert line_of(text, "acks:").endswith("| ≥ 0.9 × the baseline | – | not measured |")


def test_each_goal_has_one_bound() -> None:
    assert all((goal.at_most is None) != (goal.at_least is None) for goal in GOALS)


def test_zero_is_within_a_bound_of_zero() -> None:
    assert Goal(bench="b", row="r", measure="value", of="", at_most=0).reached(row("r", 0.0))
    assert not Goal(bench="b", row="r", measure="value", of="", at_most=0).reached(row("r", 1.0))
