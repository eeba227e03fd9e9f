"""R9 as a story: an agent and the code that it wrote look for secrets, and the task goes through the line all the same."""

from pathlib import Path

import pytest

from tests.sandboxes import need_sandbox
from tests.scenario.story import CHECK, Story

LOOK = "cat {data}/token {data}/orch.db 2>/dev/null; ls {data} {data}/tasks; tr '\\0' ' ' < /proc/$PPID/environ"


@pytest.fixture
def story(tmp_path: Path) -> Story:
    need_sandbox()
    data = tmp_path / "data"
    return Story(tmp_path, files={"check.sh": CHECK + f"echo LOOKING; {LOOK.format(data=data)}; exit 0\n"})


async def test_neither_the_agent_nor_the_code_under_test_finds_the_daemons_secrets(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_SANDBOX_STORY", "canary-of-the-daemon")
    look = f"({LOOK.format(data=story.data)}) > app/found; touch {story.data}/made && exit 1; exit 0"
    story.script("DEMO-1", "developer", {"run": ["sh", "-c", look]})
    async with story.daemon(sandbox="require") as person:
        issue = await person.start("Look around")
        await person.approve(issue)
        task = await person.until(issue, lambda it: it["stage"] == "done" or bool(it["parked"]))
    assert task["stage"] == "done", task
    token = (story.data / "token").read_text().strip()
    logs = {path: path.read_text(errors="replace") for path in (story.data / "runs").glob("*/output.log")}
    assert sum("LOOKING" in text for text in logs.values()) >= 2, "the test command has looked, on the branch and before landing"
    for text in (story.main()["app/found"], *logs.values()):
        assert token not in text
        assert "canary-of-the-daemon" not in text
        assert "SQLite" not in text
    found = story.main()["app/found"].split()
    assert {"projects", "runs", "tasks"} <= set(found), "of the data directory it sees the way to what it may read"
    assert not {"token", "orch.db", "lock", "home"} & set(found)
    assert not (story.data / "made").exists()
    story.audit()
