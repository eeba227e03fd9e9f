"""The rehearsal for ``orch demo --services``: a Plane, a Gitea, the first hour on both, and a daemon between them.

Owns: putting them together on loopback, and the one step that `orch init` leaves to a person, Plane's webhook. It is part of the
composition root; only the demonstration imports it. Rule: what can be set up by `orch init` is, and the daemon is the real one.
"""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, final

import anyio
import anyio.from_thread
import anyio.to_thread

from orch.adapters.setup import Setup
from orch.cli.answers import Nobody
from orch.cli.demo_report import Remote
from orch.cli.demo_services import Rehearsal, Scene
from orch.cli.first_hour import FirstHour, FirstHourDeps
from orch.cli.options import InitOptions, ServeOptions
from orch.config import ENV_PREFIX
from orch.core.doctor import Examination
from orch.core.errors import DomainError, OrchError
from orch.core.first_hour import Extent, Outcome
from orch.core.render import render_step
from orch.daemon import make_plan, run_daemon
from orch.rehearsal.gitea import BOT, FakeGitea
from orch.rehearsal.plane import FakePlane
from orch.rehearsal.plane.state import FRESH
from orch.rehearsal.plane.wall_time import WallTime
from orch.web.server import bind_socket, url_of

T = TypeVar("T")
REPO = "team/greeter"
PERSON = "anna"
CALLS_PER_MIN = 60_000
SETTINGS = """# A rehearsal: both services are stand-ins on this machine, and go with it.
port = {port}
public_url = "http://127.0.0.1:{port}"
data_dir = "{data_dir}"
plane_calls_per_min = {calls}
task_deps_source = "plane"
"""
Doctor = Callable[[ServeOptions, Mapping[str, str]], Examination]


def rehearse(rehearsal: Rehearsal, work: Callable[[Scene, str], None], *, doctor: Doctor) -> None:
    """Call *work* in a thread of its own beside the services and the daemon; all of them end with it, and its error is raised."""
    failed: list[OrchError] = []

    def kept(scene: Scene, url: str) -> None:
        try:
            work(scene, url)
        except OrchError as error:  # out of task groups, which would wrap it up
            failed.append(error)

    async def beside() -> None:
        plane = FakePlane(project=("Greeter", "DEMO"), columns=FRESH, rate=CALLS_PER_MIN, time=WallTime())
        gitea = FakeGitea(rehearsal.folder / "gitea", order="shuffled")
        gitea.state.real_time = True
        async with plane, gitea:
            gitea.add_repo(REPO).rights[BOT] = "admin"
            gitea.somebody(PERSON, REPO).push("main", rehearsal.files, "A library that greets")
            try:
                await _play(rehearsal, plane, gitea, kept, doctor)
            except OrchError as error:
                failed.append(error)

    anyio.run(beside)
    if failed:
        raise failed[0]


async def _play(
    rehearsal: Rehearsal, plane: FakePlane, gitea: FakeGitea, work: Callable[[Scene, str], None], doctor: Doctor
) -> None:
    environ = _environ(plane, gitea)
    config = rehearsal.folder / "orch.toml"
    with bind_socket("127.0.0.1", rehearsal.port or 0) as listener:
        port = int(url_of(listener).rpartition(":")[2])  # free now: the services are told of it before the daemon is there
    data_dir = str(rehearsal.folder / "data").replace("\\", "\\\\").replace('"', '\\"')
    config.write_text(SETTINGS.format(port=port, data_dir=data_dir, calls=CALLS_PER_MIN), encoding="utf-8")
    plane.add_webhook(f"http://127.0.0.1:{port}/webhook/plane", environ["ORCH_PLANE_WEBHOOK_SECRET"])
    await _first_hour(rehearsal, plane, gitea, environ, doctor)
    plan = make_plan(ServeOptions(config=config), environ)
    async with anyio.create_task_group() as group:
        stop = anyio.Event()
        url = await group.start(partial(run_daemon, plan, stop=stop))
        try:
            await anyio.to_thread.run_sync(work, _LiveScene(plane, gitea), url, abandon_on_cancel=False)
        finally:
            stop.set()


async def _first_hour(
    rehearsal: Rehearsal, plane: FakePlane, gitea: FakeGitea, environ: Mapping[str, str], doctor: Doctor
) -> None:
    options = InitOptions(
        config=rehearsal.folder / "orch.toml",
        board="plane",
        forge="gitea",
        repo=REPO,
        name="greeter",
        plane_url=plane.url,
        plane_workspace=plane.workspace,
        gitea_url=gitea.url,
        test_command=rehearsal.test_command,
        columns=Extent.ALL,
        agent="scripted",
        script=str(rehearsal.script),
    )
    deps = FirstHourDeps(setup=Setup, doctor=partial(_examine, doctor, environ), environ=environ, told=rehearsal.told)
    report = await FirstHour(options, Nobody(), deps).run()
    if not report.well:
        failed = [render_step(step, "en")[0] for step in report.steps if step.outcome is Outcome.FAILED]
        raise DomainError(f"the first hour did not end well: {'; '.join(failed)}")


def _examine(doctor: Doctor, environ: Mapping[str, str], options: ServeOptions) -> Examination:
    return doctor(options, environ)


def _environ(plane: FakePlane, gitea: FakeGitea) -> dict[str, str]:
    """Return the environment without what the machine's own daemon is told, and with the rehearsal's secrets."""
    # It shows the line and not this machine: on a small or full one it would stand still without a word.
    floors = {"ORCH_MIN_FREE_MEMORY_MB": "0", "ORCH_MIN_FREE_DISK_MB": "0"}
    given = {
        "ORCH_PLANE_TOKEN": plane.key,
        "ORCH_PLANE_WEBHOOK_SECRET": f"plane_wh_{secrets.token_hex(16)}",
        "ORCH_GITEA_TOKEN": gitea.token,
        "ORCH_GITEA_WEBHOOK_SECRET": secrets.token_hex(24),
    }
    return {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)} | floors | given


@final
class _LiveScene:
    """The services as people see them, for a thread beside the one in which they live."""

    def __init__(self, plane: FakePlane, gitea: FakeGitea) -> None:
        self._plane, self._gitea = plane, gitea
        self.plane_url, self.gitea_url = plane.url, gitea.url
        pair = base64.b64encode(f"{PERSON}:{gitea.state.users[PERSON].password}".encode()).decode()
        url = f"{gitea.url}/{REPO}.git"
        self.remote = Remote(
            url=url,
            shown=url,
            env={
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{gitea.url}/.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
                "GIT_TERMINAL_PROMPT": "0",
            },
        )

    def add_card(self, title: str, text: str) -> str:
        return self._there(self._plane.person.create, title, text)

    def move(self, card: str, column: str) -> None:
        self._there(self._plane.person.move, card, column)

    def comment(self, card: str, text: str) -> None:
        self._there(self._plane.person.comment, card, text)

    def block(self, card: str, by: str) -> None:
        self._there(self._plane.person.block, card, by)

    def column(self, card: str) -> str:
        return self._there(lambda: self._plane.project.columns[self._plane.person.item(card).state].name)

    def merged(self) -> list[str]:
        return self._there(lambda: [pull.title for pull in self._gitea.state.repos[REPO].pulls.values() if pull.merged])

    def delivered(self) -> tuple[int, int]:
        def count() -> tuple[int, int]:
            taken = [[each.status == 200 for each in of.deliveries] for of in (self._plane.worker, self._gitea.hooks)]
            return sum(taken[0]), sum(taken[1])

        return self._there(count)

    def settle(self) -> None:
        async def both() -> None:
            await self._plane.worker.settled()
            await self._gitea.hooks.settle()

        anyio.from_thread.run(both)

    @staticmethod
    def _there(call: Callable[..., T], *args: Any) -> T:
        return anyio.from_thread.run_sync(call, *args)
