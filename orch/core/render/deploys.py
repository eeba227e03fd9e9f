"""What people read about a deploy: the question before it, how it ended, what a STOP of it came to, and what still waits.

Owns: one function per event, typed values → text. Evidence of a park is plain; comments are Markdown. Rule: pure; what a command
or a probe said passes through ``quote``; where no result is known the text says so and never guesses.
"""

from orch.core.ids import Sha, WorkItemId
from orch.core.model import Awaiting, Deploy, DeployQuestion, DeployState, Survivor, Task
from orch.core.render.catalogue import say
from orch.core.render.evidence import render_survivors
from orch.core.render.figures import render_duration, render_moment, short_sha
from orch.core.render.quote import code, cut_middle, fenced, inline, plain

LISTED_MAX = 30
TAIL_MAX = 4000


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


# ------------------------------------------------------------------------------------------------ the question


def render_confirm_deploy(question: DeployQuestion, language: str) -> str:
    """The deploy waits for a person: what it would deploy and carry along, what that changes, and how it was tested."""
    shown = [f"- {inline(name)}" for name in question.carries[:LISTED_MAX]]
    if (more := len(question.carries) - len(shown)) > 0:
        shown.append(f"- {say(language, 'returned.more', count=more)}")
    diff = question.diff.strip("\n")
    after = question.after
    return _paragraphs(
        say(language, "confirm.line", work_item=inline(question.work_item), sha=code(question.sha)),
        "" if after is None else say(language, f"confirm.after_{after.state.replace('-', '_')}", sha=code(short_sha(after.sha))),
        f"{say(language, 'confirm.carries')}\n\n" + "\n".join(shown) if shown else "",
        f"{say(language, 'confirm.diff')}\n\n{fenced(diff)}" if diff.strip() else "",
        _tested(question, language),
        say(language, "confirm.how", command=code(f"orch confirm-deploy {question.work_item}")),
    )


def _tested(question: DeployQuestion, language: str) -> str:
    if question.tested_exit is None:
        return say(language, "confirm.untested")
    duration = render_duration(question.tested_s)
    return say(language, "confirm.tested", code=question.tested_exit, duration=duration)


# ------------------------------------------------------------------------------------------------ the end


def render_deployed(deploy: Deploy, work_item: WorkItemId, seconds: float, language: str, *, unhealthy: str = "") -> str:
    """The deploy succeeded. *unhealthy* is what a bad probe right after it saw."""
    duration = render_duration(seconds)
    return _paragraphs(
        say(language, "deploy.succeeded", work_item=inline(work_item), sha=code(deploy.sha), duration=duration),
        say(language, "deploy.unhealthy", detail=inline(unhealthy, 300)) if unhealthy else "",
    )


def render_deploy_failure(deploy: Deploy, tail: str, language: str) -> str:
    """How a deploy failed, or that it gave no result. Plain, as a park's evidence."""
    kind = deploy.detail or deploy.state.value
    line = say(
        language,
        f"deploy.{kind.replace('-', '_')}",
        code="–" if deploy.exit_code is None else deploy.exit_code,
        tries=deploy.tries,
        sha=short_sha(deploy.sha),
        deadline=render_moment(deploy.deadline_at),
    )
    said = cut_middle(tail.strip(), TAIL_MAX)
    return f"{line}\n{said}" if said else line


def render_deploy_survivors(survivors: tuple[Survivor, ...], language: str) -> str:
    """What of a deploy could not be ended. Plain."""
    return say(language, "deploy.survivors", processes=render_survivors(survivors, language))


def render_delivered(by: str, language: str) -> str:
    """Another task's deploy has carried this one along. Plain, one line."""
    return say(language, "deploy.delivered", name=plain(by, 60))


# ------------------------------------------------------------------------------------------------ STOP


def render_stopped_after_deploy(work_item: WorkItemId, deploy: Deploy, language: str) -> str:
    """A STOP that waited for a deploy is complete: where the code is, and whether it is in production."""
    match deploy.state:
        case DeployState.FAILED | DeployState.ROLLED_BACK:
            key = f"cancelled.{deploy.state.replace('-', '_')}"
        case DeployState.WITHDRAWN:
            key = "cancelled.landed"
        case _:
            key = "cancelled.no_result"
    return say(language, key, work_item=inline(work_item), sha=code(deploy.sha))


def render_stopped_too_late(work_item: WorkItemId, language: str) -> str:
    """A STOP came while a deploy was going that succeeded."""
    return say(language, "deploy.stop_late", work_item=inline(work_item))


def render_stop_deferred(work_item: WorkItemId, deadline: str, language: str) -> str:
    """A STOP waits for the end of what must not be cut in half. Plain. *deadline* is empty where none is known."""
    key = "stop.deferred_until" if deadline else "stop.deferred"
    return say(language, key, work_item=plain(work_item, 60), deadline=deadline)


# ------------------------------------------------------------------------------------------------ reminders


def render_reminder(task: Task, seconds: float, language: str) -> str:
    """A person has not decided for a while. Markdown."""
    key = {Awaiting.APPROVAL: "reminder.approval", Awaiting.INPUT: "reminder.input"}.get(task.awaiting, "reminder.confirm")
    return say(language, key, work_item=inline(task.work_item), duration=render_duration(seconds))


def render_deploy_order(sha: Sha) -> str:
    """What the deployer's agent is told to deploy, for its prompt."""
    return f"Deploy commit {sha}: it is what is checked out."
