"""How every agent's process is started: in its working copy, its prompt on standard input, within the limits of its run.

Owns: what all adapters' invocations share. Does not own: argv and what else passes (the adapters), the process (``process``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from orch.adapters.agents.environment import agent_sandbox
from orch.ports import AgentRequest, ProcessSpec


def agent_process(request: AgentRequest, argv: Sequence[str], env: Mapping[str, str], *more: Path) -> ProcessSpec:
    """Return what is to be started for a run; *more* is what its sandbox shows it beside its own."""
    settings, limits = request.settings, request.limits
    return ProcessSpec(
        argv=tuple(argv),
        cwd=request.worktree,
        env=env,
        log_path=request.log_path,
        stdin_path=request.prompt_path,
        run_timeout_s=settings.run_timeout_s or limits.run_timeout_s,
        stall_timeout_s=limits.stall_timeout_s,
        tool_timeout_s=limits.tool_timeout_s,
        grace_s=limits.stop_grace_s,
        run_label=str(int(request.run)),
        sandbox=agent_sandbox(request, *more),
    )
