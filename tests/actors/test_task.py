"""The task actor: each message, the stale ones too; one agent at a time; every end archives."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from orch.core import decide_evidence
from orch.core.errors import AgentError, ConfigError, PermanentError, StoreError, TransientError
from orch.core.ids import Attempt, RunId, Sha
from orch.core.messages import (
    CiReported,
    CommandFinished,
    CommandReport,
    CommandVerdict,
    Decision,
    LandingRefused,
    PullRequestOpened,
    Refusal,
    RefusalKind,
    RunClaimed,
    RunEnded,
    RunReleased,
    TaskHint,
    TaskLanded,
    TriggerSet,
    Verb,
)
from orch.core.model import AgentResult, Awaiting, DeploySettings, JobState, Outcome, ParkReason, RunKind, RunMode
from orch.core.stages import Role, Stage
from orch.core.statuses import Status
from tests.builders import NOW, make_project, sha
from tests.fakes.agents import Step, verdict
from tests.fakes.line import Line, line, tx_task

PLAN = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}


async def start_at(it: Line, stage: Stage, *, title: str = "Add a greeting") -> str:
    """Take a new issue to *stage* and return its name."""
    name = await it.start(title)
    if stage is not Stage.ANALYSIS:
        await it.approve(name)
        await it.until_stage(name, stage)
    return name


# ------------------------------------------------------------------------------------------------ stale messages


STALE: dict[str, Callable[[Line], Any]] = {
    "a run's end of an older attempt": lambda it: RunEnded(
        run=RunId(1), attempt=Attempt(0), result=AgentResult(outcome=Outcome.FAILED)
    ),
    "a run's end that was recorded already": lambda it: RunEnded(
        run=RunId(1), attempt=Attempt(1), result=AgentResult(outcome=Outcome.FAILED)
    ),
    "the end of a run that nobody knows": lambda it: RunEnded(
        run=RunId(999), attempt=Attempt(1), result=AgentResult(outcome=Outcome.FAILED)
    ),
    "a command's end of an older attempt": lambda it: CommandFinished(
        run=RunId(1), attempt=Attempt(0), sha=sha("a"), report=CommandReport(verdict=CommandVerdict.RED)
    ),
    "the end of a command that nobody knows": lambda it: CommandFinished(
        run=RunId(999), attempt=Attempt(1), sha=sha("a"), report=CommandReport(verdict=CommandVerdict.GREEN)
    ),
    "a CI report about another commit": lambda it: CiReported(sha=sha("a"), state="success"),
    "a refusal of a landing that is not under way": lambda it: LandingRefused(
        kind="conflict", head=sha("a"), base=sha("b"), evidence=""
    ),
    "a landing that is recorded nowhere": lambda it: TaskLanded(sha=sha("a")),
    "a hint": lambda it: TaskHint(),
}


@pytest.mark.parametrize("message", STALE.values(), ids=STALE.keys())
async def test_a_stale_message_changes_nothing(message: Callable[[Line], Any]) -> None:
    async with line() as it:
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        await it.settle(1)
        before, runs, jobs = await it.task(name), await it.runs(name), await it.jobs(name)
        it.supervisor.task(before.row).tell(message(it))
        await it.settle(1)
        assert (await it.task(name), await it.runs(name), await it.jobs(name)) == (before, runs, jobs)


async def test_a_claim_that_is_stale_only_gives_the_slot_back() -> None:
    async with line() as it:
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        released: list[RunReleased] = []

        class Slot:
            def tell(self, message: RunReleased) -> None:
                released.append(message)

        for run, attempt in ((1, 1), (1, 0), (999, 7)):
            claimed = RunClaimed(run=RunId(run), attempt=Attempt(attempt), slot=Slot())
            it.supervisor.task((await it.task(name)).row).tell(claimed)
        await it.settle(1)
        assert [message.run for message in released] == [1, 1, 999]
        assert len(it.processes.started) == 1


async def test_a_task_that_does_not_exist_answers_that() -> None:
    from actors.mailbox import OneReply
    from orch.core.ids import TaskRow
    from orch.core.messages import Answer, Decide

    async with line() as it:
        reply: OneReply[Answer] = OneReply()
        it.supervisor.task(TaskRow(77)).tell(Decide(decision=Decision.STOP, by="anna", reply=reply))
        assert (await reply.wait(5, "Decide")).verb is Verb.UNKNOWN


async def test_a_pull_request_that_is_told_twice_is_recorded_once() -> None:
    async with line() as it:
        name = await start_at(it, Stage.REVIEW)
        task = await it.task(name)
        assert task.pr_number is not None
        it.supervisor.task(task.row).tell(PullRequestOpened(number=task.pr_number, url=""))
        await it.settle(1)
        assert [line.cause for line in await it.history(name)].count("pull-request") == 1


# ------------------------------------------------------------------------------------------------ one agent at a time


async def test_G2_racing_claims_of_one_run_start_one_agent() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, seconds=50))
        name = await start_at(it, Stage.ANALYSIS)
        await it.settle(5)

        class Slot:
            def tell(self, message: RunReleased) -> None:
                raise AssertionError("the run goes on: its slot is not free")

        task = await it.task(name)
        for _ in range(3):
            it.supervisor.task(task.row).tell(RunClaimed(run=RunId(1), attempt=task.attempt, slot=Slot()))
            it.supervisor.task(task.row).tell(TaskHint())
        await it.settle(5)
        assert it.processes.live.total() == 1
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)


async def test_G2_triggers_and_hints_while_an_agent_works_launch_no_second_one() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, seconds=100))
        name = await start_at(it, Stage.ANALYSIS)
        await it.settle(5)
        for status in ("backlog", "to_analyse", "approved", "to_analyse"):
            await it.move(name, status)
            await it.settle(5)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        assert len(it.processes.started) == 1


async def test_G2_an_agent_that_takes_long_to_die_keeps_the_working_copy_until_it_is_archived() -> None:
    """Parked and resumed within a second: the next attempt waits for the end of the one that was cancelled."""
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        name = await start_at(it, Stage.ANALYSIS)
        await it.settle(5)
        gate = it.faults.hold_next("workspace.archive")

        def park(tx):  # type: ignore[no-untyped-def]
            from actors.persist import apply

            task = tx_task(tx, name)
            context = it.world.context(task.project)
            return apply(tx, decide_evidence.actor_failed(context, task, "a test parks it"), at=context.now)[1]

        from actors.persist import send_hints

        send_hints(it.supervisor, await it.write(park))
        await gate.reached.wait()
        assert (await it.decide(name, Decision.RESUME)).verb is Verb.DONE
        await it.settle(10)
        assert len(it.processes.started) == 1
        gate.open()
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        assert len(it.processes.started) == 2


# ------------------------------------------------------------------------------------------------ what a run comes to


async def test_every_end_of_a_run_archives_first() -> None:
    steps = [Step(outcome=Outcome.FAILED), Step(error=AgentError("cannot start")), Step(artefacts=PLAN)]
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, *steps)
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        assert it.faults.written("archive") == ["1", "2", "3"]
        assert [run.outcome for run in await it.runs(name)] == [Outcome.FAILED, Outcome.CRASHED, Outcome.SUCCEEDED]
        assert all(run.archive for run in await it.runs(name))


async def test_an_archive_that_fails_does_not_lose_the_run() -> None:
    async with line() as it:
        it.faults.fail_after("workspace.archive", StoreError("the mirror's disk is full"))
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)


INFRASTRUCTURE = {
    "the fetch fails": ("workspace.prepare", TransientError("git", "fetch", "no route")),
    "the disk is full": ("workspace.prepare", OSError(28, "No space left on device")),
    "the mirror cannot be read for the prompt": ("mirror.read_artefacts", StoreError("git: bad object")),
    "the forge does not take the branch now": ("workspace.collect", TransientError("git", "push", "timeout")),
}


@pytest.mark.parametrize(("call", "error"), INFRASTRUCTURE.values(), ids=INFRASTRUCTURE.keys())
async def test_G11_infrastructure_is_not_charged_and_the_job_keeps_its_place(call: str, error: Exception) -> None:
    async with line() as it:
        it.faults.fail_next(call, error, times=2)
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        task, jobs = await it.task(name), await it.jobs(name)
        assert (task.counters.failed, task.counters.infrastructure) == (0, 0)
        assert [job.state for job in jobs] == [JobState.DONE]


async def test_a_board_that_is_down_does_not_hold_the_prompt() -> None:
    async with line() as it:
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        it.faults.fail_always("board.fetch_comments", TransientError("board", "comments", "down"))
        await it.decide(name, Decision.APPROVE)
        await it.until_stage(name, Stage.DONE)
        it.faults.heal("board.fetch_comments")


async def test_a_prompt_template_that_is_wrong_parks_and_says_so() -> None:
    async with line() as it:
        it.prompts.error = ConfigError("analyst.md: unknown variable 'titel'")
        await it.start()
        task = await it.until_parked("DEMO-1")
        assert task.park is not None
        assert task.park.reason is ParkReason.PERMISSION_DENIED
        assert "titel" in task.park.evidence
        assert it.faults.written("archive") == ["1"]


async def test_an_agent_that_cannot_be_started_parks_and_says_what_is_missing() -> None:
    async with line() as it:
        it.agent.missing = "claude is not installed"
        await it.start()
        task = await it.until_parked("DEMO-1")
        assert task.park is not None
        assert "claude is not installed" in task.park.evidence


async def test_failures_are_retried_with_growing_pauses_and_then_park() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, *[Step(outcome=Outcome.FAILED, seconds=0)] * 9)
        await it.start()
        task = await it.until_parked("DEMO-1")
        runs = await it.runs("DEMO-1")
        pauses = [(b.started_at - a.started_at).total_seconds() for a, b in itertools.pairwise(runs)]
        assert pauses == pytest.approx([10, 20, 40], abs=0.5)
        assert task.park is not None
        assert task.park.reason is ParkReason.RETRIES_EXHAUSTED


async def test_an_agent_that_exits_well_with_nothing_done_is_told_so_and_bounded() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.DEVELOPER, *[Step()] * 9)
        name = await start_at(it, Stage.DEVELOPMENT)
        task = await it.until_parked(name)
        assert task.park is not None
        assert "changed nothing" in task.park.evidence
        told = [context.feedback.text for context in it.prompts.of(Role.DEVELOPER)]
        assert len(told) == 4
        assert all("changed nothing" in text for text in told[1:])


async def test_edits_outside_the_allowed_paths_are_refused_and_the_next_attempt_starts_from_the_pinned_head() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, files={"app.py": "hacked\n"}), Step(artefacts=PLAN))
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        head = (await it.task(name)).head
        assert head is not None
        assert "app.py" not in it.repository.commits[head].files
        assert "app.py" in it.workspace.archives[RunId(1)]
        assert [spec.mode for spec in it.workspace.specs] == [RunMode.NEW_ATTEMPT, RunMode.NEW_ATTEMPT]
        assert "app.py" in it.prompts.contexts[1].feedback.text


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(RefusalKind.REMOTE_MOVED, ParkReason.BRANCH_FORCED), (RefusalKind.REPLAY_CONFLICT, ParkReason.REPLAY_CONFLICT)],
)
async def test_a_branch_that_somebody_else_moved_parks(kind: RefusalKind, reason: ParkReason) -> None:
    async with line() as it:
        it.workspace.refusals.append(Refusal(kind=kind, reason="somebody was here"))
        await it.start()
        task = await it.until_parked("DEMO-1")
        assert task.park is not None
        assert (task.park.reason, task.park.evidence) == (reason, "somebody was here")


async def test_findings_of_the_review_reach_the_developer() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.REVIEWER, Step(artefacts={"07-review.md": verdict("changes_requested", "no tests")}))
        name = await start_at(it, Stage.DONE)
        feedback = it.prompts.of(Role.DEVELOPER)[1].feedback
        assert (feedback.kind, [finding.title for finding in feedback.findings]) == ("review", ["no tests"])
        assert (await it.task(name)).counters.review == 1


async def test_a_red_ci_goes_back_with_its_log() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.DEVELOPER, Step(files={"app.py": "RED\n"}), Step(files={"app.py": "fine\n"}))
        await start_at(it, Stage.DONE)
        assert "FAILED tests" in it.prompts.of(Role.DEVELOPER)[1].feedback.text


async def test_the_comment_of_a_rejection_is_the_reason_in_the_next_prompt() -> None:
    async with line() as it:
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        await it.settle(5)
        await it.say(name, "Say which greeting.")
        await it.move(name, "rejected")
        await it.until(lambda tx: len(tx.list_runs()) == 2)
        await it.settle(1)
        feedback = it.prompts.of(Role.ANALYST)[1].feedback
        assert (feedback.kind, feedback.text) == ("rejected", "Say which greeting.")


async def test_G8_an_everyday_approve_is_answered_with_one_comment_and_changes_nothing() -> None:
    async with line() as it:
        gate = it.faults.hold_next("commands.run")
        name = await start_at(it, Stage.DEVELOPMENT)
        await gate.reached.wait()
        before = await it.task(name)
        told = len(await it.comments(name))
        await it.move(name, "approved")
        await it.settle(5)
        assert len(await it.comments(name)) == told + 1
        assert (await it.task(name)).stage is before.stage
        assert await it.column(name) == "in_progress"
        gate.open()
        await it.until_stage(name, Stage.DONE)


async def test_a_trigger_that_is_told_twice_is_handled_once() -> None:
    async with line() as it:
        name = await start_at(it, Stage.ANALYSIS)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        await it.settle(1)
        task = await it.task(name)
        entries = [entry.id for entry in await it.read(lambda tx: tx.list_activities(task.issue))]
        handled = TriggerSet(trigger=Status.REJECTED, entries=tuple(entries[:2]), at=NOW, by="anna")
        it.supervisor.task(task.row).tell(handled)
        await it.settle(1)
        assert (await it.task(name)) == task


# ------------------------------------------------------------------------------------------------ its own commands


async def test_a_command_result_that_nobody_wants_any_more_starts_the_one_that_is_wanted() -> None:
    """Stopped in mid-test by an interruption of the slots, parked, resumed: what is wanted is under way again."""
    project = make_project(deploy=DeploySettings(staging_command=("stage",)))
    async with line(project) as it:
        gate = it.faults.hold_next("commands.run")  # CI
        name = await start_at(it, Stage.DEVELOPMENT)
        await gate.reached.wait()
        gate.open()
        await it.until_stage(name, Stage.DEPLOY_STAGING)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.GATE)

        def park(tx):  # type: ignore[no-untyped-def]
            from actors.persist import apply

            task = tx_task(tx, name)
            context = it.world.context(task.project)
            return apply(tx, decide_evidence.actor_failed(context, task, "a test parks it"), at=context.now)[1]

        from actors.persist import send_hints

        send_hints(it.supervisor, await it.write(park))
        assert (await it.decide(name, Decision.RESUME)).verb is Verb.DONE
        await it.until_stage(name, Stage.DONE)


async def test_a_task_actor_that_crashes_keeps_its_running_command(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(strict=False) as it:
        gate = it.faults.hold_next("commands.run")
        name = await start_at(it, Stage.DEVELOPMENT)
        await gate.reached.wait()
        with monkeypatch.context() as patch:
            patch.setattr(decide_evidence, "ci_reported", _bug)
            it.supervisor.task((await it.task(name)).row).tell(CiReported(sha=Sha("a" * 40), state="success"))
            await it.settle(1)
        gate.open()
        await it.until_stage(name, Stage.DONE)
        assert len(it.commands.calls) == 2  # CI and landing, each once


def _bug(*_: object) -> None:
    raise RuntimeError("a bug")


async def test_a_result_that_died_with_a_crash_of_its_task_s_actor_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The staging command had ended; what was to be done with its result crashed, and took the result with it."""
    staged = make_project(deploy=DeploySettings(staging_command=("stage",)))
    async with line(staged, strict=False) as it:
        real, crashes = it.mirror.write_artefact, iter([True])

        async def buggy(*args: object, **given: object) -> Sha | None:
            if next(crashes, False):
                raise RuntimeError("a bug")
            return await real(*args, **given)  # type: ignore[arg-type]

        monkeypatch.setattr(it.mirror, "write_artefact", buggy)
        name = await start_at(it, Stage.DEPLOY_STAGING)
        await it.until_stage(name, Stage.DONE)
        assert [run.outcome for run in await it.runs(name) if run.kind is RunKind.STAGING] == [Outcome.SUCCEEDED]


async def test_a_command_result_that_crashes_its_task_is_no_verdict_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(strict=False) as it:
        it.commands.seconds = 100
        real = decide_evidence.command_finished

        def buggy(context, task, run, finished):  # type: ignore[no-untyped-def]
            if finished.report.verdict is CommandVerdict.GREEN:
                raise RuntimeError("a bug")
            return real(context, task, run, finished)

        monkeypatch.setattr(decide_evidence, "command_finished", buggy)
        name = await start_at(it, Stage.DEVELOPMENT)
        task = await it.until_parked(name, within_s=3000)
        assert task.park is not None
        assert "could not be handled" in task.park.evidence
        assert len(it.commands.calls) <= 4


async def test_G12_a_forge_that_never_takes_the_branch_costs_a_bounded_number_of_agents() -> None:
    async with line() as it:
        it.faults.fail_always("workspace.collect", PermanentError("git", "push", "protected"))
        await it.start()
        task = await it.until_parked("DEMO-1")
        assert task.park is not None
        assert "protected" in task.park.evidence
        assert len(it.processes.started) == 4


async def test_a_forge_that_is_down_for_a_minute_costs_no_second_agent() -> None:
    async with line() as it:
        it.faults.fail_next("workspace.collect", TransientError("git", "push", "no route"), times=3)
        await it.start()
        await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL)
        assert len(it.processes.started) == 1
