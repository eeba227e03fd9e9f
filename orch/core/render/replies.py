"""Replies to what a person did: a trigger that does nothing now, a decision too late, a decision not allowed.

Owns: those comments, the words about a freeze, and which action exists for a task right now. Rule: a refusal says that
nothing was changed, and what would change something; it is one comment.
"""

from collections.abc import Sequence

from orch.core.ids import Sha, WorkItemId
from orch.core.model import Awaiting, Freeze, FreezeCause, Task
from orch.core.render.catalogue import say
from orch.core.render.figures import render_moment, short_sha
from orch.core.render.quote import code, inline, plain
from orch.core.stages import Stage, is_terminal
from orch.core.statuses import DEFAULT_NAMES, Status

_ACTIONS = {
    Awaiting.APPROVAL: "approval",
    Awaiting.INPUT: "input",
    Awaiting.CONFIRM: "confirm",
    Awaiting.MERGE: "merge",
    Awaiting.DEPLOY_TURN: "deploy_turn",
    Awaiting.DEPLOYING: "deploying",
}


def render_action(task: Task | None, language: str) -> str:
    """Say in plain text what a person can do about *task* right now (None: the card never entered the line)."""
    if task is None:
        return say(language, "action.none_yet")
    if is_terminal(task.stage):
        return say(language, f"action.{task.stage}")
    if task.cancel_requested_at is not None:
        return say(language, "action.stopping")
    if task.park is not None:
        reason = say(language, f"park.{task.park.reason}")
        return say(language, "action.parked", reason=reason, command=f"orch resume {plain(task.work_item, 40)}")
    return say(language, f"action.{_ACTIONS.get(task.awaiting, 'working')}")


def render_trigger_useless(trigger: Status, task: Task | None, language: str) -> str:
    """A trigger status was set where it means nothing: say so, and which action exists now."""
    parts = [say(language, "useless.line", trigger=DEFAULT_NAMES[trigger])]
    if task is not None:
        stage = say(language, f"stage.{task.stage}")
        parts.append(say(language, "useless.where", work_item=inline(task.work_item), stage=stage))
    parts.append(inline(render_action(task, language), 500))
    return " ".join(parts)


def render_stale_decision(shown: Sha | None, current: Sha | None, language: str) -> str:
    """A decision was for a version that is not the current one; *shown* None: it named none, *current* None: there is none."""
    if current is None:
        return say(language, "stale.nothing")
    if shown is None:
        return say(language, "stale.unnamed", current=code(short_sha(current)))
    return say(language, "stale.other", shown=code(short_sha(shown)), current=code(short_sha(current)))


def render_already_decided(stage: Stage, language: str) -> str:
    """The first decision won; this one came later."""
    return say(language, "decided.line", stage=say(language, f"stage.{stage}"))


def render_no_reason(language: str) -> str:
    """The fixed note that stands in for the reason of a rejection without a comment."""
    return say(language, "no_reason.line")


def render_frozen_by(freeze: Freeze, language: str) -> str:
    """Say in plain words who or what froze a project, with the reason where one was given."""
    named = freeze.cause is FreezeCause.PERSON and freeze.by.strip()
    who = plain(freeze.by, 80) if named else say(language, f"freeze.{freeze.cause}")
    reason = plain(freeze.detail, 200)
    return f"{who} ({reason})" if reason else who


def render_freeze(work_item: WorkItemId, freeze: Freeze, language: str) -> str:
    """A deploy was confirmed while its project is frozen."""
    return say(
        language,
        "frozen.confirm",
        work_item=inline(work_item),
        who=inline(render_frozen_by(freeze, language), 400),
        since=render_moment(freeze.since),
        command=code(f"orch unfreeze {freeze.project}"),
    )


def render_confirm_voided(work_item: WorkItemId, freeze: Freeze, language: str) -> str:
    """A freeze came between a deploy's confirm and its start."""
    who = inline(render_frozen_by(freeze, language), 400)
    return say(language, "frozen.voided", work_item=inline(work_item), who=who)


def render_fix(work_item: WorkItemId, by: str, language: str) -> str:
    """A person made the task a fix."""
    return say(language, "fix.line", work_item=inline(work_item), by=inline(by, 80))


def render_not_allowed(by: str, what: str, language: str) -> str:
    """A person decided who may not; *what* names the decision."""
    return say(language, "not_allowed.line", by=inline(by, 80), what=inline(what, 80))


def render_dependency_cycle(cycle: Sequence[str], language: str) -> str:
    """Cards wait for each other in a circle: the names, the first of them again at the end."""
    return say(language, "dependency.cycle", cycle=" → ".join(inline(name, 80) for name in cycle))


def render_dependency_cancelled(on: str, language: str) -> str:
    """Say why a task is parked whose predecessor was cancelled."""
    return say(language, "dependency.cancelled", on=inline(on, 80))


def render_dependency_released(on: str, language: str) -> str:
    """A dependency was cancelled, and that releases the task."""
    return say(language, "dependency.released", on=inline(on, 80))
