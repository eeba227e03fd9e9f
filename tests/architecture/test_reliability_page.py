"""The page of faults is made of what was run: nothing is called held that nothing tried."""

from pathlib import Path

import pytest

from tests.reliability.catalogue import FAULTS, Row, rows
from tests.reliability.page import Result, belongs, render
from tests.reliability.proofs import keep, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.fault[:40])
def test_each_row_names_tests_that_exist(row: Row) -> None:
    assert row.tests or row.proofs
    assert [path for path in row.tests if not (ROOT / path).exists()] == []


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {start}"))


def test_a_guarantee_without_a_test_is_said_to_have_none() -> None:
    text, failed = render([Result(module="tests.core.test_ids", name="test_G1_x", outcome="passed")], {})
    assert failed == 0
    assert line_of(text, "G1 ").endswith("| 1 passed |")
    assert line_of(text, "G2 ").endswith("| **no test** |")


def test_a_failure_and_a_slow_run_that_did_not_hold_show(tmp_path: Path) -> None:
    keep("crash", "make crash", {"crashes": 3}, good=False, folder=tmp_path)
    results = [Result(module="tests.scenario.crash.test_backup", name="test_x", outcome="failed")]
    text, failed = render(results, load(tmp_path))
    assert failed == 1
    assert "1 failed" in line_of(text, "kill -9")
    assert "crash: **did not hold**" in line_of(text, "kill -9")
    assert "sim: not run" in line_of(text, "kill -9")
    assert "crashes 3" in line_of(text, "`make crash`")


def test_a_test_belongs_to_its_folder_and_not_to_one_that_begins_alike() -> None:
    row = next(row for row in rows() if row.fault.startswith("kill -9"))
    assert belongs(Result(module="tests.scenario.crash.test_backup", name="test_x", outcome="passed"), row)
    assert not belongs(Result(module="tests.scenario.crashing", name="test_x", outcome="passed"), row)
    assert belongs(Result(module="tests.actors.test_restart.TestIt", name="test_x", outcome="passed"), row)
