"""One pass over the landing queue's head: candidate, test, intent, push, verify, record.

Owns: the order of a landing's side effects (the merge rules' critical section), for one task at a time.
Does not own: which task is next (``decide_repo``), what a refusal means for the task (``decide_task``).

Desired properties: the default branch only ever becomes a commit that passed the test command on that very base; a crash
between any two steps is answered by asking git; a task that left the queue does not land.
Design: everything up to the intent is free to be cancelled. From the intent's commit to the record's it is shielded with
a deadline; past the deadline the intent stays open and the next start, or the next pass, resolves it by asking git.
Races we accept: main moves between fetch and push: the push is refused, the intent is cleared, the pass begins again.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import assert_never, final

import anyio

from actors.mailbox import Mailbox
from actors.persist import Hints, apply, send_hints
from actors.world import Router, Services, World
from orch.core import decide_evidence
from orch.core.decide_repo import membership_fault
from orch.core.errors import ExternalError, LeaseLost, PermanentError, StoreError
from orch.core.ids import Sha, TaskRow
from orch.core.messages import (
    CancelCommand,
    CommandFinished,
    CommandReport,
    CommandVerdict,
    LandingEnded,
    LandingRefused,
    RunCommand,
    TaskLanded,
    TaskTouched,
)
from orch.core.model import (
    Candidate,
    Intent,
    IntentKind,
    IntentState,
    Member,
    MergeLease,
    Outcome,
    Run,
    RunKind,
    Task,
)
from orch.core.render import render_pr_body, render_pr_title
from orch.core.resuming import park_for_infrastructure
from orch.core.stopping import window_closed
from orch.core.turn import Context, Decided, Turn
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import CandidateMember, Conflict, Pushed, PushResult, Tx

CRITICAL_S = 120.0
RETRY_S = 5.0
_log = get_logger("landing")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A green candidate."""

    candidate: Candidate


class Landing:
    """Lands one task under one lease."""

    def __init__(
        self,
        world: World,
        router: Router,
        services: Services,
        lease: MergeLease,
        task: Task,
        *,
        green: Candidate | None = None,
    ) -> None:
        self.green = green
        """The last candidate that passed its test, an earlier pass's to begin with."""
        self._world = world
        self._router = router
        self._services = services
        self._lease = lease
        self._task = task
        self._project = services.project

    async def run(self) -> LandingEnded:
        """Take the task through one pass; never raises for what git, the tests or the forge did."""
        try:
            ready = await self._prepare()
            if isinstance(ready, LandingEnded):
                return ready
            with anyio.move_on_after(CRITICAL_S, shield=True):
                return await self._land(ready.candidate)
            return self._ended(retry_s=RETRY_S, note="the push took too long; git is asked what became of it")
        except LeaseLost:
            return self._ended(note="another landing took over")
        except PermanentError as error:
            return await self._disturbed(str(error))
        except (ExternalError, StoreError) as error:
            return self._ended(retry_s=RETRY_S, note=str(error))

    def _ended(self, *, retry_s: float | None = None, note: str = "") -> LandingEnded:
        return LandingEnded(epoch=self._lease.epoch, retry_s=retry_s, note=note)

    # -------------------------------------------------------------------------------------------- candidate and test

    async def _prepare(self) -> Ready | LandingEnded:
        mirror, task = self._services.mirror, self._task
        assert task.head is not None
        base = await mirror.fetch()
        await self._remember_main(base)
        hit("landing.fetched")
        if self.green is not None and self.green.base == base and self.green.members == (Member(task=task.row, head=task.head),):
            return Ready(candidate=self.green)
        member = CandidateMember(task=task.row, head=task.head, message=self._message())
        built = await mirror.build_candidate(
            base,
            [member],
            self._project.land_style,
            author="Orch",
            email="orch@localhost",
            at=self._world.clock.now(),
        )
        if isinstance(built, Conflict):
            files = "\n".join(f"- {path}" for path in built.files[:50])
            return await self._refuse(
                "conflict", base, f"conflict with the default branch at {base[:12]}:\n{files}\n{built.detail}"
            )
        if built.sha == base:
            return await self._already_there(base)
        report = await self._test(built)
        match report.verdict:
            case CommandVerdict.GREEN:
                self.green = built
                hit("landing.green")
                return Ready(candidate=built)
            case CommandVerdict.RED:
                told = f"the test command fails on the branch put onto the default branch at {base[:12]}:\n{report.tail[-8000:]}"
                return await self._refuse("land_red", base, told)
            case CommandVerdict.TIMEOUT | CommandVerdict.INFRA | CommandVerdict.INTERRUPTED:
                return await self._disturbed(f"test run: {report.verdict}: {report.tail[-1500:]}")
            case _:
                assert_never(report.verdict)

    def _message(self) -> str:
        title = render_pr_title(self._task, False)
        return f"{title}\n\n{render_pr_body(self._task, self._project.language)}"

    async def _refuse(self, kind: str, base: Sha, evidence: str) -> LandingEnded:
        """Back to development with the evidence. The task has left the queue before the next landing is planned."""
        assert self._task.head is not None
        refused = LandingRefused(kind=kind, head=self._task.head, base=base, evidence=evidence)
        await self._decide(lambda context, task: decide_evidence.landing_refused(context, task, refused))
        return self._ended(note=kind)

    async def _disturbed(self, told: str) -> LandingEnded:
        """No verdict: the same candidate again, up to a cap of its own; it never counts against the task."""
        await self._decide(lambda context, task: decide_evidence.landing_disturbed(context, task, told))
        return self._ended(retry_s=RETRY_S, note=told)

    async def _decide(self, decide: Callable[[Context, Task], Decided]) -> None:
        """Record what this pass means for its task, under the lease."""

        def work(tx: Tx) -> Hints | None:
            tx.check_lease(self._lease)
            task = tx.load_task(self._task.row)
            if task is None:
                return None
            context = self._world.context(task.project)
            decided = decide(context, task)
            return apply(tx, decided, at=context.now)[1] if decided.task != task or decided.changed else None

        hints = await self._world.store.transact(work)
        if hints is not None:
            send_hints(self._router, hints)

    async def _already_there(self, base: Sha) -> LandingEnded:
        """Everything the task changes is in the default branch already: landed, with nothing to push."""
        await self._record(None, base, "its content was in the default branch already")
        return self._ended()

    async def _remember_main(self, main: Sha) -> None:
        def work(tx: Tx) -> None:
            tx.check_lease(self._lease)
            tx.save_repo(replace(tx.load_repo(self._project.name), main=main))

        await self._world.store.transact(work)

    async def _test(self, candidate: Candidate) -> CommandReport:
        """Run the test command on the candidate in a test slot; nothing is held while it waits."""
        task = self._task

        run = await self._world.store.transact(
            lambda tx: tx.start_run(task, kind=RunKind.LAND, job=None, role=None, at=self._world.clock.now())
        )
        report = await self._command(run, candidate)
        hit("landing.tested")
        outcome = {CommandVerdict.GREEN: Outcome.SUCCEEDED, CommandVerdict.RED: Outcome.FAILED}.get(
            report.verdict, Outcome.CRASHED
        )
        ended = replace(
            run,
            start_head=candidate.sha,
            outcome=outcome,
            detail=report.tail[-2000:],
            exit_code=report.exit_code,
            log_path=report.log_path,
            ended_at=self._world.clock.now(),
        )
        await self._world.store.transact(lambda tx: tx.save_run(ended))
        return report

    async def _command(self, run: Run, candidate: Candidate) -> CommandReport:
        with closing(Mailbox[CommandFinished](f"landing-{int(run.task)}", hints=(CommandFinished,))) as replies:
            self._router.commands.tell(
                RunCommand(
                    run=run.id,
                    attempt=run.attempt,
                    project=run.project,
                    task=run.task,
                    sha=candidate.sha,
                    command=self._project.test_command,
                    prepare=True,
                    timeout_s=self._project.test_timeout_s,
                    reply=replies,
                )
            )
            self._router.publisher.tell(TaskTouched(task=run.task))
            try:
                return (await replies.receive()).report
            except anyio.get_cancelled_exc_class():
                self._router.commands.tell(CancelCommand(run=run.id))
                raise

    # -------------------------------------------------------------------------------------------- the critical section

    async def _land(self, candidate: Candidate) -> LandingEnded:
        intent = await self._write_intent(candidate)
        if isinstance(intent, str):
            return self._ended(retry_s=0.0, note=intent)
        hit("landing.intended")
        pushed = await self._services.mirror.push_candidate(candidate)
        if pushed.result is PushResult.PUSHED:
            hit("main.verified")
            await self._record(intent, candidate.landed[self._task.row], "")
            return self._ended()
        return await self._push_failed(intent, pushed)

    async def _write_intent(self, candidate: Candidate) -> Intent | str:
        """Membership check and intent in one transaction: a STOP that committed first wins, a later one waits."""

        def work(tx: Tx) -> Intent | str:
            tx.check_lease(self._lease)
            repo = tx.load_repo(self._project.name)
            if repo.main != candidate.base:
                return "the default branch moved"
            fault = membership_fault(candidate, [tx.load_task(m.task) for m in candidate.members], repo)
            if fault is not None:
                return fault
            now = self._world.clock.now()
            hit("landing.intending")
            return tx.add_intent(IntentKind.LAND, self._lease, candidate=candidate, task=self._task.row, at=now)

        return await self._world.store.transact(work)

    async def _record(self, intent: Intent | None, sha: Sha, detail: str) -> None:
        await record_landing(self._world, self._router, self._lease, intent, self._task.row, sha, detail)

    async def _push_failed(self, intent: Intent, pushed: Pushed) -> LandingEnded:
        """The default branch did not take the candidate: the intent is cleared and the train plans again."""
        note = pushed.detail

        def work(tx: Tx) -> Hints | None:
            tx.end_intent(intent.id, IntentState.CLEARED)
            task = tx.load_task(self._task.row)
            if task is None:
                return None
            context = self._world.context(task.project)
            _, hints = apply(tx, _after_refused_push(context, task, pushed), at=context.now)
            return hints

        hints = await self._world.store.transact(work)
        if hints is not None:
            send_hints(self._router, hints)
        _log.warning("push refused", task=self._task.work_item, outcome=pushed.result.value, detail=note)
        return self._ended(retry_s=0.0 if pushed.result is PushResult.MOVED else RETRY_S, note=note)


def _after_refused_push(context: Context, task: Task, pushed: Pushed) -> Decided:
    if task.cancel_requested_at is not None:
        return window_closed(context, task)
    turn = Turn(context, task)
    match pushed.result:
        case PushResult.DIRTY:
            turn.set(
                note="the repository's checked-out working tree has uncommitted changes: commit or stash them to let it land"
            )
        case PushResult.REFUSED:
            turn.set(counters=replace(task.counters, infrastructure=task.counters.infrastructure + 1))
            park_for_infrastructure(turn, f"the forge refuses the push to the default branch: {pushed.detail}")
        case PushResult.MOVED | PushResult.PUSHED:
            turn.set(note="")
        case _:
            assert_never(pushed.result)
    return turn.end()


async def record_landing(
    world: World,
    router: Router,
    lease: MergeLease,
    intent: Intent | None,
    row: TaskRow,
    sha: Sha,
    detail: str,
) -> None:
    """Record that the default branch holds the task as *sha*: the transition, the intent's end and the outbox in one commit."""

    def work(tx: Tx) -> Hints | None:
        tx.check_lease(lease)
        if intent is not None:
            tx.end_intent(intent.id, IntentState.DONE)
        task = tx.load_task(row)
        hit("landing.recording")
        if task is None or task.landed is not None:
            return None  # recorded already
        context = world.context(task.project)
        main = intent.candidate.sha if intent is not None and intent.candidate is not None else sha
        tx.save_repo(replace(tx.load_repo(task.project), main=main))
        _, hints = apply(tx, decide_evidence.landed(context, task, sha, detail), at=context.now)
        return hints

    hints = await world.store.transact(work)
    if hints is not None:
        hit("landing.recorded")
        send_hints(router, hints)
        router.task(row).tell(TaskLanded(sha=sha))


async def resolve_intent(world: World, router: Router, services: Services, lease: MergeLease, intent: Intent) -> None:
    """Ask git what became of an intent that a crash left open: landed, or never happened."""
    candidate = intent.candidate
    if candidate is None or intent.task is None:
        await world.store.transact(lambda tx: tx.end_intent(intent.id, IntentState.CLEARED))
        return
    main = await services.mirror.fetch()
    hit("intent.asked")
    if await services.mirror.contains(candidate.sha, main):
        detail = "found on the default branch after a restart"
        await record_landing(world, router, lease, intent, intent.task, candidate.landed[intent.task], detail)
    else:
        await _clear(world, router, lease, intent, intent.task)
    hit("intent.resolved")
    _log.info("intent resolved", repo=intent.project, task=int(intent.task), candidate=candidate.sha[:12])


async def _clear(world: World, router: Router, lease: MergeLease, intent: Intent, row: TaskRow) -> None:
    """It never happened: the train plans again, and a STOP that waited for it is carried out."""

    def work(tx: Tx) -> Hints | None:
        tx.check_lease(lease)
        tx.end_intent(intent.id, IntentState.CLEARED)
        task = tx.load_task(row)
        if task is None:
            return None
        context = world.context(task.project)
        decided = window_closed(context, task)
        return apply(tx, decided, at=context.now)[1] if decided.changed else None

    hints = await world.store.transact(work)
    if hints is not None:
        send_hints(router, hints)
