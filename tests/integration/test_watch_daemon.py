"""``orch watch`` beside a real daemon: a person follows a card from the board to done, through a restart of the daemon."""

import signal
from pathlib import Path

from tests.integration.watch_terminal import END, terminal
from tests.scenario.story import Story


async def test_a_card_is_followed_to_done_and_the_daemon_may_restart_meanwhile(tmp_path: Path) -> None:
    story = Story(tmp_path)
    with terminal(story.data, size=(100, 30)) as screen:
        await screen.until("no daemon runs with the data directory")
        with story.process() as first:
            person = await story.person_of(first)
            await screen.until("live.*No tasks yet")
            name = await person.start("Say hello to everyone")
            await screen.until(rf"1 for you.*! +{name} +Say hello to everyone.*in_review")
            first.send_signal(signal.SIGTERM)
            await screen.until(lambda text: "live" not in text.splitlines()[0])
        with story.process() as second:
            person = await story.person_of(second)
            await screen.until(rf"live.*! +{name}.*in_review")
            await person.approve(name)
            await screen.until(rf"[^!] {name} +Say hello to everyone +done +done")
            screen.press("\t")
            await screen.until(r"\[train\].*demo  main \w+.*1 landed, 0 sent back.*was green: DEMO-1")
            screen.press("\r")
            await screen.until(rf"{name}  Say hello to everyone.*main has \w+.*land +succeeded.*developer +succeeded")
            screen.press(END)
            await screen.until("It shall be done")
            screen.press("lqq")
            assert await screen.ended() == 0
            assert screen.is_clean()


async def test_the_log_of_a_run_is_followed_while_the_agent_works(tmp_path: Path) -> None:
    story = Story(tmp_path)
    with story.process() as process:
        person = await story.person_of(process)
        name = await person.start("Say hello to everyone")
        await person.approve(name)
        await person.until_stage(name, "done")
        runs = (await person.task(name))["runs"]
        reviewer = next(run["n"] for run in runs if run["role"] == "reviewer")
        with terminal(story.data, "log", name, "--follow", "--run", str(reviewer), size=(160, 40)) as screen:
            assert await screen.ended() == 0
            assert f"run {reviewer} of {name}: succeeded" in screen.raw
            assert "= scripted reviewer" in screen.raw, "the agent's own words, without its JSON"
            assert '"type"' not in screen.raw
