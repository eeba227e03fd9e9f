"""What fails in the chat, and what then: the line goes on, and in the end each task has one message and nothing was lost."""

import pytest

from orch.core.model import ParkReason, RowState
from orch.core.stages import Role, Stage
from tests.builders import make_limits, make_project
from tests.fakes.agents import Step
from tests.fakes.telegram.state import Refused
from tests.scenario.telegram.world import ChatGround, ChatLine, chat_line, running

PLAN = "A plan waits for approval"


async def finish(it: ChatLine, issue: str) -> None:
    await it.approve(issue, within_s=600)
    await it.until_stage(issue, Stage.DONE, within_s=600)


async def all_is_told(it: ChatLine, issue: str, *, within_s: float = 900) -> None:
    await it.shows(lambda: "🏁 Done in" in it.tracker(issue).text and it.headings() == [PLAN], within_s=within_s)


async def test_a_429_silences_the_whole_chat_for_as_long_as_it_says() -> None:
    async with chat_line() as it:
        issue = await it.start()
        await it.shows(lambda: it.tracker(issue))
        it.bot.silence(40)
        begun = it.bot.now()
        await finish(it, issue)
        await all_is_told(it, issue)
        assert it.bot.throttled == 1, "who was told to be silent does not ask again before"
        after = [write.at for write in it.bot.writes if write.at > begun]
        assert min(after) >= begun + 40
        assert len(it.bot.trackers()) == 1


async def test_a_deleted_message_is_replaced_by_a_new_one_that_is_kept() -> None:
    async with ChatGround() as ground:
        async with running(ground) as it:
            issue = await it.start()
            await it.shows(lambda: "Approve" in it.tracker(issue).buttons)
            first = it.tracker(issue)
            it.bot.delete(first.id)
            await it.approve(issue)
            await it.shows(lambda: it.tracker(issue).id != first.id)
            second = it.tracker(issue).id
        async with running(ground) as it:
            await it.until_stage(issue, Stage.DONE, within_s=600)
            await all_is_told(it, issue)
            assert it.tracker(issue).id == second


async def test_a_message_that_is_not_ours_to_edit_is_replaced_too() -> None:
    async with chat_line() as it:
        issue = await it.start()
        await it.shows(lambda: it.tracker(issue))
        first = it.tracker(issue)
        it.bot.fail_next("editMessageText", refused=Refused(400, "Bad Request: message can't be edited"))
        await it.approve(issue)
        await it.shows(lambda: len(it.bot.trackers()) == 2)
        it.bot.delete(first.id)
        await it.until_stage(issue, Stage.DONE, within_s=600)
        await all_is_told(it, issue)


async def test_a_text_that_cannot_be_parsed_is_shown_without_markup() -> None:
    said = 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 3'
    async with chat_line() as it:
        it.bot.fail_next("sendMessage", refused=Refused(400, said))
        issue = await it.start()
        await it.shows(lambda: it.tracker(issue))
        assert "<b>" not in it.tracker(issue).raw
        await finish(it, issue)
        await all_is_told(it, issue)


async def test_a_text_that_is_too_long_all_the_same_is_cut_shorter() -> None:
    async with chat_line() as it:
        it.bot.fail_next("sendMessage", refused=Refused(400, "Bad Request: message is too long"))
        issue = await it.start()
        await it.shows(lambda: any(message.text.startswith(f"{issue} ") for message in it.bot.messages()))
        await finish(it, issue)
        await all_is_told(it, issue)


async def test_a_message_that_shows_it_already_is_a_success() -> None:
    """The reply of an edit was lost: it is made again, and the answer to that is no fault."""
    async with chat_line() as it:
        issue = await it.start()
        await it.shows(lambda: "Approve" in it.tracker(issue).buttons)
        it.bot.fail_next("editMessageText", times=2, lost=True)
        await finish(it, issue)
        await all_is_told(it, issue)
        await it.shows(lambda: "telegram" not in it.notices)


@pytest.mark.parametrize("how", ["down", "hanging"])
async def test_an_outage_of_an_hour_loses_nothing_and_doubles_nothing(how: str) -> None:
    async with chat_line() as it:
        issues = [await it.start(f"Greet number {number}") for number in range(3)]
        await it.shows(lambda: len(it.bot.trackers()) == 3)
        setattr(it.bot, how, True)
        for issue in issues:
            await finish(it, issue)
        await it.settle(3600)
        assert "no answer" in it.notices["telegram"]
        calls = len(it.bot.calls)
        setattr(it.bot, how, False)
        await it.shows(lambda: len(it.bot.alerts()) == 3, within_s=1200)
        await it.shows(lambda: all("🏁 Done in" in it.tracker(issue).text for issue in issues), within_s=1200)
        await it.shows(lambda: not it.notices, within_s=600)
        assert it.headings() == [PLAN] * 3
        assert calls < 1000, "a service that is away is not hammered"


async def test_a_lost_reply_of_a_send_may_double_it_and_loses_nothing() -> None:
    """There is no way to know: a person who is asked twice is better than one who is not asked."""
    async with chat_line() as it:
        issue = await it.start()
        await it.shows(lambda: it.tracker(issue))
        it.bot.fail_next("sendMessage", lost=True)
        await it.shows(lambda: len(it.headings()) == 2, within_s=600)
        assert it.headings() == [PLAN, PLAN]
        await it.press(it.bot.alerts()[0], "Approve")
        assert "decided" in (await it.press(it.bot.alerts()[1], "Approve")) or "Nothing was changed" in it.bot.answers[-1][1]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: message thread not found"),
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (403, "Forbidden: user is deactivated"),
    ],
)
async def test_a_wrong_configuration_is_said_and_not_tried_again_before_a_reload(code: int, said: str) -> None:
    async with chat_line() as it:
        it.bot.chats[it.bot.home].refuses = (code, said)
        issue = await it.start()
        await it.shows(lambda: said in it.notices.get("telegram", ""))
        await finish(it, issue)
        before = len([call for call in it.bot.calls if call != "getUpdates"])
        await it.settle(1200)
        assert len([call for call in it.bot.calls if call != "getUpdates"]) == before
        it.bot.chats[it.bot.home].refuses = None
        it.supervisor.configured()
        await all_is_told(it, issue)
        assert "telegram" not in it.notices


async def test_a_refused_token_is_said_and_not_tried_again() -> None:
    async with chat_line() as it:
        it.bot.revoked = True
        issue = await it.start()
        await finish(it, issue)
        await it.settle(1500)
        assert "token is refused" in it.notices["telegram"]
        assert it.bot.calls.count("sendMessage") == 1
        assert it.bot.calls.count("getUpdates") <= 10
        assert it.bot.token not in str(it.notices)


async def test_a_group_that_becomes_a_supergroup_is_followed_for_good() -> None:
    async with ChatGround(chat=-55) as ground:
        async with running(ground) as it:
            issue = await it.start()
            await it.shows(lambda: it.tracker(issue))
            it.bot.migrate(-10055)
            await it.approve(issue)
            await it.shows(lambda: it.tracker(issue).chat == -10055)
            assert await it.read(lambda tx: tx.chat_address("-55")) == "-10055"
        calls = len(ground.bot.calls)
        async with running(ground) as it:
            await it.until_stage(issue, Stage.DONE, within_s=600)
            await it.shows(lambda: "🏁 Done in" in it.tracker(issue).text)
            assert len(ground.bot.calls) > calls


async def moments(broken: str) -> dict[str, list[float]]:
    """Return when each stage was entered by ten tasks, in seconds after a task's approval (before that a person takes time)."""
    limits = make_limits(max_concurrency=10, max_concurrency_per_repo=10, test_slots=10)
    async with ChatGround(limits=limits) as ground, running(ground) as it:
        if broken:
            setattr(it.bot, broken, True)
        issues = [await it.start(f"Greet number {number}") for number in range(10)]
        for issue in issues:
            await it.approve(issue, within_s=900)
        taken: dict[str, list[float]] = {}
        for issue in issues:
            await it.until_stage(issue, Stage.DONE, within_s=900)
            steps = await it.history(issue)
            approved = next(step.at for step in steps if step.cause == "approved")
            for step in steps:
                if step.at >= approved:
                    taken.setdefault(step.target, []).append((step.at - approved).total_seconds())
        assert not broken or not it.bot.messages()
        return {stage: sorted(seconds) for stage, seconds in taken.items()}


@pytest.mark.timeout(300)
async def test_the_line_never_waits_for_the_chat() -> None:
    """Every stage is entered at the same moments whether the chat works, hangs or is away; a call that hangs takes 30 s."""
    without = await moments("")
    for how in ("down", "hanging"):
        broken = await moments(how)
        assert {stage: len(seconds) for stage, seconds in broken.items()} == {stage: len(s) for stage, s in without.items()}
        late = [(how, stage, a, b) for stage in without for a, b in zip(without[stage], broken[stage], strict=True) if b - a > 3]
        assert not late


async def test_other_failures_sound_once_each() -> None:
    async with chat_line(make_project()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts={"questions.md": "Which language? <b>@all</b>"}))
        issue = await it.start()
        await it.shows(lambda: it.headings() == ["Questions wait for an answer"])
        asked = it.alert("Questions wait")
        assert "Which language? <b>@\u200ball</b>" in asked.text, "the board's words are text and mention nobody"
        assert not any(what == "b" and "all" in inner for what, inner in asked.entities)
        await it.settle(4 * 3600 + 60)
        await it.shows(lambda: it.headings() == ["Questions wait for an answer", "Still waiting for you"])
        assert (await it.task(issue)).park is None


async def test_a_parked_task_sounds_and_its_message_says_why() -> None:
    async with chat_line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, *[Step(files={"README.md": "changed\n"})] * 9)
        issue = await it.start()
        await it.until_parked(issue)
        await it.shows(lambda: it.headings() == ["A task is parked and asks"])
        assert set(it.alert("parked").buttons) == {"Resume", "Stop"}
        await it.shows(lambda: set(it.tracker(issue).buttons) == {"Resume", "Stop"})
        task = await it.task(issue)
        assert task.park is not None
        assert task.park.reason is not ParkReason.INFRASTRUCTURE


async def test_an_alert_that_the_service_will_never_take_is_parked_where_people_see_it() -> None:
    async with chat_line() as it:
        issue = await it.start()
        await it.shows(lambda: it.tracker(issue))
        it.bot.fail_next("sendMessage", refused=Refused(400, "Bad Request: something unheard of"))
        await it.until(lambda tx: bool(tx.list_outbox(state=RowState.PARKED)), within_s=300)
        (row,) = await it.outbox(RowState.PARKED)
        assert "something unheard of" in row.error
