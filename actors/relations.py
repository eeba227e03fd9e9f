"""A board's own relations as dependencies: which cards it says that one waits for, and what follows.

Owns: the reading of them (``read_relations``), their place in the transaction (``keep_relations``), and what is told of those
that cannot be awaited. Does not own: when they are read (entry: with a card that may begin, or has not begun; the reconciler:
every ten minutes for the others), the claim rule (the store), what a cycle means for its members (``decide_relations``).

Desired properties: no job of a task is claimed before its relations were read; what was declared here is never touched.
Design: what the board says is kept beside what was declared, each row with its source, in the transaction that makes the task.
Races we accept: a relation that is made after its task began holds nobody; it would be news to an agent at work.
"""

from collections.abc import Mapping, Sequence
from typing import final

from actors.component import Room
from actors.persist import Hints, apply, send_hints
from actors.world import Services
from orch.core.decide_card import CLOSED
from orch.core.decide_relations import waits_for_itself
from orch.core.dependencies import Relations, cycle_of
from orch.core.errors import ExternalError, PermanentError, StoreError
from orch.core.ids import IssueId
from orch.core.messages import JobsWaiting, RelationsRead
from orch.core.model import Absence
from orch.core.turn import Context
from orch.logs import get_logger
from orch.ports import Store, Tx

LOCAL = "local"
ASKED_MAX = 20
"""So many cards without a task are asked for by name; those beyond are awaited until a poll sees them closed."""
_log = get_logger("relations")


async def read_relations(services: Services, store: Store, issue: IssueId) -> Relations:
    """Ask the board what *issue* waits for. Raises TransientError; a board that has no relations is told of in the value."""
    name, board = services.project.name, services.board
    try:
        listed = await board.fetch_blocked_by(issue)
    except PermanentError as error:
        return Relations(issue=issue, unreadable=str(error))

    def look(tx: Tx) -> tuple[list[IssueId], Mapping[str, str]]:
        groups = {state.id: state.group for state in tx.load_states(name)}
        return [each for each in listed if tx.newest_task(name, each) is None], groups

    unstarted, groups = await store.read(look)
    on, unknown = dict.fromkeys(listed, False), []
    for each in unstarted[:ASKED_MAX]:
        found = await board.fetch_issue(each)
        if found is not None:
            on[each] = groups.get(found.state_id) in CLOSED
        elif await board.fetch_absence(each) is Absence.ARCHIVED:
            on[each] = True  # only what is completed or cancelled can be archived
        else:
            unknown.append(each)
            del on[each]
    return Relations(issue=issue, on=on, unknown=tuple(unknown))


def keep_relations(tx: Tx, context: Context, read: Relations) -> list[Hints]:
    """Inside the transaction: keep what was read."""
    project = context.project.name
    new = not read.unreadable and tx.set_relations(project, read.issue, read.on, context.now)
    return [Hints(project=project, slots=True)] if new else []


def _park_cycle(tx: Tx, context: Context, issue: IssueId) -> list[Hints]:
    """Park whoever waits for itself through *issue*."""
    hints, cycle = [], _cycle(tx, context, issue) or []
    for each in dict.fromkeys(cycle):
        live = tx.live_task(context.project.name, each)
        if live is not None:
            decided = waits_for_itself(context, live, [_name(tx, context, member) for member in cycle])
            hints += [apply(tx, decided, at=context.now)[1]] if decided.changed else []
    return hints


def _cycle(tx: Tx, context: Context, issue: IssueId) -> list[IssueId] | None:
    edges: dict[str, list[str]] = {str(each): [*map(str, on)] for each, on in tx.open_edges(context.project.name).items()}
    found = cycle_of(edges, issue)
    return None if found is None else [IssueId(each) for each in found]


def _name(tx: Tx, context: Context, issue: IssueId) -> str:
    task = tx.newest_task(context.project.name, issue)
    return str(issue if task is None else task.work_item)


@final
class RelationsDesk:
    """The component of a repo's actor that keeps what the board says of its cards' relations."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._told: dict[IssueId, str] = {}
        """What is to be seen to, by the card that it is about."""

    async def started(self) -> None:
        """Where the board is not asked (any more), nothing that it once said may hold a task."""
        name = self._room.name
        if not reads_relations(self._room) and await self._room.world.store.transact(lambda tx: tx.drop_relations(name)):
            self._room.router.slots.tell(JobsWaiting())

    async def plan(self) -> None:
        """Nothing waits here: the reconciler asks again."""

    async def handle(self, message: RelationsRead) -> None:
        if not reads_relations(self._room):
            return
        context = self._room.world.context(self._room.name)

        def work(tx: Tx) -> list[Hints]:
            hints = [hint for read in message.relations for hint in keep_relations(tx, context, read)]
            return [*hints, *(_park_cycle(tx, context, message.relations[0].issue) if message.confirmed else ())]

        for each in await self._room.world.store.transact(work):
            send_hints(self._room.router, each)
        for read in message.relations:
            await self.tell(read)

    async def tell(self, read: Relations) -> None:
        """Put up what a person should see to, and take down what is over; a cycle is looked at once more before it parks."""

        def look(tx: Tx) -> tuple[str, set[IssueId], list[IssueId]]:
            context, name = self._room.world.context(self._room.name), self._room.name
            cycle = _cycle(tx, context, read.issue) or []
            names = " → ".join(_name(tx, context, each) for each in cycle)
            live = [task for each in cycle if (task := tx.live_task(name, each)) is not None]
            unasked = cycle[:-1] if any(waits_for_itself(context, task, cycle).changed for task in live) else []
            return _trouble(_name(tx, context, read.issue), names, read), set(tx.awaiting_entry(name)), unasked

        text, waiting, unasked = await self._room.world.store.read(look)
        if unasked:
            self._room.spawn(self._confirm, unasked)
        if text and self._told.get(read.issue) != text:
            _log.warning("relations", repo=self._room.name, issue=read.issue, detail=text)
        self._told = {issue: said for issue, said in self._told.items() if issue in waiting} | {read.issue: text}
        said = "; ".join(sorted({said for said in self._told.values() if said})[:5])
        self._room.world.health.notice(f"dependencies of {self._room.name}", said)

    async def _confirm(self, cycle: Sequence[IssueId]) -> None:
        """Read every member's relations: what is known of the others may be minutes old, and the cycle taken back already."""
        try:
            reads = [await read_relations(self._room.services, self._room.world.store, each) for each in cycle]
        except (ExternalError, StoreError) as error:
            _log.warning("relations unread", repo=self._room.name, error=str(error))  # the next reading finds it again
            return
        self._room.mailbox.tell(RelationsRead(relations=tuple(reads), confirmed=True))


def reads_relations(room: Room) -> bool:
    """Say whether this project's board is asked for relations."""
    return room.project.board != LOCAL and room.world.limits.task_deps_from_board


def _trouble(name: str, cycle: str, read: Relations) -> str:
    if cycle:
        return f"{cycle} wait for each other on the board: take one of these relations back there"
    if read.unreadable:
        return f"what {name} waits for cannot be read, so that it waits for nothing: {read.unreadable}"
    if read.unknown:
        return f"{name} is blocked by {len(read.unknown)} cards that this project does not have: they are not awaited"
    return ""
