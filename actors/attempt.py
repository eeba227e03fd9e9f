"""One attempt: prepare the worktree, run the agent, archive everything, fetch, check and push what it made.

Owns: the order of these steps for one claimed run. It is a child of the task's actor and lives in its cancel scope.
Does not own: what the outcome means (``decide_run``).
Rule: every end archives first; nothing is pushed unless the attempt is still the current one.
Races we accept: a crash between push and record leaves our own SHA on the branch; the next attempt accepts it, because
it stands under ``refs/agents``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import anyio

from actors.metering import Meter
from actors.world import Services, World
from orch.core.errors import AgentError, ConfigError, ExternalError, LeaseLost, PermanentError, StoreError, TransientError
from orch.core.ids import RunId, Sha, artefact_dir
from orch.core.messages import RunEnded
from orch.core.model import AgentResult, BoardComment, Job, Outcome, RoleSettings, Run, RunKind, RunMode, Survivor, Task
from orch.core.render import render_card_diff, render_gate, render_request
from orch.core.retry import backoff
from orch.core.stages import Role, Stage
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import AgentRequest, Collected, Prepared, PromptContext, Tx, WorkspaceSpec

ARCHIVE_S = 30.0
COLLECT_TRIES = 5
SETUP = "setup"
"""What a workspace's PermanentError names as its service when the project's setup command failed."""
_log = get_logger("attempt")

RETIRED: dict[Role, tuple[str, ...]] = {
    Role.ANALYST: ("01-brd.md", "02-acceptance.md", "questions.md"),
    Role.ARCHITECT: ("06-adr/ADR-*.md",),
    Role.DEVELOPER: (),
    Role.REVIEWER: ("07-review.md",),
    Role.TESTER: ("08-test-report.md",),
    Role.DEPLOYER: ("10-deploy.md",),
    Role.STREAM: (),
}
"""What a new attempt of a role must write itself: earlier ones move to ``history/`` before the launch."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a claimed run is about, as the store had it. *continues* is the run that it goes on with, where it does."""

    run: Run
    job: Job
    task: Task
    session: str | None
    session_total_usd: float | None = None
    """What that session had cost by its own reports."""
    continues: RunId | None = None
    since: BoardComment | None = None
    labels: tuple[str, ...] = ()
    survivors: tuple[Survivor, ...] = ()
    """What of its earlier runs could not be ended; *labels* name their processes."""

    @property
    def mode(self) -> RunMode:
        """What the job asks for; a continuation of nothing that its stage has begun is a new attempt."""
        return self.job.mode if self.continues is not None else RunMode.NEW_ATTEMPT


def allowed_paths(role: Role, task: Task) -> tuple[str, ...]:
    """Return the path prefixes that *role* may change; empty means all."""
    folder = f"{artefact_dir(task.work_item)}/"
    match role:
        case Role.DEVELOPER:
            return ()
        case Role.ARCHITECT:
            return (folder, "docs/")
        case _:
            return (folder,)


def load_assignment(tx: Tx, run: Run) -> Assignment | None:
    """Load what *run* needs; None when its job or task is gone or it is no longer the current attempt."""
    task = tx.load_task(run.task)
    job = tx.load_job(run.job) if run.job is not None else None
    if task is None or job is None or task.attempt != run.attempt or run.outcome is not None:
        return None
    session, continues = None, None
    if job.mode is RunMode.CONTINUATION:
        runs = [r for r in tx.list_runs(task=task.row) if r.kind is RunKind.AGENT and r.stage is run.stage and r.id < run.id]
        begun = [r for r in runs if r.start_head is not None]  # one that never had a working copy left nothing behind
        session, continues = (begun[-1].session, begun[-1].id) if begun else (None, None)
    labels = process_labels(tx.list_runs(task=task.row))
    survivors = tuple(tx.list_survivors(task.row).get(task.row, ()))
    total = tx.session_total(task.row, session, before=run.id) if session is not None else None
    return Assignment(
        run=run, job=job, task=task, session=session, session_total_usd=total,
        continues=continues, labels=labels, survivors=survivors,
    )  # fmt: skip


def process_labels(runs: Iterable[Run]) -> tuple[str, ...]:
    """Return what the processes of *runs* are labelled with: agents, commands, the set-up of working copies."""
    return tuple(f"{kind}{int(run.id)}" for run in runs for kind in ("", "run-", "setup-"))


def _nobody() -> None:
    """Nobody looks at the figures."""


class Attempt:
    """Executes one assignment. ``execute`` never raises for what the agent, git or a service did: that is an outcome."""

    def __init__(self, world: World, services: Services, assignment: Assignment, touched: Callable[[], None] = _nobody) -> None:
        self._world = world
        self._meter = Meter(world, assignment.run, assignment.task, touched)
        self._services = services
        self._project = services.project
        """As it was when the run was claimed: a reload is for the runs after it."""
        self._it = assignment
        role = assignment.run.role or Role.STREAM
        self._role = role
        self._settings = self._project.roles.get(role, RoleSettings())
        if assignment.run.stage is Stage.DEPLOY:
            self._settings = replace(self._settings, run_timeout_s=self._project.deploy.timeout_s)
        self._spec = WorkspaceSpec(
            task=assignment.task.row,
            run=assignment.run.id,
            attempt=assignment.run.attempt,
            work_item=assignment.task.work_item,
            branch=assignment.task.branch,
            base=assignment.task.base,
            head=assignment.task.landed if assignment.run.stage is Stage.DEPLOY else assignment.task.head,
            role=role,
            mode=assignment.mode,
            request=render_request(assignment.task, self._project.language),
            retire=RETIRED[role],
            allowed=allowed_paths(role, assignment.task),
            setup_command=self._project.setup_command,
            continues=assignment.continues,
            merge_main=assignment.task.merge_main and role is Role.DEVELOPER,
        )

    async def execute(self) -> RunEnded:
        """Run to the end. When cancelled, the work is archived before the cancellation goes on."""
        workspace = self._services.workspace
        if self._left():  # it could write into the working copy of whoever comes after it
            unbegun = AgentResult(outcome=Outcome.CANCELLED, detail="a process of an earlier run lives yet")
            return replace(self._ended(unbegun), survivors=self._left())
        try:
            hit("workspace.wanted")
            prepared = await workspace.prepare(self._spec)
        except (TransientError, StoreError, OSError) as error:
            return self._ended(_unstarted(error), infrastructure=str(error))
        except ExternalError as error:
            if error.service != SETUP:  # git's own trouble; another try may find it mended
                return self._ended(_unstarted(error), infrastructure=str(error))
            return replace(self._ended(_unstarted(error)), setup=error.detail)
        hit("workspace.ready")
        self._spec = replace(self._spec, branch=prepared.branch)
        trouble = ""
        try:
            await self._begun(prepared)
            result = await self._agent(prepared)
        except (ExternalError, StoreError, OSError) as error:
            result, trouble = _unstarted(error), f"the agent could not be started: {error}"
        finally:
            archived = await self._archive()
        ended = self._ended(result, infrastructure=trouble)
        ended = replace(ended, base=prepared.base, name=prepared.branch, archive=archived, stopped_by=self._meter.stopped_by)
        hit("run.archived")
        if self._left():
            return replace(ended, survivors=self._left())
        if trouble or result.outcome is not Outcome.SUCCEEDED:
            return ended
        if self._it.run.stage is Stage.DEPLOY:
            return await self._read(ended, prepared)
        return await self._collect(ended, prepared)

    async def _read(self, ended: RunEnded, prepared: Prepared) -> RunEnded:
        """Read what the deployer left in its artefact folder; its branch has landed, so that nothing of it is pushed."""
        if ended.archive is None:
            return ended
        mirror, work_item = self._services.mirror, self._it.task.work_item
        try:
            return replace(ended, branch=await mirror.read_artefacts(ended.archive, work_item, prepared.base))
        except (ExternalError, StoreError) as error:
            _log.warning("the deployer's folder is unread", task=work_item, error=str(error))
            return ended

    def _left(self) -> tuple[Survivor, ...]:
        """Return what of this run and those before it could not be ended and lives yet."""
        return self._world.processes.living(self._it.labels, self._it.survivors)

    async def _begun(self, prepared: Prepared) -> None:
        """Record what the run starts from: a run without that, cut off by a crash, has left nothing to continue."""

        def work(tx: Tx) -> None:
            run = tx.load_run(self._it.run.id)
            if run is not None:
                tx.save_run(replace(run, start_head=prepared.start_head))

        await self._world.store.transact(work)

    def _ended(self, result: AgentResult, *, infrastructure: str = "") -> RunEnded:
        run = self._it.run
        told = {"repo": run.project, "task": self._it.task.work_item, "attempt": int(run.attempt), "run": int(run.id)}
        _log.info("run ended", **told, action="run", outcome=result.outcome.value, stage=run.stage.value, trouble=infrastructure)
        return RunEnded(run=run.id, attempt=run.attempt, result=result, infrastructure=infrastructure)

    async def _archive(self) -> Sha | None:
        """Keep everything, whatever ended the run; bounded, and shielded from the cancellation that ended it."""
        with anyio.move_on_after(ARCHIVE_S, shield=True):
            try:
                return await self._services.workspace.archive(self._spec)
            except (ExternalError, StoreError, OSError) as error:
                _log.error("archive failed", task=self._it.task.work_item, run=int(self._it.run.id), error=str(error))
        return None

    async def _collect(self, ended: RunEnded, prepared: Prepared) -> RunEnded:
        """Fetch, check and push the result. A forge or disk in trouble is waited for a while: the agent has been paid for."""
        failures = 0
        while True:
            try:
                collected = await self._services.workspace.collect(self._spec, prepared)
                break
            except PermanentError as error:
                failed = replace(ended.result, outcome=Outcome.FAILED, detail=f"its result cannot be taken over: {error}")
                return replace(ended, result=failed)
            except LeaseLost as error:
                return replace(ended, infrastructure=str(error))
            except (ExternalError, StoreError, OSError) as error:
                failures += 1
                _log.warning("collect failed", task=self._it.task.work_item, run=int(self._it.run.id), error=str(error))
                if failures >= COLLECT_TRIES:
                    return replace(ended, infrastructure=str(error))
            await self._world.clock.sleep(backoff(failures))
        hit("run.collected")
        if isinstance(collected, Collected):
            return replace(ended, branch=collected.facts)
        return replace(ended, refusal=collected)

    async def _agent(self, prepared: Prepared) -> AgentResult:
        """Render the prompt, start the agent's process tree, and read it to its outcome. Raises what kept it from starting."""
        adapter = self._world.adapters[self._settings.agent]
        missing = adapter.check(self._settings)
        if missing is not None:
            return AgentResult(outcome=Outcome.PERMISSION_DENIED, detail=missing)
        context = await self._prompt_context(prepared)
        try:
            prompt = self._world.prompts.render(context)
        except ConfigError as error:
            return AgentResult(outcome=Outcome.PERMISSION_DENIED, detail=str(error))
        folder = self._world.run_dir(self._it.run.id)
        prompt_path = folder / "prompt.md"
        prompt_path.write_text(prompt, encoding="utf-8", errors="replace")
        cap = await self._meter.cap(self._settings.max_budget_usd)
        request = replace(self._request(prepared, prompt_path, folder / "output.log"), budget_left_usd=cap)
        reader = adapter.reader(request)
        try:
            hit("agent.starting")
            end = await self._meter.run(lambda: self._world.processes.run(adapter.command(request), reader), reader)
        except AgentError as error:
            return AgentResult(outcome=Outcome.CRASHED, detail=str(error))
        if end is None:
            return self._meter.result(reader)
        result = reader.result(end)
        hit("agent.ended")
        if end.survivors:
            _log.error("processes survived", task=self._it.task.work_item, pids=[each.pid for each in end.survivors])
        return result

    def _request(self, prepared: Prepared, prompt_path: Path, log_path: Path) -> AgentRequest:
        it = self._it
        return AgentRequest(
            run=it.run.id,
            task=it.task.row,
            work_item=it.task.work_item,
            role=self._role,
            stage=it.run.stage,
            mode=it.mode,
            prompt_path=prompt_path,
            worktree=prepared.worktree,
            home=prepared.home,
            log_path=log_path,
            artefact_dir=artefact_dir(it.task.work_item),
            session=it.session,
            settings=self._settings,
            limits=self._world.limits,
            turns_left=self._settings.max_turns,
            session_total_usd=it.session_total_usd,
            project=self._project.name,
        )

    async def _prompt_context(self, prepared: Prepared) -> PromptContext:
        it, project = self._it, self._project
        facts = await self._services.mirror.read_artefacts(prepared.start_head, it.task.work_item, prepared.base)
        return PromptContext(
            work_item=it.task.work_item,
            title=it.task.title_now,
            description=it.task.description_now,
            edit=render_card_diff(it.task),
            merged=prepared.merged,
            role=self._role,
            stage=it.run.stage,
            branch=prepared.branch,
            artefact_dir=artefact_dir(it.task.work_item),
            gate=render_gate(it.run.stage, project.language),
            language=project.language,
            mode=it.mode,
            feedback=it.job.feedback,
            comments=await self._comments(),
            artefacts={name: artefact.text for name, artefact in sorted(facts.artefacts.items())},
            test_command=" ".join(project.test_command),
            default_branch=project.default_branch,
        )

    async def _comments(self) -> list[BoardComment]:
        """People's comments; a board that does not answer does not hold the line."""
        try:
            comments = await self._services.board.fetch_comments(self._it.task.issue)
        except ExternalError as error:
            _log.warning("comments unread", task=self._it.task.work_item, error=str(error))
            return []
        return [comment for comment in comments if not comment.ours][-20:]


def _unstarted(error: Exception) -> AgentResult:
    return AgentResult(outcome=Outcome.FAILED, detail=str(error))
