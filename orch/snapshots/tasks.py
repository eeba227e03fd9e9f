"""Snapshots of tasks: the list with issues and projects, one task in detail, one for the live feed, the why.

Rule: bounded and by index: the live tasks first, then the newest finished ones, a few small queries for each task shown,
however many the store holds.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.model import BoardIssue, Limits, Repo, Task
from orch.core.render import render_action
from orch.core.render.quote import clean
from orch.core.statuses import map_states
from orch.core.views import task_detail, task_view
from orch.core.why import why
from orch.ports import Tx
from orch.snapshots.reader import Block, Present, Reader, freeze_view

ISSUES_MAX = 1000


def load_snapshot(
    tx: Tx,
    now: datetime,
    *,
    limit: int = 200,
    projects: Iterable[ProjectName] = (),
    limits: Limits | None = None,
    present: Present | None = None,
) -> Block:
    """Return what the page and ``/tasks`` show: tasks, the local board's issues, projects, totals.

    Live tasks come first, in the order in which they entered; then the newest finished ones; *limit* in all.
    *projects* are shown even while nothing of them is in the store.
    """
    reader = Reader(tx, limits, present, now)
    tasks = tx.list_tasks(live=True, limit=limit)
    live = len(tasks)
    if live < limit:
        tasks += tx.list_tasks(live=False, limit=limit - live, newest_first=True)
    views = [task_view(reader.facts(task), now) for task in tasks]
    issues = _load_issues(tx, tasks, limit)
    known = {*projects, *(task.project for task in tasks), *(issue.project for issue, _ in issues)}
    return {
        "at": now.isoformat(),
        "tasks": views,
        "issues": _issue_views(tx, issues),
        "projects": [_project_view(reader.repo(name), limits, present) for name in sorted(known)],
        "totals": _totals(views, live=live, more=len(tasks) >= limit),
    }


def load_task(tx: Tx, name: str, now: datetime, *, limits: Limits | None = None, present: Present | None = None) -> Block | None:
    """Return the task that *name* means with all its detail, or None."""
    task = _find(tx, name)
    return task_detail(Reader(tx, limits, present, now).facts(task, history=True), now) if task is not None else None


def load_why(
    tx: Tx,
    name: str,
    now: datetime,
    language: str = "en",
    *,
    limits: Limits | None = None,
    present: Present | None = None,
) -> str | None:
    """Return the why sentence of what *name* means; an issue of the local board that never entered the line has one too."""
    task = _find(tx, name)
    if task is not None:
        return why(Reader(tx, limits, present, now).facts(task), now, language)
    return render_action(None, language) if tx.load_issue(IssueId(name)) is not None else None


def load_task_view(
    tx: Tx, row: TaskRow, now: datetime, *, limits: Limits | None = None, present: Present | None = None
) -> Block | None:
    """Return one task as every list shows it, or None; for the live feed."""
    task = tx.load_task(row)
    return task_view(Reader(tx, limits, present, now).facts(task), now) if task is not None else None


def _find(tx: Tx, name: str) -> Task | None:
    """Return the newest task of that work item id or issue key; a cancelled task's own name went back to its issue."""
    wanted = name.strip()
    if not wanted:
        return None
    task = tx.find_task(wanted)
    if task is None and (issue := tx.load_issue(IssueId(wanted))) is not None:
        task = tx.newest_task(issue.project, issue.id)
    return task


def _load_issues(tx: Tx, tasks: Sequence[Task], limit: int) -> list[tuple[BoardIssue, Task | None]]:
    """Return the newest issues of the local board, each with its newest task."""
    newest: dict[tuple[ProjectName, IssueId], Task] = {}
    for task in tasks:
        key = (task.project, task.issue)
        if key not in newest or newest[key].row < task.row:
            newest[key] = task
    issues = sorted(tx.list_issues(limit=ISSUES_MAX), key=lambda issue: (issue.project, issue.sequence))[-limit:]
    return [
        (issue, newest.get((issue.project, issue.id)) or tx.newest_task(issue.project, issue.id))
        for issue in issues
        if not issue.archived
    ]


def _issue_views(tx: Tx, issues: Sequence[tuple[BoardIssue, Task | None]]) -> list[Block]:
    """Return the issues with the logical key of their column, or the column's own name where it has no key."""
    columns: dict[ProjectName, dict[str, str]] = {}
    for project in {issue.project for issue, _ in issues}:
        states = tx.load_states(project)
        mapped = map_states(states)
        columns[project] = {state.id: str(mapped.status_of(state.id) or state.name) for state in states}
    return [
        {
            "id": issue.id,
            "title": clean(issue.title),
            "status": columns[issue.project].get(issue.state_id, issue.state_id),
            "project": issue.project,
            "task": task.work_item if task is not None else None,
            "updated_at": issue.updated_at.isoformat(),
        }
        for issue, task in issues
    ]


def _project_view(repo: Repo, limits: Limits | None, present: Present | None) -> Block:
    configured = present.projects.get(repo.project) if present is not None else None
    return {
        "name": repo.project,
        "board": configured.board if configured is not None else None,
        "paused": repo.paused,
        "freeze": freeze_view(repo.freeze) if repo.freeze is not None else None,
        "serial_gate": limits is not None and repo.project in limits.serial_gate,
        "main": repo.main,
    }


def _totals(views: Sequence[Block], *, live: int, more: bool) -> Block:
    """Add up what is shown; *more* says that the store may hold more than that."""

    def add(key: str) -> float:
        return sum(value for view in views if isinstance(value := view[key], (int, float)))

    return {
        "tasks": len(views),
        "live": live,
        "more": more,
        "by_status": dict(sorted(Counter(str(view["status"]) for view in views).items())),
        "runs": add("runs"),
        "cost_usd": round(add("cost_usd"), 6),
        "tokens_in": add("tokens_in"),
        "tokens_cached": add("tokens_cached"),
        "tokens_out": add("tokens_out"),
    }
