"""What people are shown of a deployed commit that is watched: the why sentence, the task's view, the queue."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orch.adapters.store.schema import open_writer
from orch.adapters.store.transaction import make_tx
from orch.core.ids import TaskRow
from orch.core.model import DeployState, Limits, RunKind, Task, Watch, WatchSign, WatchState
from orch.core.stages import Stage
from orch.core.task_facts import TaskFacts
from orch.core.views import task_detail
from orch.core.why import why
from orch.ports import Tx
from orch.snapshots import load_queue, load_task, load_why
from tests.builders import DEMO, NOW, later, make_deploy, make_new_task, make_task, make_watch, sha

DONE = make_task(stage=Stage.DONE, landed=sha("c"), finished_at=NOW)


def told(sign: WatchSign, language: str, **fields: object) -> str:
    return why(TaskFacts(task=replace(DONE, watch=sign), watch=make_watch(**fields)), later(60), language)


def test_while_it_is_watched_the_why_says_until_when_and_what_was_seen() -> None:
    text = told(WatchSign.WATCHING, "en", probes=4, bad=1)
    assert f"{'c' * 12}, is watched in production until 2026-01-05 09:10 UTC" in text
    assert "4 probes so far" in text


def test_a_degraded_one_says_what_was_seen_and_what_can_be_done() -> None:
    text = told(WatchSign.DEGRADED, "en", detail="HTTP 500")
    assert all(words in text for words in ("does badly", "HTTP 500", "orch fix ID", "orch revert DEMO-1"))


@pytest.mark.parametrize("sign", WatchSign)
def test_each_sign_has_its_sentence_in_both_languages(sign: WatchSign) -> None:
    english, russian = told(sign, "en"), told(sign, "ru")
    assert english != russian
    plainly = why(TaskFacts(task=DONE), later(60), "en")
    assert (english == plainly) is (sign in (WatchSign.NONE, WatchSign.HEALTHY))


def test_the_tasks_view_shows_the_watch_and_none_where_nothing_is_watched() -> None:
    assert task_detail(TaskFacts(task=DONE), NOW)["watch"] is None
    shown = task_detail(TaskFacts(task=DONE, watch=make_watch(detail="HTTP 500\n<b>", bad=2)), NOW)["watch"]
    assert isinstance(shown, dict)
    assert (shown["state"], shown["bad"], shown["detail"]) == ("watching", 2, "HTTP 500 <b>")


def watched(tx: Tx, state: WatchState, sign: WatchSign, number: int = 1) -> tuple[Task, Watch]:
    task = tx.insert_task(make_new_task(number))
    assert task is not None
    task = replace(task, stage=Stage.DONE, landed=sha("c"), finished_at=NOW, watch=sign)
    tx.save_task(task)
    run = tx.start_run(task, kind=RunKind.DEPLOY, job=None, role=None, at=NOW)
    begun = tx.begin_deploy(make_deploy(task, run=run.id))
    assert begun is not None
    tx.save_deploy(replace(begun, state=DeployState.SUCCEEDED, ended_at=NOW))
    watch = make_watch(deploy=begun.id, task=TaskRow(task.row), state=state)
    tx.save_watch(watch)
    return task, watch


def test_the_queue_lists_what_is_watched_or_was_found_bad_and_the_task_says_so_when_asked() -> None:
    connection = open_writer(None)
    try:
        tx = make_tx(connection, lambda: NOW)

        def shown() -> list[tuple[str, str]]:
            block = load_queue(tx, NOW, Limits(), projects=[DEMO])["deploy"]
            assert isinstance(block, dict)
            return [(row["id"], row["state"]) for row in block["watch"]]

        assert shown() == []
        task, watch = watched(tx, WatchState.WATCHING, WatchSign.WATCHING)
        assert shown() == [("DEMO-1", "watching")]
        assert "is watched in production" in (load_why(tx, "DEMO-1", NOW + timedelta(seconds=1)) or "")
        tx.save_watch(replace(watch, state=WatchState.HEALTHY))
        tx.save_task(replace(task, watch=WatchSign.HEALTHY))
        assert shown() == []
        detail = load_task(tx, "DEMO-1", NOW)
        assert detail is not None
        assert isinstance(detail["watch"], dict)
        watched(tx, WatchState.DEGRADED, WatchSign.DEGRADED, 2)
        assert shown() == [("DEMO-2", "degraded")]
    finally:
        connection.close()
