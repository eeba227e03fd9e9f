"""What the train means for a task that it does not land: what holds it, what parks it, and the switch of the merge gate.

Owns: a push that is refused or has to wait, a candidate that gives no verdict, a member that cannot be built.
Does not own: a landing (``decide_evidence.landed``), a conflict or a red pair (``decide_evidence.landing_refused``), the planner.
Rule: pure; what is not the task's fault is never counted against it.
"""

from orch.core.model import Awaiting, Task
from orch.core.resuming import park_for_infrastructure
from orch.core.stages import Stage
from orch.core.stopping import complete_stop
from orch.core.turn import Context, Decided, Turn


def disturbed(context: Context, task: Task, told: str) -> Decided:
    """It cannot be tested or built, as often as was tried, and that is not the task's: parked until the cause is gone."""
    turn = Turn(context, task)
    if task.awaiting is not Awaiting.LANDING or task.park:
        return turn.ignore()
    park_for_infrastructure(turn, told)
    return turn.end()


def push_failed(context: Context, task: Task, *, refused: str = "", note: str = "") -> Decided:
    """The default branch did not take it: *refused* for good (parked), or for now. A STOP that waited is carried out."""
    turn = Turn(context, task)
    if task.cancel_requested_at is not None:
        complete_stop(turn)
    elif refused and task.awaiting is Awaiting.LANDING and task.park is None:
        park_for_infrastructure(turn, refused)
    elif task.note != note:
        turn.set(note=note)
    return turn.end()


def gate_switched(context: Context, task: Task) -> Decided:
    """The merge gate is on or off: a task that waits at the end of staging waits for whoever lands it now."""
    turn = Turn(context, task)
    wanted = Awaiting.LANDING if context.project.merge_gate else Awaiting.MERGE
    if task.stage is not Stage.DEPLOY_STAGING or task.park or task.cancel_requested_at is not None:
        return turn.ignore()
    if task.awaiting not in (Awaiting.LANDING, Awaiting.MERGE) or task.awaiting is wanted:
        return turn.ignore()
    if context.project.merge_gate:
        turn.set(note="")
        turn.enter_train()
    else:
        turn.set(awaiting=Awaiting.MERGE, note="", train_seq=None)
    turn.record(task.stage, task.stage, "merge-gate", "on" if context.project.merge_gate else "off")
    return turn.end()
