"""People: who answers what the board asks, card by card, and who does something at the wrong moment because fate says so.

Owns: cards and their people's habits. Does not own: single events (``deeds``). Rule: people know board and page; what they do
goes through the board, the forge, git or the daemon's own answers, and is noted under their name.
"""

import json
from dataclasses import replace
from random import Random
from typing import cast, final

import anyio

from orch.adapters.local_board import LocalDeskAdapter
from orch.core.commands import DecideTask, Decision, PersonCommand, UnfreezeRepo, UnpauseRepos
from orch.core.errors import DomainError, OrchError
from orch.core.ids import IssueId, ProjectName
from orch.core.messages import AddDependency, Answer
from orch.core.model import Awaiting, ParkReason, Task
from orch.ports import Store, Tx
from tests.fakes.line import BODY
from tests.scenario.sim.agents import is_sound
from tests.scenario.sim.fate import Event, draw
from tests.scenario.sim.hooks import Hooks
from tests.scenario.sim.world import LIB, PREFIXES, SHOP, SimGround

GLANCE_S = (15.0, 90.0)
STRAY_S = 120.0
RESUMES = 4
IN_CALM = 3
"""Resumes of one card in the storm, and after it."""


def project_of(card: int) -> ProjectName:
    return LIB if card % 3 == 2 else SHOP


@final
class People:
    """See the module's docstring. *calm* says that the storm is over: what is asked is answered, nothing else is done."""

    def __init__(self, ground: SimGround, hooks: Hooks) -> None:
        self.ground, self.hooks = ground, hooks
        self.desk = LocalDeskAdapter(cast(Store, hooks), ground.steady, PREFIXES)
        self.issues: dict[int, str] = {}
        self.calm = False
        self._rejected: set[str] = set()
        self._resumed: dict[str, int] = {}

    # ---------------------------------------------------------------------------------------- doors

    async def ask(self, command: PersonCommand, about: str) -> Answer | None:
        """Ask the daemon that lives now; None where there is none, or none that answers."""
        daemon = self.ground.daemon
        if daemon is None:
            return None
        said = command.decision if isinstance(command, DecideTask) else ""
        self.ground.trace.note("asks", about, type(command).__name__, said, by="person")
        try:
            answer = await daemon.ask(command)
        except OrchError as error:
            self.ground.trace.note("no answer", about, type(error).__name__, by="person")
            return None
        self.ground.trace.note("answer", about, answer.verb, by="orch")
        return answer

    async def move(self, issue: str, column: str) -> None:
        self.ground.trace.note("moves", issue, column, by="person")
        try:
            await self.desk.move_issue(IssueId(issue), column, by="anna")
        except DomainError as error:
            self.ground.trace.note("may not", issue, error, by="board")

    async def say(self, issue: str, text: str) -> None:
        try:
            await self.desk.comment(IssueId(issue), text, by="anna")
        except DomainError as error:
            self.ground.trace.note("may not", issue, error, by="board")

    async def task(self, issue: str) -> Task | None:
        """Return the issue's newest task, as the page shows it."""

        def work(tx: Tx) -> Task | None:
            found = tx.load_issue(IssueId(issue))
            return None if found is None else tx.newest_task(found.project, found.id)

        return await self.ground.store.read(work)

    async def decide(self, issue: str, decision: Decision) -> Answer | None:
        task = await self.task(issue)
        if task is None:
            return None
        return await self.ask(DecideTask(task=issue, decision=decision, by="anna", shown=task.shown or ""), issue)

    # ---------------------------------------------------------------------------------------- one card

    async def card(self, event: Event) -> None:
        """Put a card on the board, start it, and answer for it until the story ends."""
        await anyio.sleep(event.at)
        luck = draw(self.ground.plan.seed, "habits", event.who)
        body = "Too thin." if event.detail == "thin" else BODY
        made = await self.desk.create_issue(project_of(event.who), title=f"Card {event.who} of the plan", body=body, by="anna")
        issue = self.issues[event.who] = str(made.id)
        self.ground.cards[issue], self.ground.kinds[issue] = event.who, event.detail
        self.ground.trace.note("card", issue, event.who, by="person")
        if event.amount >= 0 and int(event.amount) in self.issues:
            await self.ask(AddDependency(issue=issue, on=self.issues[int(event.amount)], by="anna"), issue)
        await self.move(issue, "to_analyse")
        while True:
            await anyio.sleep(luck.uniform(*GLANCE_S))
            await self._glance(issue, luck)

    async def _glance(self, issue: str, luck: Random) -> None:
        """Look at the card, and at the page where the card does not tell."""
        found = await self.ground.store.read(lambda tx: tx.load_issue(IssueId(issue)))
        task = await self.task(issue)
        assert found is not None
        if found.archived:
            if self.calm:
                self.ground.trace.note("restores", issue, by="person")
                await self.desk.archive_issue(found.id, by="anna", archived=False)
            return
        if task is None:
            await self._begin(issue, found.state_id)
        elif task.park is not None:
            await self._parked(issue, task, luck)
        elif task.finished_at is None and (self.calm or _shows(found.state_id)):
            await self._answer(issue, task, luck)

    async def _begin(self, issue: str, column: str) -> None:
        """Nothing came of it: where the gate told why, mend the text; after the storm, try again."""
        if column == "blocked":
            await self.edit(issue, BODY)
            await self.move(issue, "to_analyse")
        elif self.calm and column != "to_analyse":
            await self.move(issue, "to_analyse")

    async def edit(self, issue: str, text: str) -> None:
        found = await self.ground.store.read(lambda tx: tx.load_issue(IssueId(issue)))
        assert found is not None
        self.ground.trace.note("edits", issue, by="person")
        self.ground.boards[found.project].edited[found.id] = replace(found, text=text)
        self.hooks.send("plane:issue", json.dumps({"project": found.project, "issue": issue}).encode())

    async def _answer(self, issue: str, task: Task, luck: Random) -> None:
        match task.awaiting:
            case Awaiting.APPROVAL:
                if issue not in self._rejected and luck.random() < 0.15 and not self.calm:
                    self._rejected.add(issue)
                    await self.say(issue, "It is too vague.")
                    await self._either(issue, "rejected", Decision.REJECT, luck)
                else:
                    await self._either(issue, "approved", Decision.APPROVE, luck)
            case Awaiting.INPUT:
                await self.say(issue, "The first one.")
                await self.move(issue, "to_analyse")
            case Awaiting.CONFIRM:
                await self._either(issue, "confirm_deploy", Decision.CONFIRM_DEPLOY, luck)
            case _:
                pass

    async def _either(self, issue: str, column: str, decision: Decision, luck: Random) -> None:
        """By the board or by a button: it is the same."""
        if luck.random() < 0.3:
            await self.decide(issue, decision)
        else:
            await self.move(issue, column)

    async def _parked(self, issue: str, task: Task, luck: Random) -> None:
        assert task.park is not None
        bound = RESUMES + IN_CALM if self.calm else RESUMES
        if task.park.reason is ParkReason.INFRASTRUCTURE or self._resumed.get(issue, 0) >= bound or luck.random() < 0.5:
            return
        self._resumed[issue] = self._resumed.get(issue, 0) + 1
        if task.park.reason is ParkReason.DEPLOY_FAILED and luck.random() < 0.5:
            await self.move(issue, "confirm_deploy")
        else:
            await self.decide(issue, Decision.RESUME)

    async def strays(self) -> None:
        """Answer for the cards that nobody put on the board: those that the daemon made to take something back."""
        while True:
            await anyio.sleep(STRAY_S)
            for found in await self.ground.store.read(lambda tx: tx.list_issues()):
                if found.id not in self.issues.values():
                    await self._glance(found.id, draw(self.ground.plan.seed, "stray", found.id))

    # ---------------------------------------------------------------------------------------- after the storm

    async def tidy(self) -> None:
        """Lift what people have put up, and mend a red default branch, until the story ends."""
        while True:
            for project in PREFIXES:
                self._mend_main(project)
                repo = await self.ground.store.read(lambda tx, project=project: tx.load_repo(project))  # type: ignore[misc]
                if repo.freeze is not None:
                    await self.ask(UnfreezeRepo(by="anna", project=project), project)
                if repo.paused:
                    await self.ask(UnpauseRepos(by="anna", project=project), project)
            await anyio.sleep(60.0)

    def _mend_main(self, project: ProjectName) -> None:
        """Push what a red default branch needs, as a person would."""
        repository = self.ground.repositories[project]
        files = repository.commits[repository.main].files
        if not is_sound(files):
            mended = {name: "mended\n" for name, text in files.items() if "RED" in text or "half" in text}
            repository.push_elsewhere(mended)


def _shows(column: str) -> bool:
    return column in ("in_review", "needs_input", "awaiting_deploy")
