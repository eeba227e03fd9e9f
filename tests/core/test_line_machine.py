"""One task driven by anything the world can send, in any order, again and again: what holds whatever happens.

The machine applies decisions as the shell does (``line_shell``), lets come whatever may come (``line_events``,
``line_people``), and checks the line's laws after every single decision.
"""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from orch.core import decide_evidence
from orch.core.messages import CommandVerdict, Decision
from orch.core.model import Awaiting, CiSource, CiState, DeploySettings, Project
from orch.core.retry import FAILED_MAX, GATE_RED_MAX, STALLED_MAX, TIMED_OUT_MAX, TURN_LIMIT_MAX
from orch.core.stages import ORDER, Stage, is_terminal
from orch.core.statuses import Status
from orch.core.stopping import is_deploying
from orch.core.task_facts import status_of
from tests.builders import make_project
from tests.core.line_events import LineEvents
from tests.core.line_people import LinePeople

FULL = DeploySettings(staging_command=("stage",), command=("deploy",))
PROJECTS: list[Project] = [
    make_project(),
    make_project(ci=CiSource.FORGE, deploy=FULL),
    make_project(ci=CiSource.LOCAL, deploy=FULL),
    make_project(ci=CiSource.OFF, deploy=replace(FULL, confirm=False)),
    make_project(ci=CiSource.FORGE, merge_gate=False),
    make_project(ci=CiSource.LOCAL, deploy=DeploySettings(command=("deploy",), confirm=False)),
]

WAITS: dict[Stage, set[Awaiting]] = {
    Stage.ANALYSIS: {Awaiting.AGENT, Awaiting.APPROVAL, Awaiting.INPUT},
    Stage.ARCHITECTURE: {Awaiting.AGENT},
    Stage.DEVELOPMENT: {Awaiting.AGENT, Awaiting.GATE},
    Stage.REVIEW: {Awaiting.AGENT},
    Stage.TESTING: {Awaiting.AGENT},
    Stage.DEPLOY_STAGING: {Awaiting.GATE, Awaiting.LANDING, Awaiting.MERGE},
    Stage.DEPLOY: {Awaiting.GATE, Awaiting.CONFIRM, Awaiting.DEPLOY_TURN, Awaiting.DEPLOYING},
    Stage.DONE: {Awaiting.NOTHING},
    Stage.CANCELLED: {Awaiting.NOTHING},
}
"""What a task that is not parked can wait for in each stage."""


class Line(LineEvents, LinePeople):
    """See the module's docstring."""

    @initialize(
        project=st.sampled_from(PROJECTS),
        limit=st.integers(0, 3),
        exempt=st.booleans(),
        stage=st.sampled_from(ORDER[:-2]),
        further=st.integers(0, 3),
    )
    def enter(self, project: Project, limit: int, exempt: bool, stage: Stage, further: int) -> None:
        """Begin in *stage*, some good steps into it, so that stories are told from every place of the line."""
        self.begin(project, limit, exempt=exempt)
        for _ in range(40):
            if self.task.stage is stage or is_terminal(self.task.stage) or self.task.park:
                break
            self.all_goes_well()
        for _ in range(further):
            self.all_goes_well()
        event(f"from {self.task.stage}")

    # -------------------------------------------------------------------------------------------- the happy path

    @rule()
    def all_goes_well(self) -> None:
        """Whatever the task waits for comes, and is good."""
        task, step = self.task, self.next_good_step()
        if step is not None:
            step()
            assert self.task != task or self.landing or self.deploy is not None, "a good step leads somewhere"

    def next_good_step(self) -> Callable[[], None] | None:
        task = self.task
        if is_terminal(task.stage) or task.park is not None:
            return None
        if self.landing:
            return self.the_landing_is_recorded
        if self.claimable():
            return self.a_slot_claims_the_job
        if self.running():
            return lambda: self.end_run(self.ending(facts=self.facts(good=True, new_code=True)))
        if self.wanted():
            return lambda: self.the_command_ends(CommandVerdict.GREEN)
        match task.awaiting:
            case Awaiting.APPROVAL:
                return lambda: self.a_person_decides(Decision.APPROVE, "shown")
            case Awaiting.CONFIRM:
                return self.thawed_and_confirmed
            case Awaiting.INPUT:
                return lambda: self.a_person_sets_a_trigger(Status.TO_ANALYSE, again=False)
            case Awaiting.LANDING:
                return self.the_train_writes_its_intent
            case Awaiting.MERGE:
                return self.merged_by_hand
            case Awaiting.GATE if task.stage is Stage.DEPLOY:
                return self.a_person_is_asked_to_confirm
            case Awaiting.DEPLOY_TURN:
                return self.thawed_and_planned
            case Awaiting.DEPLOYING if self.is_between_tries():
                return self.thawed_and_due
            case Awaiting.DEPLOYING:
                return lambda: self.a_try_of_its_deploy_ends(0)
            case Awaiting.GATE if task.pr_number is None:
                return self.the_pull_request_is_open
            case Awaiting.GATE if self.project.ci is CiSource.FORGE:
                return lambda: self.the_forge_reports_a_CI(CiState.SUCCESS, current=True, which=0)
            case _:
                raise AssertionError(f"nothing can move a task in {task.stage} that waits for {task.awaiting}")

    def thawed_and_confirmed(self) -> None:
        self.freeze = None
        self.a_person_decides(Decision.CONFIRM_DEPLOY, "shown")

    def thawed_and_planned(self) -> None:
        self.freeze = None
        self.its_repo_plans_its_deploy()

    def thawed_and_due(self) -> None:
        self.freeze = None
        before = self.deploy
        self.the_next_try_is_due()
        assert self.deploy != before

    def merged_by_hand(self) -> None:
        self.apply(decide_evidence.landed(self.context, self.task, self.new_sha(), "merged by a person"))

    def has_code(self) -> bool:
        return (
            self.task.stage in (Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING) and self.task.pr_number == 4
        )

    @precondition(has_code)
    @rule()
    def a_person_merges_the_pull_request(self) -> None:
        if self.number % 5 == 0 and not self.landing and self.task.code_head is not None:
            self.by_hand = True
            self.merged_by_hand()

    # -------------------------------------------------------------------------------------------- laws

    @invariant()
    def the_board_shows_what_is(self) -> None:
        assert self.shown is status_of(self.task)

    @invariant()
    def a_wait_fits_its_stage(self) -> None:
        task = self.task
        if task.park is None:
            assert task.awaiting in WAITS[task.stage], f"{task.stage} waits for {task.awaiting}"
            assert (task.awaiting is Awaiting.AGENT) is (self.job is not None), "who waits for an agent has a job"
        else:
            assert not is_terminal(task.stage)
            assert task.awaiting is Awaiting.NOTHING or task.stage is Stage.DEPLOY
        assert (task.train_seq is not None) is (task.awaiting is Awaiting.LANDING)
        assert (task.finished_at is not None) is is_terminal(task.stage)

    @invariant()
    def nothing_runs_for_what_is_parked_or_over(self) -> None:
        if self.task.park is not None or is_terminal(self.task.stage):
            assert self.job is None
            assert decide_evidence.wants(self.task, self.context) is None
        if self.job is not None:
            assert self.job.stage is self.task.stage
            assert decide_evidence.wants(self.task, self.context) is None

    @invariant()
    def people_are_shown_what_they_decide_about(self) -> None:
        task = self.task
        if task.park is None and task.awaiting is Awaiting.APPROVAL:
            assert task.shown == task.head is not None
        if task.park is None and task.awaiting is Awaiting.CONFIRM:
            assert task.shown == task.landed is not None

    @invariant()
    def every_loop_is_bounded(self) -> None:
        task, used = self.task, self.task.counters
        if task.park is not None or is_terminal(task.stage):
            return
        assert used.failed <= FAILED_MAX
        assert used.turn_limit <= TURN_LIMIT_MAX
        assert used.stalled <= STALLED_MAX
        assert used.timed_out <= TIMED_OUT_MAX
        assert used.gate_red <= GATE_RED_MAX
        assert max(used.ci_red, used.review, used.testing, used.conflict, used.land_red, used.staging) <= self.limit
        assert used.returns() <= 2 * self.limit

    @invariant()
    def no_stage_is_reached_without_its_evidence(self) -> None:
        """On this very code: CI before the review, the review before the test, the test before the landing."""
        stage, code = self.task.stage, self.task.code_head
        if self.by_hand or stage is Stage.CANCELLED:
            return
        if ORDER.index(stage) >= ORDER.index(Stage.REVIEW) and self.project.ci is not CiSource.OFF:
            assert code in self.green
        if ORDER.index(stage) >= ORDER.index(Stage.TESTING):
            assert code in self.reviewed
        if ORDER.index(stage) >= ORDER.index(Stage.DEPLOY_STAGING):
            assert code in self.tested

    @invariant()
    def done_means_done(self) -> None:
        task, deploy = self.task, self.project.deploy
        if task.stage in (Stage.DEPLOY, Stage.DONE):
            assert task.landed is not None
        if task.stage is Stage.DONE:
            assert task.deployed or not (deploy.command or deploy.agent)
            assert task.code_head is not None

    @invariant()
    def a_STOP_is_pending_only_inside_a_window(self) -> None:
        if self.task.cancel_requested_at is not None and not is_terminal(self.task.stage):
            assert self.landing or (is_deploying(self.task) and self.is_going())

    @invariant()
    def something_can_always_move_the_task(self) -> None:
        """A live task has a next good step; a parked one is a person's."""
        assert self.next_good_step() is not None or self.task.park is not None or is_terminal(self.task.stage)


TestLine = Line.TestCase
TestLine.settings = settings(stateful_step_count=40)
