"""Tasks placed straight into the landing queue of a fake line, and what an auditor finds in its main afterwards.

Owns: the short way into the train, without agents. Rule: what is placed is what the line itself would have left there.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace

from orch.core.ids import IssueId, Sha, TaskRow
from orch.core.messages import LandingHint
from orch.core.model import Awaiting, CheckRow, Freeze, FreezeCause, NewTask, Task, TrainRow
from orch.core.stages import Stage
from orch.ports import Tx
from tests.builders import DEMO
from tests.fakes.git import tree_of
from tests.fakes.line import BODY, Line, tx_task


async def enqueue(
    it: Line, changes: Mapping[str, str | None], *, title: str = "Add a thing", start: Sha | None = None, exempt: bool = False
) -> str:
    """Put a task whose branch holds *changes* at the end of the landing queue; return its name. Nobody is told."""
    await it.settle()  # the round at the start, if it is still held, sees no half of a queue
    issue = await it.add(title)
    base = start or it.repository.main

    def work(tx: Tx) -> str:
        sequence = int(issue.rpartition("-")[2])
        made = tx.insert_task(
            NewTask(
                project=DEMO,
                issue=IssueId(issue),
                prefix="DEMO",
                sequence=sequence,
                title=title,
                description=BODY,
                slug=f"t{sequence}",
                url="",
                at=it.g.clock.now(),
            )
        )
        assert made is not None
        head = it.repository.change(base, changes, f"work of {made.work_item}")
        it.repository.branches[made.branch] = head
        pull = tx.insert_pull_request(DEMO, made.branch, "main", title, BODY, it.g.clock.now())
        pinned = replace(made, base=base, head=head, code_head=head, exempt=exempt, pr_number=pull.number)
        tx.save_task(replace(pinned, stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, train_seq=tx.next_train_seq(DEMO)))
        return made.work_item

    return await it.write(work)


async def enqueue_many(it: Line, count: int) -> list[str]:
    """Put *count* tasks that concern nobody else's files into the queue."""
    return [await enqueue(it, {f"file{number}.py": f"{number}\n"}) for number in range(count)]


def hint(it: Line) -> None:
    it.supervisor.repo(DEMO).tell(LandingHint())


async def freeze(it: Line, cause: FreezeCause = FreezeCause.PERSON) -> None:
    held = Freeze(project=DEMO, cause=cause, since=it.g.clock.now(), by="anna")
    await it.write(lambda tx: tx.set_freeze(held))


async def thaw(it: Line) -> None:
    await it.write(lambda tx: tx.lift_freeze(DEMO))
    hint(it)


async def checks(it: Line) -> list[CheckRow]:
    return await it.read(lambda tx: tx.list_checks(DEMO))


async def train(it: Line) -> TrainRow:
    return await it.read(lambda tx: tx.load_train(DEMO))


async def running(it: Line) -> list[list[str]]:
    """Return the members' names of each check under way."""

    def work(tx: Tx) -> list[list[str]]:
        rows = tx.list_checks(DEMO, running=True)
        return [[_name(tx, member.task) for member in row.members] for row in rows]

    return await it.read(work)


def _name(tx: Tx, row: TaskRow) -> str:
    task = tx.load_task(row)
    assert task is not None
    return task.work_item


async def until_landed(it: Line, *names: str, within_s: float = 300) -> list[Task]:
    await it.until(lambda tx: all(tx_task(tx, name).landed is not None for name in names), within_s=within_s)
    return [await it.task(name) for name in names]


async def audit(it: Line) -> None:
    """S1 to S3, S5, S11: every value that main had but the first descends from the one before it, and its tree passed the test
    command, unless somebody else pushed it; nothing is left open, and no task landed twice."""
    rows = await checks(it)
    green = {row.tree for row in rows if row.verdict == "green"}
    for before, after in itertools.pairwise(it.repository.history):
        assert it.repository.contains(before, after), "main only fast-forwards"
        assert tree_of(it.repository, after) in green or "somebody else" in it.repository.commits[after].message
    assert await it.read(lambda tx: tx.open_intents()) == []
    tasks = await it.read(lambda tx: tx.list_tasks())
    for task in tasks:
        landed = [line for line in await it.read(lambda tx, row=task.row: tx.list_transitions(row)) if line.cause == "landed"]  # type: ignore[misc]
        assert len(landed) == (task.landed is not None)
    assert it.commands.peak <= it.g.limits.test_slots
