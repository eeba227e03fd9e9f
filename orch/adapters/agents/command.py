"""The command agent: any program that reads a prompt and works in the directory it is started in.

Owns: its invocation. It gets the prompt on standard input and as ORCH_RUN_PROMPT_FILE, and may print plain text (its exit code
is then the outcome) or claude-shaped JSON lines (the ``result`` line is then the outcome).
Rule: of the daemon's environment it gets the allow list and the variables that *passes* names, its model's credential for one.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import final

from orch.adapters.agents.environment import DEFAULT_PATH, agent_environment
from orch.adapters.agents.invocation import agent_process
from orch.adapters.agents.stream import StreamReader
from orch.core.model import RoleSettings
from orch.ports import AgentReader, AgentRequest, ProcessSpec


@final
class CommandAdapter:
    """Runs ``settings.command``. *source* is the environment that things pass from, the daemon's when None."""

    name = "command"

    def __init__(self, *, passes: Sequence[str] = (), source: Mapping[str, str] | None = None) -> None:
        self._passes, self._source = tuple(passes), os.environ if source is None else source

    def check(self, settings: RoleSettings) -> str | None:
        """Return one line that says what is missing and what to do, or None when the agent can be started."""
        if not settings.command:
            return "the command agent has no command: set `command` of the role, or --agent-command"
        program = settings.command[0]
        if "/" in program and not program.startswith("/"):
            return None  # relative to the worktree, which does not exist yet
        if shutil.which(program, path=self._source.get("PATH", DEFAULT_PATH)) is None:
            return f"{program!r} is not an executable program: install it or correct `command` of the role"
        return None

    def command(self, request: AgentRequest) -> ProcessSpec:
        passed = {name: self._source[name] for name in self._passes if name in self._source}
        return agent_process(request, request.settings.command, {**agent_environment(request, self._source), **passed})

    def reader(self, request: AgentRequest) -> AgentReader:
        return StreamReader(resumed=request.session, plain=True, before_usd=request.session_total_usd)
