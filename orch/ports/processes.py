"""Ports of processes and agents: the one place that starts and kills, and what turns an agent's output into an outcome.

Rule: on every end no descendant is left alive; an outcome is one of the closed set.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, final

from orch.core.ids import (
    Branch,
    ProjectName,
    RunId,
    TaskRow,
    WorkItemId,
)
from orch.core.messages import CommandReport
from orch.core.model import (
    AgentResult,
    BoardComment,
    Feedback,
    Figures,
    Limits,
    Project,
    RoleSettings,
    RunMode,
    Survivor,
    Usage,
)
from orch.core.stages import Role, Stage
from orch.ports.git import MergedMain


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What a sandboxed process may reach beside the system itself, which it may read.

    *write* are folders, the working directory and the home directory among them. *read* are files and folders that would be
    hidden otherwise. What *project* may read (its mirror's objects, its ``sandbox_read``) is added by whoever runs it.
    """

    project: ProjectName | None = None
    write: tuple[Path, ...] = ()
    read: tuple[Path, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One process tree to run under the shim. Output goes to *log_path*, at most *log_cap* bytes of it."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    """The whole environment; nothing is inherited."""
    log_path: Path
    run_timeout_s: float
    grace_s: float
    stdin_path: Path | None = None
    stall_timeout_s: float | None = None
    tool_timeout_s: float | None = None
    log_cap: int = 20_000_000
    run_label: str = ""
    """Value of ``ORCH_RUN_ID`` in every process of the tree."""
    sandbox: SandboxSpec | None = None
    """None: the daemon's own business, never sandboxed. Where there is no sandbox on this machine it changes nothing."""


ProcessEnding = Literal["exited", "timed_out", "stalled", "hung_after_result"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnd:
    """*exit_code* is negative for a signal. *survivors* are processes that could not be killed (normally none).

    A sandbox tells a signal only in the shell's way, so 128 + a signal's number counts as that signal there.
    """

    ending: ProcessEnding
    exit_code: int
    stderr_tail: str
    seconds: float
    survivors: tuple[Survivor, ...] = ()


class LineReader(Protocol):
    """Follows a process's standard output line by line."""

    @property
    def tool_open(self) -> bool:
        """Whether a tool call is open: silence is then bounded by the tool time-out."""

    @property
    def finished(self) -> bool:
        """Whether the last line that matters was read: the process gets ten more seconds."""

    def feed(self, line: bytes) -> None:
        """Take one line without its newline; never raises."""


class Processes(Protocol):
    """The one place that starts and kills."""

    async def run(self, spec: ProcessSpec, reader: LineReader | None = None) -> ProcessEnd:
        """Run to the end. On every end, cancellation included, no descendant is left alive (a shielded, bounded sweep).

        Raises AgentError when the program cannot be started.
        """

    async def kill_orphans(self, labels: Iterable[str] | None = None) -> list[int]:
        """Kill process trees left by an earlier daemon (found by ``ORCH_RUN_ID``); return the pids that were ended."""

    def living(self, labels: Iterable[str], known: Iterable[Survivor] = ()) -> tuple[Survivor, ...]:
        """Return those that could not be ended and live yet: of the runs with *labels* as far as remembered, and of *known*."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRequest:
    """What an agent is asked to do. *session* is the one to continue, or None for a new one."""

    run: RunId
    task: TaskRow
    work_item: WorkItemId
    role: Role
    stage: Stage
    mode: RunMode
    prompt_path: Path
    worktree: Path
    home: Path
    log_path: Path
    artefact_dir: str
    session: str | None
    settings: RoleSettings
    limits: Limits
    turns_left: int | None = None
    budget_left_usd: float | None = None
    """What this one run may cost: the least of its role's cap and of what is left of its task's and its day's budget."""
    session_total_usd: float | None = None
    """What *session* had cost before, by its own reports."""
    project: ProjectName | None = None


class AgentReader(LineReader, Protocol):
    """Reads one run's output to its outcome."""

    @property
    def usage(self) -> Usage: ...

    @property
    def figures(self) -> Figures:
        """What the run has told so far; read while it goes on."""

    def result(self, end: ProcessEnd) -> AgentResult:
        """Return the outcome; total: every combination of output and exit gives one."""


class AgentAdapter(Protocol):
    """One kind of agent."""

    name: str

    def check(self, settings: RoleSettings) -> str | None:
        """Return one line that says what is missing and what to do, or None when the agent can be started."""

    def command(self, request: AgentRequest) -> ProcessSpec: ...

    def reader(self, request: AgentRequest) -> AgentReader: ...


class Commands(Protocol):
    """Runs a project's own commands (setup, test, staging, roll-back) in a directory."""

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
        """Exit 0 is green, another code red; a time-out, a kill from outside or a start that failed are told apart.

        *project* is whose code the command runs: it is sandboxed as that project's. None: the operator's own command.
        """

    def toolchain(self, *commands: Sequence[str]) -> str:
        """Return what the outcome of *commands* depends on beside the tree, in a few lines that change when it does.

        The host's system and kernel, the search path, whether a sandbox is in force, and each named program's file.
        """


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What one probe saw. *detail* is a sentence for people: the answer's status, the exit code, what was in the way."""

    ok: bool
    detail: str = ""


class Probe(Protocol):
    """Looks at what is deployed, by the project's ``monitor`` settings."""

    async def probe(self, project: Project) -> ProbeResult:
        """Look once; bounded, and never raises: what cannot be reached is not ok. Without a monitor it is ok."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """Everything that a role's template may name. Board text is untrusted and is quoted by the template."""

    work_item: WorkItemId
    title: str
    description: str
    role: Role
    stage: Stage
    branch: Branch
    artefact_dir: str
    gate: str
    language: str
    mode: RunMode
    feedback: Feedback
    comments: Sequence[BoardComment] = ()
    artefacts: Mapping[str, str] = field(default_factory=dict)
    test_command: str = ""
    default_branch: str = "main"
    edit: str = ""
    """What was changed on the card since the task began, as a unified diff; empty for nothing."""
    merged: MergedMain | None = None
    """Set where the run starts from a merge of the default branch, which the daemon made."""


class Prompts(Protocol):
    def render(self, context: PromptContext) -> str:
        """Return the prompt's text; raises ConfigError when a template names an unknown variable."""


class Paths(Protocol):
    """Where things of a run lie in the data directory."""

    def run_dir(self, run: RunId) -> Path:
        """Return the run's own folder (prompt, log), made if need be."""
