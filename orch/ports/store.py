"""The store's port: one writer, plain calls inside one transaction, and the claim rule.

Rule: *work* given to the store is a plain function of a ``Tx``; it may run on another thread and waits for nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar, final

from orch.core.accounting import SpendRow
from orch.core.ids import (
    ActivityId,
    Branch,
    DeployId,
    InboxId,
    IntentId,
    IssueId,
    JobId,
    OutboxId,
    ProjectName,
    RunId,
    Sha,
    TaskRow,
)
from orch.core.model import (
    Account,
    Activity,
    Awaiting,
    BoardComment,
    BoardIssue,
    Candidate,
    Census,
    CheckRow,
    CommitStatus,
    DayBudget,
    Deploy,
    Figures,
    Freeze,
    InboxRow,
    Intent,
    IntentKind,
    IntentState,
    Job,
    JobState,
    Limits,
    MergeLease,
    NewJob,
    NewOutbox,
    NewTask,
    OutboxRow,
    ParkReason,
    PullRequest,
    ReasonAsked,
    Repo,
    RowState,
    Run,
    RunKind,
    RunMode,
    Survivor,
    Target,
    Task,
    Tracker,
    TrainRow,
    Transition,
    Unexplained,
    Verdict,
    Watch,
)
from orch.core.serial_gate import Standing
from orch.core.stages import Role, Stage
from orch.core.statuses import BoardState
from orch.ports.retention import RetentionTables

T = TypeVar("T")


class TaskTables(Protocol):
    """Tasks, their history and verdicts. Plain calls inside one transaction."""

    def insert_task(self, new: NewTask) -> Task | None:
        """Make a task, or return None when the issue has a live (not terminal) one.

        The work item id takes ``sequence`` or, when an uncancelled task of the project has that id, the next free number.
        The branch takes the slug, and a number behind it while an uncancelled task has that name.
        """

    def load_task(self, row: TaskRow) -> Task | None: ...

    def live_task(self, project: ProjectName, issue: IssueId) -> Task | None:
        """Return the issue's task that is not terminal."""

    def newest_task(self, project: ProjectName, issue: IssueId) -> Task | None: ...

    def find_task(self, name: str) -> Task | None:
        """Return the newest task whose work item id or issue id is *name* (case does not matter)."""

    def save_task(self, task: Task) -> None:
        """Write every field of the task's row."""

    def list_tasks(
        self,
        *,
        project: ProjectName | None = None,
        live: bool | None = None,
        awaiting: Collection[Awaiting] | None = None,
        parked: ParkReason | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> list[Task]:
        """Return tasks in row order; *live* True for those not terminal, False for the others, None for all.

        *awaiting* keeps those that wait for one of these, *parked* those that are parked for that reason.
        """

    def unswept(self) -> list[Task]:
        """Return the terminal tasks that have not been cleaned up after yet."""

    def end_sweep(self, row: TaskRow) -> None:
        """Mark a terminal task as cleaned up. A cancelled one's issue id, work item id and branch get the suffix
        ``#cancelled-<n>`` (what stands before it is the original), so that nothing late can name what is a new task's.
        """

    def next_train_seq(self, project: ProjectName) -> int: ...

    def landing_queue(self, project: ProjectName) -> list[Task]:
        """Return the un-parked tasks with a place in the landing queue: exempt ones first, then by ``train_seq``."""

    def add_transition(self, transition: Transition) -> None: ...

    def list_transitions(self, row: TaskRow) -> list[Transition]: ...

    def save_verdict(self, verdict: Verdict) -> None: ...

    def latest_verdict(self, row: TaskRow, stage: Stage) -> Verdict | None: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A job that a slot now holds: its run exists, the task's attempt has grown."""

    job: Job
    run: Run
    task: Task


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToClaim:
    """*due_at* is when the earliest delayed job becomes claimable, where there is one."""

    due_at: datetime | None


class JobTables(Protocol):
    """Jobs and runs."""

    def add_job(self, new: NewJob) -> Job | None:
        """Queue a job, or return None when the task already has an active (queued or running) one."""

    def load_job(self, job: JobId) -> Job | None: ...

    def active_job(self, row: TaskRow) -> Job | None: ...

    def list_jobs(self, *, state: JobState | None = None, task: TaskRow | None = None, limit: int = 1000) -> list[Job]: ...

    def claim_job(
        self, now: datetime, limits: Limits, closed: Collection[tuple[ProjectName, Role]] = ()
    ) -> Claimed | NothingToClaim:
        """Claim the first admitted job by the claim rule, without network, in this transaction.

        A queued job is admitted when it is due; its task is un-parked, not terminal and not cancel-requested; the project is
        not paused; a task that has not entered (no job of it was ever claimed, and it is in analysis) is exempt, or its project
        is not frozen and, where it is one of ``limits.serial_gate``, no earlier task holds it; every dependency of its issue is
        terminal (while ``limits.task_deps_enabled``): the newest task of that issue is done or cancelled, or, where the
        issue never had a task, the local board shows it in a completed or cancelled group; fewer than
        ``max_concurrency_per_repo`` agent runs of its project are running. Order: priority, then id.
        Jobs of *closed* roles of projects wait (their account is paused).
        Claiming sets the job to running, adds one to the task's attempt and inserts the run (kind ``agent``).
        """

    def end_job(self, job: JobId, state: JobState) -> None: ...

    def requeue_job(self, job: JobId, *, mode: RunMode, not_before: datetime | None, at: datetime) -> None:
        """Put a running job back into the queue, keeping its place."""

    def expedite_job(self, row: TaskRow, priority: int) -> None:
        """Give the task's queued job at least this priority."""

    def load_standings(self, project: ProjectName, limits: Limits) -> list[Standing]:
        """Return the live tasks that decide who may enter *project* now, as the serial gate sees them.

        Of those that have not entered and that nobody inside waits for, only the first is among them that waits for no
        dependency: it holds all behind it.
        """

    def cancel_jobs(self, row: TaskRow, at: datetime) -> int: ...

    def start_run(self, task: Task, *, kind: RunKind, job: JobId | None, role: Role | None, at: datetime) -> Run: ...

    def load_run(self, run: RunId) -> Run | None: ...

    def save_run(self, run: Run) -> bool:
        """Write a run; False, and nothing written, when it has already ended or its attempt is not the task's current one."""

    def list_runs(self, *, task: TaskRow | None = None, running: bool = False, limit: int = 1000) -> list[Run]: ...

    def session_total(self, row: TaskRow, session: str, *, before: RunId | None = None) -> float:
        """Return the greatest ``session_cost_usd`` stored for that session of that task (by runs *before* one), 0.0 for none."""


class QueueTables(Protocol):
    """Inbox, handled activity, outbox."""

    def add_inbox(self, source: str, body: bytes, at: datetime) -> InboxId: ...

    def pending_inbox(self, limit: int = 500) -> list[InboxRow]: ...

    def mark_inbox(self, row: InboxId, state: RowState, error: str = "") -> None: ...

    def unhandled(self, project: ProjectName, entries: Iterable[ActivityId]) -> set[ActivityId]:
        """Return those of *entries* that were not handled yet."""

    def mark_handled(self, project: ProjectName, entries: Iterable[ActivityId], at: datetime) -> None: ...

    def add_outbox(self, new: NewOutbox) -> OutboxId | None:
        """Add a row, or return None when *key* exists. A ``SetStatus`` row voids the task's older pending ones."""

    def due_outbox(self, now: datetime, limit: int = 50, *, but: Target | None = None) -> list[OutboxRow]:
        """Return for each (task, target) its first pending row, if due; none of target *but*."""

    def next_outbox_due(self) -> datetime | None: ...

    def end_outbox(self, row: OutboxId, state: RowState, error: str = "") -> None: ...

    def retry_outbox(self, row: OutboxId, due_at: datetime, error: str) -> None:
        """Count a failed try and set when to try again."""

    def list_outbox(self, *, state: RowState | None = None, task: TaskRow | None = None, limit: int = 200) -> list[OutboxRow]: ...


class RepoTables(Protocol):
    """Projects' runtime state, dependencies, freezes, leases, intents."""

    def load_repo(self, project: ProjectName) -> Repo:
        """Return the project's state, a fresh one when it was never saved."""

    def save_repo(self, repo: Repo) -> None:
        """Write everything but the freeze."""

    def set_freeze(self, freeze: Freeze) -> None: ...

    def lift_freeze(self, project: ProjectName) -> None: ...

    def load_states(self, project: ProjectName) -> list[BoardState]:
        """Return the last good list of the board's columns."""

    def save_states(self, project: ProjectName, states: Sequence[BoardState]) -> None: ...

    def add_dependency(self, project: ProjectName, issue: IssueId, on: IssueId, at: datetime) -> list[IssueId] | None:
        """Declare that *issue* waits for *on*; or return, and declare nothing, the cycle that this would close."""

    def remove_dependency(self, project: ProjectName, issue: IssueId, on: IssueId) -> bool: ...

    def dependencies(self, project: ProjectName, issue: IssueId) -> list[IssueId]: ...

    def dependents(self, project: ProjectName, issue: IssueId) -> list[IssueId]: ...

    def open_dependencies(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        """Return those dependencies that are not terminal by the claim rule."""

    def set_relations(self, project: ProjectName, issue: IssueId, on: Mapping[IssueId, bool], at: datetime) -> bool:
        """Make *on* what the board says that *issue* waits for, each with whether its card is closed; say whether that is new.

        What was declared here stays. No cycle is refused: the board has it already.
        """

    def relations(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        """Return those dependencies of *issue* that came from the board alone."""

    def drop_relations(self, project: ProjectName) -> bool:
        """Forget every dependency that came from the board; say whether there was any."""

    def note_closed(self, project: ProjectName, issue: IssueId, *, closed: bool) -> bool:
        """Note for whoever waits for *issue* whether its card is closed, which counts while it has no task.

        Say whether that is new.
        """

    def open_edges(self, project: ProjectName) -> dict[IssueId, list[IssueId]]:
        """Return whom each issue of the project still waits for."""

    def awaiting_entry(self, project: ProjectName) -> list[IssueId]:
        """Return the issues of the live tasks that have not begun, or that something from the board still holds."""

    def take_lease(self, project: ProjectName, holder: str) -> MergeLease:
        """Take the repo's lease over: the epoch grows by one and every older lease is lost."""

    def check_lease(self, lease: MergeLease) -> None:
        """Raise LeaseLost unless *lease* is the current one."""

    def add_intent(
        self, kind: IntentKind, lease: MergeLease, *, candidate: Candidate | None, task: TaskRow | None, at: datetime
    ) -> Intent: ...

    def end_intent(self, intent: IntentId, state: IntentState) -> None: ...

    def open_intents(self, project: ProjectName | None = None) -> list[Intent]: ...

    def landing_of(self, task: Task) -> Candidate | None:
        """Return the candidate that brought *task* to the default branch; None where no landing of ours did."""


class TrainTables(Protocol):
    """The merge train's checks, and what its planner remembers."""

    def add_check(self, check: CheckRow) -> CheckRow:
        """Insert a check that begins (its *id* is ignored) and return it with its id."""

    def end_check(self, check: CheckRow) -> bool:
        """Write verdict, tail, log, seconds and end; False, and nothing written, when it has one already."""

    def list_checks(
        self, project: ProjectName, *, trees: Collection[Sha] | None = None, running: bool = False, limit: int = 1000
    ) -> list[CheckRow]:
        """Return checks, oldest first: those on *trees*, those still running, or (neither given) the newest *limit*."""

    def load_train(self, project: ProjectName) -> TrainRow:
        """Return what the project's planner remembers, a fresh row when it was never saved."""

    def save_train(self, train: TrainRow) -> None: ...

    def next_landed_seq(self, project: ProjectName) -> int: ...


class DeployTables(Protocol):
    """Deploys and watches. A project's one running deploy is its deploy slot."""

    def begin_deploy(self, deploy: Deploy) -> Deploy | None:
        """Insert a running deploy (its *id* is ignored); None, and nothing written, when one of the project is running."""

    def load_deploy(self, deploy: DeployId) -> Deploy | None: ...

    def save_deploy(self, deploy: Deploy) -> bool:
        """Write a deploy's row; False, and nothing written, when it has ended already."""

    def running_deploys(self, project: ProjectName | None = None) -> list[Deploy]: ...

    def last_deployed(self, project: ProjectName) -> Deploy | None:
        """Return the newest deploy that succeeded."""

    def undeployed(self, project: ProjectName) -> list[Task]:
        """Return the tasks at deploy, and those stopped after their landing, that no deploy has brought into production."""

    def list_deploys(self, *, project: ProjectName | None = None, task: TaskRow | None = None, limit: int = 100) -> list[Deploy]:
        """Return deploys, newest first."""

    def save_watch(self, watch: Watch) -> None:
        """Write the watch of one deploy."""

    def load_watch(self, project: ProjectName) -> Watch | None:
        """Return the project's newest watch."""

    def watch_of(self, row: TaskRow) -> Watch | None:
        """Return the newest watch of what the task brought."""

    def open_watches(self) -> list[Watch]: ...


class ControlTables(Protocol):
    """Columns that no log explains, and processes that could not be ended."""

    def load_unexplained(self, project: ProjectName, issue: IssueId) -> Unexplained | None: ...

    def list_unexplained(self, project: ProjectName) -> list[Unexplained]: ...

    def save_unexplained(self, seen: Unexplained) -> None: ...

    def drop_unexplained(self, project: ProjectName, issue: IssueId) -> None: ...

    def save_survivors(self, row: TaskRow, survivors: Iterable[Survivor]) -> None:
        """Keep exactly these as the task's processes that could not be ended."""

    def list_survivors(self, row: TaskRow | None = None) -> dict[TaskRow, list[Survivor]]:
        """Return by task the processes that could not be ended, of one task or of all."""


class ChatTables(Protocol):
    """The chat: each task's live message, reasons that were asked for, the updates' offset, where a chat went."""

    def load_tracker(self, row: TaskRow) -> Tracker | None: ...

    def save_tracker(self, tracker: Tracker) -> None:
        """Write the task's one tracker."""

    def open_trackers(self) -> list[TaskRow]:
        """Return the tasks whose tracker does not show their end."""

    def save_reason_asked(self, asked: ReasonAsked) -> None: ...

    def load_reason_asked(self, chat: str, message: int) -> ReasonAsked | None: ...

    def drop_reason_asked(self, chat: str, message: int, older_than: datetime) -> None:
        """Forget one question, and all that were asked before *older_than*."""

    def load_chat_offset(self, bot: str) -> int:
        """Return the number of the first update of *bot* that was not handled, 0 where none ever was."""

    def save_chat_offset(self, bot: str, offset: int) -> None: ...

    def chat_address(self, chat: str) -> str:
        """Return where a chat went that got another id, itself where it did not."""

    def save_chat_move(self, chat: str, target: str) -> None: ...


class LocalTables(Protocol):
    """The local board's issues, comments and activity; the local forge's pull requests and statuses."""

    def insert_issue(self, issue: BoardIssue) -> None: ...

    def next_issue_sequence(self, project: ProjectName) -> int: ...

    def load_issue(self, issue: IssueId) -> BoardIssue | None:
        """Return the local board's issue; case of the key does not matter."""

    def list_issues(self, project: ProjectName | None = None, limit: int = 1000) -> list[BoardIssue]: ...

    def move_issue(self, issue: IssueId, state_id: str, activity: Activity) -> None:
        """Set the column and append the activity entry."""

    def archive_issue(self, issue: IssueId, at: datetime, *, archived: bool) -> None:
        """Put the local board's card away, or bring it back."""

    def list_activities(self, issue: IssueId) -> list[Activity]: ...

    def issue_of_activity(self, activity: ActivityId) -> IssueId | None:
        """Return the local board's issue that an entry belongs to."""

    def insert_comment(self, comment: BoardComment, key: str) -> bool:
        """Add a comment; False when *key* (not empty) exists."""

    def list_comments(self, issue: IssueId) -> list[BoardComment]: ...

    def insert_pull_request(
        self, project: ProjectName, branch: Branch, base: str, title: str, body: str, at: datetime
    ) -> PullRequest: ...

    def load_pull_request(self, project: ProjectName, number: int) -> PullRequest | None: ...

    def open_pull_request_of(self, project: ProjectName, branch: Branch, base: str) -> PullRequest | None: ...

    def list_pull_requests(self, project: ProjectName, base: str) -> list[PullRequest]:
        """Return the pull requests onto *base*, newest first."""

    def save_pull_request(self, pull: PullRequest) -> None: ...

    def keep_pr_comment(self, project: ProjectName, number: int, marker: str, text: str) -> None: ...

    def list_pr_comments(self, project: ProjectName, number: int) -> list[tuple[str, str]]:
        """Return (marker, text) pairs in order of making."""

    def save_commit_status(self, project: ProjectName, status: CommitStatus, at: datetime) -> None: ...

    def list_commit_statuses(self, project: ProjectName, sha: Sha) -> list[CommitStatus]:
        """Return the newest per context."""


class AccountTables(Protocol):
    """Accounts that agents run under, the store's own probe, and how much there is of what."""

    def load_account(self, name: str) -> Account:
        """Return the account; one that was never saved is not paused."""

    def paused_accounts(self) -> list[Account]: ...

    def census(self) -> Census:
        """Count what is live, queued, open and pending."""

    def save_account(self, account: Account) -> None: ...

    def note_failure(self, account: str, kind: str, task: TaskRow, at: datetime) -> None:
        """Keep the newest failure of that class of *task* under *account*."""

    def failing_tasks(self, account: str, kind: str, since: datetime) -> list[TaskRow]:
        """Return the tasks with a noted failure of that class at or after *since*."""

    def forget_failures(self, account: str, before: datetime | None = None) -> None:
        """Forget the account's noted failures, or those *before* a moment."""

    def identity(self) -> str:
        """Return this store's own name, made with it and kept by its backups."""

    def probe(self, at: datetime) -> None:
        """Write something small, to see whether the disk takes it."""


class BudgetTables(Protocol):
    """What runs cost, summed up, and the limits of days. Sums count agents' runs, each on the UTC day on which it began."""

    def keep_figures(self, run: RunId, figures: Figures) -> bool:
        """Keep what a run has reported so far; figures only grow. False where the run has made its own report.

        It takes no fence: what was spent is a fact, whatever became of the run meanwhile.
        """

    def spent_by(self, row: TaskRow) -> float:
        """Return what the task has cost, runs that go on included."""

    def spent_on(self, day: date) -> float: ...

    def load_day_budget(self, day: date) -> DayBudget | None:
        """Return what a person made of that day's limit, None for nothing."""

    def save_day_budget(self, budget: DayBudget) -> None: ...

    def spent_out(self, limits: Limits) -> list[Task]:
        """Return the un-parked tasks with a queued job whose own budget is spent; a deploy under way is not cut in half."""

    def list_spending(self, since: date, now: datetime) -> list[SpendRow]:
        """Return what was spent since that day, by day, project, stage and model (as the agents named it)."""


class Tx(
    TaskTables,
    JobTables,
    QueueTables,
    RepoTables,
    TrainTables,
    DeployTables,
    LocalTables,
    AccountTables,
    ControlTables,
    BudgetTables,
    ChatTables,
    RetentionTables,
    Protocol,
):
    """One transaction: everything in it is committed together, or nothing."""


class Store(Protocol):
    """The one durable place. *work* is a plain function: it may not wait for anything, and may run on another thread."""

    async def transact(self, work: Callable[[Tx], T]) -> T:
        """Run *work* in the one writer and return its value after the commit is on disk.

        Raises what *work* raises (its own writes are undone, its neighbours' are kept) or StoreError. A caller that is
        cancelled leaves *work* running: it is committed whole or not at all.
        """

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run *work* on committed state; its writes fail."""

    async def aclose(self) -> None: ...
