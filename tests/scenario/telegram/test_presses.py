"""People press buttons and reply: each press counts once, for what was shown, from those who may."""

from dataclasses import replace

import pytest

from orch.core.model import DeploySettings, ParkReason
from orch.core.stages import Role, Stage
from tests.builders import make_limits, make_project
from tests.fakes.agents import Step
from tests.fakes.telegram.state import Message
from tests.scenario.telegram.world import ANNA, STRANGER, ChatGround, ChatLine, chat_line, running

OUTSIDE = Step(files={"README.md": "an analyst may not change this\n"})


async def until_asked(it: ChatLine, heading: str = "A plan waits") -> Message:
    await it.shows(lambda: it.alert(heading))
    return it.alert(heading)


async def test_approve_takes_the_task_on_and_the_message_says_what_comes_next() -> None:
    async with chat_line() as it:
        issue = await it.start()
        asked = await until_asked(it)
        assert set(asked.buttons) == {"Approve", "Reject", "Stop"}
        assert await it.press(asked, "Approve") == f"{issue}: approved"
        await it.until(lambda tx: tx.find_task(issue).stage is not Stage.ANALYSIS)  # type: ignore[union-attr]
        approved = next(step for step in await it.history(issue) if step.cause == "approved")
        assert approved.by == f"telegram:{ANNA}"


async def test_reject_asks_for_a_reason_which_is_a_reply_of_the_same_person() -> None:
    async with chat_line() as it:
        issue = await it.start()
        asked = await until_asked(it)
        assert "Reply to the bot" in await it.press(asked, "Reject")
        question = next(message for message in it.bot.messages() if message.markup and "force_reply" in message.markup)
        assert question.entities == [(f"tg://user?id={ANNA}", "Anna")]
        assert (await it.task(issue)).awaiting == "approval", "nothing happens before there is a reason"
        it.bot.reply(question, "because a stranger says so", user=STRANGER)
        it.bot.reply(question, "It must greet in <b>Latin</b>.")
        await it.until(lambda tx: any(step.cause == "rejected" for step in tx.list_transitions(tx.find_task(issue).row)))  # type: ignore[union-attr]
        rejected = next(step for step in await it.history(issue) if step.cause == "rejected")
        assert (rejected.detail, rejected.by) == ("It must greet in <b>Latin</b>.", f"telegram:{ANNA}")
        it.bot.reply(question, "and another thing")
        await it.shows(lambda: len(it.agent.visits(Role.ANALYST)) == 2)
        await it.settle(60)
        assert sum(step.cause == "rejected" for step in await it.history(issue)) == 1


async def test_a_stranger_and_a_press_on_another_chats_message_change_nothing() -> None:
    async with chat_line() as it:
        issue = await it.start()
        asked = await until_asked(it)
        assert "not among the people" in await it.press(asked, "Approve", user=STRANGER)
        assert "not among the people" in await it.press(asked, "Stop", user=STRANGER)
        it.bot.add_chat(-9)
        elsewhere = replace(asked, chat=-9)
        assert "another chat" in await it.press(elsewhere, "Approve")
        for data in ("", "x", "aA99999.", "zzz", "a" * 64):
            assert "Nothing was changed" in await it.press(asked, data=data, label="")
        await it.settle(30)
        assert ((await it.task(issue)).awaiting, len(await it.history(issue))) == ("approval", 1)


async def test_a_press_about_an_earlier_plan_changes_nothing() -> None:
    async with chat_line() as it:
        issue = await it.start()
        first = await until_asked(it)
        await it.press(first, "Reject")
        question = next(message for message in it.bot.messages() if message.markup and "force_reply" in message.markup)
        it.bot.reply(question, "Again.")
        await it.shows(lambda: len(it.headings()) >= 2 and it.alert("A plan waits").id != first.id)
        second = it.alert("A plan waits")
        assert first.buttons["Approve"] != second.buttons["Approve"]
        assert "earlier" in await it.press(first, "Approve")
        assert (await it.task(issue)).awaiting == "approval"
        assert await it.press(second, "Approve") == f"{issue}: approved"
        assert "earlier" in await it.press(second, "Approve"), "and the same press again is for an earlier state"


async def test_confirm_deploy_and_its_decline_are_pressed() -> None:
    project = make_project(deploy=DeploySettings(command=("./deploy",)))
    async with chat_line(project) as it:
        one, two = await it.start("Greet in Latin"), await it.start("Greet in Greek")
        for issue in (one, two):
            await it.approve(issue)
        await it.until(lambda tx: all(tx.find_task(issue).awaiting == "confirm" for issue in (one, two)), within_s=600)  # type: ignore[union-attr]
        await it.shows(lambda: len(it.headings()) == 4)
        asked = {
            issue: next(m for m in it.bot.alerts() if "A deploy waits" in m.text and f"\n{issue} " in m.text)
            for issue in (one, two)
        }
        assert set(asked[one].buttons) == {"Confirm deploy", "Reject", "Stop"}
        assert "confirmed" in await it.press(asked[one], "Confirm deploy")
        await it.until_stage(one, Stage.DONE, within_s=600)


async def test_stop_is_pressed_on_the_live_message_at_any_stage() -> None:
    async with chat_line() as it:
        it.agent.script("DEMO-1", Role.DEVELOPER, Step(hang=True))
        issue = await it.start()
        await it.shows(lambda: "Stop" in it.tracker(issue).buttons)
        stale = it.tracker(issue).buttons["Stop"]
        await it.approve(issue)
        await it.until_stage(issue, Stage.DEVELOPMENT)
        told = await it.press(it.tracker(issue), "Stop", data=stale)
        assert "cancel" in told.lower() or "stop" in told.lower(), told
        await it.shows(lambda: "🏁 Cancelled after" in it.tracker(issue).text)
        assert it.tracker(issue).buttons == {}
        assert "earlier" in await it.press(it.tracker(issue), "Stop", data=stale)


async def test_resume_takes_a_parked_task_on_once() -> None:
    async with chat_line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, *[OUTSIDE] * 4)
        issue = await it.start()
        await it.until_parked(issue)
        asked = await until_asked(it, "parked")
        assert "resumed" in await it.press(asked, "Resume")
        assert "earlier" in await it.press(asked, "Resume")
        await it.until(lambda tx: tx.find_task(issue).awaiting == "approval", within_s=900)  # type: ignore[union-attr]


@pytest.mark.parametrize(("amount", "label", "done"), [(5.0, "Raise the budget", True), (None, "Raise the budget", False)])
async def test_a_budgets_question_is_answered(amount: float | None, label: str, done: bool) -> None:
    async with ChatGround() as ground:
        ground.raise_usd = amount
        async with running(ground) as it:
            it.agent.script("DEMO-1", Role.ANALYST, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE)
            issue = await it.start()
            task = await it.until_parked(issue)
            assert task.park is not None
            broke = replace(task, park=replace(task.park, reason=ParkReason.BUDGET))
            await it.write(lambda tx: tx.save_task(broke))
            it.supervisor.configured()
            await it.shows(lambda: set(it.tracker(issue).buttons) == {"Raise the budget", "Continue without a limit", "Stop"})
            told = await it.press(it.tracker(issue), label)
            assert told
            assert ("no amount" in told) is not done, told


async def test_a_press_that_a_crash_cut_off_is_handled_after_the_restart_and_once() -> None:
    async with ChatGround() as ground:
        async with running(ground) as it:
            issue = await it.start()
            asked = await until_asked(it)
        query = ground.bot.press(asked, "Approve")
        async with running(ground) as it:
            await it.shows(lambda: it.bot.told(query) == f"{issue}: approved")
            await it.until_stage(issue, Stage.DONE, within_s=600)
        async with running(ground) as it:
            await it.settle(60)
        assert [name for name, _, _ in ground.bot.answers] == [query]


async def test_a_second_reader_of_the_bots_updates_is_said_and_not_fought() -> None:
    async with chat_line() as it:
        issue = await it.start()
        asked = await until_asked(it)
        it.bot.webhook = "https://elsewhere.example/hook"
        await it.shows(lambda: "webhook is active" in it.notices.get("telegram-updates", ""))
        before = it.bot.calls.count("getUpdates")
        await it.settle(600)
        assert it.bot.calls.count("getUpdates") - before <= 21
        it.bot.webhook = ""
        assert await it.press(asked, "Approve") == f"{issue}: approved"
        assert "telegram-updates" not in it.notices


async def test_the_days_budget_is_raised_once_for_the_limit_that_was_shown() -> None:
    async with ChatGround(limits=make_limits(budget_day_usd=0.5)) as ground, running(ground) as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(cost_usd=0.6))
        issue = await it.start()
        await it.shows(lambda: it.alert("A budget is used up"), within_s=600)
        asked = it.alert("A budget is used up")
        told = await it.press(asked, "Raise the budget")
        again = await it.press(asked, "Raise the budget")
        assert "7.5" in told, told
        assert told != again
        await it.approve(issue, within_s=600)
        await it.until_stage(issue, Stage.DONE, within_s=600)
