"""A desk at which a task's runs are told: a remote, a person's clone of it, a workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from orch.adapters.git import Git, GitMirror, GitWorkspace
from orch.core.ids import Attempt, Branch, ProjectName, RunId, Sha, TaskRow, WorkItemId
from orch.core.messages import CommandReport, CommandVerdict, Refusal
from orch.core.model import RunMode
from orch.core.stages import Role
from orch.ports.git import Collected, Prepared, WorkspaceSpec
from tests.gitrepo import Repo, make_bare, make_repo, remote_of

FOLDER = "docs/work-items/SHOP-1"
BRANCH = Branch("feature/SHOP-1-add")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class RecordedCommands:
    """Answers a project's command with a set report and remembers how it was called."""

    def __init__(self) -> None:
        self.report = CommandReport(verdict=CommandVerdict.GREEN, exit_code=0)
        self.calls: list[tuple[tuple[str, ...], Path, ProjectName | None]] = []

    def toolchain(self, *commands: Sequence[str]) -> str:
        return ""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        timeout_s: float,
        label: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        project: ProjectName | None = None,
    ) -> CommandReport:
        self.calls.append((tuple(argv), cwd, project))
        return self.report


class Desk:
    """A remote with a person's clone, a workspace, and the spec of the run that is going on."""

    def __init__(self, folder: Path, branch: str = "main") -> None:
        self.folder = folder
        self.person = make_repo(folder / "person", branch=branch)
        self.remote = make_bare(folder / "remote.git", self.person, branch=branch)
        self.commands = RecordedCommands()
        self.allowed_to_push = True
        self.mirror = GitMirror(
            folder / "m.git", remote_of(self.remote), project=ProjectName("shop"), default_branch=branch, git=Git()
        )
        self.workspace = self.another_daemon()
        self.spec = WorkspaceSpec(
            task=TaskRow(7),
            run=RunId(1),
            attempt=Attempt(1),
            work_item=WorkItemId("SHOP-1"),
            branch=BRANCH,
            base=None,
            head=None,
            role=Role.DEVELOPER,
            mode=RunMode.NEW_ATTEMPT,
            request="# Add\nPlease add.\n",
            retire=(),
            allowed=(),
        )

    def another_daemon(self) -> GitWorkspace:
        """Give a workspace that knows nothing but what is on disk."""

        async def may_push(spec: WorkspaceSpec) -> bool:
            return self.allowed_to_push

        return GitWorkspace(self.folder / "data", self.mirror, self.commands, may_push=may_push, now=lambda: NOW)

    async def prepare(self) -> tuple[Prepared, Repo]:
        prepared = await self.workspace.prepare(self.spec)
        return prepared, Repo(prepared.worktree)

    async def collected(self, prepared: Prepared) -> Collected:
        result = await self.workspace.collect(self.spec, prepared)
        assert isinstance(result, Collected), result
        return result

    async def refused(self, prepared: Prepared) -> Refusal:
        result = await self.workspace.collect(self.spec, prepared)
        assert isinstance(result, Refusal), result
        return result

    def next_run(self, mode: RunMode, *, base: Sha | None = None, head: Sha | None = None, retire: tuple[str, ...] = ()) -> None:
        """Go on to the next run of the task."""
        number = int(self.spec.run) + 1
        self.spec = replace(
            self.spec,
            run=RunId(number),
            attempt=Attempt(number),
            mode=mode,
            base=base or self.spec.base,
            head=head or self.spec.head,
            retire=retire,
        )

    @property
    def inside(self) -> Repo:
        return Repo(self.mirror.path)
