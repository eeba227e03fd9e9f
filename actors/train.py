"""The train's shell: looks at git and the store, asks the planner, carries out what it says.

Owns: when a round is held, what it looks at, and the order in which its actions are carried out.
Does not own: the plan (``orch.core.train``), checks (``checks``), the critical section (``landing``), what a ruling means for
a task (``rulings``), what others did to the repo (``outside``).

Desired properties: nothing that matters is remembered here, every round begins from the store and git; rounds are serial; a
round too many changes nothing; an enqueue cancels no run whose base holds.
Design: a hint wakes one child that holds rounds until nothing more follows. A round fetches, builds the chain (remembered
steps cost nothing; those onto main as last seen are made during the fetch), asks the planner, and starts children: a check
each, one landing at a time. Those write what they came to into the store and give a hint. While a landing is under way its
members stay in the chain, so that what is tested behind them stays valid.
Races we accept: what a round saw is old when it acts: a check for a member that has just left is cancelled by the next round,
a landing checks everything again inside its transaction.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import assert_never, final

from actors.checks import RETRY_S, Checks
from actors.component import Room
from actors.health import train_component
from actors.landing import decide_members, environment_now, land, resolve_intents
from actors.outside import Outside
from actors.persist import send_hints
from actors.rulings import Rulings
from orch.core.decide_landing import gate_switched
from orch.core.errors import ExternalError, LeaseLost, StoreError
from orch.core.ids import Sha, TaskRow
from orch.core.landing import checks_of, heed_freeze, landing_members, make_candidate, recall, remember, waiting
from orch.core.messages import LandingHint, TaskTouched
from orch.core.model import Awaiting, Candidate, CheckRow, IntentKind, Repo, Task, TrainRow
from orch.core.render import render_held, render_pr_body, render_pr_title
from orch.core.train import (
    Begin,
    Cancel,
    Chain,
    Disturbed,
    Eject,
    Facts,
    LandPrefix,
    MainRed,
    Plan,
    Train,
    Waiting,
    arrange,
    plan,
    reach,
)
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import BuiltChain, CandidateMember, ChainSpec, LeftOut, Tx

RETRY_MAX_S = 75.0
"""With a poll of the forge every minute beside it, a forge that is away is still asked less than once in 30 s."""
SPIN_MAX = 50
"""After so many rounds in a row the next one waits a while: no bug of the plan may keep the processor busy."""
_log = get_logger("landing")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the store says. *landing* are the members of an open intent, *branches* whether any live task has a branch."""

    queue: Sequence[Task]
    running: Sequence[CheckRow]
    row: TrainRow
    repo: Repo
    landing: frozenset[TaskRow]
    open_intent: bool
    branches: bool
    switched: Sequence[TaskRow]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The chain and, where its first member is the suspect, the one beside it; what they were built from."""

    chain: Chain
    aside: Chain | None
    left_out: Sequence[LeftOut]
    held: bool
    environment: str


@final
class TrainShell:
    """The component of a repo's actor that lands."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._checks = Checks(room)
        self._outside = Outside(room)
        self._rulings = Rulings(room)
        self._landing = False
        self._going = False
        self._again = False
        self._hinted = True
        self._failures = 0
        self._retrying = False

    @property
    def _slots(self) -> int:
        return max(1, self._room.world.limits.test_slots)

    async def started(self) -> None:
        await self._checks.end_left_over()

    def hint(self) -> None:
        """Somebody says that something changed: main and the branches are looked at, whether anything is queued or not."""
        self._hinted = True

    async def plan(self) -> None:
        self._again = True
        if not (self._going or self._retrying):  # what failed is tried again when it is due, not whenever something is heard
            self._going = True
            self._room.spawn(self._rounds)

    async def _rounds(self) -> None:
        """Hold rounds until nothing more follows."""
        count = 0
        try:
            while self._again:
                self._again = False
                count += 1
                if count % SPIN_MAX == 0:
                    await self._room.world.clock.sleep(1.0)
                await self._try_round()
        finally:
            self._going = False

    async def _try_round(self) -> None:
        try:
            more = await self._round()
            self._again = self._again or more  # it may have been set while the round was held
        except (ExternalError, StoreError, LeaseLost) as error:
            self._failures += 1
            _log.warning("no round", repo=self._room.name, error=str(error), failures=self._failures)
            self._room.world.health.notice(train_component(self._room.name), str(error))
            self._again, self._retrying = False, True
            self._room.spawn(self._retry, min(RETRY_MAX_S, RETRY_S * 1.5 ** min(self._failures - 1, 10)))
        else:
            self._failures = 0
            self._room.world.health.notice(train_component(self._room.name), "")

    async def _retry(self, seconds: float) -> None:
        await self._room.world.clock.sleep(seconds)
        self._retrying = False
        self._room.mailbox.tell(LandingHint())

    async def _later(self, seconds: float) -> None:
        await self._room.world.clock.sleep(seconds)
        self._room.mailbox.tell(LandingHint())

    # -------------------------------------------------------------------------------------------- what there is

    def _look(self, tx: Tx) -> Look:
        project = self._room.name
        intents = [intent for intent in tx.open_intents(project) if intent.kind is IntentKind.LAND]
        at_end = tx.list_tasks(project=project, live=True, awaiting=(Awaiting.LANDING, Awaiting.MERGE))
        wanted = Awaiting.LANDING if self._room.project.merge_gate else Awaiting.MERGE
        landing = landing_members(intents)
        return Look(
            queue=tx.landing_queue(project),
            running=tx.list_checks(project, running=True),
            row=tx.load_train(project),
            repo=tx.load_repo(project),
            landing=landing,
            open_intent=bool(intents),
            branches=any(task.head is not None and task.landed is None for task in tx.list_tasks(project=project, live=True)),
            switched=[task.row for task in at_end if task.awaiting is not wanted and not task.park and task.row not in landing],
        )

    async def _round(self) -> bool:
        """Hold one round; say whether another one follows at once."""
        hinted, self._hinted = self._hinted, False
        look = await self._room.world.store.read(self._look)
        if look.open_intent and not self._landing:
            await resolve_intents(self._room)
            return True
        if look.switched:
            await self._switch(look.switched)
            return True
        landing_here = bool(look.queue) and self._room.project.merge_gate
        if not landing_here:
            await self._stand_down(look)
        polls = hinted or self._room.world.limits.reconcile_enabled
        if not landing_here and not (polls and look.branches):
            return False
        if landing_here:
            self._room.spawn(self._build_ahead, look)
        base = await self._outside.look()
        return await self._plan(base) if landing_here else False

    async def _build_ahead(self, look: Look) -> None:
        """Build the chain on main as it was last seen while it is asked whether it moved; the round finds the steps made."""
        if look.repo.main is not None:
            with suppress(ExternalError, StoreError):  # the round meets it too
                await self._build(look, look.repo.main, recall(look.row, self._slots))

    async def _stand_down(self, look: Look) -> None:
        """Nothing is to be landed: what is tested is needed by nobody, and nobody is held."""
        await self._checks.cancel(look.running)

        def work(tx: Tx) -> None:
            row, now = tx.load_train(self._room.name), self._room.world.clock.now()
            new = replace(heed_freeze(row, tx.load_repo(self._room.name), now), held=())
            if new != row:
                tx.save_train(new)

        if look.row.held or look.repo.freeze is not None or look.row.frozen_since is not None:
            await self._room.world.store.transact(work)

    async def _switch(self, rows: Sequence[TaskRow]) -> None:
        """The merge gate is on or off now: the tasks at the end of staging wait for somebody else."""
        for hints in await self._room.world.store.transact(lambda tx: decide_members(tx, self._room, rows, gate_switched)):
            send_hints(self._room.router, hints)

    # -------------------------------------------------------------------------------------------- one round

    async def _plan(self, base: Sha) -> bool:
        look = await self._room.world.store.read(self._look)
        if look.repo.main != base:  # a landing was recorded meanwhile: queue and base are of different moments
            return True
        train = recall(look.row, self._slots)
        built = await self._build(look, base, train)
        if not look.open_intent and (gone := [each for each in built.left_out if each.broken or each.after is None]):
            await self._rulings.refuse(gone, base)
            return True
        if not look.open_intent and (there := self._contained(built, look)) is not None:
            self._start_landing(there)
            return False
        trees = {built.chain.tree(place) for place in range(len(built.chain.links) + 1)}
        if built.aside is not None:
            trees |= {link.tree for link in built.aside.links}
        rows = await self._room.world.store.read(lambda tx: tx.list_checks(self._room.name, trees=trees, running=True))
        await self._checks.cancel([row for row in rows if row.verdict is None and row.environment != built.environment])
        facts = Facts(
            chain=built.chain,
            aside=built.aside,
            checks=checks_of(rows, built.environment),
            slots=self._slots,
            frozen=built.held,
            exempt=frozenset(task.row for task in look.queue if task.exempt),
            landing=look.open_intent or self._landing,
        )
        decided = plan(train, facts)
        return await self._carry_out(look, built, train, decided, rows)

    async def _build(self, look: Look, base: Sha, train: Train) -> Built:
        """Put the queue's members onto the base, in the train's order."""
        room, mirror = self._room, self._room.services.mirror
        held = look.repo.freeze is not None
        if not held and look.row.red_main is not None:
            held = look.row.red_main == await mirror.tree_of(base)
        running = [member.task for check in look.running for member in check.members]
        order = arrange(waiting(look.queue, look.landing), running, frozen=held, suspect=train.suspect)
        spec = ChainSpec(
            base=base,
            members=self._members(order, look.queue),
            style=room.project.land_style,
            most=reach(train, running, self._slots),
            as_is=not room.world.limits.premerge_rebase_always,
        )
        built, aside = await mirror.build_chain(spec), None
        if built.chain.links and built.chain.links[0].member.task == train.suspect:
            aside = (await self._build_aside(spec, train.suspect)).chain
        return Built(
            chain=built.chain,
            aside=aside,
            left_out=built.left_out,
            held=held,
            environment=environment_now(room),
        )

    async def _build_aside(self, spec: ChainSpec, suspect: TaskRow) -> BuiltChain:
        others = tuple(member for member in spec.members if member.task != suspect)
        return await self._room.services.mirror.build_chain(replace(spec, members=others))

    def _members(self, order: Sequence[Waiting], queue: Sequence[Task]) -> tuple[CandidateMember, ...]:
        by_row, language = {task.row: task for task in queue}, self._room.project.language

        def message(task: Task) -> str:
            return f"{render_pr_title(task, False)}\n\n{render_pr_body(task, language)}"

        return tuple(CandidateMember(task=each.task, head=each.head, message=message(by_row[each.task])) for each in order)

    def _contained(self, built: Built, look: Look) -> Candidate | None:
        """Return the members at the head whose content is in the default branch already: there is nothing to test or to push."""
        free, count = {task.row for task in look.queue if task.exempt or not built.held}, 0
        for link in built.chain.links:
            if link.sha != built.chain.base or link.member.task not in free:
                break
            count += 1
        if count == 0 or self._landing:
            return None
        return make_candidate(self._room.name, built.chain, count)

    # -------------------------------------------------------------------------------------------- carrying out

    async def _carry_out(self, look: Look, built: Built, before: Train, decided: Plan, rows: Sequence[CheckRow]) -> bool:
        """Do what was planned; say whether another round follows at once."""
        if not await self._remember(look, built, before, decided.train):
            return True
        hit("landing.planned")
        doomed = {action.check for action in decided.actions if isinstance(action, Cancel)}
        await self._checks.cancel([row for row in rows if row.id in doomed])
        for action in decided.actions:
            match action:
                case Cancel():
                    pass
                case Begin():
                    chain = built.aside if action.aside and built.aside is not None else built.chain
                    await self._checks.begin(chain, action.position, built.environment, look.queue[0].row)
                case LandPrefix():
                    self._start_landing(make_candidate(self._room.name, built.chain, action.position))
                case Eject():
                    await self._rulings.eject(action, built.chain.base)
                    return True
                case MainRed():
                    await self._rulings.main_red(action, built.chain)
                    return True
                case Disturbed():
                    await self._rulings.disturbed(action)
                    return True
                case _:
                    assert_never(action)
        return decided.train.suspect is not None and decided.train.suspect != before.suspect

    async def _remember(self, look: Look, built: Built, before: Train, after: Train) -> bool:
        """Keep what the planner remembers and what people are told; False where a landing has changed it meanwhile."""
        slots, language = self._slots, self._room.project.language
        names = {task.row: task.work_item for task in look.queue}
        held = tuple(
            (each.task, render_held(names[each.after], each.files, language)) for each in built.left_out if each.after in names
        )

        def work(tx: Tx) -> bool:
            row, repo = tx.load_train(self._room.name), tx.load_repo(self._room.name)
            if recall(row, slots) != before:
                return False
            new = replace(heed_freeze(remember(row, after), repo, self._room.world.clock.now()), held=held)
            if new != row:
                tx.save_train(new)
            return True

        kept = await self._room.world.store.transact(work)
        for task in {each[0] for each in set(held) ^ set(look.row.held)}:
            self._room.router.publisher.tell(TaskTouched(task=task))
        return kept

    def _start_landing(self, candidate: Candidate) -> None:
        if not self._landing:
            self._landing = True
            self._room.spawn(self._land, candidate)

    async def _land(self, candidate: Candidate) -> None:
        retry_s = 0.0
        try:
            retry_s = await land(self._room, candidate)
        finally:
            self._landing = False
        await self._later(retry_s)
