"""The repo actor: one repo's loop, made of components: relations, entry, deploys, monitor, reverts, train.

Owns: its start (the letter that crashed an earlier life, the board's baseline), and which component a message is for.
Does not own: any concern of the repo itself; each is a component's (``component``).
Rule: the default branch has one writer, this actor's train; every ``IDLE_S`` and at every hint each component looks at the store,
so that a lost hint only delays.
"""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, assert_never

from actors.actor import Actor, Failure
from actors.component import Args, Component, Room
from actors.deploys import DeployShell
from actors.entry import Entry
from actors.mailbox import Mailbox
from actors.monitor import Monitor
from actors.persist import bury
from actors.relations import RelationsDesk
from actors.reverts import Reverts
from actors.train import TrainShell
from actors.world import Router, World
from orch.core.decide_repo import first_contact
from orch.core.ids import ProjectName
from orch.core.messages import (
    Adopt,
    AdoptionRead,
    AncestryRead,
    DeployDue,
    DeployEnded,
    DeployShown,
    InboxHint,
    IssueChanged,
    IssueRead,
    IssueUnread,
    LandingHint,
    Probed,
    RelationsRead,
    RepoMessage,
    Revert,
    RevertCarded,
    RollbackEnded,
)
from orch.ports import Tx

IDLE_S = 30.0


class RepoActor(Actor[RepoMessage]):
    """See the module's docstring. *failure* says how an earlier life of this actor crashed."""

    idle_s = IDLE_S

    def __init__(
        self, mailbox: Mailbox[RepoMessage], world: World, router: Router, project: ProjectName, *, failure: Failure | None = None
    ) -> None:
        super().__init__(mailbox)
        self._failure = failure
        self._room = Room(
            name=project,
            world=world,
            router=router,
            services=world.services[project],
            mailbox=mailbox,
            spawn=self._spawn,
        )
        self._relations = RelationsDesk(self._room)
        self._entry = Entry(self._room, self._relations)
        self._train = TrainShell(self._room)
        self._monitor = Monitor(self._room)
        self._reverts = Reverts(self._room)
        self._deploys = DeployShell(self._room)
        others: tuple[Component, ...] = (self._deploys, self._monitor, self._reverts, self._train)
        self._components: tuple[Component, ...] = (self._relations, self._entry, *others)

    def _spawn(self, work: Callable[[*Args], Coroutine[Any, Any, None]], *args: *Args) -> None:
        self.children.start_soon(work, *args)

    async def started(self) -> None:
        """Bury what crashed an earlier life, take the baseline, and plan from the store."""
        failure, room, now = self._failure, self._room, self._room.world.clock.now()

        def work(tx: Tx) -> None:
            if failure is not None:
                bury(tx, failure.letter, room.name, failure.error, now)
            repo = tx.load_repo(room.name)
            if repo.baseline_at is None:
                tx.save_repo(replace(repo, baseline_at=first_contact(room.project, now)))

        await room.world.store.transact(work)
        if failure is not None:  # the cards that were being read are nobody's fault, and were told to a life that is over
            room.router.intake.tell(InboxHint(again=True))
        for component in self._components:
            await component.started()
        await self._plan()

    async def idle(self) -> None:
        await self._plan()

    async def handle(self, message: RepoMessage) -> None:
        match message:
            case IssueChanged() | IssueRead() | IssueUnread() | Adopt() | AdoptionRead():
                await self._entry.handle(message)
            case RelationsRead():
                await self._relations.handle(message)
            case DeployEnded() | DeployDue() | DeployShown() | AncestryRead():
                await self._deploys.handle(message)
            case Probed() | RollbackEnded():
                await self._monitor.handle(message)
            case Revert() | RevertCarded():
                await self._reverts.handle(message)
            case LandingHint():
                self._train.hint()
                await self._plan()
            case _:
                assert_never(message)

    async def _plan(self) -> None:
        for component in self._components:
            await component.plan()
