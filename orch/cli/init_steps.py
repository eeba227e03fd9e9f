"""The steps of `orch init` on a board and a forge: each makes sure of one thing and says what it came to.

Owns: the order within a step and what its end is called. Does not own the calls (``orch.ports.setup``). Rule: a step looks first,
so that a second time changes nothing; what a service refuses ends that step alone.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, final

from orch.cli.answers import Answers
from orch.core.errors import ConfigError, ExternalError, PermanentError, StoreError
from orch.core.first_hour import ColumnPlan, Extent, Outcome, Step, plan_columns, step
from orch.core.statuses import DEFAULT_NAMES, Status
from orch.ports.setup import BoardSetup, Change, Ensured, ForgeSetup

EVENTS = "Push, Create, Delete, Pull Request, Status"
SEEN_MAX = 20


async def guarded(name: str, work: Awaitable[Step]) -> Step:
    """Return what a step came to; what stops it is its result."""
    try:
        return await work
    except ExternalError as error:
        return step(name, Outcome.FAILED, detail=error)
    except (ConfigError, StoreError) as error:
        return step(name, Outcome.FAILED, detail=error)


# ------------------------------------------------------------------------------------------------ Plane


@final
class BoardSteps:
    """The project's board. *entry* is its entry in the file."""

    def __init__(self, board: BoardSetup, entry: Mapping[str, Any], workspace: str) -> None:
        self._board = board
        self._entry = entry
        self._workspace = workspace
        self._project = str(entry.get("board_project", ""))

    async def reach(self) -> Step:
        user = await self._board.whoami()
        projects = await self._board.list_projects()
        found = next((each for each in projects if each.id == self._project.lower()), None)
        if found is not None:
            return step("board", Outcome.ALREADY, user=user, project=found.name)
        seen = ", ".join(f"{each.name} ({each.id})" for each in projects[:SEEN_MAX]) or "–"
        told = {"user": user, "project": self._project, "workspace": self._workspace, "seen": seen}
        return step("board", Outcome.FAILED, "unseen", **told)

    async def columns(self, extent: Extent | None, answers: Answers) -> Step:
        if extent is Extent.NONE:
            return step("columns", Outcome.SKIPPED)
        states = await self._board.fetch_states(self._project)
        renames = dict(self._entry.get("statuses") or {})
        wanted = self._extent(extent, plan_columns(states, renames, Extent.NEEDED), answers)
        if wanted is Extent.NONE:
            return step("columns", Outcome.SKIPPED)
        plan = plan_columns(states, renames, wanted)
        return await self._create(plan) if plan.create or plan.refused else step("columns", Outcome.ALREADY)

    def _extent(self, extent: Extent | None, needed: ColumnPlan, answers: Answers) -> Extent:
        """Ask what is to be created, where that was not said."""
        if extent is not None:
            return extent
        names = ", ".join(column.name for column in needed.create)
        if names and not answers.yes("columns", True, names=names):
            return Extent.NONE
        others = ", ".join(self._name(status) for status in needed.stood_for)
        return Extent.ALL if others and answers.yes("all_columns", False, names=others) else Extent.NEEDED

    def _name(self, status: Status) -> str:
        return str((self._entry.get("statuses") or {}).get(status, DEFAULT_NAMES[status]))

    async def _create(self, plan: ColumnPlan) -> Step:
        made: list[str] = []
        for column in plan.create:
            try:
                await self._board.create_state(self._project, name=column.name, group=column.group)
            except ExternalError as error:
                missing = [each.name for each in plan.create if each.name not in made]
                return step("columns", Outcome.FAILED, "partly", names=_list(made), missing=_list(missing), detail=error)
            made.append(column.name)
        if plan.refused:
            return step("columns", Outcome.FAILED, "refused", names=_list(made), missing=_list(plan.refused))
        return step("columns", Outcome.DONE, names=_list(made))


def plane_hook(workspace: str, url: str, *, known: bool) -> Step:
    """Say how the webhook is made that no token can make."""
    told = {"workspace": workspace or "–", "url": f"{url or 'https://<…>'}/webhook/plane"}
    return step("plane_hook", Outcome.ALREADY if known else Outcome.MANUAL, **told)


# ------------------------------------------------------------------------------------------------ Gitea


@final
class ForgeSteps:
    """The project's repository on a forge. *url* is that of its API, *administered* whether the bot may change its settings."""

    def __init__(self, forge: ForgeSetup, repo: str, url: str) -> None:
        self._forge = forge
        self._repo = repo
        self._url = url

    async def token(self) -> Step:
        missing = await self._forge.missing_scopes()
        if missing:
            return step("token", Outcome.FAILED, "missing", scopes=_list(missing))
        await self._forge.look("", ())
        return step("token", Outcome.ALREADY, repo=self._repo)

    async def marking(self) -> Step:
        return await self._ensured("marking", self._forge.ensure_marking(), {})

    async def protection(self, branch: str, wanted: bool | None, answers: Answers) -> Step:
        if wanted is False or (wanted is None and not answers.yes("protect", True, branch=branch)):
            return step("protection", Outcome.SKIPPED, branch=branch)
        return await self._ensured("protection", self._forge.ensure_protection(branch), {"branch": branch})

    async def hook(self, public_url: str, secret: str) -> Step:
        if not public_url:
            return step("hook", Outcome.MANUAL, "no_url")
        if not secret:
            return step("hook", Outcome.MANUAL, "no_secret")
        url = f"{public_url}/webhook/gitea"
        return await self._ensured("hook", self._forge.ensure_hook(url, secret), {"url": url, "events": EVENTS})

    async def _ensured(self, name: str, work: Awaitable[Ensured], values: Mapping[str, str]) -> Step:
        """Return what came of making sure; where the bot may not, it is a person's to do."""
        told = {"repo": self._repo, **values}
        try:
            found = await work
        except PermanentError:
            if (await self._forge.look("", ())).administered:
                raise
            return step(name, Outcome.MANUAL, **{"url": self._url, **told})
        if found.trouble:
            key = "doubled" if name == "hook" else "trouble"
            return step(name, Outcome.FAILED, key, names=_list(found.trouble), **told)
        if found.dropped:
            return step(name, Outcome.DONE, "dropped", names=_list(found.dropped), **told)
        if name == "hook" and found.change is Change.MENDED:
            return step(name, Outcome.ALREADY, "mended", **told)
        return step(name, Outcome.ALREADY if found.change is Change.FOUND else Outcome.DONE, **told)


def _list(names: Any) -> str:
    return ", ".join(names) or "–"
