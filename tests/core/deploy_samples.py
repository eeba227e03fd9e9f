"""Tasks and deploys on their way into production, as the tests of deploys take them."""

from typing import Any

from orch.core import decide_deploy
from orch.core.effects import KeepDeploy, RecordTransition, SetStatus
from orch.core.ids import DeployId, TaskRow
from orch.core.messages import Decide, Decision, DeployEnded, DeployEnding
from orch.core.model import Awaiting, Deploy, DeploySettings, DeployState, Freeze, FreezeCause, ParkReason, Survivor, Task
from orch.core.stages import Stage
from orch.core.statuses import Status
from orch.core.turn import Context, Decided
from tests.builders import DEMO, NOW, effects_of, later, make_context, make_deploy, make_park, make_project, make_task, sha

ASKS = make_context(make_project(deploy=DeploySettings(command=("deploy",))), now=later(60))
GOES_ON = make_context(make_project(deploy=DeploySettings(command=("deploy",), confirm=False)), now=later(60))
FREEZE = Freeze(project=DEMO, cause=FreezeCause.PERSON, since=NOW, by="anna", detail="release day")
LEFT = (Survivor(pid=7, started=11, name="worker"),)
STOP = Decide(decision=Decision.STOP, by="anna")


def at(number: int, awaiting: Awaiting = Awaiting.DEPLOY_TURN, **fields: Any) -> Task:
    """The *number*-th task to land, at deploy."""
    known: dict[str, Any] = {"landed": sha(number), "shown": sha(number), "landed_seq": number}
    return make_task(number, stage=Stage.DEPLOY, awaiting=awaiting, **(known | fields))


def parked(number: int, reason: ParkReason = ParkReason.DEPLOY_FAILED, **fields: Any) -> Task:
    return at(number, Awaiting.NOTHING, park=make_park(reason), **fields)


def good(number: int) -> Deploy:
    return make_deploy(at(number), state=DeployState.SUCCEEDED, ended_at=later(10), id=DeployId(number))


FAILED = make_deploy(at(9), state=DeployState.FAILED, ended_at=later(10))
RUNNING = make_deploy(at(8), id=DeployId(3))
NEW = {sha(n): False for n in range(1, 8)}
CONFIRMED = {TaskRow(1): later(20), TaskRow(2): later(20)}


def causes(decided: Decided) -> list[str]:
    return [effect.transition.cause for effect in effects_of(decided, RecordTransition)]


def statuses(decided: Decided) -> list[Status]:
    return [effect.status for effect in effects_of(decided, SetStatus)]


GOING = at(1, Awaiting.DEPLOYING)
DEPLOY = make_deploy(GOING)


def ends(code: int | None = 0, *, task: Task = GOING, deploy: Deploy = DEPLOY, context: Context = ASKS, **fields: Any) -> Decided:
    ending = DeployEnding.EXITED if code is not None else DeployEnding.LOST
    known: dict[str, Any] = {"deploy": deploy.id, "number": deploy.tries, "ending": ending, "exit_code": code, "tail": "the end"}
    return decide_deploy.ended(context, task, deploy, DeployEnded(**(known | fields)))


def kept(decided: Decided) -> Deploy:
    [effect] = effects_of(decided, KeepDeploy)
    return effect.deploy
