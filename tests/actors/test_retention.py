"""Retention through the running line: a month after its end a task's archive and logs are gone, a younger one's are not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from actors.caretaker import TIDY_S
from orch.core.errors import TransientError
from orch.core.ids import ProjectName
from orch.core.stages import Stage
from tests.builders import make_limits, make_project
from tests.fakes.line import Ground, Line, line, running


async def ended(it: Line, title: str, *, days_ago: float) -> str:
    """Take a task through the whole line, and let it have ended so many days ago."""
    name = await it.start(title)
    await it.approve(name)
    task = await it.until_stage(name, Stage.DONE)
    await it.settle(1)

    def age(tx: Any) -> None:
        swept = tx.load_task(task.row)
        tx.save_task(replace(swept, finished_at=swept.finished_at - timedelta(days=days_ago)))

    await it.write(age)
    return name


async def test_a_month_after_its_end_a_tasks_archive_and_logs_go_once() -> None:
    async with line(limits=make_limits(archive_days=30)) as it:
        old, young = await ended(it, "An old task", days_ago=31), await ended(it, "A young task", days_ago=29)
        await it.settle(TIDY_S + 60)
        row = (await it.task(old)).row
        assert [each.task for each in it.mirror.retired] == [row]
        assert it.g.shelves.runs == [run.id for run in await it.runs(old)] != []
        assert not {run.id for run in await it.runs(young)} & set(it.g.shelves.runs)
        await it.settle(TIDY_S)
        assert len(it.mirror.retired) == 1


async def test_what_one_repos_trouble_leaves_is_done_later_and_another_repo_is_tidied() -> None:
    other = make_project(name="other", prefix="OTHER")
    async with Ground(make_project(), other, limits=make_limits(archive_days=30)) as ground, running(ground) as it:
        name = await ended(it, "An old task", days_ago=31)
        ground.faults.fail_next("mirror.retire", TransientError("git", "gc", "locked"), times=2)
        await it.settle(TIDY_S + 60)
        assert it.mirror.retired == []
        await it.settle(TIDY_S)
        assert [each.task for each in it.mirror.retired] == [(await it.task(name)).row]
        assert ground.mirrors[ProjectName("other")].retired == []
