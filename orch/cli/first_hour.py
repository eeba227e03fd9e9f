"""The first hour: from nothing to a project that the daemon can serve, step by step.

Owns: the order of the steps, and what is not tried once an earlier one failed. Does not own a step (``init_steps``), the entry
(``init_entry``) or what is printed (``init``). Rule: each step is told as it ends, so that a run that is cut off has said what
was done; a run that comes after finds that and goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import anyio.to_thread
from pydantic import SecretStr

from orch.cli.answers import Answers
from orch.cli.init_entry import GITEA, PLANE, Entry, EntryMaker
from orch.cli.init_steps import BoardSteps, ForgeSteps, guarded, plane_hook
from orch.cli.options import InitOptions, ServeOptions
from orch.config import Settings, load_settings, read_file
from orch.core.doctor import Examination, Level
from orch.core.errors import ConfigError, ExternalError, StoreError
from orch.core.first_hour import Outcome, Step, all_well, step
from orch.ports.setup import BoardSetup, ForgeSetup, SetupDesk

FORGE_STEPS = ("token", "marking", "protection", "hook")
SECRETS = {PLANE: ("plane_token", "plane_webhook_secret"), GITEA: ("gitea_token", "gitea_webhook_secret")}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FirstHourDeps:
    """*setup* reaches the services that settings name, *doctor* examines in the end, *told* hears each step as it ends."""

    setup: Callable[[Settings], SetupDesk]
    doctor: Callable[[ServeOptions], Examination]
    environ: Mapping[str, str]
    told: Callable[[Step], None] = lambda _: None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    steps: tuple[Step, ...]
    project: str
    examination: Examination | None

    @property
    def well(self) -> bool:
        return all_well(self.steps) and self.examination is not None and self.examination.sound


@final
class FirstHour:
    def __init__(self, options: InitOptions, answers: Answers, deps: FirstHourDeps) -> None:
        self._options = options
        self._answers = answers
        self._deps = deps
        self._steps: list[Step] = []
        self._settings = Settings()

    async def run(self) -> Report:
        """Take every step; raises ConfigError for what cannot be meant, before anything was done."""
        entry = await self._enter()
        examination = None
        if entry is not None:
            desk = self._deps.setup(self._settings)
            if entry.get("board") == PLANE:
                await self._board(entry, desk)
            if entry.get("forge") == GITEA:
                await self._forge(entry, desk)
            self._secrets(entry)
            examination = await self._doctor()
        name = str(entry.get("name", "")) if entry is not None else self._options.name
        return Report(steps=tuple(self._steps), project=name, examination=examination)

    def _tell(self, ended: Step) -> None:
        self._steps.append(ended)
        self._deps.told(ended)

    # ------------------------------------------------------------------------------------------ the entry

    async def _enter(self) -> Entry | None:
        """Find or write the entry; None where that failed, which is told."""
        path, environ = self._options.config, self._deps.environ
        there = path.exists()
        table: Entry = read_file(path) if there else {}
        settings = load_settings(path if there else None, environ)
        maker = EntryMaker(self._options, self._answers, table)
        found = maker.found()
        try:
            if found is not None:
                self._settings = maker.reach(settings, str(found.get("board")), str(found.get("forge")))
                self._left(found, maker)
                return found
            board, forge, self._settings = maker.services(settings)
            entry = await maker.make(board, forge, self._deps.setup(self._settings))
            self._written(entry, maker)
        except (ExternalError, StoreError) as error:
            self._tell(step("config", Outcome.FAILED, detail=error))
            return None
        return entry

    def _written(self, entry: Entry, maker: EntryMaker) -> None:
        from orch.config.registry_file import add_to_file  # with its library: no other command needs it

        add_to_file(self._options.config, maker.settings, entry)
        self._tell(step("config", Outcome.DONE, path=self._options.config, name=entry["name"]))
        self._ask_for_tests(entry)

    def _left(self, entry: Entry, maker: EntryMaker) -> None:
        from orch.config.registry_file import add_to_file

        told: dict[str, Any] = {"path": self._options.config, "name": entry.get("name", "")}
        if add_to_file(self._options.config, maker.settings, None):
            self._tell(step("config", Outcome.DONE, "settings", names=", ".join(maker.settings), **told))
        differing = maker.differences(entry)
        key = "differs" if differing else ""
        self._tell(step("config", Outcome.ALREADY, key, names=", ".join(differing), **told))
        self._ask_for_tests(entry)

    def _ask_for_tests(self, entry: Entry) -> None:
        if not entry.get("test_command"):
            told = {"path": str(self._options.config), "name": str(entry.get("name", ""))}
            self._tell(step("config", Outcome.FAILED, "no_test", **told))

    # ------------------------------------------------------------------------------------------ the services

    async def _board(self, entry: Entry, desk: SetupDesk) -> None:
        async def with_board(board: BoardSetup) -> None:
            steps = BoardSteps(board, entry, self._settings.plane_workspace)
            reached = await guarded("board", steps.reach())
            self._tell(reached)
            if reached.outcome is not Outcome.FAILED:
                self._tell(await guarded("columns", steps.columns(self._options.columns, self._answers)))
            else:
                self._tell(_untried("columns", "board"))

        try:
            async with desk.board() as board:
                await with_board(board)
        except ConfigError as error:  # no token, or none that is one
            self._tell(step("board", Outcome.FAILED, detail=error))
            self._tell(_untried("columns", "board"))
        known = self._settings.plane_webhook_secret is not None
        self._tell(plane_hook(self._settings.plane_workspace, self._settings.public_url, known=known))

    async def _forge(self, entry: Entry, desk: SetupDesk) -> None:
        repo, branch = str(entry.get("repo", "")), str(entry.get("default_branch", "main"))
        try:
            async with desk.forge(repo) as forge:
                await self._with_forge(forge, repo, branch)
        except ConfigError as error:
            self._tell(step("token", Outcome.FAILED, detail=error))
            for name in FORGE_STEPS[1:]:
                self._tell(_untried(name, "token"))

    async def _with_forge(self, forge: ForgeSetup, repo: str, branch: str) -> None:
        settings = self._settings
        steps = ForgeSteps(forge, repo, f"{settings.gitea_url}/api/v1/repos/{repo}")
        token = await guarded("token", steps.token())
        self._tell(token)
        if token.outcome is Outcome.FAILED:
            for name in FORGE_STEPS[1:]:
                self._tell(_untried(name, "token"))
            return
        self._tell(await guarded("marking", steps.marking()))
        self._tell(await guarded("protection", steps.protection(branch, self._options.protect, self._answers)))
        self._tell(await guarded("hook", steps.hook(settings.public_url, _text(settings.gitea_webhook_secret))))

    # ------------------------------------------------------------------------------------------ the end

    def _secrets(self, entry: Entry) -> None:
        """Name the secrets that are not in the environment."""
        wanted = [name for service in (entry.get("board"), entry.get("forge")) for name in SECRETS.get(str(service), ())]
        missing = [f"ORCH_{name.upper()}" for name in wanted if getattr(self._settings, name) is None]
        if wanted:
            told = {"names": ", ".join(missing)}
            self._tell(step("secrets", Outcome.MANUAL, **told) if missing else step("secrets", Outcome.ALREADY))

    async def _doctor(self) -> Examination | None:
        options = ServeOptions(config=self._options.config)
        try:
            found = await anyio.to_thread.run_sync(self._deps.doctor, options)
        except ConfigError as error:
            self._tell(step("doctor", Outcome.FAILED, detail=error))
            return None
        faults = sum(finding.level is Level.FAULT for finding in found.findings)
        told = {"count": str(faults), "command": f"orch doctor --config {self._options.config}"}
        self._tell(step("doctor", Outcome.FAILED, "faults", **told) if faults else step("doctor", Outcome.DONE))
        return found


def _untried(name: str, because: str) -> Step:
    return step(name, Outcome.FAILED, "untried", detail=because)


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value().strip() if secret is not None else ""
