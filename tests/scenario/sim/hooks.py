"""Webhooks on their way to a daemon that may not be there: lost, doubled, late, shuffled by the plan's weather; and a CI.

Owns: the store as people's desk sees it, delivery, and what a CI says of a pushed commit. Rule: what a hook's luck is depends on
what it says and how often that was said before.
"""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast, final

import anyio
from anyio.abc import TaskGroup

from orch.core.ids import ProjectName, Sha
from orch.core.model import CiState, CommitStatus
from orch.ports import Tx
from tests.scenario.chaos.story import Listening
from tests.scenario.sim.agents import is_sound
from tests.scenario.sim.fate import draw
from tests.scenario.sim.world import SHOP, SimGround

T = TypeVar("T")
CI_LOOK_S = 5.0


@final
class Hooks:
    """The store as people's desk sees it: what would tell the daemon of a change goes through the weather instead."""

    def __init__(self, ground: SimGround, group: TaskGroup) -> None:
        self._ground, self._group = ground, group
        self._sent: Counter[bytes] = Counter()
        self.storm = True

    async def transact(self, work: Callable[[Tx], T]) -> T:
        caught: list[tuple[str, bytes]] = []
        made = await self._ground.store.transact(lambda tx: work(cast(Tx, Listening(tx, caught))))
        for source, body in caught:
            self.send(source, body)
        return made

    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self._ground.store.read(work)

    async def aclose(self) -> None:
        """The world's store outlives whoever used it."""

    def send(self, source: str, body: bytes) -> None:
        plan = self._ground.plan
        luck = draw(plan.seed, "hook", source, body, self._sent[body])
        self._sent[body] += 1
        if self.storm and luck.random() < plan.loss:
            self._ground.trace.note("hook lost", source, by="fate")
            return
        for number in range(2 if self.storm and luck.random() < plan.doubling else 1):
            if number:
                self._ground.trace.note("hook doubled", source, by="fate")
            self._group.start_soon(self._deliver, source, body, luck.uniform(0.0, plan.late_s) if self.storm else 0.1)

    async def _deliver(self, source: str, body: bytes, late_s: float) -> None:
        await anyio.sleep(late_s)
        ground = self._ground
        if ground.daemon is None or ground.weather.trouble.full:
            ground.trace.note("hook refused", source, by="fate")
            return
        await ground.store.transact(lambda tx: tx.add_inbox(source, body, ground.clock.now()))
        ground.trace.note("hook accepted", source, by="service")
        if ground.daemon is not None:
            ground.daemon.accepted()

    def tell_branch(self, project: ProjectName, branch: str, sha: str) -> None:
        self.send("gitea:push", json.dumps({"project": project, "branch": branch, "sha": sha}).encode())


async def ci(ground: SimGround, hooks: Hooks) -> None:
    """Speak of every commit that was pushed to a task's branch of the project on a forge, once; now and then never."""
    spoken: set[Sha] = set()
    while True:
        await anyio.sleep(CI_LOOK_S)
        while ground.pushed:
            project, branch, sha = ground.pushed.popleft()
            hooks.tell_branch(project, branch, sha)
            if project != SHOP or sha in spoken:
                continue
            spoken.add(sha)
            luck = draw(ground.plan.seed, "ci", len(spoken))
            if hooks.storm and luck.random() < ground.plan.trouble / 8:
                ground.trace.note("ci silent", sha[:8], by="ci")
                continue
            red = not is_sound(ground.repositories[project].commits[sha].files)
            red = red or (hooks.storm and luck.random() < ground.plan.trouble / 4)
            status = CommitStatus(sha=sha, context="build", state=CiState.FAILURE if red else CiState.SUCCESS)
            await ground.store.transact(partial(_post, ground=ground, project=project, status=status))
            ground.trace.note("ci", sha[:8], status.state, by="ci")
            hooks.tell_branch(project, branch, sha)


def _post(tx: Tx, *, ground: SimGround, project: ProjectName, status: CommitStatus) -> None:
    tx.save_commit_status(project, status, ground.clock.now())
