"""The project's entry, as `orch init` makes it out of options, answers and what it finds.

Owns: which project is meant, what an entry of it holds, and how it differs from one that is there. Rule: an option decides, then
a person, then what was found; an entry that is there decides over all of them, and is never changed.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from orch.cli.answers import Answers
from orch.cli.options import InitOptions
from orch.config import AGENT_ROLES, Settings, parse_command
from orch.config.repository import name_from, prefix_from
from orch.core.errors import ConfigError
from orch.core.first_hour import READ, Suggestion, has_ci, suggest_test
from orch.ports.setup import BoardProject, RepoFacts, SetupDesk

Entry = Mapping[str, Any]
LOCAL, PLANE, GITEA = "local", "plane", "gitea"
COMPARED = ("prefix", "board", "board_project", "forge", "repo", "default_branch", "language", "ci")
DEFAULTS = {"board": LOCAL, "forge": LOCAL, "default_branch": "main"}
PREFIX_MAX = 10


@final
class EntryMaker:
    """Finds or makes the entry. ``settings`` are those that it learned on the way and that belong into the file."""

    def __init__(self, options: InitOptions, answers: Answers, table: Entry) -> None:
        self._options = options
        self._answers = answers
        self._known: list[Entry] = list(table.get("projects", []))
        self.settings: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------ one that is there

    def found(self) -> Entry | None:
        """Return the entry that is meant: by name, else by its repository."""
        options = self._options
        for key, wanted in (("name", {options.name}), ("repo", {options.repo, _absolute(options.repo)})):
            match = [entry for entry in self._known if wanted != {""} and entry.get(key) in wanted - {""}]
            if match:
                return match[0]
        only = self._known[0] if len(self._known) == 1 and not options.name and not options.repo else None
        return only if only is not None and not (options.board_project or options.prefix) else None

    def differences(self, entry: Entry) -> list[str]:
        """Return what was asked for otherwise than *entry* says."""
        asked = {key: getattr(self._options, key) for key in COMPARED}
        asked["repo"] = "" if entry.get("repo") in (self._options.repo, _absolute(self._options.repo)) else self._options.repo
        asked["language"] = ""  # that of what is printed here
        differing = [key for key, value in asked.items() if value and value != entry.get(key, DEFAULTS.get(key, ""))]
        test = list(self._options.test_command)
        return [*differing, *(["test_command"] if test and test != list(entry.get("test_command", [])) else [])]

    # ------------------------------------------------------------------------------------------ a new one

    def services(self, settings: Settings) -> tuple[str, str, Settings]:
        """Return which board and which forge, and the settings with what reaching them needs."""
        options, ask = self._options, self._answers
        forge = options.forge or (GITEA if options.gitea_url else "") or _meant(options.repo)
        forge = forge or ask.text("forge", "--forge", LOCAL)
        board = options.board or (PLANE if options.board_project or options.plane_url else "")
        board = board or ask.text("board", "--board", LOCAL)
        if forge not in (LOCAL, GITEA) or board not in (LOCAL, PLANE):
            raise ConfigError(f"--forge is local or gitea, --board is local or plane; not {forge!r} and {board!r}")
        return board, forge, self.reach(settings, board, forge)

    def reach(self, settings: Settings, board: str, forge: str) -> Settings:
        """Return the settings with the addresses that these services need, asked for where they are nowhere."""
        wanted = [*(("plane_url", "plane_workspace") if board == PLANE else ()), *(("gitea_url",) if forge == GITEA else ())]
        if wanted:
            wanted.append("public_url")
        for name in wanted:
            given = str(getattr(self._options, name)).strip()
            default = "" if name == "public_url" else None
            value = given or str(getattr(settings, name)) or self._answers.text(name, f"--{name.replace('_', '-')}", default)
            value = value.rstrip("/") if name.endswith("_url") else value
            if value and (given or value != getattr(settings, name)):
                self.settings[name] = value
        return settings.model_copy(update=self.settings)

    async def make(self, board: str, forge: str, desk: SetupDesk) -> Entry:
        options, ask = self._options, self._answers
        repo = options.repo or ask.text(f"repo_{forge}", "--repo", "." if forge == LOCAL else None)
        repo = _absolute(repo) if forge == LOCAL else repo
        facts = await self._look(forge, repo, desk)
        branch = options.default_branch or ask.text("branch", "--default-branch", facts.default_branch)
        project = await self._choose(desk) if board == PLANE else None
        folder = Path(repo).name
        name = options.name or ask.text("name", "--name", name_from(folder))
        suggested = project.identifier[:PREFIX_MAX].upper() if project is not None and project.identifier else prefix_from(folder)
        prefix = options.prefix or ask.text("prefix", "--prefix", suggested)
        entry: dict[str, Any] = {"name": name, "prefix": prefix, "board": board}
        if project is not None:
            entry["board_project"] = project.id
        entry |= {"forge": forge, "repo": repo, "default_branch": branch}
        if options.setup_command:
            entry["setup_command"] = list(options.setup_command)
        if test := self._test(facts):
            entry["test_command"] = list(test)
        ci = options.ci or (LOCAL if forge == GITEA and not has_ci(facts.names) else "")
        entry |= {key: value for key, value in (("ci", ci), ("language", options.language)) if value and value != "en"}
        return entry | self._roles()

    async def _look(self, forge: str, repo: str, desk: SetupDesk) -> RepoFacts:
        if forge == LOCAL:
            return await desk.repository(repo).look(self._options.default_branch, READ)
        async with desk.forge(repo) as found:
            return await found.look(self._options.default_branch, READ)

    async def _choose(self, desk: SetupDesk) -> BoardProject:
        async with desk.board() as board:
            projects = await board.list_projects()
        if self._options.board_project:
            wanted = self._options.board_project.strip().lower()
            return next((each for each in projects if each.id == wanted), BoardProject(id=wanted, name=""))
        listed = [f"{each.name} ({each.identifier})  {each.id}" for each in projects]
        return projects[self._answers.choice("project", "--board-project", listed)]

    def _test(self, facts: RepoFacts) -> tuple[str, ...]:
        if self._options.test_command:
            return self._options.test_command
        found: Suggestion | None = suggest_test(facts.names, facts.texts or {})
        if found is None:
            said = self._answers.text("test", "--test", "")
        else:
            said = self._answers.text("test_found", "--test", shlex.join(found.command), because=found.because)
        return parse_command(said) if said else ()

    def _roles(self) -> dict[str, Any]:
        options = self._options
        agent = options.agent or ("command" if options.agent_command else "")
        if not agent:
            return {}
        role: dict[str, Any] = {"agent": agent}
        if options.agent_command:
            role["command"] = list(options.agent_command)
        if options.script:
            role["script"] = options.script
        return {"roles": {str(each): role for each in AGENT_ROLES}}


def _absolute(repo: str) -> str:
    return str(Path(repo).expanduser().absolute()) if repo else ""


def _meant(repo: str) -> str:
    """Return which forge a repository is of, where one can tell: what is on this machine is local."""
    return LOCAL if repo and (repo.startswith(("/", ".", "~")) or Path(repo).is_dir()) else ""
