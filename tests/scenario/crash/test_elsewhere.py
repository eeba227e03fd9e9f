"""kill -9 at the failpoints for which the crash story has no occasion."""

import time
from pathlib import Path

import pytest

from tests.scenario.crash.daemon import POLL_S, Daemon, Place, make_place

WAIT_S = 30.0
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path / "place")


def test_G1_a_card_that_was_put_away_stays_away_though_nobody_had_an_answer(place: Place) -> None:
    first = Daemon(place, failpoint="board.archived:1")
    try:
        assert first.wait_ready()
        made = first.ask("POST", "/board/issues", {"title": "Put this one away", "body": "Nobody wants it any more."})
        key = str(made.body["id"])
        assert first.ask("POST", f"/board/issues/{key}/archive", {}).status == 0
    finally:
        first.kill()
        assert first.end() == -9, first.tail()
    second = Daemon(place)
    try:
        assert second.wait_ready()
        assert second.ask("GET", f"/board/issues/{key}").body["archived"] is True
        assert second.ask("POST", f"/board/issues/{key}/archive", {}).good, "asked again it changes nothing"
        until = time.monotonic() + WAIT_S
        while second.ask("GET", "/queue").body["reconcile"]["inbox"]:
            assert time.monotonic() < until, second.tail()
            time.sleep(POLL_S)
    finally:
        second.ask_to_stop()
        code = second.end()
    assert code == 0
