"""The scripted agent as a real process on a real repository, and the command agent beside it."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.agents.command import CommandAdapter
from orch.adapters.agents.scripted import ScriptedAdapter
from orch.adapters.process import ProcessTree, namespace_of
from orch.core.ids import RunId, TaskRow, WorkItemId
from orch.core.model import AgentResult, Limits, Outcome, RoleSettings, RunMode, Usage
from orch.core.stages import Role, Stage
from orch.ports import AgentAdapter, AgentRequest

FOLDER = "docs/work-items/SHOP-1"


class World:
    """A repository with one commit, a private home, and an agent to run in them."""

    def __init__(self, root: Path) -> None:
        self.root, self.worktree, self.home = root, root / "worktree", root / "home"
        self.worktree.mkdir()
        self.home.mkdir()
        self.write(f"{FOLDER}/00-request.md", "# Add a greeting\n\nPlease.\n")
        self.git("init", "-q", "-b", "main")
        self.git("config", "core.hooksPath", "hooks")
        self.write("hooks/pre-commit", "#!/bin/sh\ntouch ../hook-ran\n")
        (self.worktree / "hooks" / "pre-commit").chmod(0o755)
        self.git("add", "-A")
        self.git("-c", "user.name=T", "-c", "user.email=t@example.invalid", "commit", "-qnm", "first")
        self.processes = ProcessTree(namespace=namespace_of(root))
        self.adapter: AgentAdapter = ScriptedAdapter(source={"PATH": os.environ["PATH"]})
        self.settings = RoleSettings()
        self.runs = 0

    def write(self, path: str, text: str) -> Path:
        target = self.worktree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def read(self, path: str) -> str:
        return (self.worktree / path).read_text()

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.worktree, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def script(self, roles: dict[str, Any], issue: str = "SHOP-1") -> None:
        path = self.root / "script.json"
        path.write_text(json.dumps({"issues": {issue: roles}}))
        self.settings = RoleSettings(script=str(path))

    async def visit(self, role: Role, *, session: str | None = None, run_timeout_s: float = 30.0) -> AgentResult:
        self.runs += 1
        prompt = self.root / "prompt.md"
        prompt.write_text("You are asked to work.\n")
        request = AgentRequest(
            run=RunId(self.runs),
            task=TaskRow(1),
            work_item=WorkItemId("SHOP-1"),
            role=role,
            stage=Stage.DEVELOPMENT,
            mode=RunMode.NEW_ATTEMPT if session is None else RunMode.CONTINUATION,
            prompt_path=prompt,
            worktree=self.worktree,
            home=self.home,
            log_path=self.root / f"run-{self.runs}.log",
            artefact_dir=FOLDER,
            session=session,
            settings=self.settings,
            limits=Limits(run_timeout_s=run_timeout_s, stop_grace_s=0.0),
        )
        reader = self.adapter.reader(request)
        return reader.result(await self.processes.run(self.adapter.command(request), reader))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("role", "path", "holds"),
    [
        (Role.ANALYST, f"{FOLDER}/01-brd.md", "Add a greeting"),
        (Role.ANALYST, f"{FOLDER}/02-acceptance.md", "- [ ] Add a greeting"),
        (Role.ARCHITECT, f"{FOLDER}/06-adr/ADR-001-smallest-change.md", "Add a greeting"),
        (Role.DEVELOPER, "CHANGES-SHOP-1.md", "Add a greeting"),
        (Role.REVIEWER, f"{FOLDER}/07-review.md", "---\nverdict: approved\n"),
        (Role.TESTER, f"{FOLDER}/08-test-report.md", "---\nverdict: pass\n"),
        (Role.DEPLOYER, f"{FOLDER}/09-staging.md", "---\nverdict: ok\n"),
    ],
)
async def test_without_a_script_every_role_does_something_sensible(world: World, role: Role, path: str, holds: str) -> None:
    result = await world.visit(role)
    assert (result.outcome, result.model, result.cost_usd) == (Outcome.SUCCEEDED, "scripted", 0.0)
    assert holds in world.read(path)
    assert world.git("log", "-1", "--format=%an") == f"Orch {role}"
    assert world.git("status", "--porcelain") == ""
    assert not (world.root / "hook-ran").exists()


async def test_every_visit_takes_the_next_step_and_the_last_one_repeats(world: World) -> None:
    world.script({"developer": [{"files": {"<ID>.txt": "one <ID>"}}, {"append": {"SHOP-1.txt": ", two"}, "message": "again"}]})
    texts = []
    for _ in range(3):
        assert (await world.visit(Role.DEVELOPER)).outcome is Outcome.SUCCEEDED
        texts.append(world.read("SHOP-1.txt"))
    assert texts == ["one SHOP-1", "one SHOP-1, two", "one SHOP-1, two, two"]
    assert world.git("log", "-2", "--format=%s") == "again\nagain"


async def test_the_steps_of_one_issue_come_before_those_of_all(world: World) -> None:
    world.script({"reviewer": [{"artefacts": {"07-review.md": "---\nverdict: changes_requested\n---\n"}}]}, issue="*")
    await world.visit(Role.REVIEWER)
    assert "changes_requested" in world.read(f"{FOLDER}/07-review.md")


async def test_a_step_deletes_runs_and_speaks(world: World) -> None:
    world.write("old.txt", "x")
    world.script({"developer": [{"delete": ["old.txt"], "run": ["sh", "-c", "echo made > made.txt"], "say": ["hello", "there"]}]})
    result = await world.visit(Role.DEVELOPER)
    assert result.outcome is Outcome.SUCCEEDED
    assert (not (world.worktree / "old.txt").exists(), world.read("made.txt")) == (True, "made\n")
    assert "hello" in (world.root / "run-1.log").read_text()


async def test_money_grows_with_the_session_and_tokens_are_the_runs_own(world: World) -> None:
    world.script({"developer": [{"cost_usd": 0.25, "usage": {"input_tokens": 7, "output_tokens": 3}}]})
    first = await world.visit(Role.DEVELOPER)
    second = await world.visit(Role.DEVELOPER, session=first.session)
    assert (first.session_cost_usd, second.session_cost_usd) == (0.25, 0.5)
    assert (first.cost_usd, second.cost_usd) == (0.25, 0.25)
    assert first.usage == second.usage == Usage(input=7, output=3)
    assert (await world.visit(Role.DEVELOPER)).session != first.session


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ({"exit": 3}, Outcome.FAILED),
        ({"run": ["false"]}, Outcome.FAILED),
        ({"result": None}, Outcome.CRASHED),
        ({"result": {"subtype": "error_max_turns", "is_error": True}}, Outcome.TURN_LIMIT),
        ({"result": {"permission_denials": [{"tool_name": "Write"}]}}, Outcome.PERMISSION_DENIED),
        ({"sleep_s": 60}, Outcome.TIMED_OUT),
    ],
)
async def test_a_script_can_play_every_kind_of_end(world: World, step: dict[str, Any], outcome: Outcome) -> None:
    world.script({"developer": [step]})
    result = await world.visit(Role.DEVELOPER, run_timeout_s=0.6 if outcome is Outcome.TIMED_OUT else 30.0)
    assert result.outcome is outcome


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"file": {}}, "SHOP-1.developer[0].file: no such key"),
        ({"files": []}, "SHOP-1.developer[0].files has the wrong type"),
        ({"files": {"a": 1}}, "may hold strings only"),
        ({"exit": True}, "exit has the wrong type"),
        ("x", "must be an object"),
        ({"files": {"../out.txt": "x"}}, "leads out of the worktree"),
    ],
)
async def test_a_malformed_script_is_an_error_that_says_where(world: World, step: object, says: str) -> None:
    world.script({"developer": [step]})
    result = await world.visit(Role.DEVELOPER)
    assert result.outcome is Outcome.CRASHED
    assert says in result.detail
    assert not (world.root / "out.txt").exists()


async def test_a_link_out_of_the_worktree_is_not_followed(world: World) -> None:
    (world.worktree / "out").symlink_to(world.root)
    world.script({"developer": [{"files": {"out/stolen.txt": "x"}}]})
    assert "leads out of the worktree" in (await world.visit(Role.DEVELOPER)).detail
    assert not (world.root / "stolen.txt").exists()


@pytest.fixture
def command(world: World) -> Callable[[str], World]:
    def make(script: str) -> World:
        world.adapter = CommandAdapter(source={"PATH": os.environ["PATH"]})
        world.settings = replace(world.settings, command=("sh", "-c", script))
        return world

    return make


async def test_a_command_reads_its_prompt_on_standard_input_and_as_a_file(command: Callable[[str], World]) -> None:
    world = command('cat; cat "$ORCH_RUN_PROMPT_FILE"; pwd; echo "$ORCH_RUN_ROLE"')
    result = await world.visit(Role.TESTER)
    asked = "You are asked to work."
    assert result.outcome is Outcome.SUCCEEDED
    assert result.text.splitlines() == [asked, asked, str(world.worktree), "tester"]


async def test_a_command_fails_with_its_exit_code_and_its_words(command: Callable[[str], World]) -> None:
    result = await command("echo working; echo no disk >&2; exit 9").visit(Role.DEVELOPER)
    assert result.outcome is Outcome.FAILED
    assert "exit code 9: no disk" in result.detail
    assert result.exit_code == 9


async def test_a_command_may_speak_like_claude(command: Callable[[str], World]) -> None:
    line = '{"type":"result","subtype":"error_max_budget_usd","is_error":true,"session_id":"s1","total_cost_usd":2.5}'
    result = await command(f"echo '{line}'; exit 1").visit(Role.DEVELOPER)
    assert (result.outcome, result.session, result.cost_usd) == (Outcome.BUDGET_EXHAUSTED, "s1", 2.5)
