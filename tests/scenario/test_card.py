"""Stories of what people do to cards while their tasks live: close, archive, bring back, write over."""

from pathlib import Path

import pytest

from tests.scenario.story import Story


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


async def test_a_card_that_is_closed_or_archived_asks_and_its_task_goes_on_after_a_resume(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.until(issue, lambda it: it["awaiting"] == "approval")
        await person.move(issue, "done")
        parked = await person.until_parked(issue)
        assert (parked["parked"]["reason"], "Anna" in parked["parked"]["evidence"]) == ("issue-gone", True)
        await person.until_column(issue, "blocked")
        await person.post(f"/tasks/{issue}/resume", {"by": "Anna"})
        await person.until(issue, lambda it: it["awaiting"] == "approval")
        await person.post(f"/board/issues/{issue}/archive", {"by": "Anna"})
        await person.until_parked(issue)
        await person.post(f"/board/issues/{issue}/archive", {"archived": False, "by": "Anna"})
        await person.post(f"/tasks/{issue}/resume", {"by": "Anna"})
        await person.approve(issue)
        await person.until_stage(issue, "done")
        await person.until_column(issue, "done")
    story.audit()
