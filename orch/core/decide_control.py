"""What people do to a task out of its turn: make it a fix, send it back; and what a confirm under a freeze is answered.

Owns: when each of these is possible, and the one sentence that says why it is not. Does not own: decisions that the line waits
for (``decide_person``), the freeze itself (a row that the shell writes).
Rule: pure. Sending back fences what runs before anything new is queued; after the landing no task goes back.
"""

from orch.core.decide_task import AGENT_STAGES, advance, edit_pull_request
from orch.core.effects import CancelJobs, CancelRun, ExpediteJob, WakeRepo, WakeSlots
from orch.core.gates import Evidence
from orch.core.ids import Attempt
from orch.core.messages import Answer, SendBack, Verb
from orch.core.model import Counters, Feedback, Freeze, Task
from orch.core.render import render_fix, render_freeze, render_sent_back
from orch.core.stages import ORDER, Role, Stage, is_landed, is_terminal, may_send_back
from orch.core.turn import FIX_PRIORITY, Context, Decided, Turn


def _answer(verb: Verb, text: str, task: Task) -> Answer:
    return Answer(verb=verb, text=text, id=task.work_item)


# ------------------------------------------------------------------------------------------------ fix


def make_fix(turn: Turn, by: str) -> Answer:
    """Exempt the task from freeze and serial gate and put it first in the landing queue, from now on."""
    task = turn.task
    if is_terminal(task.stage) or task.cancel_requested_at is not None:
        state = task.stage.value if is_terminal(task.stage) else "being stopped"
        return _answer(Verb.REFUSED, f"{task.work_item} is {state}: it cannot be made a fix", task)
    if task.exempt:
        return _answer(Verb.NOTHING, f"{task.work_item} is a fix already", task)
    turn.set(exempt=True)
    turn.record(task.stage, task.stage, "fix", "exempt from freeze and serial gate", by)
    turn.comment(Role.STREAM, render_fix(task.work_item, by, turn.language), f"fix:{turn.context.now.isoformat()}")
    turn.emit(ExpediteJob(priority=FIX_PRIORITY), WakeSlots(), WakeRepo())
    return _answer(Verb.DONE, f"{task.work_item} is a fix: exempt from freeze and serial gate, first in the landing queue", task)


# ------------------------------------------------------------------------------------------------ sending back


def sent_back(context: Context, task: Task, command: SendBack, *, landing: bool) -> Decided:
    """A person sends the task back; *landing* says whether an intent to land it is open."""
    turn = Turn(context, task)
    if (fault := _kept_from_going_back(task, command.stage, landing=landing)) is not None:
        return turn.ignore(_answer(Verb.REFUSED, f"{task.work_item} {fault}", task))
    turn.emit(CancelJobs(), CancelRun(), WakeSlots(), WakeRepo())
    turn.set(attempt=Attempt(task.attempt + 1), park=None, counters=Counters())
    told = command.reason.strip() or "; ".join(finding.title for finding in command.findings)
    turn.go(command.stage, cause="sent-back", detail=told[:500], by=command.by)
    text = render_sent_back(command.by, command.stage, command.reason, command.findings, turn.language)
    turn.comment(Role.STREAM, text, "sent-back")
    if task.pr_number is not None and _passed_review(task.stage) and not _passed_review(command.stage):
        edit_pull_request(turn, wip=True)
    if command.stage in AGENT_STAGES:
        turn.queue(feedback=Feedback(kind="sent-back", text=command.reason, findings=command.findings))
    else:
        advance(turn, Evidence())
    return turn.end(_answer(Verb.DONE, f"{task.work_item} goes back to {command.stage}", task))


def _passed_review(stage: Stage) -> bool:
    return ORDER.index(stage) >= ORDER.index(Stage.TESTING)


def _kept_from_going_back(task: Task, stage: Stage, *, landing: bool) -> str | None:
    """Return why the task may not be sent back to *stage*, or None."""
    if is_terminal(task.stage):
        return f"is {task.stage}: it cannot be sent back"
    if is_landed(task.stage) or task.landed is not None:
        return "has landed: after that no task goes back; a task of its own mends or reverts it"
    if task.cancel_requested_at is not None:
        return "is being stopped: it cannot be sent back"
    if landing:
        return "is being landed right now: wait for the result"
    if not may_send_back(task.stage, stage):
        earlier = ", ".join(ORDER[: ORDER.index(task.stage) + 1])
        return f"is at {task.stage}: it can be sent back to {earlier}, not to {stage}"
    return None


# ------------------------------------------------------------------------------------------------ deploy under a freeze


def barred_from_deploy(turn: Turn, freeze: Freeze | None) -> str:
    """Return what to answer to a confirm under *freeze*, or an empty text where the task may be deployed."""
    if freeze is None or turn.task.exempt:
        return ""
    return render_freeze(turn.task.work_item, freeze, turn.language)
