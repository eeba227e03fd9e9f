"""The snapshot of deploys: ``/queue``'s block ``deploy``, without the watch.

Rule: who is asked, who waits its turn and why, what runs until when, what production has; each list is bounded.
"""

from collections.abc import Callable, Sequence

from orch.core.deploy_plan import landing_order
from orch.core.deploy_views import deploy_view
from orch.core.ids import TaskRow
from orch.core.model import Awaiting, Repo, Task
from orch.core.stages import Stage
from orch.core.task_facts import TaskFacts
from orch.ports import Tx
from orch.snapshots.reader import Block

Name = Callable[[TaskRow], str | None]


def deploy_block(tx: Tx, facts: Sequence[TaskFacts], repos: Sequence[Repo], why: Callable[[TaskFacts], str], name: Name) -> Block:
    """Return the block; *facts* are the live tasks'."""
    at_deploy = sorted((each for each in facts if each.task.stage is Stage.DEPLOY), key=lambda each: landing_order(each.task))
    running = {deploy.task: deploy for deploy in tx.running_deploys()}
    last = [deploy for repo in repos if (deploy := tx.last_deployed(repo.project)) is not None]

    def rows(*kinds: Awaiting) -> list[Block]:
        found = [each for each in at_deploy if each.task.awaiting in kinds and each.task.park is None]
        return [{**_row(each.task), "why": why(each)} for each in found]

    going = {each.task.row: each for each in at_deploy if each.task.awaiting is Awaiting.DEPLOYING or each.task.row in running}
    held = [
        {"id": name(row), "project": deploy.project, "why": why(going[row]) if row in going else "", **deploy_view(deploy)}
        for row, deploy in running.items()
    ]
    unknown = [{**_row(each.task), "why": why(each)} for row, each in going.items() if row not in running]
    return {
        "asking": rows(Awaiting.GATE),
        "awaiting": rows(Awaiting.CONFIRM),
        "turn": rows(Awaiting.DEPLOY_TURN),
        "running": [*held, *unknown],
        "last": [{"id": name(deploy.task), "project": deploy.project, **deploy_view(deploy)} for deploy in last],
    }


def _row(task: Task) -> Block:
    return {"id": task.work_item, "project": task.project, "sha": task.landed, "since": task.updated_at.isoformat()}
