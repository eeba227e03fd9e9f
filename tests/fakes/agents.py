"""Fakes of everything that runs: the agent's adapter and process, the projects' commands, prompts, chat.

A script says what each visit of a role leaves behind: ``Step``. Without a script a role does what a well-behaved agent would.
Rule: an end that a test did not ask for (two live processes of one task, say) fails the test.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import anyio

from orch.core.effects import Alert
from orch.core.ids import ProjectName, RunId, TaskRow, artefact_dir
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import AgentResult, Figures, Outcome, RoleSettings, Survivor, Usage
from orch.core.stages import Role
from orch.ports import AgentReader, AgentRequest, LineReader, ProcessEnd, ProcessSpec, PromptContext
from orch.rehearsal.faults import Faults
from tests.fakes.git import FakeMirror, FakeWorkspace

KILL_S = 0.5
"""How long a process tree takes to die after its scope was cancelled."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One visit: *artefacts* are named inside the artefact folder, *hang* waits until it is cancelled."""

    files: Mapping[str, str | None] = field(default_factory=dict)
    artefacts: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome = Outcome.SUCCEEDED
    seconds: float = 1.0
    hang: bool = False
    error: Exception | None = None
    cost_usd: float = 0.0
    result: AgentResult | None = None
    spends: Sequence[tuple[float, float]] = ()
    """What it tells while it goes on: so many seconds after its start, its own cost so far."""
    usage: Usage = Usage()
    """The tokens that it tells with that."""


def verdict(word: str, *titles: str) -> str:
    """Return a verdict file's text."""
    findings = "".join(f"\n  - title: {title}" for title in titles) or " []"
    return f"---\nverdict: {word}\nfindings:{findings}\n---\nRead.\n"


def default_step(role: Role, request: AgentRequest) -> Step:
    match role:
        case Role.ANALYST:
            return Step(artefacts={"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"})
        case Role.ARCHITECT:
            return Step(artefacts={"06-adr/ADR-001-how.md": "# How\n"})
        case Role.DEVELOPER:
            return Step(files={f"{request.work_item}.py": f"run {int(request.run)}\n"})
        case Role.REVIEWER:
            return Step(artefacts={"07-review.md": verdict("approved")})
        case Role.TESTER:
            return Step(artefacts={"08-test-report.md": verdict("pass")})
        case _:
            raise AssertionError(f"no agent is expected as {role}")


class FakeReader:
    tool_open = False
    finished = False
    usage = Usage()

    def __init__(self, step: Step) -> None:
        self._step = step
        self._began = anyio.current_time()

    @property
    def figures(self) -> Figures:
        passed = anyio.current_time() - self._began
        told = [usd for seconds, usd in self._step.spends if seconds <= passed]
        return Figures(cost_usd=told[-1], usage=self._step.usage) if told else Figures()

    def feed(self, line: bytes) -> None:
        raise AssertionError("the fake process prints nothing")

    def result(self, end: ProcessEnd) -> AgentResult:
        step = self._step
        return step.result or AgentResult(outcome=step.outcome, detail=step.outcome.value, cost_usd=step.cost_usd)


class FakeAgent:
    """The ``AgentAdapter`` port: takes the next step of (work item, role) for each request."""

    name = "scripted"

    def __init__(self) -> None:
        self._script: dict[tuple[str, Role], deque[Step]] = {}
        self.requests: dict[str, AgentRequest] = {}
        self.steps: dict[str, Step] = {}
        self.missing: str | None = None

    def script(self, work_item: str, role: Role, *steps: Step) -> None:
        """Say what the next visits do; after the last one the role behaves as by default."""
        self._script.setdefault((work_item, role), deque()).extend(steps)

    def check(self, settings: RoleSettings) -> str | None:
        return self.missing

    def command(self, request: AgentRequest) -> ProcessSpec:
        label = str(int(request.run))
        self.requests[label] = request
        return ProcessSpec(
            argv=("agent",), cwd=request.worktree, env={}, log_path=request.log_path, run_timeout_s=1, grace_s=1, run_label=label
        )

    def reader(self, request: AgentRequest) -> AgentReader:
        steps = self._script.get((request.work_item, request.role))
        step = steps.popleft() if steps else default_step(request.role, request)
        self.steps[str(int(request.run))] = step
        return FakeReader(step)

    def visits(self, role: Role) -> list[AgentRequest]:
        return [request for request in self.requests.values() if request.role is role]


class FakeProcesses:
    """The ``Processes`` port: plays the agent's step; a cancelled process takes ``KILL_S`` to die."""

    def __init__(self, agent: FakeAgent, workspaces: Callable[[TaskRow], FakeWorkspace], faults: Faults) -> None:
        self._agent = agent
        self._workspaces = workspaces
        self._faults = faults
        self.live: Counter[TaskRow] = Counter()
        self.peak = 0
        self.killed: list[RunId] = []
        self.survivors: dict[str, tuple[Survivor, ...]] = {}
        """By label: processes that nothing ends."""
        self.dead: set[int] = set()
        """Those of them that are gone after all."""
        self.started: list[RunId] = []

    async def run(self, spec: ProcessSpec, reader: LineReader | None = None) -> ProcessEnd:
        request, step = self._agent.requests[spec.run_label], self._agent.steps[spec.run_label]
        self.live[request.task] += 1
        self.peak = max(self.peak, self.live.total())
        self.started.append(request.run)
        assert self.live[request.task] == 1, f"two live agents of task {request.task}"
        try:
            return await self._play(request, step)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(10, shield=True):
                await anyio.sleep(KILL_S)
            self.killed.append(request.run)
            raise
        finally:
            self.live[request.task] -= 1

    async def _play(self, request: AgentRequest, step: Step) -> ProcessEnd:
        async with self._faults.at("processes.run"):
            folder = artefact_dir(request.work_item)
            made = {**step.files, **{f"{folder}/{name}": text for name, text in step.artefacts.items()}}
            self._workspaces(request.task).leave(request.task, made)
            await anyio.sleep(step.seconds)
            if step.hang:
                await anyio.sleep_forever()
            if step.error is not None:
                raise step.error
            left = self.living([str(int(request.run))])
            return ProcessEnd(ending="exited", exit_code=0, stderr_tail="", seconds=step.seconds, survivors=left)

    async def kill_orphans(self, labels: Iterable[str] | None = None) -> list[int]:
        return []

    def living(self, labels: Iterable[str], known: Iterable[Survivor] = ()) -> tuple[Survivor, ...]:
        remembered = [each for label in labels for each in self.survivors.get(label, ())]
        return tuple(dict.fromkeys(each for each in (*known, *remembered) if each.pid not in self.dead))


Rule = Callable[[Mapping[str, str]], bool]


class FakeCommands:
    """The ``Commands`` port on the fake mirrors' checkouts.

    *rule* says of a tree's files whether the command is green; *reports* are given to the next runs in its place.
    """

    def __init__(self, mirrors: Callable[[], Iterable[FakeMirror]], faults: Faults) -> None:
        self._mirrors = mirrors
        self._faults = faults
        self.rule: Rule = lambda files: not any("RED" in text for text in files.values())
        self.reports: deque[CommandReport] = deque()
        self.seconds = 2.0
        self.tools = "as it always was"
        self.calls: list[tuple[tuple[str, ...], str]] = []
        self.tested: list[str] = []
        self.running = 0
        self.peak = 0
        self.without_slot: frozenset[tuple[str, ...]] = frozenset()
        """Commands that wait for no slot: they are not counted among those that run."""
        self.cancelled = 0

    def toolchain(self, *commands: Sequence[str]) -> str:
        return self.tools

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        timeout_s: float,
        label: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        project: ProjectName | None = None,
    ) -> CommandReport:
        self.calls.append((tuple(argv), cwd.name))
        takes_slot = tuple(argv) not in self.without_slot
        self.running += takes_slot
        self.peak = max(self.peak, self.running)
        try:
            async with self._faults.at("commands.run"):
                await anyio.sleep(self.seconds)
                return self.reports.popleft() if self.reports else self._judge(cwd.name)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.running -= takes_slot

    def _judge(self, sha: str) -> CommandReport:
        files = next(
            commit.files for mirror in self._mirrors() for commit in mirror.repository.commits.values() if commit.sha == sha
        )
        green = self.rule(files)
        self.tested.append(sha)
        verdict = CommandVerdict.GREEN if green else CommandVerdict.RED
        return CommandReport(
            verdict=verdict, tail="" if green else "FAILED tests", seconds=self.seconds, exit_code=0 if green else 1
        )


class FakePrompts:
    """The ``Prompts`` port: keeps what each prompt was made from."""

    def __init__(self) -> None:
        self.contexts: list[PromptContext] = []
        self.error: Exception | None = None

    def render(self, context: PromptContext) -> str:
        if self.error is not None:
            raise self.error
        self.contexts.append(context)
        return f"{context.role} of {context.work_item}\n"

    def of(self, role: Role) -> list[PromptContext]:
        return [context for context in self.contexts if context.role is role]


class FakeNotifier:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.alerts: list[Alert] = []

    async def alert(self, project: ProjectName, alert: Alert) -> None:
        async with self._faults.at("notifier.alert"):
            self.alerts.append(alert)
            self._faults.wrote("alert", alert.kind)
