"""What a restart goes on with: half of the work is not done again, and no process outlives its daemon by much."""

import sqlite3
import time
from contextlib import closing

import pytest

from orch.adapters import orphans
from orch.adapters.process import namespace_of
from tests.scenario.crash.daemon import POLL_S, Daemon, Place, make_place, repo_of
from tests.scenario.crash.person import Person, Wish
from tests.scenario.crash.story import play

WISH = Wish(title="Write it in two halves", body="[in two halves] The architect is cut off after the first half.")
pytestmark = pytest.mark.timeout(300)
WAIT_S = 60.0


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("going-on") / "story")


def live_until_half(daemon: Daemon, person: Person) -> None:
    """Let the person work until the architect says that half of its work is done."""
    assert daemon.wait_ready()
    until = time.monotonic() + WAIT_S
    while not (daemon.place.witness / "half").exists():
        assert daemon.code() is None, daemon.tail()
        person.step(daemon)
        assert time.monotonic() < until, daemon.tail()
        time.sleep(POLL_S)


def living(place: Place) -> list[int]:
    prefix = f"{namespace_of(place.data)}/"
    return sorted(orphans.find(lambda label: label.startswith(prefix)))


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_G10_a_continuation_finds_the_half_that_was_done(place: Place, how: str) -> None:
    person, daemon = Person(wishes=(WISH,)), Daemon(place)
    try:
        live_until_half(daemon, person)
        assert living(place) != []
    finally:
        if how == "killed":
            daemon.kill()
        else:
            daemon.ask_to_stop()
        code = daemon.end()
    assert code == (-9 if how == "killed" else 0), daemon.tail()
    (place.witness / "go").touch()

    report = play(place, iter(()), person=person, deaths=1)

    assert report.faults == []
    with closing(sqlite3.connect(place.data / "orch.db")) as connection:
        runs = connection.execute("SELECT job, outcome, start_head FROM run WHERE role = 'architect' ORDER BY id").fetchall()
        modes = connection.execute("SELECT mode FROM job WHERE role = 'architect'").fetchall()
    assert [outcome for _, outcome, _ in runs] == ["crashed", "succeeded"]
    assert len({job for job, _, _ in runs}) == 1, "the same job"
    assert len({start for _, _, start in runs}) == 1, "from the same start"
    assert modes == [("continuation",)]
    notes = f"main:docs/work-items/{person.accepted[0][2]}/notes.md"
    assert repo_of(place).git("show", notes) == "half of the work"


def test_G10_the_tree_of_a_killed_daemon_is_gone_when_the_next_one_is_ready(place: Place) -> None:
    person, daemon = Person(wishes=(WISH,)), Daemon(place)
    try:
        live_until_half(daemon, person)
        before = living(place)
    finally:
        daemon.kill()
        daemon.end()
    (place.witness / "half").unlink()
    after = Daemon(place)
    try:
        assert after.wait_ready()
        left = [pid for pid in before if pid in living(place)]
    finally:
        after.ask_to_stop()
        code = after.end()
    assert (left, code, living(place)) == ([], 0, [])
