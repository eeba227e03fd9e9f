"""What `orch init` decides: which columns a board lacks, what tests a repository probably has, and how a step ended.

Owns: the columns to be created with their groups and order, the suggestion of a test command, the steps as values. Does not own
the talking to services or the words (``orch.core.render``). Rule: pure; nothing that is there is renamed or deleted, and
``stop`` and ``confirm_deploy``, for which nothing stands, are always wanted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final
from uuid import UUID

from orch.core.statuses import DEFAULT_NAMES, REQUIRED, BoardState, Status, fold, map_states

# ------------------------------------------------------------------------------------------------ steps


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    ALREADY = "already"
    """It was so before."""
    SKIPPED = "skipped"
    """Left out, as was asked for."""
    MANUAL = "manual"
    """A person has to do it."""
    FAILED = "failed"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. *key* names its sentences (``init.<key>`` and, where something is left to do, ``init.<key>.do``)."""

    name: str
    outcome: Outcome
    key: str
    values: Mapping[str, str] = field(default_factory=dict)


def step(name: str, outcome: Outcome, key: str = "", /, **values: object) -> Step:
    told = {each: str(value) for each, value in values.items()}
    return Step(name=name, outcome=outcome, key=f"{name}.{key or outcome}", values=told)


# ------------------------------------------------------------------------------------------------ columns

GROUPS: Mapping[Status, str] = {
    **dict.fromkeys(Status, "started"),
    Status.BACKLOG: "backlog",
    Status.TO_ANALYSE: "unstarted",
    Status.DONE: "completed",
    Status.CANCELLED: "cancelled",
}
"""The board's coarse class of each status."""
NEEDED: frozenset[Status] = REQUIRED | {Status.STOP, Status.CONFIRM_DEPLOY}
"""What the line cannot do without, and the two triggers for which no other column stands."""


class Extent(StrEnum):
    """Which missing columns are created."""

    NEEDED = "needed"
    """Those for which no other column stands."""
    ALL = "all"
    """One for every step of the line."""
    NONE = "none"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewColumn:
    status: Status
    name: str
    group: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """*create* in the order of the line; *stood_for*: missing ones that an alias stands for; *refused*: wanted ones whose name
    is an id of no column, or means another status already."""

    create: tuple[NewColumn, ...] = ()
    stood_for: tuple[Status, ...] = ()
    refused: tuple[str, ...] = ()


def plan_columns(states: Iterable[BoardState], renames: Mapping[str, str], extent: Extent) -> ColumnPlan:
    """Return what is missing of *extent*. A column that is there by its name, a rename or its id is never made again."""
    known = list(states)
    wanted = {Status(key): name for key, name in renames.items()}
    mapped = map_states(known, wanted)
    taken = {fold(state.name) for state in known}
    create: list[NewColumn] = []
    stood_for: list[Status] = []
    refused: list[str] = []
    for status in Status if extent is not Extent.NONE else ():
        if status in mapped.ids:
            continue
        name = wanted.get(status, DEFAULT_NAMES[status]).strip()
        free = bool(name) and fold(name) not in taken and not _is_id(name)
        taken.add(fold(name))  # also of one that is left out: a column of that name would be its column
        if extent is Extent.NEEDED and status not in NEEDED:
            stood_for.append(status)
        elif free:
            create.append(NewColumn(status=status, name=name, group=GROUPS[status]))
        else:
            refused.append(f"{status} ({name})")
    return ColumnPlan(create=tuple(create), stood_for=tuple(stood_for), refused=tuple(refused))


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------------------------------------ the repository

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
READ = (*MAKEFILES, "package.json", "pyproject.toml", "setup.cfg", "tox.ini")
"""The files of a repository's first folder whose text tells something; of the others the name is enough."""
CI_FOLDERS = (".gitea", ".github", ".forgejo", ".woodpecker", ".drone.yml", ".woodpecker.yml", ".woodpecker.yaml")
_NPM_DEFAULT = "no test specified"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A command that probably runs the tests, and the file that says so."""

    command: tuple[str, ...]
    because: str


def suggest_test(names: Iterable[str], texts: Mapping[str, str]) -> Suggestion | None:
    """Return what probably tests a repository, from the *names* in its first folder and the *texts* of some of them."""
    known = set(names)
    for makefile in MAKEFILES:
        if makefile in known and _has_target(texts.get(makefile, ""), "test"):
            return Suggestion(command=("make", "test"), because=makefile)
    if "package.json" in known and _has_test_script(texts.get("package.json", "")):
        runner = "pnpm" if "pnpm-lock.yaml" in known else "yarn" if "yarn.lock" in known else "npm"
        return Suggestion(command=(runner, "test"), because="package.json")
    python = next(
        (name for name in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini") if _says_pytest(name, known, texts)), ""
    )
    if python:
        runner_words = {"uv.lock": ("uv", "run", "pytest"), "poetry.lock": ("poetry", "run", "pytest")}
        lock = next((name for name in runner_words if name in known), "")
        return Suggestion(command=runner_words.get(lock, ("python3", "-m", "pytest")), because=python)
    if "Cargo.toml" in known:
        return Suggestion(command=("cargo", "test"), because="Cargo.toml")
    if "go.mod" in known:
        return Suggestion(command=("go", "test", "./..."), because="go.mod")
    return None


def has_ci(names: Iterable[str]) -> bool:
    """Say whether a repository seems to have a CI of its own."""
    return not set(CI_FOLDERS).isdisjoint(names)


def _has_target(makefile: str, target: str) -> bool:
    for line in makefile.splitlines():
        head, colon, rest = line.partition(":")
        rule = bool(colon) and not line[:1].isspace() and not line.startswith("#") and not rest.startswith(("=", ":="))
        if rule and target in head.split():
            return True
    return False


def _has_test_script(package: str) -> bool:
    try:
        read = json.loads(package)
    except (ValueError, RecursionError):
        return False
    scripts = read.get("scripts") if isinstance(read, dict) else None
    test = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(test, str) and bool(test.strip()) and _NPM_DEFAULT not in test


def _says_pytest(name: str, known: set[str], texts: Mapping[str, str]) -> bool:
    return name in known and (name == "pytest.ini" or "pytest" in texts.get(name, ""))


def all_well(steps: Sequence[Step]) -> bool:
    """Say whether nothing failed. What is left to a person may have been done: no token can see it."""
    return all(each.outcome is not Outcome.FAILED for each in steps)
