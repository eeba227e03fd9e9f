"""A project from options: ``orch serve --repo PATH --test CMD`` without any file.

Owns: what a path and a command line are turned into, and the checks that the path is a git repository with a commit.
Rule: files are read, nothing is run and nothing in the repository is trusted: its ``HEAD`` is a name to be checked.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import final

from slugify import slugify

from orch.config.registry import check_argv, check_branch, default_roles
from orch.core.errors import ConfigError
from orch.core.ids import parse_prefix, parse_project_name
from orch.core.model import LandStyle, Project, RoleSettings

_REF_MAX = 4096
_PACKED_MAX = 200_000_000
_SHELL_SIGNS = frozenset("|&;<>()$`*?[]{}~#\n")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A git repository of the user's: *git_dir* holds its refs, *branch* is what ``HEAD`` names."""

    path: Path
    git_dir: Path
    branch: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOptions:
    """What the command line says about the one repository to serve; None means: made from the repository itself."""

    repo: Path
    test_command: tuple[str, ...]
    role: RoleSettings
    """How every role's agent is run."""
    setup_command: tuple[str, ...] = ()
    name: str | None = None
    prefix: str | None = None
    default_branch: str | None = None
    land_style: LandStyle = LandStyle.REBASE


def project_from_options(options: ProjectOptions) -> Project:
    """Return the one project of a daemon that was started with options; raise ConfigError that says what to do."""
    if not options.test_command:
        raise ConfigError("the test command is empty; pass one with --test, for example --test 'make test'")
    if options.role.agent == "command" and not options.role.command:
        raise ConfigError("--agent command needs --agent-command CMD, the program to run")
    found = open_repository(options.repo, options.default_branch)
    try:
        return Project(
            name=parse_project_name(options.name or name_from(found.path.name)),
            prefix=parse_prefix(options.prefix or prefix_from(found.path.name)),
            repo=str(found.path),
            default_branch=found.branch,
            setup_command=check_argv(options.setup_command),
            test_command=check_argv(options.test_command),
            land_style=options.land_style,
            roles=default_roles(options.role),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def parse_command(text: str, option: str = "--test") -> tuple[str, ...]:
    """Return a command line as argv; one that uses the shell's signs is given to ``sh -c`` whole."""
    if not text.strip():
        raise ConfigError(f"{option} is empty; pass a command, for example {option} 'make test'")
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ConfigError(f"{option}: {str(error).lower()} in {text!r}; close the quotation") from None
    plain = words and "=" not in words[0] and not any(sign in text for sign in _SHELL_SIGNS)
    return words if plain else ("sh", "-c", text)


def name_from(folder: str) -> str:
    """Return a project name made of a folder's name."""
    return slugify(folder.removesuffix(".git"), max_length=40).strip("-") or "project"


def prefix_from(folder: str) -> str:
    """Return a prefix made of a folder's name: its first letters and digits, capital, at most ten; ``TASK`` for none."""
    text = slugify(folder.removesuffix(".git"), separator="").upper().lstrip("0123456789")
    return text[:10] or "TASK"


def open_repository(path: Path, branch: str | None = None) -> Repository:
    """Find the repository at *path* and the branch to land on (*branch* where given); raise ConfigError otherwise."""
    top = path.expanduser().absolute()
    if not top.exists():
        raise ConfigError(f"{path}: does not exist; name the folder of a git repository with --repo")
    if not top.is_dir():
        raise ConfigError(f"{path}: is not a folder; name the folder of a git repository with --repo")
    top = top.resolve()
    git_dir = _git_dir(top)
    if git_dir is None:
        raise ConfigError(f"{path}: is not a git repository; {_advice(top)}")
    common = _common_dir(git_dir)
    name = branch if branch is not None else _head_branch(path, git_dir)
    try:
        check_branch(name)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; name the branch to land on with --default-branch") from None
    if not (common / "reftable").is_dir() and not _has_ref(common, f"refs/heads/{name}"):
        raise ConfigError(
            f"{path}: branch {name!r} has no commit; make a first commit on it (or name another with --default-branch)"
        )
    return Repository(path=top, git_dir=git_dir, branch=name)


def _advice(top: Path) -> str:
    for parent in top.parents:
        if (parent / ".git").exists():
            return f"it lies inside {parent}: name that folder"
    return "run 'git init' there first"


def _git_dir(top: Path) -> Path | None:
    """Return where a repository keeps its ``HEAD``: ``.git``, what a ``.git`` file points to, or the folder itself when bare."""
    inner = top / ".git"
    if inner.is_file():
        pointed = _read(inner).removeprefix("gitdir:").strip()
        inner = (top / pointed) if pointed else inner
    for candidate in (inner, top):
        if (candidate / "HEAD").is_file() and (_common_dir(candidate) / "objects").is_dir():
            return candidate
    return None


def _common_dir(git_dir: Path) -> Path:
    """Return where the refs of a linked worktree really are."""
    pointer = git_dir / "commondir"
    return git_dir / _read(pointer).strip() if pointer.is_file() else git_dir


def _head_branch(path: Path, git_dir: Path) -> str:
    head = _read(git_dir / "HEAD").strip()
    prefix = "ref: refs/heads/"
    if not head.startswith(prefix) or head == f"{prefix}.invalid":
        raise ConfigError(f"{path}: HEAD is not on a branch; check out the branch to land on, or name it with --default-branch")
    return head.removeprefix(prefix)


def _has_ref(common: Path, ref: str) -> bool:
    if (common / ref).is_file():
        return True
    packed = common / "packed-refs"
    return packed.is_file() and f" {ref}\n" in _read(packed, _PACKED_MAX)


def _read(path: Path, limit: int = _REF_MAX) -> str:
    try:
        with path.open("rb") as file:
            return file.read(limit).decode(errors="replace")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give this user the right to read it") from None
