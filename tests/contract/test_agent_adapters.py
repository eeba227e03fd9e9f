"""The contract of an agent adapter, kept by every one of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from orch.adapters.agents.claude import ClaudeAdapter, session_id
from orch.adapters.agents.command import CommandAdapter
from orch.adapters.agents.scripted import ScriptedAdapter
from orch.core.ids import RunId, TaskRow, WorkItemId
from orch.core.model import Limits, Outcome, RoleSettings, RunMode
from orch.core.stages import Role, Stage
from orch.ports import AgentAdapter, AgentRequest, ProcessEnd

CANARIES = {
    "PLANE_TOKEN": "canary-plane",
    "GITEA_TOKEN": "canary-gitea",
    "ORCH_ADMIN_TOKEN": "canary-admin",
    "TELEGRAM_TOKEN": "canary-telegram",
    "CLAUDECODE": "canary-inherited",
    "CLAUDE_CODE_ENTRYPOINT": "canary-inherited",
    "HOME": "/canary-home",
    "LD_PRELOAD": "/canary.so",
}
KEY = "sk-ant-the-agents-own"
SOURCE = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HTTPS_PROXY": "http://proxy.invalid", "ANTHROPIC_API_KEY": KEY, **CANARIES}


@pytest.fixture(params=["claude", "command", "scripted"])
def adapter(request: pytest.FixtureRequest) -> AgentAdapter:
    adapters: dict[str, AgentAdapter] = {
        "claude": ClaudeAdapter("sh", source=SOURCE),
        "command": CommandAdapter(source=SOURCE),
        "scripted": ScriptedAdapter(source=SOURCE),
    }
    return adapters[str(request.param)]


@pytest.fixture
def wish(tmp_path: Path, adapter: AgentAdapter) -> AgentRequest:
    return AgentRequest(
        run=RunId(17),
        task=TaskRow(3),
        work_item=WorkItemId("SHOP-12"),
        role=Role.DEVELOPER,
        stage=Stage.DEVELOPMENT,
        mode=RunMode.NEW_ATTEMPT,
        prompt_path=tmp_path / "prompt.md",
        worktree=tmp_path / "worktree",
        home=tmp_path / "home",
        log_path=tmp_path / "run.log",
        artefact_dir="docs/work-items/SHOP-12",
        session=None,
        settings=RoleSettings(agent=adapter.name, command=("sh", "agent.sh") if adapter.name == "command" else ()),
        limits=Limits(run_timeout_s=100.0, stall_timeout_s=20.0, tool_timeout_s=50.0, stop_grace_s=4.0),
    )


def test_a_run_is_told_what_it_is(adapter: AgentAdapter, wish: AgentRequest) -> None:
    environment = adapter.command(wish).env
    told = {name: value for name, value in environment.items() if name.startswith("ORCH_RUN_")}
    assert told == {
        "ORCH_RUN_ROLE": "developer",
        "ORCH_RUN_TASK": "SHOP-12",
        "ORCH_RUN_STAGE": "development",
        "ORCH_RUN_ARTIFACT_DIR": "docs/work-items/SHOP-12",
        "ORCH_RUN_PROMPT_FILE": str(wish.prompt_path),
    }
    assert environment["HOME"] == str(wish.home)
    assert environment["GIT_AUTHOR_NAME"] == environment["GIT_COMMITTER_NAME"] == "Orch developer"


def test_G13_nothing_of_the_daemon_passes_but_what_is_listed(adapter: AgentAdapter, wish: AgentRequest) -> None:
    spec = adapter.command(wish)
    everything = " ".join([*spec.argv, *spec.env, *spec.env.values()])
    assert "canary" not in everything
    assert "CLAUDECODE" not in spec.env
    assert (spec.env["PATH"], spec.env["HTTPS_PROXY"]) == (SOURCE["PATH"], SOURCE["HTTPS_PROXY"])
    assert KEY not in " ".join(spec.argv)
    assert (KEY in spec.env.values()) == (adapter.name == "claude")


def test_limits_and_places_are_the_requests(adapter: AgentAdapter, wish: AgentRequest) -> None:
    spec = adapter.command(wish)
    assert (spec.run_timeout_s, spec.stall_timeout_s, spec.tool_timeout_s, spec.grace_s) == (100.0, 20.0, 50.0, 4.0)
    assert (spec.cwd, spec.stdin_path, spec.log_path) == (wish.worktree, wish.prompt_path, wish.log_path)
    assert spec.run_label == "17"
    longer = replace(wish, settings=replace(wish.settings, run_timeout_s=5400.0))
    assert adapter.command(longer).run_timeout_s == 5400.0


def test_the_same_request_gives_the_same_command(adapter: AgentAdapter, wish: AgentRequest) -> None:
    assert adapter.command(wish) == adapter.command(wish)


def test_a_continuation_names_its_session(adapter: AgentAdapter, wish: AgentRequest) -> None:
    spec = adapter.command(replace(wish, session="abc-1", mode=RunMode.CONTINUATION))
    assert spec.env["ORCH_RUN_SESSION"] == "abc-1"


def test_a_reader_has_an_outcome_for_an_agent_that_said_nothing(adapter: AgentAdapter, wish: AgentRequest) -> None:
    reader = adapter.reader(wish)
    assert (reader.tool_open, reader.finished) == (False, False)
    died = ProcessEnd(ending="exited", exit_code=-9, stderr_tail="out of memory", seconds=1.0)
    result = reader.result(died)
    assert result.outcome is Outcome.CRASHED
    assert "out of memory" in result.detail
    assert result.exit_code == -9


def test_an_agent_that_can_start_has_nothing_to_say(adapter: AgentAdapter, wish: AgentRequest) -> None:
    assert adapter.check(wish.settings) is None


def test_what_is_missing_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    broken = tmp_path / "script.json"
    broken.write_text("{")
    settings = RoleSettings()
    said = {
        "npm install": ClaudeAdapter("no-such-claude", source=SOURCE).check(settings),
        "set ANTHROPIC_API_KEY": ClaudeAdapter("sh", source={"PATH": "/bin"}).check(settings),
        "set `command`": CommandAdapter(source=SOURCE).check(settings),
        "correct `command`": CommandAdapter(source=SOURCE).check(RoleSettings(command=("no-such-agent",))),
        "is not JSON": ScriptedAdapter(source=SOURCE).check(RoleSettings(script=str(broken))),
        "cannot read": ScriptedAdapter(source=SOURCE).check(RoleSettings(script=str(tmp_path / "none.json"))),
    }
    for expected, line in said.items():
        assert line is not None
        assert expected in line
        assert "\n" not in line


@pytest.mark.parametrize("adapter", ["claude"], indirect=True)
class TestClaude:
    """What is claude's own: the flags, the caps, the sessions."""

    def arguments(self, adapter: AgentAdapter, wish: AgentRequest) -> list[str]:
        return list(adapter.command(wish).argv)

    def option(self, arguments: list[str], name: str) -> str | None:
        return arguments[arguments.index(name) + 1] if name in arguments else None

    def test_no_setting_of_a_repository_is_read(self, adapter: AgentAdapter, wish: AgentRequest) -> None:
        arguments = self.arguments(adapter, wish)
        assert {"-p", "--setting-sources=", "--strict-mcp-config", "--verbose"} <= set(arguments)
        assert self.option(arguments, "--tools") == "Bash,Read,Edit,Write,Glob,Grep"
        assert self.option(arguments, "--allowedTools") == "Read,Edit,Write,Bash"
        assert self.option(arguments, "--permission-mode") == "acceptEdits"
        assert adapter.command(wish).env["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == "1"

    def test_a_new_session_has_an_id_of_its_own_for_every_run(self, adapter: AgentAdapter, wish: AgentRequest) -> None:
        first = self.option(self.arguments(adapter, wish), "--session-id")
        second = self.option(self.arguments(adapter, replace(wish, run=RunId(18))), "--session-id")
        assert first == session_id(TaskRow(3), RunId(17))
        assert first != second

    def test_a_continuation_resumes(self, adapter: AgentAdapter, wish: AgentRequest) -> None:
        arguments = self.arguments(adapter, replace(wish, session="abc-1"))
        assert self.option(arguments, "--resume") == "abc-1"
        assert "--session-id" not in arguments

    @pytest.mark.parametrize(
        ("settings", "left", "turns", "budget"),
        [
            (RoleSettings(), {}, None, None),
            (RoleSettings(max_turns=50, max_budget_usd=2.0), {}, "50", "2.0000"),
            (RoleSettings(max_turns=50, max_budget_usd=2.0), {"turns_left": 7, "budget_left_usd": 0.5}, "7", "0.5000"),
            (RoleSettings(max_turns=5), {"turns_left": 7, "budget_left_usd": 0.0}, "5", "0.0100"),
            (RoleSettings(), {"budget_left_usd": 1.00001}, None, "1.0001"),
            (RoleSettings(), {"budget_left_usd": 0.3}, None, "0.3000"),
        ],
    )
    def test_caps_are_what_is_left(
        self,
        adapter: AgentAdapter,
        wish: AgentRequest,
        settings: RoleSettings,
        left: dict[str, float],
        turns: str | None,
        budget: str | None,
    ) -> None:
        arguments = self.arguments(adapter, replace(wish, settings=settings, **left))  # type: ignore[arg-type]
        assert (self.option(arguments, "--max-turns"), self.option(arguments, "--max-budget-usd")) == (turns, budget)

    def test_models_and_tools_are_the_settings(self, adapter: AgentAdapter, wish: AgentRequest) -> None:
        settings = RoleSettings(model="m1", fallback_model="m2", tools=("Read", "Grep"))
        arguments = self.arguments(adapter, replace(wish, settings=settings))
        assert [self.option(arguments, name) for name in ("--model", "--fallback-model", "--tools", "--allowedTools")] == [
            "m1",
            "m2",
            "Read,Grep",
            "Read,Grep",
        ]
