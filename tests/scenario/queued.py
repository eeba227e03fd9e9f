"""Tasks that stand in the landing queue before a daemon starts: the short way to a train, with real git and a real store.

Owns: branches pushed by a person's clone, and the rows that the line would have left. Rule: no daemon runs meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

from orch.adapters.clock import SystemClock
from orch.adapters.local_board import LocalDeskAdapter
from orch.adapters.store import SqliteStore
from orch.core.ids import ProjectName, Sha
from orch.core.model import Awaiting, BoardIssue, NewTask, Task
from orch.core.stages import Stage
from orch.daemon import DATABASE
from orch.ports import Tx
from tests.gitrepo import Repo

BODY = "It shall be done, and here is why it shall be done."


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One task: what its branch changes on main (None removes a file), in one commit per mapping."""

    title: str
    commits: Sequence[Mapping[str, str | None]] = field(default_factory=tuple)


def clone_of(repo: Repo, path: Path) -> Repo:
    """Return a person's clone; a repository whose main is checked out takes their pushes too."""
    repo.git("config", "receive.denyCurrentBranch", "updateInstead")
    repo.git("clone", "--quiet", str(repo.path), str(path))
    return Repo(path)


async def place(data: Path, person: Repo, wanted: Sequence[Wanted], *, project: str = "demo", prefix: str = "DEMO") -> list[Task]:
    """Put the tasks into the landing queue of *data*'s store (the folder must be there), in their order; return them."""
    name, clock = ProjectName(project), SystemClock()
    async with await SqliteStore.open(data / DATABASE, clock=clock) as store:
        desk = LocalDeskAdapter(store, clock, {name: prefix})
        placed = []
        for each in wanted:
            issue = await desk.create_issue(name, title=each.title, body=BODY, by="Anna")
            task = await store.transact(lambda tx, issue=issue: _insert(tx, name, prefix, issue))  # type: ignore[misc]
            base, head = _push_branch(person, task, each)
            placed.append(await store.transact(lambda tx, task=task, b=base, h=head: _queue(tx, task, b, h)))  # type: ignore[misc]
    return placed


def _insert(tx: Tx, project: ProjectName, prefix: str, issue: BoardIssue) -> Task:
    made = tx.insert_task(
        NewTask(
            project=project,
            issue=issue.id,
            prefix=prefix,
            sequence=issue.sequence,
            title=issue.title,
            description=issue.text,
            slug=issue.slug,
            url="",
            at=issue.created_at,
        )
    )
    assert made is not None
    return made


def _push_branch(person: Repo, task: Task, wanted: Wanted) -> tuple[Sha, Sha]:
    person.switch(task.branch, "origin/main")
    base = head = person.tip()
    for number, files in enumerate(wanted.commits, 1):
        head = person.commit(files, f"{task.work_item}: step {number}")
    person.git("push", "--quiet", "origin", task.branch)
    return base, head


def _queue(tx: Tx, task: Task, base: Sha, head: Sha) -> Task:
    pull = tx.insert_pull_request(task.project, task.branch, "main", task.title, task.description, task.created_at)
    queued = replace(
        task,
        stage=Stage.DEPLOY_STAGING,
        awaiting=Awaiting.LANDING,
        base=base,
        head=head,
        code_head=head,
        pr_number=pull.number,
        train_seq=tx.next_train_seq(task.project),
    )
    tx.save_task(queued)
    return queued
