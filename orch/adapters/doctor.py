"""Looking at an installation for `orch doctor`: the machine, the data directory, and every project end to end.

Owns: collecting what ``orch.core.doctor`` judges. Rule: nothing is changed, but for a file in the data directory and a ref in a
repository, both made to see that it can be done and removed at once; the database is never opened, so it makes no
difference whether a daemon runs.

A project is examined by the lists below: what holds for all, then what its board and its forge are asked. A check is a small
function from a ``Subject`` to findings; one for another service is written and added to that service's list.
"""

import os
import platform
import pwd
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.adapters.doctor_services import look_at_gitea, look_at_plane
from orch.adapters.git import Git
from orch.adapters.git.push import ask_tip
from orch.adapters.git.runner import Options
from orch.adapters.gitea import GiteaForge
from orch.adapters.local_forge import RECEIVE_PACK
from orch.adapters.prompts import JinjaPrompts
from orch.adapters.room import HostRoom
from orch.adapters.sandbox import Sandbox
from orch.config import Refused, Settings, open_repository
from orch.core.doctor import (
    ChatFacts,
    DataDir,
    Examination,
    Finding,
    LocalRepository,
    judge_agents,
    judge_budgets,
    judge_chat,
    judge_commands,
    judge_configuration,
    judge_data_dir,
    judge_deploy,
    judge_landing,
    judge_prompts,
    judge_rebase,
    judge_repository,
    judge_room,
    judge_sandbox,
    judge_user,
    judge_versions,
)
from orch.core.doctor_services import judge_gitea, judge_plane
from orch.core.errors import ConfigError, ExternalError, StoreError
from orch.core.model import Project
from orch.ports import AgentAdapter, Board, Forge, GitRemote

TRIAL_REF = "refs/orch/doctor"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is to be examined. *services* gives a project's board and forge where they can be asked without a daemon."""

    settings: Settings
    data_dir: Path
    projects: tuple[Project, ...]
    refused: tuple[Refused, ...]
    warnings: tuple[str, ...]
    adapters: Mapping[str, AgentAdapter]
    sandbox: Sandbox
    environ: Mapping[str, str]
    services: Callable[[Project], tuple[Board | None, Forge | None]] = lambda _: (None, None)
    chat: Callable[[], Awaitable[ChatFacts | None]] | None = None
    """Asks the chat; None where there is none."""

    @property
    def path(self) -> str:
        return self.environ.get("PATH", os.defpath)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One project under examination. *git* is None where there is none; *board* and *forge* where they need a daemon."""

    project: Project
    installation: Installation
    git: Git | None
    board: Board | None
    forge: Forge | None


ProjectCheck = Callable[[Subject], Awaitable[Sequence[Finding]]]


async def examine(installation: Installation) -> Examination:
    """Look at everything; never raises for what it finds."""
    git, said = await _find_git(installation)
    settings, projects = installation.settings, installation.projects
    refused = {each.project.name: each.reason for each in installation.refused}
    findings = [
        *judge_configuration([project.name for project in projects], installation.warnings, refused),
        *judge_versions(platform.python_version(), said),
        *judge_user(is_root=os.geteuid() == 0, name=_user_name()),
        *judge_data_dir(look_at_data_dir(installation.data_dir)),
        *judge_room(await HostRoom(_standing(installation.data_dir)).measure(), settings.limits()),
        *_look_at_sandbox(installation),
        *judge_prompts(_prompts_trouble(settings)),
        *await _look_at_chat(installation),
        *judge_rebase(always=settings.premerge_rebase_always),
    ]
    for project in projects:
        board, forge = installation.services(project)
        subject = Subject(project=project, installation=installation, git=git, board=board, forge=forge)
        for check in (*OF_ALL, *OF_BOARD.get(project.board, ()), *OF_FORGE.get(project.forge, ())):
            findings += await check(subject)
    languages = {project.language for project in projects}
    return Examination(findings=tuple(findings), language=languages.pop() if len(languages) == 1 else "en")


# ------------------------------------------------------------------------------------------------ the installation


async def _find_git(installation: Installation) -> tuple[Git | None, str | None]:
    """Return git and what it says of its version; no git where there is none or where it cannot be run."""
    try:
        git = Git(environ=installation.environ)
        return git, (await git.run(None, "version")).out.decode("utf-8", "replace").strip()
    except (ConfigError, ExternalError, StoreError):
        return None, None


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _standing(path: Path) -> Path:
    """Return *path*, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.is_dir())


def look_at_data_dir(path: Path) -> DataDir:
    """Return how the data directory is, whether or not a daemon uses it."""
    shown = str(path)
    if not path.exists():
        above = _standing(path)
        return DataDir(path=shown, exists=False, trouble="" if os.access(above, os.W_OK | os.X_OK) else f"{above} is read-only")
    try:
        with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=path):
            pass
        mode = path.stat().st_mode
    except OSError as error:
        return DataDir(path=shown, trouble=error.strerror or str(error))
    token = path / "token"
    token_open = token.exists() and bool(stat.S_IMODE(token.stat().st_mode) & 0o077)
    return DataDir(path=shown, open_to_others=bool(mode & 0o077), token_open=token_open, holder=_holder(path / "lock"))


def _holder(lock: Path) -> str:
    """Return the process that holds the data directory's lock. It is looked up, not tried: a daemon may be starting."""
    try:
        inode = f":{lock.stat().st_ino} "
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        if any("FLOCK" in line and inode in line for line in locks):
            return lock.read_text(encoding="ascii", errors="replace").strip() or "?"
    except OSError:
        pass
    return ""


def _look_at_sandbox(installation: Installation) -> list[Finding]:
    settings, sandbox = installation.settings, installation.sandbox
    trouble = None if settings.sandbox == "off" else sandbox.trouble()
    named = [*settings.sandbox_read, *(path for project in installation.projects for path in project.sandbox_read)]
    absent = [path for path in dict.fromkeys(named) if not Path(path).expanduser().exists()]
    hidden = [] if trouble is not None else [str(path) for path in sandbox.hidden_on_path(installation.path)]
    return judge_sandbox(settings.sandbox, trouble, hidden, absent)


async def _look_at_chat(installation: Installation) -> list[Finding]:
    facts = await installation.chat() if installation.chat is not None else None
    return [] if facts is None else judge_chat(facts)


def _prompts_trouble(settings: Settings) -> str | None:
    try:
        JinjaPrompts(settings.prompts_dir).check()
    except ConfigError as error:
        return str(error)
    return None


# ------------------------------------------------------------------------------------------------ a project


async def check_agents(subject: Subject) -> Sequence[Finding]:
    missing = {}
    for role, settings in subject.project.agents().items():
        adapter = subject.installation.adapters.get(settings.agent)
        why = f"no agent is called {settings.agent!r}" if adapter is None else adapter.check(settings)
        if why is not None:
            missing[role] = why
    limits = subject.installation.settings.limits()
    budgeted = limits.budget_task_usd is not None or limits.budget_day_usd is not None
    return [*judge_agents(subject.project, missing), *judge_budgets(subject.project, budgeted=budgeted)]


async def check_commands(subject: Subject) -> Sequence[Finding]:
    project = subject.project
    commands = {
        "setup_command": project.setup_command,
        "test_command": project.test_command,
        "deploy.staging_command": project.deploy.staging_command,
        "deploy.command": project.deploy.command,
        "deploy.rollback_command": project.deploy.rollback_command,
        "monitor.command": () if project.monitor is None else project.monitor.command,
    }
    programs = {where: argv[0] for where, argv in commands.items() if argv}
    return judge_commands(project, {where: name for where, name in programs.items() if not _is_found(name, subject)})


def _is_found(program: str, subject: Subject) -> bool:
    """Say whether a program is there; one of the repository's own is known only once it is checked out."""
    own = "/" in program and not program.startswith("/")
    return own or shutil.which(program, path=subject.installation.path) is not None


async def check_landing(subject: Subject) -> Sequence[Finding]:
    return judge_landing(subject.project)


async def check_deploy(subject: Subject) -> Sequence[Finding]:
    return judge_deploy(subject.project)


async def check_local_repository(subject: Subject) -> Sequence[Finding]:
    if subject.git is None:
        return ()  # said already
    return judge_repository(subject.project, await look_at_repository(subject.git, subject.project))


async def look_at_repository(git: Git, project: Project) -> LocalRepository:
    """Ask a repository that is its own forge what the daemon will ask, and make and delete a ref in it."""
    remote = GitRemote(url=project.repo, receive_pack=RECEIVE_PACK)
    branch = project.default_branch
    try:
        found = open_repository(Path(project.repo), branch)
        tip = await ask_tip(git, None, remote, f"refs/heads/{branch}")
        if tip is None:
            return LocalRepository(path=project.repo, trouble=f"there is no branch {branch}")
        checked_out = found.git_dir != found.path and await _stands_on(git, found.git_dir, branch)
        dirty = checked_out and await _is_dirty(git, found.git_dir, found.path)
    except (ConfigError, ExternalError, StoreError) as error:
        return LocalRepository(path=project.repo, trouble=str(error))
    unwritable = await _try_to_write(git, found.git_dir, tip)
    return LocalRepository(path=project.repo, tip=tip, checked_out=checked_out, dirty=dirty, unwritable=unwritable)


async def _stands_on(git: Git, git_dir: Path, branch: str) -> bool:
    ran = await git.run(git_dir, "symbolic-ref", "--quiet", "HEAD", options=Options(any_code=True))
    return ran.word() == f"refs/heads/{branch}"


async def _is_dirty(git: Git, git_dir: Path, work_tree: Path) -> bool:
    ran = await git.run(git_dir, "status", "--porcelain", "--untracked-files=no", options=Options(work_tree=work_tree))
    return bool(ran.out)


async def _try_to_write(git: Git, git_dir: Path, tip: str) -> str:
    """Return why no ref can be made, nothing when one was made and deleted."""
    try:
        await git.run(git_dir, "update-ref", TRIAL_REF, tip)
        await git.run(git_dir, "update-ref", "-d", TRIAL_REF)
        places = ("--git-path", "objects", "--git-path", TRIAL_REF.rpartition("/")[0])
        objects, folder = (await git.run(git_dir, "rev-parse", "--path-format=absolute", *places)).lines()
    except (ExternalError, StoreError) as error:
        return str(error)
    with suppress(OSError):  # git leaves it behind; other refs may lie in it
        os.rmdir(folder)
    return "" if os.access(objects, os.W_OK | os.X_OK) else "its objects belong to somebody else"


async def check_plane(subject: Subject) -> Sequence[Finding]:
    if subject.board is None:
        return ()
    return judge_plane(subject.project, await look_at_plane(subject.board, subject.installation.settings.public_url))


async def check_gitea(subject: Subject) -> Sequence[Finding]:
    if not isinstance(subject.forge, GiteaForge):
        return ()
    public_url = subject.installation.settings.public_url
    return judge_gitea(subject.project, await look_at_gitea(subject.forge, subject.git, subject.project, public_url))


OF_ALL: tuple[ProjectCheck, ...] = (check_agents, check_commands, check_landing, check_deploy)
OF_BOARD: Mapping[str, tuple[ProjectCheck, ...]] = {"local": (), "plane": (check_plane,)}
"""What each kind of board is asked. The built-in one lives in the store, where nothing can be wrong with it alone."""
OF_FORGE: Mapping[str, tuple[ProjectCheck, ...]] = {"local": (check_local_repository,), "gitea": (check_gitea,)}
"""What each kind of forge is asked."""
