"""The ``Deploys`` port on virtual time: tries that outlive the daemon, because they are nothing but moments and what was asked.

Rule: as the real one: a try is claimed once, whoever launches it how often; it ends by itself at its time, daemon or not.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from orch.core.ids import DeployId
from orch.core.model import Survivor
from orch.ports import Clock, DeployLook, DeployOrder, DeployPhase
from orch.rehearsal.faults import Faults


@final
@dataclass(slots=True, kw_only=True)
class Try:
    """One claimed try: when it began, how long it takes, and what it exits with (None: its process is gone without a result)."""

    order: DeployOrder | None
    began: float
    seconds: float
    code: int | None
    killed: bool = False
    timed_out: bool = False


@final
@dataclass(slots=True)
class FakeDeploys:
    """*codes* are the exit codes of the next tries (0 afterwards), *seconds* how long each takes, *held* tries do not end.

    With *claims* off no process that is launched ever claims. *survivors* are what nothing ends.
    """

    clock: Clock
    faults: Faults
    codes: deque[int | None] = field(default_factory=deque)
    seconds: float = 2.0
    held: bool = False
    claims: bool = True
    survivors: tuple[Survivor, ...] = ()
    launched: list[DeployOrder] = field(default_factory=list)
    tries: dict[tuple[DeployId, int], Try] = field(default_factory=dict)
    cleared: set[DeployId] = field(default_factory=set)

    def tree(self, deploy: DeployId, number: int) -> Path:
        return Path(f"/nonexistent/deploys/{int(deploy)}-{number}/tree")

    def log_path(self, deploy: DeployId, number: int) -> Path:
        return self.tree(deploy, number).with_name("output.log")

    async def launch(self, order: DeployOrder) -> None:
        async with self.faults.at("deploys.launch"):
            self.launched.append(order)
            key = order.deploy, order.number
            if self.claims and key not in self.tries:
                code = self.codes.popleft() if self.codes else 0
                self.tries[key] = Try(order=order, began=self.clock.monotonic(), seconds=self.seconds, code=code)

    async def look(self, deploy: DeployId, number: int) -> DeployLook:
        mine = self.tries.get((deploy, number))
        if mine is None:
            return DeployLook(phase=DeployPhase.UNCLAIMED)
        if mine.order is None or mine.killed:
            return DeployLook(phase=DeployPhase.LOST, survivors=self.survivors)
        passed = self.clock.monotonic() - mine.began
        mine.timed_out |= passed >= mine.order.time_s and (self.held or mine.seconds > mine.order.time_s)
        if mine.timed_out:
            return DeployLook(phase=DeployPhase.ENDED, timed_out=True, seconds=mine.order.time_s, survivors=self.survivors)
        if self.held or passed < mine.seconds:
            return DeployLook(phase=DeployPhase.RUNNING)
        if mine.code is None:
            return DeployLook(phase=DeployPhase.LOST)
        return DeployLook(phase=DeployPhase.ENDED, exit_code=mine.code, seconds=mine.seconds)

    async def abandon(self, deploy: DeployId, number: int) -> bool:
        if (deploy, number) in self.tries:
            return False
        self.tries[deploy, number] = Try(order=None, began=0.0, seconds=0.0, code=None)
        return True

    async def end(self, deploy: DeployId, number: int) -> tuple[Survivor, ...]:
        self.faults.wrote("end deploy", f"{int(deploy)}-{number}")
        return self.survivors

    async def tail(self, deploy: DeployId, number: int) -> str:
        return f"the end of try {number}"

    async def clear(self, deploys: Collection[DeployId]) -> None:
        self.cleared |= set(deploys)
