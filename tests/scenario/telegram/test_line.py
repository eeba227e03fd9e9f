"""A task in the chat: one message that follows it, and a sounding one wherever a person is needed."""

import pytest

from orch.core.stages import Role, Stage
from tests.fakes.agents import Step
from tests.fakes.virtual_time import BACKENDS
from tests.scenario.telegram.world import ChatGround, chat_line, running

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


async def test_one_message_follows_a_task_from_its_card_to_its_end(backend: str) -> None:
    async with chat_line() as it:
        issue = await it.start()
        await it.shows(lambda: it.tracker(issue))
        first = it.tracker(issue)
        await it.approve(issue)
        await it.until_stage(issue, Stage.DONE, within_s=600)
        await it.shows(lambda: "🏁 Done in" in it.tracker(issue).text)
        assert it.tracker(issue).id == first.id
        assert it.tracker(issue).buttons == {}
        assert it.tracker(issue).edits > 1
        assert it.headings() == ["A plan waits for approval"]
        assert it.bot.throttled == 0, "the pace is kept without being told"


async def test_an_idle_daemon_does_nothing_in_the_chat(backend: str) -> None:
    async with chat_line() as it:
        issue = await it.start()
        await it.shows(lambda: "Approve" in it.tracker(issue).buttons)
        await it.settle(30)
        before = len(it.bot.writes)
        await it.settle(3600)
        assert len(it.bot.writes) == before


async def test_while_an_agent_works_its_figures_are_brought_up_to_date_now_and_then(backend: str) -> None:
    async with chat_line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(seconds=1000.0))
        issue = await it.start()
        await it.shows(lambda: "▶️ analysis" in it.tracker(issue).text)
        await it.settle(900)
        assert 5 <= it.tracker(issue).edits <= 10


async def test_many_tasks_share_the_chats_pace_and_every_message_is_right_in_the_end(backend: str) -> None:
    async with chat_line() as it:
        issues = [await it.start(f"Greet number {number}") for number in range(8)]
        for issue in issues:
            await it.approve(issue, within_s=3000)
        for issue in issues:
            await it.until_stage(issue, Stage.DONE, within_s=3000)
        await it.shows(lambda: all("🏁 Done in" in it.tracker(issue).text for issue in issues), within_s=900)
        assert len(it.bot.messages()) == 16, "one tracker and one question for each"
        assert it.bot.throttled == 0


async def test_after_a_restart_each_task_goes_on_in_the_message_that_it_had(backend: str) -> None:
    async with ChatGround() as ground:
        async with running(ground) as it:
            issue = await it.start()
            await it.shows(lambda: "Approve" in it.tracker(issue).buttons)
            first = it.tracker(issue).id
        async with running(ground) as it:
            await it.approve(issue)
            await it.until_stage(issue, Stage.DONE, within_s=600)
            await it.shows(lambda: "🏁 Done in" in it.tracker(issue).text)
            assert it.tracker(issue).id == first
            assert it.headings() == ["A plan waits for approval"]
        before = len(ground.bot.writes)
        async with running(ground) as it:
            await it.settle(600)
            assert len(ground.bot.writes) == before, "what is over is left alone"


async def test_a_task_that_ended_while_nobody_could_be_told_is_told_after_a_restart(backend: str) -> None:
    async with ChatGround() as ground:
        async with running(ground) as it:
            ground.bot.down = True
            issue = await it.start()
            await it.approve(issue)
            await it.until_stage(issue, Stage.DONE, within_s=600)
        ground.bot.down = False
        async with running(ground) as it:
            await it.shows(lambda: "🏁 Done in" in it.tracker(issue).text)
            await it.shows(lambda: it.headings() == ["A plan waits for approval"])
            assert it.alert("A plan waits").buttons == {}, "it was decided long ago"
