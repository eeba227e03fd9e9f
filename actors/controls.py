"""People's controls over a repo: freeze and thaw, pause and drain, adoption of an issue, revert of a landed task.

Owns: which project a command names, the rows of freeze and pause, and who is told of the change. Does not own: what a freeze
keeps from happening (the claim, the landing, the deploy ask for it), what an adopted issue has to be (the repo's actor).
Rule: the row is committed first, and only then whoever waits is told to look again; a hint that is lost only delays.
"""

from dataclasses import replace
from typing import assert_never, final

from actors.freezing import freeze_repo, look_again
from actors.world import Router, World
from orch.core.commands import RepoControl
from orch.core.errors import ActorDied, MailboxFull
from orch.core.ids import IssueId, ProjectName
from orch.core.messages import (
    Adopt,
    AdoptIssue,
    Answer,
    FreezeRepo,
    JobsWaiting,
    PauseRepos,
    Reply,
    RepoTouched,
    Revert,
    RevertTask,
    UnfreezeRepo,
    UnpauseRepos,
    Verb,
)
from orch.core.model import Freeze, FreezeCause
from orch.core.render import render_moment
from orch.logs import get_logger
from orch.ports import Tx

_log = get_logger("controls")


@final
class Controls:
    """Carries out a ``RepoControl``."""

    def __init__(self, world: World, router: Router) -> None:
        self._world = world
        self._router = router

    async def carry_out(self, command: RepoControl, reply: Reply[Answer]) -> Answer | None:
        """Return the answer, or None where a repo's actor gives it."""
        match command:
            case AdoptIssue():
                return await self._adopt(command, reply)
            case RevertTask():
                return await self._revert(command, reply)
            case FreezeRepo():
                return await self._freeze(command)
            case UnfreezeRepo():
                return await self._unfreeze(command)
            case PauseRepos():
                return await self._pause(command.project, command.by, paused=True)
            case UnpauseRepos():
                return await self._pause(command.project, command.by, paused=False)
            case _:
                assert_never(command)

    def _project(self, name: str) -> ProjectName | Answer:
        """Return the project of that name, the only one where none is named."""
        known, wanted = sorted(self._world.services), name.strip()
        if not wanted and len(known) == 1:
            return known[0]
        if wanted not in known:
            told = f"no project is called {wanted[:80]!r}; there are" if wanted else "name one of the projects"
            return Answer(verb=Verb.UNKNOWN, text=f"{told}: {', '.join(known)}")
        return ProjectName(wanted)

    # -------------------------------------------------------------------------------------------- freeze

    async def _freeze(self, command: FreezeRepo) -> Answer:
        project = self._project(command.project)
        if isinstance(project, Answer):
            return project
        context, reason = self._world.context(project), command.reason.strip()

        def work(tx: Tx) -> Freeze | None:
            """Return the freeze that stands already; a machine's is taken over, so that only a person lifts it."""
            made = freeze_repo(tx, context, FreezeCause.PERSON, by=command.by, detail=reason)
            return None if made is not None else tx.load_repo(project).freeze

        standing = await self._world.store.transact(work)
        if standing is not None:
            told = f"{project} is frozen already, by {standing.by} since {render_moment(standing.since)}"
            return Answer(verb=Verb.NOTHING, text=told, id=project)
        _log.warning("frozen", repo=project, by=command.by, detail=reason)
        look_again(self._router, project)
        return Answer(verb=Verb.DONE, text=f"{project} is frozen: nothing enters, lands or is deployed", id=project)

    async def _unfreeze(self, command: UnfreezeRepo) -> Answer:
        project = self._project(command.project)
        if isinstance(project, Answer):
            return project

        def work(tx: Tx) -> Freeze | None:
            standing = tx.load_repo(project).freeze
            tx.lift_freeze(project)
            return standing

        lifted = await self._world.store.transact(work)
        if lifted is None:
            return Answer(verb=Verb.NOTHING, text=f"{project} is not frozen", id=project)
        _log.warning("unfrozen", repo=project, by=command.by, cause=lifted.cause.value, detail=command.reason.strip())
        look_again(self._router, project)
        return Answer(verb=Verb.DONE, text=f"{project} is not frozen any more", id=project)

    # -------------------------------------------------------------------------------------------- pause

    async def _pause(self, name: str, by: str, *, paused: bool) -> Answer:
        projects: list[ProjectName] = sorted(self._world.services)
        if name.strip():
            named = self._project(name)
            if isinstance(named, Answer):
                return named
            projects = [named]

        def work(tx: Tx) -> list[ProjectName]:
            changed = []
            for project in projects:
                repo = tx.load_repo(project)
                if repo.paused is not paused:
                    tx.save_repo(replace(repo, paused=paused))
                    changed.append(project)
            return changed

        changed = await self._world.store.transact(work)
        state = "paused" if paused else "not paused"
        if not changed:
            return Answer(verb=Verb.NOTHING, text=f"{', '.join(projects)}: {state} already", id=name.strip())
        for project in changed:
            _log.warning("paused" if paused else "unpaused", repo=project, by=by)
            self._router.publisher.tell(RepoTouched(project=project))
        self._router.slots.tell(JobsWaiting())
        what = "nothing new is started, what runs finishes" if paused else "new work is started again"
        return Answer(verb=Verb.DONE, text=f"{', '.join(changed)}: {what}", id=name.strip())

    # -------------------------------------------------------------------------------------------- adoption

    async def _adopt(self, command: AdoptIssue, reply: Reply[Answer]) -> Answer | None:
        """Find the issue's project; its actor reads the board and answers."""
        place = await self._world.store.read(lambda tx: _place(tx, command.issue))
        if place is None or command.project.strip():
            project = self._project(command.project)
            if isinstance(project, Answer):
                return project
            if place is not None and place[0] != project:
                return Answer(verb=Verb.INVALID, text=f"{command.issue[:80]} belongs to {place[0]}, not to {project}")
            place = place or (project, IssueId(command.issue.strip()))
        project, issue = place
        if project not in self._world.services:
            return Answer(verb=Verb.REFUSED, text=f"{command.issue[:80]}: its project {project} is not configured any more")
        try:
            self._router.repo(project).tell(Adopt(issue=issue, by=command.by, reply=reply))
        except (MailboxFull, ActorDied) as error:
            return Answer(verb=Verb.UNAVAILABLE, text=f"nothing was done, try again later: {error}")
        return None

    # -------------------------------------------------------------------------------------------- revert

    async def _revert(self, command: RevertTask, reply: Reply[Answer]) -> Answer | None:
        """Hand the wish to the repo's actor, which answers."""
        task = await self._world.store.read(lambda tx: tx.find_task(command.task))
        if task is None:
            return Answer(verb=Verb.UNKNOWN, text=f"no task is called {command.task[:80]!r}")
        if task.project not in self._world.services:
            told = f"{task.work_item}: its project {task.project} is not configured any more"
            return Answer(verb=Verb.REFUSED, text=told, id=task.work_item)
        try:
            self._router.repo(task.project).tell(Revert(task=task.row, by=command.by, reply=reply))
        except (MailboxFull, ActorDied) as error:
            return Answer(verb=Verb.UNAVAILABLE, text=f"nothing was done, try again later: {error}")
        return None


def _place(tx: Tx, name: str) -> tuple[ProjectName, IssueId] | None:
    """Return the project and the issue that *name* means: a work item id, an issue key, or the board's own id."""
    card = tx.load_issue(IssueId(name.strip()))
    if card is not None:
        return card.project, card.id
    task = tx.find_task(name)
    return None if task is None else (task.project, IssueId(task.issue.partition("#cancelled-")[0]))
