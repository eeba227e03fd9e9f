"""Agents, commands, deploys and working copies by fate: good ones, slow ones, and every kind of bad one.

Owns: what each visit of a role does under a plan, and what was seen of it. Rule: the luck of a visit is drawn from the card,
the role and the number of the visit; what a bad visit must not bring about is for the oracle.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

from orch.core.ids import RunId, Sha, TaskRow
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import AgentResult, Outcome, RunMode
from orch.core.stages import Role
from orch.ports import AgentReader, AgentRequest, Clock, DeployOrder, LineReader, Prepared, ProcessEnd, ProcessSpec, WorkspaceSpec
from orch.rehearsal.faults import Faults
from tests.fakes.agents import FakeAgent, FakeCommands, FakeProcesses, FakeReader, Step, default_step, verdict
from tests.fakes.deploys import FakeDeploys
from tests.fakes.git import FakeMirror, FakeWorkspace, tree_of
from tests.fakes.repository import Repository
from tests.scenario.sim.fate import Plan, draw
from tests.scenario.sim.trace import Trace

BAD_OUTCOMES = (Outcome.FAILED, Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.STALLED, Outcome.TURN_LIMIT)
BAD_WAYS = ("outcome", "outcome", "nothing", "rubbish", "refuse", "outside", "limited", "denied", "slow")
TROUBLED_VISITS = 4
"""From this visit on a role does its work: what is in trouble for ever says nothing about the line."""


class SimAgent(FakeAgent):
    """The adapter whose steps are drawn. *cards* are their numbers by issue, and what is not as usual with them."""

    def __init__(self, plan: Plan, trace: Trace, clock: Clock, cards: tuple[Mapping[str, int], Mapping[str, str]]) -> None:
        super().__init__()
        self._plan, self._trace, self._clock = plan, trace, clock
        self._numbers, self._kinds = cards
        self._visits: Counter[tuple[str, Role]] = Counter()
        self.storm = True
        self.bad: Counter[str] = Counter()
        """By work item: visits that could have been charged to it."""

    def reader(self, request: AgentRequest) -> AgentReader:
        visit = self._visits[request.work_item, request.role]
        self._visits[request.work_item, request.role] += 1
        card = self._numbers.get(request.work_item, request.work_item)
        luck = draw(self._plan.seed, "agent", card, request.role, visit)
        step = replace(self._good(request, visit), seconds=luck.uniform(1, 45))
        if self.storm and visit < TROUBLED_VISITS and luck.random() < self._plan.trouble:
            step = self._bad(request, step, luck)
        self.steps[str(int(request.run))] = step
        return FakeReader(step)

    def _good(self, request: AgentRequest, visit: int) -> Step:
        step = default_step(request.role, request)
        if request.role is not Role.DEVELOPER:
            return step
        files: dict[str, str | None] = {**step.files}
        kind = self._kinds.get(request.work_item, "")
        if kind == "clash":
            files["shared.py"] = f"{request.work_item}, visit {visit}\n"
        if kind == "pair" and visit == 0:
            files[f"pair-{request.work_item}.py"] = "half of a pair\n"
        elif kind == "pair":
            files[f"pair-{request.work_item}.py"] = "mended\n"
        return replace(step, files=files)

    def _bad(self, request: AgentRequest, step: Step, luck: Random) -> Step:
        way = luck.choice(BAD_WAYS)
        self._trace.note("bad agent", request.work_item, request.role, way, by="agent")
        if way not in ("slow", "limited"):
            self.bad[request.work_item] += 1
        match way:
            case "outcome":
                return replace(step, outcome=luck.choice(BAD_OUTCOMES))
            case "nothing":
                return replace(step, files={}, artefacts={})
            case "slow":
                return replace(step, seconds=luck.uniform(300, 2000))
            case "limited":
                until = self._clock.now() + timedelta(seconds=luck.choice((60, 600)))
                return replace(step, result=AgentResult(outcome=Outcome.RATE_LIMITED, detail="limit", until=until))
            case "denied":
                return replace(step, outcome=Outcome.PERMISSION_DENIED)
            case "outside":
                return replace(step, files={**step.files, "elsewhere.py": "not its own\n"})
            case "refuse":
                return self._refuse(request, step, luck)
            case _:
                return replace(step, artefacts=dict.fromkeys(step.artefacts, "---\nverdict: [\n---\n") or {"rubbish.md": "x"})

    def _refuse(self, request: AgentRequest, step: Step, luck: Random) -> Step:
        match request.role:
            case Role.ANALYST:
                return replace(step, artefacts={"questions.md": "Which one?\n"})
            case Role.REVIEWER:
                return replace(step, artefacts={"07-review.md": verdict("changes_requested", "No test")})
            case Role.TESTER:
                return replace(step, artefacts={"08-test-report.md": verdict("fail", "It fails")})
            case Role.DEVELOPER:
                return replace(step, files={**step.files, f"{request.work_item}.py": f"RED {luck.random()}\n"})
            case _:
                return step


class SimProcesses(FakeProcesses):
    """Every start and end of an agent is seen."""

    def __init__(self, agent: FakeAgent, workspaces: Callable[[TaskRow], FakeWorkspace], faults: Faults, trace: Trace) -> None:
        super().__init__(agent, workspaces, faults)
        self.trace = trace

    async def run(self, spec: ProcessSpec, reader: LineReader | None = None) -> ProcessEnd:
        request = self._agent.requests[spec.run_label]
        self.trace.note("agent starts", int(request.task), int(request.run), request.work_item, request.role)
        try:
            return await super().run(spec, reader)
        finally:
            self.trace.note("agent ends", int(request.task), int(request.run), request.work_item, request.role)


class SimCommands(FakeCommands):
    """Commands whose slots are counted; a flaky or broken run is drawn, and what passed for real is remembered by tree."""

    def __init__(self, plan: Plan, trace: Trace, mirrors: Callable[[], Iterable[FakeMirror]], faults: Faults) -> None:
        super().__init__(mirrors, faults)
        self.plan, self.trace = plan, trace
        self.storm = True
        self.green: set[Sha] = set()
        """Trees that passed."""
        self._times: Counter[str] = Counter()
        self.rule = is_sound
        self.seconds = 15.0

    def _judge(self, sha: str) -> CommandReport:
        tree = tree_of(self._holder(sha), Sha(sha))
        visit = self._times[tree]
        self._times[tree] += 1
        luck = draw(self.plan.seed, "command", tree, visit)
        if self.storm and luck.random() < self.plan.trouble / 4:
            verdict_ = luck.choice((CommandVerdict.RED, CommandVerdict.INFRA, CommandVerdict.TIMEOUT))
            self.trace.note("flaky command", sha[:8], verdict_, by="command")
            return CommandReport(verdict=verdict_, tail="it just did not work", seconds=self.seconds, exit_code=1)
        report = super()._judge(sha)
        if report.verdict is CommandVerdict.GREEN:
            self.green.add(tree)
        self.trace.note("tested", sha[:8], report.verdict, by="command")
        return report

    def _holder(self, sha: str) -> Repository:
        return next(mirror.repository for mirror in self._mirrors() if sha in mirror.repository.commits)


def is_sound(files: Mapping[str, str]) -> bool:
    """Say whether a tree passes: nothing red in it, and not two halves of a broken pair."""
    halves = [name for name, text in files.items() if name.startswith("pair-") and "half" in text]
    return len(halves) < 2 and not any("RED" in text for text in files.values())


class SimWorkspace(FakeWorkspace):
    """As the real one after a crash: what an interrupted run left is archived first; a continuation goes on from there."""

    def __init__(
        self, mirror: FakeMirror, faults: Faults, may_push: Callable[[WorkspaceSpec], Awaitable[bool]], trace: Trace
    ) -> None:
        super().__init__(mirror, faults, may_push)
        self.trace = trace
        self._begun: dict[RunId, tuple[Sha | None, Prepared]] = {}

    async def prepare(self, spec: WorkspaceSpec) -> Prepared:
        self._free(spec.task)
        known = self._begun.get(spec.continues) if spec.continues is not None else None
        if spec.mode is RunMode.CONTINUATION and (known is None or known[0] != spec.head):
            spec, known = replace(spec, mode=RunMode.NEW_ATTEMPT), None
        try:
            prepared = await super().prepare(spec)
        finally:
            if self._open.get(spec.task) == spec.run:
                self.trace.note("prepared", int(spec.task), int(spec.run))
        if known is not None:
            prepared = replace(prepared, start_head=known[1].start_head, base=known[1].base, merged=known[1].merged)
        self._begun[spec.run] = (spec.head, prepared)
        return prepared

    async def remove(self, task: TaskRow) -> None:
        self._free(task)
        await super().remove(task)

    def _free(self, task: TaskRow) -> None:
        """Archive what a run that a crash cut off has left."""
        left = self._open.pop(task, None)
        if left is not None:
            self.archives[left] = dict(self._changes.get(task, {}))
            self._faults.wrote("archive", str(int(left)))


class SimDeploys:
    """The ``Deploys`` port over the fake's: each try's end is drawn, and every launch is seen."""

    def __init__(self, inner: FakeDeploys, plan: Plan, trace: Trace) -> None:
        self._inner, self._plan, self._trace = inner, plan, trace
        self.storm = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def launch(self, order: DeployOrder) -> None:
        luck = draw(self._plan.seed, "deploy", order.sha, order.number)
        self._inner.seconds = luck.uniform(1, 120)
        code = luck.choice((75, 1, 3, None)) if self.storm and luck.random() < self._plan.trouble / 2 else 0
        self._inner.codes.clear()
        self._inner.codes.append(code)
        known = (order.deploy, order.number) in self._inner.tries
        try:
            await self._inner.launch(order)
        finally:
            if not known and (order.deploy, order.number) in self._inner.tries:
                self._trace.note("deploy", int(order.deploy), order.number, order.sha, code)
