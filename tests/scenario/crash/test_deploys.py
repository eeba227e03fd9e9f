"""kill -9 at every failpoint of a deploy: the next daemon finishes it, and nothing is deployed twice."""

import json
from pathlib import Path

import anyio
import pytest

from orch.failpoints import VARIABLE
from tests.scenario.crash.plans import DEPLOYS
from tests.scenario.story import Story

pytestmark = pytest.mark.timeout(300)
KILLED = -9


@pytest.mark.parametrize("name", DEPLOYS)
async def test_G10_a_death_at_any_point_of_a_deploy_deploys_once(name: str, tmp_path: Path) -> None:
    """The first try asks for another one, so that both lives have something to do."""
    story = Story(tmp_path)
    log = story.folder / "deployed.log"
    script = f"echo $ORCH_RUN_TRY >> {log}; test $(wc -l < {log}) -ge 2 || exit 75"
    deploy = f"deploy = {{ command = {json.dumps(['sh', '-c', script])}, timeout_s = 60, confirm = false }}"
    config = story.configure(deploy)
    with story.process(config=config, environ={VARIABLE: f"{name}:1"}) as process:
        person = await story.person_of(process)
        issue = await person.start("Greet the world")
        await person.approve(issue)
        assert await anyio.to_thread.run_sync(process.wait) == KILLED, f"the story never came by {name}"
    with story.process(config=config) as process:
        person = await story.person_of(process)
        task = await person.until_stage(issue, "done")
        await person.until_column(issue, "done")
        assert [(each["state"], each["tries"], each["sha"]) for each in task["deploys"]] == [("succeeded", 2, task["landed"])]
        assert [run["outcome"] for run in task["runs"] if run["kind"] == "deploy"] == ["succeeded"]
        assert (await person.get("/queue"))["deploy"]["running"] == []
    assert log.read_text(encoding="utf-8") == "1\n2\n", "each try was executed once"
