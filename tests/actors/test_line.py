"""The whole line among fakes: the issue moves to To Analyse … main has the commit."""

from orch.core.stages import Stage
from tests.fakes.line import line


async def test_an_issue_goes_through_the_whole_line_and_lands() -> None:
    async with line() as it:
        issue = await it.start()
        await it.approve(issue)
        task = await it.until_stage(issue, Stage.DONE)
        assert task.landed == it.repository.main
        assert f"{issue}.py" in it.repository.commits[it.repository.main].files
        await it.settle(1)
        assert await it.column(issue) == "done"
