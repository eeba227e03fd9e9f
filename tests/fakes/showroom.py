"""A world to take pictures of: three projects in mid-week, made of rows that hang together, on a clock that stands still.

Owns: the rows behind ``make screenshots``. Rule: the same call makes the same world; nothing in it runs.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, final

from orch.core.ids import Attempt, Branch, CheckId, DeployId, IssueId, ProjectName, Sha
from orch.core.model import (
    Awaiting,
    BoardIssue,
    CheckRow,
    Deploy,
    DeployState,
    Freeze,
    FreezeCause,
    Member,
    NewJob,
    NewTask,
    Outcome,
    Park,
    ParkReason,
    Project,
    RoleSettings,
    Run,
    RunKind,
    Task,
    TrainRow,
    Transition,
    Usage,
    Watch,
    WatchSign,
)
from orch.core.stages import ORDER, TABLE, Role, Stage
from orch.core.statuses import DEFAULT_NAMES, BoardState, Status
from orch.ports import Tx
from tests.fakes.showroom_text import LOG, PAPERS

NOW = datetime(2026, 5, 7, 14, 32, 11, tzinfo=UTC)
SONNET, OPUS, HAIKU = "claude-sonnet-4-5-20250929", "claude-opus-4-1-20250805", "claude-haiku-4-5-20251001"
MODELS = {
    Stage.ANALYSIS: SONNET,
    Stage.ARCHITECTURE: OPUS,
    Stage.DEVELOPMENT: SONNET,
    Stage.REVIEW: OPUS,
    Stage.TESTING: HAIKU,
}
ROLES: dict[Role, RoleSettings] = {role: RoleSettings(agent="claude", model=SONNET) for role in Role if role is not Role.STREAM}
PROJECTS = {
    ProjectName(name): Project(name=ProjectName(name), prefix=prefix, repo=name, test_command=("make", "test"), roles=ROLES)
    for name, prefix in (("shop", "SHOP"), ("treasury", "PAY"), ("wiki", "WIKI"))
}
STATES = [BoardState(id=f"s-{status}", name=name) for status, name in DEFAULT_NAMES.items()]
MINUTES = {Stage.ANALYSIS: 4, Stage.ARCHITECTURE: 6, Stage.DEVELOPMENT: 14, Stage.REVIEW: 5, Stage.TESTING: 7}
TOKENS = {Stage.ANALYSIS: 210, Stage.ARCHITECTURE: 340, Stage.DEVELOPMENT: 1900, Stage.REVIEW: 520, Stage.TESTING: 430}
"""How long an agent works at each stage, and how many thousand tokens it reads, about."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One task: where it stands, since how many minutes, and how it came there. *returns*: the review sent it back once."""

    key: str
    title: str
    stage: Stage
    awaiting: Awaiting = Awaiting.AGENT
    minutes: float = 5
    at_work: bool = False
    returns: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


_S, _A = Stage, Awaiting
STORIES: Sequence[Story] = (
    Story(key="SHOP-31", title="Show stock per store on the product page", stage=_S.DONE, minutes=1500, returns=True),
    Story(key="SHOP-32", title="Send the invoice as PDF with the confirmation", stage=_S.DONE, minutes=1220),
    Story(key="SHOP-33", title="Remember the delivery address", stage=_S.DONE, minutes=7, changes={"watch": WatchSign.WATCHING}),
    Story(key="SHOP-34", title="Gift wrapping as an option at checkout", stage=_S.DEPLOY, awaiting=_A.CONFIRM, minutes=18),
    Story(
        key="SHOP-35",
        title="Show the delivery date before payment",
        stage=_S.DEPLOY_STAGING,
        awaiting=_A.LANDING,
        minutes=6,
        returns=True,
    ),
    Story(key="SHOP-36", title="Cache the product list for a minute", stage=_S.DEPLOY_STAGING, awaiting=_A.LANDING, minutes=5),
    Story(key="SHOP-37", title="Right currency sign in e-mails", stage=_S.DEPLOY_STAGING, awaiting=_A.LANDING, minutes=3),
    Story(
        key="PAY-18", title="Credit notes keep their invoice's number", stage=_S.DEPLOY_STAGING, awaiting=_A.LANDING, minutes=2
    ),
    Story(key="SHOP-38", title="Round VAT per line, not per invoice", stage=_S.TESTING, minutes=3.4, at_work=True, returns=True),
    Story(key="SHOP-39", title="Find products in spite of a typo", stage=_S.DEVELOPMENT, minutes=8.7, at_work=True, returns=True),
    Story(key="SHOP-40", title="Export a day's orders as CSV", stage=_S.REVIEW, minutes=1.9, at_work=True),
    Story(key="SHOP-41", title="Keep the basket between visits", stage=_S.ANALYSIS, awaiting=_A.APPROVAL, minutes=41),
    Story(key="PAY-19", title="Dunning letters in the customer's language", stage=_S.ARCHITECTURE, minutes=2.2, at_work=True),
    Story(key="PAY-20", title="Partial payments by bank transfer", stage=_S.ANALYSIS, awaiting=_A.INPUT, minutes=95),
    Story(key="PAY-21", title="Import bank statements (camt.053)", stage=_S.ANALYSIS, minutes=1.2),
    Story(
        key="PAY-17",
        title="Sepa mandates for subscriptions",
        stage=_S.DEVELOPMENT,
        minutes=64,
        returns=True,
        changes={
            "park": Park(
                reason=ParkReason.RETRIES_EXHAUSTED,
                since=NOW - timedelta(minutes=64),
                evidence="test_mandate_is_unique failed three times: two mandates of one customer share a reference.",
            )
        },
    ),
    Story(key="WIKI-6", title="A page about on-call", stage=_S.DONE, minutes=1390),
    Story(key="WIKI-7", title="Search in the wiki", stage=_S.DEVELOPMENT, minutes=11, at_work=True),
)
CARDS = (
    ("shop", "Let customers rate products", 44),
    ("shop", "Show shipping costs in the basket", 45),
    ("treasury", "Yearly statement per customer", 24),
)


@final
class Showroom:
    """Fills a store. *heads* are the commits of the sample repository that tasks refer to."""

    def __init__(self, tx: Tx, folder: Path, heads: Mapping[str, Sha]) -> None:
        self._tx = tx
        self._heads = heads
        self._log = folder / "run.log"
        self._log.write_text("".join(json.dumps(event) + "\n" for event in LOG), encoding="utf-8")
        self._dice = random.Random(41)
        self.tasks: dict[str, Task] = {}

    def fill(self) -> None:
        for name in PROJECTS:
            self._tx.save_states(name, STATES)
            self._tx.save_repo(replace(self._tx.load_repo(name), main=self._sha(f"main {name}")))
        self._past()
        for story in STORIES:
            self._tell(story)
        for project, title, sequence in CARDS:
            self._card(ProjectName(project), sequence, title, Status.BACKLOG)
        self._trains()
        self._watch()
        self._tx.add_dependency(ProjectName("treasury"), IssueId("PAY-21"), IssueId("PAY-17"), NOW)
        freeze = Freeze(project=ProjectName("wiki"), cause=FreezeCause.PERSON, since=NOW - timedelta(minutes=52), by="Ada")
        self._tx.set_freeze(replace(freeze, detail="The site moves to its new host until three."))

    # -------------------------------------------------------------------------------------------- one task

    def _sha(self, what: str) -> Sha:
        return Sha(f"{random.Random(what).getrandbits(160):040x}")

    def _card(self, project: ProjectName, sequence: int, title: str, status: Status) -> BoardIssue:
        key, at = IssueId(f"{PROJECTS[project].prefix}-{sequence}"), NOW - timedelta(hours=3)
        issue = BoardIssue(
            id=key, project=project, sequence=sequence, title=title, text=f"{title}: support is asked for it every day.",
            slug="card", state_id=f"s-{status}", created_at=at, updated_at=at,
        )  # fmt: skip
        self._tx.insert_issue(issue)
        return issue

    def _begin(self, key: str, title: str, at: datetime) -> Task:
        project = next(name for name, it in PROJECTS.items() if key.startswith(f"{it.prefix}-"))
        issue = self._card(project, int(key.split("-")[1]), title, Status.IN_PROGRESS)
        new = NewTask(
            project=project, issue=issue.id, prefix=PROJECTS[project].prefix, sequence=issue.sequence, title=title,
            description=PAPERS["request"] if key == "SHOP-39" else issue.text, slug="task", url="", at=at,
        )  # fmt: skip
        task = self._tx.insert_task(new)
        assert task is not None
        slug = "-".join(title.lower().replace("'", "").replace(",", "").split()[:4])
        base, head = self._heads.get("base"), self._heads.get(key, self._sha(key))
        return replace(task, branch=Branch(f"feature/{key}-{slug}"), base=base, head=head, code_head=head, attempt=Attempt(1))

    def _tell(self, story: Story) -> None:
        """Make the task with its way up to where it stands."""
        steps = self._steps(story)
        spans = [MINUTES.get(stage, 3) * self._dice.uniform(0.7, 1.5) for stage in steps]
        waits = [self._dice.uniform(0.1, 1.2) if stage is not Stage.ANALYSIS else self._dice.uniform(6, 24) for stage in steps]
        entered = NOW - timedelta(minutes=story.minutes)
        task = self._begin(story.key, story.title, entered - timedelta(minutes=sum(spans) + sum(waits)))
        at = task.created_at
        for place, stage in enumerate(steps):
            begun = replace(task, stage=stage)
            end = at + timedelta(minutes=spans[place])
            if stage in MODELS:
                self._run(begun, at, end, outcome=Outcome.SUCCEEDED)
            at = end + timedelta(minutes=waits[place])
            target = steps[place + 1] if place + 1 < len(steps) else story.stage
            self._move(task, stage, target, at)
        self._stand(
            replace(task, stage=story.stage, awaiting=story.awaiting, updated_at=entered, **story.changes), story, entered
        )

    def _steps(self, story: Story) -> list[Stage]:
        """Return the stages that it has left, a round back from review included."""
        before = list(ORDER[: ORDER.index(story.stage)]) if story.stage is not Stage.DONE else list(ORDER[:6])
        if story.returns and Stage.REVIEW in before:
            place = before.index(Stage.REVIEW) + 1
            before[place:place] = [Stage.DEVELOPMENT, Stage.REVIEW]
        elif story.returns:
            before += [Stage.DEVELOPMENT, Stage.REVIEW]
        return before

    def _move(self, task: Task, source: Stage, target: Stage, at: datetime) -> None:
        back = source is Stage.REVIEW and target is Stage.DEVELOPMENT
        if source is Stage.ANALYSIS and target is not Stage.ANALYSIS:
            self._note(task, source, source, "approved", str(task.head)[:12], "page:Ada", at)
        detail = "The distance is computed for every product: 2 s on 40,000 of them. Use the trigram index." if back else ""
        self._note(task, source, target, "review" if back else "passed", detail, "reviewer" if back else "", at)

    def _note(self, task: Task, source: Stage, target: Stage, cause: str, detail: str, by: str, at: datetime) -> None:
        self._tx.add_transition(Transition(task=task.row, at=at, source=source, target=target, cause=cause, detail=detail, by=by))

    def _stand(self, task: Task, story: Story, entered: datetime) -> None:
        """Let the task stand where it is: at work, queued, waiting for a person or for its turn, done."""
        done = story.stage is Stage.DONE
        if story.awaiting is Awaiting.LANDING:
            task = replace(task, train_seq=self._tx.next_train_seq(task.project), pr_number=int(story.key.split("-")[1]) + 80)
        if story.awaiting in (Awaiting.APPROVAL, Awaiting.CONFIRM):
            task = replace(task, shown=task.head)
        if done or story.stage is Stage.DEPLOY:
            task = replace(task, landed=self._heads.get("landed", task.head), landed_seq=task.row)
        if done:
            task = replace(task, awaiting=Awaiting.NOTHING, finished_at=entered, deployed=True, swept=True)
        self._tx.save_task(task)
        self.tasks[story.key] = task
        if story.stage is Stage.ANALYSIS and story.awaiting is not Awaiting.AGENT:
            self._run(task, entered - timedelta(minutes=5), entered, outcome=Outcome.SUCCEEDED)
        elif story.at_work:
            self._run(task, entered, None)
        elif story.awaiting is Awaiting.AGENT and not done and task.park is None:
            self._queue(task)
        if task.park is not None:
            for minutes in (98, 81, 66):
                start = NOW - timedelta(minutes=minutes)
                self._run(task, start, start + timedelta(minutes=9), outcome=Outcome.FAILED, detail="the tests are red")

    def _queue(self, task: Task) -> None:
        role = TABLE[task.stage].role
        assert role is not None
        self._tx.add_job(NewJob(task=task.row, project=task.project, stage=task.stage, role=role, at=task.updated_at))

    def _run(self, task: Task, start: datetime, end: datetime | None, *, outcome: Outcome | None = None, detail: str = "") -> Run:
        """Add an agent's run with believable figures; *end* None for one that goes on."""
        self._tx.save_task(task)
        run = self._tx.start_run(task, kind=RunKind.AGENT, job=None, role=TABLE[task.stage].role, at=start)
        share = self._dice.uniform(0.6, 1.4) * (1 if end else 0.6)
        read = int(TOKENS.get(task.stage, 200) * 1000 * share)
        usage = Usage(input=read // 60, cache_creation=read // 14, cache_read=read - read // 60 - read // 14, output=read // 45)
        model = MODELS.get(task.stage, SONNET)
        price = {SONNET: 1.0, OPUS: 2.1, HAIKU: 0.35}[model]
        cost = round(
            price * (usage.input * 3 + usage.cache_creation * 3.75 + usage.cache_read * 0.3 + usage.output * 15) / 1e6, 4
        )
        run = replace(
            run, agent="claude", model=model, usage=usage, cost_usd=cost, turns=int(30 * share), log_path=str(self._log),
            outcome=outcome, detail=detail, ended_at=end,
        )  # fmt: skip
        assert self._tx.save_run(run)
        return run

    # -------------------------------------------------------------------------------------------- around them

    def _past(self) -> None:
        """A month of finished tasks, so that there is something to look back on."""
        for number in range(1, 31):
            day = NOW - timedelta(days=31 - number, hours=self._dice.uniform(0, 5))
            if day.weekday() >= 5:
                continue
            for prefix, most in (("SHOP", 4), ("PAY", 3), ("WIKI", 2)):
                if self._dice.random() < 0.15:
                    continue
                for one in range(self._dice.randint(1, most)):
                    self._finished(f"{prefix}-{100 + 10 * number + one}", day)

    def _finished(self, key: str, day: datetime) -> None:
        task = self._begin(key, f"{self._dice.choice(VERBS)} {self._dice.choice(NOUNS)}", day)
        at = day
        for stage in MODELS:
            end = at + timedelta(minutes=MINUTES[stage] * self._dice.uniform(0.6, 1.8))
            self._run(replace(task, stage=stage), at, end, outcome=Outcome.SUCCEEDED)
            self._move(task, stage, ORDER[ORDER.index(stage) + 1], end)
            at = end
        self._tx.save_task(
            replace(
                task,
                stage=Stage.DONE,
                awaiting=Awaiting.NOTHING,
                landed=task.head,
                finished_at=at,
                updated_at=at,
                swept=True,
                deployed=True,
            )
        )

    def _trains(self) -> None:
        """Three members under test at once in the shop, one alone in the treasury."""
        shop = [self.tasks[key] for key in ("SHOP-35", "SHOP-36", "SHOP-37")]
        for count, (seconds, verdict) in ((1, (74, None)), (2, (74, None)), (3, (41, None))):
            self._check(shop[:count], seconds, verdict)
        self._check([self.tasks["SHOP-33"]], 168, "green", ago=30)
        self._check([self.tasks["SHOP-34"]], 171, "green", ago=22)
        self._check([self.tasks["PAY-18"]], 22, None)
        figures: dict[str, Any] = {"landings": 61, "landed": 94, "ejected": 5, "checks": 131, "wasted": 11, "lost_swaps": 2}
        waits = tuple(self._dice.uniform(140, 700) for _ in range(40))
        self._tx.save_train(TrainRow(project=ProjectName("shop"), width=3, waits=waits, **figures))
        self._tx.save_train(
            TrainRow(project=ProjectName("treasury"), width=1, landings=38, landed=41, checks=52, waits=waits[:20])
        )

    def _check(self, tasks: Sequence[Task], seconds: float, verdict: str | None, ago: float = 0) -> None:
        name = " ".join(task.work_item for task in tasks)
        start = NOW - timedelta(seconds=seconds, minutes=ago)
        members = tuple(Member(task=task.row, head=task.head or self._sha("")) for task in tasks)
        check = CheckRow(
            id=CheckId(0), project=tasks[0].project, base=self._sha(f"main {tasks[0].project}"), sha=self._sha(name),
            tree=self._sha(f"tree {name}"), members=members,
            environment="e", started_at=start,
        )  # fmt: skip
        made = self._tx.add_check(check)
        if verdict is not None:
            self._tx.end_check(replace(made, verdict=verdict, seconds=seconds, ended_at=start + timedelta(seconds=seconds)))

    def _watch(self) -> None:
        """The newest deploy is being watched."""
        task = self.tasks["SHOP-33"]
        start = NOW - timedelta(minutes=7)
        run = self._tx.start_run(replace(task, stage=Stage.DEPLOY), kind=RunKind.DEPLOY, job=None, role=None, at=start)
        self._tx.save_run(replace(run, outcome=Outcome.SUCCEEDED, ended_at=start + timedelta(seconds=48), exit_code=0))
        begun = self._tx.begin_deploy(
            Deploy(
                id=DeployId(0),
                project=task.project,
                task=task.row,
                run=run.id,
                sha=task.landed or self._sha(""),
                tries=1,
                deadline_at=NOW + timedelta(minutes=20),
                started_at=start,
            )
        )
        assert begun is not None
        self._tx.save_deploy(replace(begun, state=DeployState.SUCCEEDED, ended_at=start + timedelta(seconds=48), exit_code=0))
        self._tx.save_watch(
            Watch(
                deploy=begun.id,
                project=task.project,
                task=task.row,
                sha=begun.sha,
                probes=24,
                since=start,
                until=NOW + timedelta(minutes=3),
                next_at=NOW + timedelta(seconds=9),
            )
        )


VERBS = ("Speed up", "Test", "Translate", "Simplify", "Log", "Validate", "Document", "Round", "Cache", "Retry")
NOUNS = ("the checkout", "address forms", "refunds", "the order list", "exports", "stock levels", "reminders", "the price feed")
