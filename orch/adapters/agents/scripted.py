"""The scripted agent: deterministic, makes real commits, costs nothing and says so.

Owns: its invocation. What it does is in ``scripted_agent`` (the program), what its output means in ``stream``.
Rule: it runs as a real process under the same shim, limits and reader as every other agent.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import final

from orch.adapters.agents import scripted_agent
from orch.adapters.agents.environment import agent_environment, agent_sandbox
from orch.adapters.agents.stream import StreamReader
from orch.core.model import RoleSettings
from orch.ports import AgentReader, AgentRequest, ProcessSpec


@final
class ScriptedAdapter:
    """Runs the scripted agent, with ``settings.script`` where one is named. *source* is as for the other agents."""

    name = "scripted"

    def __init__(self, *, source: Mapping[str, str] | None = None) -> None:
        self._source = os.environ if source is None else source

    def check(self, settings: RoleSettings) -> str | None:
        """Return one line that says what is wrong with the script, or None when the agent can be started."""
        if not settings.script:
            return None
        try:
            scripted_agent.load_script(settings.script)
        except scripted_agent.ScriptError as error:
            return str(error)
        return None

    def command(self, request: AgentRequest) -> ProcessSpec:
        settings, limits = request.settings, request.limits
        script = (str(Path(settings.script).absolute()),) if settings.script else ()
        return ProcessSpec(
            argv=(sys.executable, "-I", "-S", scripted_agent.__file__, *script),
            cwd=request.worktree,
            env=agent_environment(request, self._source),
            log_path=request.log_path,
            stdin_path=request.prompt_path,
            run_timeout_s=settings.run_timeout_s or limits.run_timeout_s,
            stall_timeout_s=limits.stall_timeout_s,
            tool_timeout_s=limits.tool_timeout_s,
            grace_s=limits.stop_grace_s,
            run_label=str(int(request.run)),
            sandbox=agent_sandbox(request, Path(scripted_agent.__file__), *(Path(path) for path in script)),
        )

    def reader(self, request: AgentRequest) -> AgentReader:
        return StreamReader(resumed=request.session, before_usd=request.session_total_usd)
