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
from orch.adapters.agents.environment import agent_environment
from orch.adapters.agents.invocation import agent_process
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
        script = (str(Path(request.settings.script).absolute()),) if request.settings.script else ()
        argv = (sys.executable, "-I", "-S", scripted_agent.__file__, *script)
        shown = (Path(scripted_agent.__file__), *(Path(path) for path in script))
        return agent_process(request, argv, agent_environment(request, self._source), *shown)

    def reader(self, request: AgentRequest) -> AgentReader:
        return StreamReader(resumed=request.session, before_usd=request.session_total_usd)
