"""The claude agent: the Claude Code command line, run headless.

Owns: its exact invocation and environment. The meaning of its output is in ``stream``.
Rule: nothing found in a repository configures the agent. Without ``--setting-sources=`` a hostile repository's settings
run hooks and helpers and send the key to an address of their choice; ``--strict-mcp-config`` does the same for its servers.

The one credential that passes is the agent's own. Turn and budget caps count per invocation, so a continuation is given
what is left. Background tasks are off: a result line is then the end. A session id is made from task and run, so nothing
random is needed.
"""

import math
import os
import shutil
import uuid
from collections.abc import Mapping
from typing import final

from orch.adapters.agents.environment import DEFAULT_PATH, agent_environment
from orch.adapters.agents.invocation import agent_process
from orch.adapters.agents.stream import StreamReader
from orch.core.ids import RunId, TaskRow
from orch.core.model import RoleSettings
from orch.ports import AgentReader, AgentRequest, ProcessSpec

CREDENTIALS = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN")
TOOLS = ("Bash", "Read", "Edit", "Write", "Glob", "Grep")
ALLOWED = ("Read", "Edit", "Write", "Bash")
"""Bare ``Bash``: a pattern such as ``Bash(git:*)`` denies every compound command, and nothing gets committed."""
_SESSIONS = uuid.UUID("6f1c1b0e-9d1d-5c0a-8f58-2f6a3c4f7d11")
_FIXED = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    # A wrong key would otherwise be tried for three minutes; a fallback model needs three tries to be reached.
    "CLAUDE_CODE_MAX_RETRIES": "4",
}


def session_id(task: TaskRow, run: RunId) -> str:
    """Return the id of the conversation that *run* begins."""
    return str(uuid.uuid5(_SESSIONS, f"{int(task)}/{int(run)}"))


@final
class ClaudeAdapter:
    """Runs Claude Code. *source* is the environment that credential and allow list come from, the daemon's when None."""

    name = "claude"

    def __init__(self, binary: str = "claude", *, source: Mapping[str, str] | None = None) -> None:
        self._binary = binary
        self._source = os.environ if source is None else source

    def check(self, settings: RoleSettings) -> str | None:
        """Return one line that says what is missing and what to do, or None when the agent can be started."""
        binary = settings.command[0] if settings.command else self._binary
        if shutil.which(binary, path=self._source.get("PATH", DEFAULT_PATH)) is None:
            return (
                f"{binary!r} is not on the PATH: install Claude Code (npm install -g @anthropic-ai/claude-code) "
                "or name the program in the role's `command`"
            )
        if not any(self._source.get(name) for name in CREDENTIALS):
            return f"claude has no login: set {' or '.join(CREDENTIALS)} in the daemon's environment"
        return None

    def command(self, request: AgentRequest) -> ProcessSpec:
        credentials = {name: self._source[name] for name in (*CREDENTIALS, "ANTHROPIC_BASE_URL") if self._source.get(name)}
        argv = (*(request.settings.command or (self._binary,)), *self._arguments(request))
        return agent_process(request, argv, {**agent_environment(request, self._source), **_FIXED, **credentials})

    def reader(self, request: AgentRequest) -> AgentReader:
        return StreamReader(resumed=request.session, before_usd=request.session_total_usd)

    def _arguments(self, request: AgentRequest) -> list[str]:
        settings = request.settings
        arguments = ["-p", "--output-format", "stream-json", "--verbose", "--setting-sources=", "--strict-mcp-config"]
        arguments += ["--permission-mode", "acceptEdits"]
        arguments += ["--tools", ",".join(settings.tools or TOOLS), "--allowedTools", ",".join(settings.tools or ALLOWED)]
        if settings.model:
            arguments += ["--model", settings.model]
        if settings.fallback_model:
            arguments += ["--fallback-model", settings.fallback_model]
        turns = _least(settings.max_turns, request.turns_left)
        if turns is not None:
            arguments += ["--max-turns", str(max(1, int(turns)))]
        budget = _least(settings.max_budget_usd, request.budget_left_usd)
        if budget is not None:
            arguments += ["--max-budget-usd", f"{max(0.01, math.ceil(round(budget * 10_000, 4)) / 10_000):.4f}"]
        if request.session is not None:
            return [*arguments, "--resume", request.session]
        return [*arguments, "--session-id", session_id(request.task, request.run)]


def _least(*limits: float | None) -> float | None:
    """Return the tightest of the limits that are set."""
    return min((limit for limit in limits if limit is not None), default=None)
