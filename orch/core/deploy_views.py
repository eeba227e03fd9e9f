"""What people are shown of a deploy: its JSON-ready view, and why a task at that stage waits.

Owns: those sentences and that shape. Does not own: the other stages' (``views``). Rule: derived only; nothing is read back as
state.
"""

from orch.core.model import Awaiting, Deploy, Task
from orch.core.render.catalogue import say
from orch.core.render.figures import render_moment
from orch.core.render.quote import plain


def deploy_view(deploy: Deploy) -> dict[str, object]:
    """Return one deploy, JSON-ready; *tries* counts starts, *due_at* is when the next try begins."""
    return {
        "deploy": int(deploy.id),
        "state": str(deploy.state),
        "sha": deploy.sha,
        "run": int(deploy.run),
        "tries": deploy.tries,
        "due_at": deploy.due_at.isoformat() if deploy.due_at is not None else None,
        "deadline_at": deploy.deadline_at.isoformat(),
        "started_at": deploy.started_at.isoformat(),
        "ended_at": deploy.ended_at.isoformat() if deploy.ended_at is not None else None,
        "exit_code": deploy.exit_code,
        "detail": plain(deploy.detail, 300),
    }


def why_deploy(task: Task, running: Deploy | None, name: str, since: str, language: str) -> str:
    """Say what a task at deploy waits for, freezes apart. *running* is its repo's running deploy, *name* what people call that
    one's task."""
    if task.awaiting is Awaiting.GATE:
        return say(language, "why.deploy_asking")
    if task.awaiting is Awaiting.DEPLOY_TURN:
        key = "why.deploy_turn" if running is None or running.task == task.row else "why.deploy_behind"
        return say(language, key, since=since, name=plain(name, 60))
    if running is None or running.task != task.row:
        return say(language, "why.deploying", since=since)
    deadline = render_moment(running.deadline_at)
    if running.due_at is not None:
        moment = running.due_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        return say(language, "why.deploy_again", next=running.tries + 1, moment=moment, deadline=deadline)
    return say(language, "why.deploying_until", since=since, tries=max(running.tries, 1), deadline=deadline)
