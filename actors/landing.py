"""The critical section: a green candidate becomes the default branch, and all its members are recorded.

Owns: the order of a landing's side effects (intent, push, verification, record), and what became of one that was cut off.
Does not own: which candidate (``train``), what is tested (``checks``), what a landing means for a task (``decide_evidence``).

Desired properties: the default branch only ever becomes a commit whose tree passed the test command on that very base; a
crash between any two steps is answered by asking git; a task that left the queue does not land; members land together or not
at all.
Design: one transaction checks every member, the freeze, the base and the verdict, takes the lease and writes the intent; a
STOP is a transaction too, so whichever commits first decides. From the intent's commit to the record's it is shielded with a
deadline; past the deadline the intent stays open and is resolved by asking git.
Races we accept: main moves between fetch and push: the push is refused, the intent is cleared, the train plans again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import anyio

from actors.component import Room
from actors.persist import Hints, apply, send_hints
from orch.core import decide_evidence
from orch.core.decide_landing import push_failed
from orch.core.decide_repo import membership_fault
from orch.core.errors import ExternalError, LeaseLost, StoreError
from orch.core.ids import TaskRow
from orch.core.landing import after_landing, environment_of, wait_of
from orch.core.messages import CommandVerdict, TaskLanded
from orch.core.model import Candidate, Intent, IntentKind, IntentState, MergeLease, Task
from orch.core.render import render_push_dirty, render_push_refused
from orch.core.turn import Context, Decided
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import Pushed, PushResult, Tx

CRITICAL_S = 120.0
RETRY_S = 5.0
AGAIN_S = 1.0
FOUND = "found on the default branch after a restart"
CONTAINED = "its content was in the default branch already"
_log = get_logger("landing")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """A landing that may go on: the intent is on disk, under the lease that every later write of it is checked against."""

    intent: Intent
    lease: MergeLease
    candidate: Candidate


async def land(room: Room, candidate: Candidate) -> float:
    """Land *candidate* and return after how many seconds to plan again; never raises for what git, store or forge did."""
    try:
        with anyio.move_on_after(CRITICAL_S, shield=True):
            intended = await _intend(room, candidate)
            if isinstance(intended, str):
                _log.info("not landed", repo=room.name, candidate=candidate.sha[:12], detail=intended)
                return AGAIN_S
            hit("landing.intended")
            return await _push(room, intended)
        note = "the push took too long; git is asked what became of it"
    except LeaseLost:
        note = "another landing took over"
    except (ExternalError, StoreError) as error:
        note = str(error)
    _log.warning("landing cut off", repo=room.name, candidate=candidate.sha[:12], detail=note)
    return RETRY_S


async def _intend(room: Room, candidate: Candidate) -> Intended | str:
    """Check everything once more and write the intent, in one transaction; or say why nothing lands."""

    def work(tx: Tx) -> Intended | str:
        repo = tx.load_repo(room.name)
        if any(intent.kind is IntentKind.LAND for intent in tx.open_intents(room.name)):
            return "another landing is not resolved yet"
        if repo.main != candidate.base:
            return "the default branch moved"
        fault = membership_fault(candidate, [tx.load_task(member.task) for member in candidate.members], repo)
        if fault is not None:
            return fault
        if not _is_green(tx, candidate, environment_now(room)):
            return "it has no green run under the commands as they are now"
        hit("landing.intending")
        lease = tx.take_lease(room.name, f"land-{candidate.sha[:12]}")
        first, now = candidate.members[0].task, room.world.clock.now()
        intent = tx.add_intent(IntentKind.LAND, lease, candidate=candidate, task=first, at=now)
        return Intended(intent=intent, lease=lease, candidate=candidate)

    return await room.world.store.transact(work)


def environment_now(room: Room) -> str:
    """Return what a verdict depends on beside the tree, as configuration and host are now."""
    project = room.project
    return environment_of(project, room.world.commands.toolchain(project.setup_command, project.test_command))


def _is_green(tx: Tx, candidate: Candidate, environment: str) -> bool:
    """Say whether the candidate's tree passed; what the default branch holds already need not."""
    if candidate.sha == candidate.base:
        return True
    checks = tx.list_checks(candidate.project, trees=(candidate.tree,))
    return any(row.verdict == CommandVerdict.GREEN and row.environment == environment for row in checks)


async def _push(room: Room, intended: Intended) -> float:
    candidate = intended.candidate
    if candidate.sha == candidate.base:
        await _record(room, intended, CONTAINED)
        return 0.0
    pushed = await room.services.mirror.push_candidate(candidate)
    if pushed.result is PushResult.PUSHED:
        hit("main.verified")
        await _record(room, intended, "")
        return 0.0
    await _not_taken(room, intended, pushed)
    return 0.0 if pushed.result is PushResult.MOVED else RETRY_S


# ------------------------------------------------------------------------------------------------ it landed


async def _record(room: Room, intended: Intended, detail: str) -> None:
    """Record that the default branch holds the candidate: every member, the intent's end and the outbox, in one commit."""

    def work(tx: Tx) -> list[Hints]:
        tx.check_lease(intended.lease)
        tx.end_intent(intended.intent.id, IntentState.DONE)
        hit("landing.recording")
        repo = tx.load_repo(room.name)
        tx.save_repo(replace(repo, main=intended.candidate.sha))
        told, waits = [], []
        for member in intended.candidate.members:
            task = tx.load_task(member.task)
            if task is None or task.landed is not None:
                continue  # recorded already
            waits.append(wait_of(tx.list_transitions(task.row), room.world.clock.now()))
            told.append(_record_member(tx, room.world.context(room.name), task, intended.candidate, detail))
            hit("landing.member")
        slots = room.world.limits.test_slots
        tx.save_train(after_landing(tx.load_train(room.name), waits, slots))
        return told

    hints = await room.world.store.transact(work)
    hit("landing.recorded")
    told = {"repo": room.name, "sha": intended.candidate.sha[:12], "members": len(hints)}
    _log.info("landed", **told, action="land", outcome="landed")
    for each in hints:
        send_hints(room.router, each)
        if each.task is not None:
            room.router.task(each.task).tell(TaskLanded(sha=intended.candidate.landed[each.task]))
    hit("landing.ended")


def _record_member(tx: Tx, context: Context, task: Task, candidate: Candidate, detail: str) -> Hints:
    decided = decide_evidence.landed(context, task, candidate.landed[task.row], detail)
    numbered = replace(decided.task, landed_seq=tx.next_landed_seq(task.project))
    return apply(tx, replace(decided, task=numbered), at=context.now)[1]


# ------------------------------------------------------------------------------------------------ it did not


async def _not_taken(room: Room, intended: Intended, pushed: Pushed) -> None:
    """The default branch did not take the candidate: the intent is cleared and the train plans again.

    A rule of the server may be broken by one member of several (a protected file): the first stays in the queue and is tried
    alone, the others step aside until their park clears.
    """
    language = room.project.language
    refused = render_push_refused(pushed.detail, language) if pushed.result is PushResult.REFUSED else ""
    note = render_push_dirty(language) if pushed.result is PushResult.DIRTY else ""
    moved = pushed.result is PushResult.MOVED
    _log.warning("push refused", repo=room.name, outcome=pushed.result.value, detail=pushed.detail)
    members = intended.candidate.members
    first = members[0].task if len(members) > 1 else None

    def decide(context: Context, task: Task) -> Decided:
        if task.row == first:
            return push_failed(context, task, note=refused or note)
        return push_failed(context, task, refused=refused, note=note)

    await _clear(room, intended, decide, lost_swap=moved)


async def _clear(room: Room, intended: Intended, decide: Callable[[Context, Task], Decided], *, lost_swap: bool = False) -> None:
    """It never happened: what that means for each member, a STOP that waited for it too."""

    def work(tx: Tx) -> list[Hints]:
        tx.check_lease(intended.lease)
        tx.end_intent(intended.intent.id, IntentState.CLEARED)
        if lost_swap:
            train = tx.load_train(room.name)
            tx.save_train(replace(train, lost_swaps=train.lost_swaps + 1))
        return decide_members(tx, room, [member.task for member in intended.candidate.members], decide)

    for hints in await room.world.store.transact(work):
        send_hints(room.router, hints)


def decide_members(tx: Tx, room: Room, rows: Sequence[TaskRow], decide: Callable[[Context, Task], Decided]) -> list[Hints]:
    """Inside the transaction: decide about each task and write what changed."""
    context, hints = room.world.context(room.name), []
    for row in rows:
        task = tx.load_task(row)
        if task is None:
            continue
        decided = decide(context, task)
        if decided.changed or decided.task != task:
            hints.append(apply(tx, decided, at=context.now)[1])
    return hints


# ------------------------------------------------------------------------------------------------ after a crash


async def resolve_intents(room: Room) -> None:
    """Ask git what became of the landings that were cut off, by a crash, a deadline or a forge that did not answer.

    Raises ExternalError, StoreError or LeaseLost where that cannot be told now.
    """
    intents = await room.world.store.read(lambda tx: tx.open_intents(room.name))
    for intent in [each for each in intents if each.kind is IntentKind.LAND]:
        lease = await room.world.store.transact(lambda tx: tx.take_lease(room.name, "resolve"))
        candidate = intent.candidate
        if candidate is None:
            await room.world.store.transact(lambda tx, intent=intent: tx.end_intent(intent.id, IntentState.CLEARED))  # type: ignore[misc]
            continue
        intended = Intended(intent=intent, lease=lease, candidate=candidate)
        main = await room.services.mirror.fetch()
        hit("intent.asked")
        landed = await room.services.mirror.contains(candidate.sha, main)
        with anyio.move_on_after(CRITICAL_S, shield=True):
            if landed:
                await _record(room, intended, FOUND)
            else:
                await _clear(room, intended, push_failed)
        hit("intent.resolved")
        _log.info("intent resolved", repo=room.name, candidate=candidate.sha[:12], landed=landed)
