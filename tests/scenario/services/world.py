"""A fake Plane, a fake Gitea on a real repository, and a real daemon between them, all over sockets.

Owns: the scene of every story with both services: the board's people, the CI, the daemon with its configuration file and its
webhooks. Does not own what a service does (``orch/rehearsal``). Rule: people act on the services alone, and what came of it is
looked at there; the daemon is asked only for what no service shows.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import anyio

from actors.intake import AGAIN_S
from orch.adapters.http import connect_api
from orch.cli.options import ServeOptions
from orch.core.ids import IssueId
from orch.daemon import Plan, make_plan, run_daemon
from orch.rehearsal.gitea import FakeGitea
from orch.rehearsal.plane import FakePlane
from orch.rehearsal.plane.state import Comment
from orch.rehearsal.plane.wall_time import WallTime
from tests.scenario.story import BODY, FILES, Person

PLANE_SECRET, GITEA_SECRET = "plane_wh_" + "0f" * 16, "gitea's own hook secret"
PUBLIC_GITEA = "https://git.example.org"
ROLES = ("analyst", "architect", "developer", "reviewer", "tester", "deployer", "stream")
POLL_S = 0.03
WITHIN_S = 40.0
HTML = f"<p>{BODY}</p>"
Json = Mapping[str, Any]


class World:
    """Both services and what lies between them. Carol moves the cards, anna pushes, the CI says what ``ci`` says."""

    def __init__(self, folder: Path, plane: FakePlane, gitea: FakeGitea) -> None:
        self.folder, self.plane, self.gitea = folder, plane, gitea
        self.data = folder / "data"
        self.carol = plane.person
        self.anna = gitea.person
        self.ci: Callable[[str], str] | None = lambda _branch: "success"
        """What the CI says of a pushed branch; None: it is silent."""
        self.url = ""
        self._ci_seen = 0
        self._script: dict[str, dict[str, list[Json]]] = {}
        self._project: dict[str, Any] = {}
        self._voices = {role: plane.add_bot(role) for role in ROLES}
        self._write_script()

    # ---------------------------------------------------------------------------------------- setting the scene

    def script(self, task: str, role: str, *steps: Json) -> None:
        """Say what each visit of a role to a task does; the last one repeats."""
        self._script.setdefault(task, {})[role] = list(steps)
        self._write_script()

    def _write_script(self) -> None:
        (self.folder / "script.json").write_text(json.dumps({"issues": self._script}), encoding="utf-8")

    def project(self, **fields: Any) -> None:
        """Change the project's settings for the daemons that are started from now on."""
        self._project |= fields

    def voice(self, role: str) -> str:
        return self._voices[role][0].id

    def plan(self, settings: Mapping[str, Any]) -> Plan:
        """Return what the daemon makes of its configuration file and its environment."""
        file = self.folder / "orch.toml"
        file.write_text(
            "\n".join(
                [
                    "port = 0",
                    f'data_dir = "{self.data}"',
                    f'plane_url = "{self.plane.url}"',
                    f'plane_workspace = "{self.plane.workspace}"',
                    f'gitea_url = "{self.gitea.url}"',
                    f'gitea_public_url = "{PUBLIC_GITEA}"',
                    "plane_calls_per_min = 60000",
                    "[[projects]]",
                    'name = "shop"',
                    'prefix = "SHOP"',
                    'board = "plane"',
                    f'board_project = "{self.plane.project.id}"',
                    'forge = "gitea"',
                    'repo = "team/shop"',
                    'test_command = ["sh", "check.sh"]',
                    *(f'roles.{role} = {{ agent = "scripted", script = "{self.folder}/script.json" }}' for role in ROLES[:-1]),
                ]
            ),
            encoding="utf-8",
        )
        plan = make_plan(ServeOptions(config=file), self.environ())
        projects = tuple(replace(project, **self._project) for project in plan.projects)
        return replace(plan, settings=plan.settings.model_copy(update=dict(settings)), projects=projects)

    def environ(self) -> dict[str, str]:
        """Return the secrets, as an operator gives them."""
        environ = {
            "ORCH_PLANE_TOKEN": self.plane.key,
            "ORCH_PLANE_WEBHOOK_SECRET": PLANE_SECRET,
            "ORCH_GITEA_TOKEN": self.gitea.token,
            "ORCH_GITEA_WEBHOOK_SECRET": GITEA_SECRET,
        }
        return environ | {f"ORCH_PLANE_TOKEN_{role.upper()}": key for role, (_, key) in self._voices.items()}

    @asynccontextmanager
    async def daemon(self, *, hooks: bool = True, **settings: Any) -> AsyncIterator[Person]:
        """Run the daemon in this process; both services' webhooks lead to it, unless *hooks* is off."""
        stop = anyio.Event()
        async with anyio.create_task_group() as group:
            self.url = await group.start(partial(run_daemon, self.plan({"reconcile_interval_s": 3600.0, **settings}), stop=stop))
            if hooks:
                self.plane.worker.webhooks.clear()
                self.gitea.hooks.targets.clear()
                self.plane.add_webhook(f"{self.url}/webhook/plane", PLANE_SECRET)
                self.gitea.add_hook(f"{self.url}/webhook/gitea", GITEA_SECRET)
            person = Person(connect_api(self.data))
            await _until(lambda: _polled(person), "the first poll of the project")
            try:
                yield person
            finally:
                stop.set()

    async def run_ci(self) -> None:
        """Answer every push of a task's branch with a status, as a CI does in its own time."""
        while True:
            pushes = [what for name, what in self.gitea.log if name == "push"]
            for push in pushes[self._ci_seen :]:
                ref = push.split(" ")[1]
                branch, said = ref.removeprefix("refs/heads/"), self.ci
                tip = self.gitea.repo.git.branch(branch) if said is not None and branch.startswith("feature/") else None
                if tip is not None and said is not None:
                    self.anna.set_status(tip, said(branch))
            self._ci_seen = len(pushes)
            await anyio.sleep(POLL_S)

    # ---------------------------------------------------------------------------------------- looking

    def column(self, issue: str) -> str:
        return self.plane.project.columns[self.carol.item(issue).state].name

    def comments(self, issue: str) -> list[Comment]:
        return [comment for comment in self.plane.project.comments.values() if comment.issue == issue]

    def said(self, issue: str, role: str) -> list[str]:
        """Return what one role's voice said on a card."""
        return [comment.html for comment in self.comments(issue) if comment.actor == self.voice(role)]

    def columns_of(self, issue: str, by: str = "bot") -> list[str]:
        """Return the columns into which somebody has put a card, in their order."""
        start = f"{by} {self.carol.item(issue).name}: "
        return [what.removeprefix(start) for what in self.plane.faults.written("patch state") if what.startswith(start)]

    def main(self) -> dict[str, str]:
        git = self.gitea.repo.git
        return {name: git.git("show", f"main:{name}") for name in git.git("ls-tree", "-r", "--name-only", "main").splitlines()}

    def tip(self) -> str:
        return str(self.anna.tip("main"))

    def branches(self) -> list[str]:
        return self.gitea.repo.git.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/feature").splitlines()

    async def roles(self, person: Person, task: str = "SHOP-1") -> list[str]:
        """Return whose runs a task had, in their order; the commands' own are left out."""
        return [run["role"] for run in (await person.task(task))["runs"] if run["role"]]

    # ---------------------------------------------------------------------------------------- people, and waiting for the daemon

    def card(self, title: str = "Greet the world", *, html: str = HTML, state: str | None = None) -> IssueId:
        return self.carol.create(title, html, state=state)

    def start(self, title: str = "Greet the world") -> IssueId:
        """Make a card and move it to To Analyse."""
        issue = self.card(title)
        self.carol.move(issue, "To Analyse")
        return issue

    async def until(self, holds: Callable[[], object], what: str, *, within_s: float = WITHIN_S) -> None:
        """Wait until something shows on a service; fail with what the daemon says otherwise."""

        async def look() -> bool:
            return bool(holds())

        try:
            await _until(look, what, within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the board: {self._board()}; writes: {self.plane.log[-12:]}") from error

    def _board(self) -> list[tuple[str, str]]:
        return [(item.name, self.plane.project.columns[item.state].name) for item in self.plane.project.items.values()]

    async def until_column(self, issue: str, *names: str, within_s: float = WITHIN_S) -> None:
        await self.until(lambda: self.column(issue) in names, f"the card in {names}", within_s=within_s)

    async def until_said(self, issue: str, text: str, *, times: int = 1) -> None:
        def holds() -> bool:
            return sum(text in comment.html for comment in self.comments(issue)) >= times

        await self.until(holds, f"{times} × {text!r} said on the card: {[each.html for each in self.comments(issue)]}")

    async def settle(self, person: Person) -> None:
        """Wait until every hook is delivered, the inbox is read and nothing waits to be written."""
        await self.plane.worker.settled()
        await self.gitea.hooks.settle()

        async def quiet() -> bool:
            queue = await person.get("/queue")
            return not queue["reconcile"]["inbox"] and not queue["outbox"]["pending"]

        await _until(quiet, "a quiet daemon", within_s=WITHIN_S + AGAIN_S)


async def _polled(person: Person) -> bool:
    polls = (await person.get("/queue"))["reconcile"]["projects"]
    return bool(polls.get("shop", {}).get("polls"))


async def _until(holds: Callable[[], Any], what: str, *, within_s: float = WITHIN_S) -> None:
    deadline = monotonic() + within_s
    while not await holds():
        assert monotonic() < deadline, f"{what} did not come within {within_s:g} s"
        await anyio.sleep(POLL_S)


@asynccontextmanager
async def services(folder: Path, *, seed: int = 0, loss: float = 0.0, doubling: float = 0.0) -> AsyncIterator[World]:
    """Give a world whose repository holds the sample, and whose hooks are lost, doubled and shuffled as told."""
    time = WallTime()
    async with AsyncExitStack() as stack:
        plane = FakePlane(rate=1_000_000, seed=seed, loss=loss, doubling=doubling, time=time)
        gitea = FakeGitea(folder / "gitea", seed=seed, loss=loss, doubling=doubling)
        gitea.state.real_time = True
        await stack.enter_async_context(plane)
        await stack.enter_async_context(gitea)
        group = await stack.enter_async_context(anyio.create_task_group())
        world = World(folder, plane, gitea)
        world.anna.push("main", FILES, "the sample")
        group.start_soon(world.run_ci)
        yield world
        group.cancel_scope.cancel()
