"""The page of figures says what was measured, what was missed, and what was not measured at all."""

from pathlib import Path

import pytest

from tests.bench.goals import GOALS, PEERS, Goal
from tests.bench.harness import OUT, Bench
from tests.bench.peers.choices import QUEUES, WEB
from tests.bench.table import page, read


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


def test_a_peer_is_shown_beside_the_product_and_sets_no_goal() -> None:
    text = page(bench("peers", row("acks, against FastAPI + uvicorn", 900.0, 0.3) | {"baseline": 3000.0}))
    assert line_of(text, "acks, against FastAPI + uvicorn").endswith("| 900 | 3,000 | 0.30 |")


def test_a_peer_that_was_not_there_says_why_and_one_that_was_not_tried_says_so() -> None:
    absent = "acks, against FastAPI + uvicorn: not measured, could not be installed"
    text = page(bench("peers", {"name": absent, "value": None, "unit": "1/s", "baseline": None, "ratio": None}))
    assert line_of(text, absent).endswith("| – | – | not measured |")
    assert line_of(text, "durable claims, against huey").endswith("| – | – | not measured |")


def test_a_row_may_lack_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    made = Bench("peers")
    made.add("acks, against a peer: not measured, could not be installed", None, "1/s")
    made.add("none left", 0, "")
    made.finish()
    assert "could not be installed" in capsys.readouterr().out
    assert [each["value"] for each in read(OUT)["peers"]["rows"]] == [None, 0]


def test_what_the_peers_bench_calls_a_row_is_found_by_the_page() -> None:
    titles = [f"claim + complete, 4 workers, against {queue.title}" for queue in QUEUES]
    for name in ("acks, against " + WEB.title, *titles):
        assert sum(bool(peer.find([{"name": name}])) for peer in PEERS) == 1, name
