"""Cards on a board whose webhooks are lost, doubled and shuffled: told on virtual time, with the actors as they are.

Owns: ``tell``: one telling of the story, from a seed to what stood there in the end. Rule: people act on what the board shows,
and the CI on what was pushed; so the end may not depend on which webhook came when.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, TypeVar, cast, final

import anyio
from anyio.abc import TaskGroup

from orch import logs
from orch.adapters.local_board import LocalDeskAdapter
from orch.core.ids import Branch, InboxId, IssueId, Sha
from orch.core.model import CiSource, CiState, CommitStatus, PullRequestState
from orch.core.stages import Role, Stage, is_terminal
from orch.ports import BranchEvent, CardEvent, Store, Tx
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.agents import Step, verdict
from tests.fakes.line import BODY, Line, line
from tests.fakes.virtual_time import VirtualLoop

T = TypeVar("T")
_OF_A_RUN = re.compile(r"/history/\d+/")
"""Runs are numbered as they begin: what their folders hold is compared, not the number."""

GLANCE_S = 2.0
LATE_S = 90.0
WITHIN_S = 6 * 3600.0
PROJECT = make_project(board="plane", forge="gitea", ci=CiSource.FORGE)
LIMITS = make_limits(reconcile_interval_s=60.0, ci_appear_s=3600.0, max_concurrency=4, max_concurrency_per_repo=4)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """How many cards there are, and what is not as usual with some of them; the others are approved and land."""

    cards: int
    rejected: str
    stopped: str
    red: str
    relaunched: str
    sent_back: str


TEN = Cast(cards=10, rejected="DEMO-6", stopped="DEMO-7", red="DEMO-8", relaunched="DEMO-9", sent_back="DEMO-10")
THREE = Cast(cards=3, rejected="DEMO-1", relaunched="DEMO-1", stopped="DEMO-2", red="DEMO-3", sent_back="DEMO-3")
"""The same turns on fewer cards, so that many more seeds can be told in the same time."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What becomes of the webhooks: probabilities, and by how much the latest may be late."""

    loss: float = 0.0
    doubling: float = 0.0
    late_s: float = 0.0


CALM = Weather()
STORMS = (
    Weather(doubling=0.5, late_s=LATE_S),
    Weather(loss=0.3, doubling=0.3, late_s=LATE_S),
    Weather(loss=1.0),
)


@final
class Listening:
    """A transaction whose hooks are caught on their way: everything else is as it was."""

    def __init__(self, tx: Tx, caught: list[tuple[str, bytes]]) -> None:
        self._tx, self._caught = tx, caught

    def add_inbox(self, source: str, body: bytes, at: object) -> InboxId:
        del at
        self._caught.append((source, body))
        return InboxId(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


@final
class Hooks:
    """The store as people's desk sees it: what would tell the daemon of a change goes through the weather instead."""

    def __init__(self, it: Line, group: TaskGroup, weather: Weather, random: Random) -> None:
        self._it, self._group, self._weather, self._random = it, group, weather, random

    async def transact(self, work: Callable[[Tx], T]) -> T:
        caught: list[tuple[str, bytes]] = []
        made = await self._it.g.store.transact(lambda tx: work(cast(Tx, Listening(tx, caught))))
        for source, body in caught:
            self.send(source, body)
        return made

    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self._it.g.store.read(work)

    async def aclose(self) -> None:
        """The store is closed by whoever opened it."""

    def send(self, source: str, body: bytes) -> None:
        if self._random.random() < self._weather.loss:
            return
        for _ in range(2 if self._random.random() < self._weather.doubling else 1):
            self._group.start_soon(self._deliver, source, body, self._random.uniform(0.0, self._weather.late_s))

    async def _deliver(self, source: str, body: bytes, late_s: float) -> None:
        await anyio.sleep(late_s)
        await self._it.write(lambda tx: tx.add_inbox(source, body, self._it.g.clock.now()))
        self._it.supervisor.accepted()


@final
class _Door:
    """What both services' hooks say, in this story."""

    def read(self, source: str, body: bytes) -> CardEvent | BranchEvent:
        told = json.loads(body)
        if source.startswith("gitea"):
            return BranchEvent(project=DEMO, branch=Branch(told["branch"]), sha=Sha(told["sha"]))
        return CardEvent(project=DEMO, issue=IssueId(told["issue"]))


@final
class Telling:
    """One telling: the person, the CI, and the line between them."""

    def __init__(self, it: Line, hooks: Hooks, random: Random, cast_: Cast) -> None:
        self._it, self._hooks, self._random, self._cast = it, hooks, random, cast_
        self._desk = LocalDeskAdapter(cast(Store, hooks), it.g.clock, {DEMO: "DEMO"})
        self._told: Counter[str] = Counter()
        """How often the CI has spoken of a branch."""

    async def _see(self, issue: str, *columns: str) -> str:
        """Wait until a person who glances at the board now and then sees the card in one of *columns*."""
        with anyio.fail_after(WITHIN_S):
            while True:
                await anyio.sleep(GLANCE_S * self._random.uniform(0.5, 10.0))
                column = await self._it.column(issue)
                if column in columns:
                    return column

    async def _move(self, issue: str, column: str) -> None:
        await self._desk.move_issue(IssueId(issue), column, by="anna")

    async def card(self, issue: str) -> None:
        """Take one card through the line."""
        await anyio.sleep(self._random.uniform(0.0, 300.0))
        await self._move(issue, "to_analyse")
        await self._see(issue, "in_review")
        if issue == self._cast.stopped:
            await self._move(issue, "stop")
            await self._see(issue, "cancelled")
            return
        if issue == self._cast.rejected:
            await self._desk.comment(IssueId(issue), "Too vague.", by="anna")
            await self._move(issue, "rejected")
            await self._see(issue, "in_review")
        if issue == self._cast.relaunched:
            await self._move(issue, "to_analyse")
            await self._see(issue, "in_review")
        await self._move(issue, "approved")
        await self._see(issue, "done")

    async def ci(self) -> None:
        """Speak of every head of a task that waits for it, once; of one card it says no the first time."""
        spoken: set[Sha] = set()
        while True:
            await anyio.sleep(5.0)
            for task in await self._it.read(lambda tx: tx.list_tasks(project=DEMO, live=True)):
                head = task.code_head
                if task.stage is not Stage.DEVELOPMENT or head is None or head in spoken:
                    continue
                spoken.add(head)
                self._told[str(task.work_item)] += 1
                red = task.work_item == self._cast.red and self._told[self._cast.red] == 1
                status = CommitStatus(sha=head, context="build", state=CiState.FAILURE if red else CiState.SUCCESS)
                await self._it.write(partial(_post, status=status, at=self._it.g.clock.now()))
                self._hooks.send("gitea:status", json.dumps({"branch": task.branch, "sha": head}).encode())

    async def end(self) -> Mapping[str, object]:
        """Return what stood there in the end: on the board, in the store, in main."""
        cards: dict[str, object] = {}
        for number in range(1, self._cast.cards + 1):
            name = f"DEMO-{number}"
            task, runs, comments = await self._it.task(name), await self._it.runs(name), await self._it.comments(name)
            tasks = await self._it.read(lambda tx: len(tx.list_tasks(project=DEMO)))
            cards[name] = {
                "column": await self._it.column(name),
                "stage": str(task.stage),
                "runs": sorted(Counter(str(run.role) for run in runs if run.role is not None).items()),
                "comments": sorted(Counter(str(comment.role) for comment in comments).items()),
                "tasks": tasks,
            }
        pulls = await self._it.read(lambda tx: tx.list_pull_requests(DEMO, "main"))
        repository = self._it.repository
        return {
            "cards": cards,
            "merged": sorted(pull.branch for pull in pulls if pull.state is PullRequestState.MERGED),
            "main": sorted({_OF_A_RUN.sub("/history/", name) for name in repository.commits[repository.main].files}),
            "waiting": len(await self._it.outbox()) + len(await self._it.read(lambda tx: tx.pending_inbox())),
        }


def _post(tx: Tx, *, status: CommitStatus, at: datetime) -> None:
    tx.save_commit_status(DEMO, status, at)


async def _tell(seed: int, weather: Weather, cast_: Cast) -> Mapping[str, object]:
    random = Random(seed)
    async with line(PROJECT, limits=LIMITS) as it, anyio.create_task_group() as group:
        for service in ("plane", "gitea", "local-board"):
            it.world.doors[service] = _Door()  # type: ignore[index]
        it.agent.script(cast_.sent_back, Role.REVIEWER, Step(artefacts={"07-review.md": verdict("changes_requested", "No test")}))
        telling = Telling(it, Hooks(it, group, weather, random), random, cast_)
        group.start_soon(telling.ci)
        async with anyio.create_task_group() as people:
            for _ in range(cast_.cards):
                issue = await it.world.desk.create_issue(DEMO, title="Add a greeting", body=BODY, by="anna")
                people.start_soon(telling.card, issue.id)
        await it.settle(LATE_S + 2 * LIMITS.reconcile_interval_s)
        live = await it.read(lambda tx: [task.work_item for task in tx.list_tasks() if not is_terminal(task.stage)])
        assert live == [], live
        end = await telling.end()
        group.cancel_scope.cancel()
    return end


def tell(seed: int, weather: Weather, cast_: Cast = TEN) -> Mapping[str, object]:
    """Tell the story once, in a fraction of the time, and return its end."""
    logs.configure("critical")
    return anyio.run(_tell, seed, weather, cast_, backend="asyncio", backend_options={"loop_factory": VirtualLoop})


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing in which two ends differ."""
    flat = [{**{f"card {name}": card for name, card in end["cards"].items()}, **end, "cards": None} for end in (expected, found)]
    return [f"{key}: {_told(flat[0][key], flat[1][key])}" for key in flat[0] if flat[0][key] != flat[1][key]]


def _told(expected: object, found: object) -> str:
    if isinstance(expected, list) and isinstance(found, list):
        missing, more = ([each for each in one if each not in other] for one, other in ((expected, found), (found, expected)))
        return f"missing {missing}, more {more}"
    return f"{found!r} and not {expected!r}"
