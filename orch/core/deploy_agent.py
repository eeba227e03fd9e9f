"""The deployer's agent, where a project lets one deploy: what it said, and what that means for the deploy.

Owns: the reading of its verdict. Does not own: what a good or bad end does (``decide_deploy``).
Rule: pure. It runs once: only its own verdict counts, and whatever ended it otherwise is no result, never a second try.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from orch.core.decide_deploy import ended, failed, succeeded
from orch.core.gates import Artefact
from orch.core.messages import DeployEnded, DeployEnding, RunEnded
from orch.core.model import Deploy, DeployState, Outcome, Task, VerdictValue
from orch.core.turn import Context, Decided, Turn

VERDICT_FILE = "10-deploy.md"
"""Where the agent may leave its verdict, instead of in its last message."""

_FRONT = re.compile(r"\A\s*---[ \t]*\n(.{0,4000}?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_WORD = re.compile(r"^verdict:[ \t]*[\"']?(success|fail)[\"']?[ \t]*$", re.MULTILINE)


def agent_ended(context: Context, task: Task, deploy: Deploy, end: RunEnded) -> Decided:
    """The deployer's agent is over, once and for all: only its own verdict counts, and nothing is deployed twice."""
    if end.survivors:
        lost = DeployEnded(deploy=deploy.id, number=deploy.tries, ending=DeployEnding.LOST, survivors=end.survivors)
        return ended(context, task, deploy, lost)
    turn = Turn(context, task)
    said = read_verdict(end.result.text, end.branch.artefacts if end.branch is not None else {})
    over = replace(deploy, run=end.run, tries=1, due_at=None, ended_at=context.now, exit_code=end.result.exit_code)
    told = end.infrastructure or end.setup or end.result.text or end.result.detail
    report = DeployEnded(deploy=deploy.id, number=deploy.tries, ending=DeployEnding.EXITED, tail=told)
    if end.infrastructure or end.setup:
        failed(turn, replace(over, state=DeployState.FAILED, detail="agent-unstarted"), report)
    elif end.result.outcome is not Outcome.SUCCEEDED:
        failed(turn, replace(over, state=DeployState.NO_RESULT, detail="agent-failed"), report)
    elif said is VerdictValue.SUCCESS:
        succeeded(turn, replace(over, state=DeployState.SUCCEEDED), report)
    elif said is VerdictValue.FAIL:
        failed(turn, replace(over, state=DeployState.FAILED, detail="said-fail"), report)
    else:
        failed(turn, replace(over, state=DeployState.NO_RESULT, detail="no-verdict"), report)
    return turn.end()


def read_verdict(text: str, artefacts: Mapping[str, Artefact]) -> VerdictValue | None:
    """Return what the deployer said, in its file where it wrote one, else in its last message; None: nothing that counts."""
    found = artefacts.get(VERDICT_FILE)
    if found is not None:
        word = (found.front or {}).get("verdict")
    else:
        front = _FRONT.match(text)
        words = _WORD.findall(front[1]) if front else []
        word = words[0] if len(words) == 1 else None
    return {"success": VerdictValue.SUCCESS, "fail": VerdictValue.FAIL}.get(word) if isinstance(word, str) else None
