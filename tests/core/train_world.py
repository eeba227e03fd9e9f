"""The nouns of the landing protocol's model: a store, a git and a daemon in miniature, and the stories that are told of them.

Owns: what a state is. Does not own: what can happen to it (``train_model``) and what the daemon makes of it (``train_shell``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache

from orch.core.ids import ProjectName, Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.model import Freeze, FreezeCause, Member, Repo, Task
from orch.core.stages import Stage
from orch.core.train import Chain, Link, Train
from tests.core.samples import NOW, make_task

PROJECT = ProjectName("shop")
Item = tuple[int, int]
"""A task and the version of its head; task 0 stands for pushes from outside, its version for which one."""
Content = tuple[Item, ...]
GREEN, RED = CommandVerdict.GREEN, CommandVerdict.RED


class Violation(AssertionError):
    """An invariant is broken; the text begins with its name."""


class Place(StrEnum):
    AWAY = "away"
    QUEUED = "queued"
    LANDED = "landed"
    EJECTED = "ejected"
    PARKED = "parked"
    CANCELLED = "cancelled"


TERMINAL = {Place.LANDED, Place.CANCELLED}


class Step(StrEnum):
    CHOSEN = "chosen"
    INTENDED = "intended"
    PUSHED = "pushed"


@dataclass(frozen=True, slots=True)
class Job:
    place: Place = Place.AWAY
    version: int = 0
    exempt: bool = False
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class Landing:
    step: Step
    base: Content
    members: Content

    @property
    def content(self) -> Content:
        return self.base + self.members


@dataclass(frozen=True, slots=True)
class Probe:
    """A check of *base* with *members* put onto it; its id is its place in the list."""

    base: Content
    members: Content
    verdict: CommandVerdict | None = None

    @property
    def content(self) -> Content:
        return self.base + self.members

    @property
    def tree(self) -> Sha:
        return tree_of(self.content)


@dataclass(frozen=True, slots=True)
class Shell:
    """What the daemon's store holds; *seen* is main as it was last fetched."""

    jobs: tuple[Job, ...]
    train: Train
    seen: Content = ()
    queue: tuple[int, ...] = ()
    probes: tuple[Probe, ...] = ()
    frozen: bool = False
    landing: Landing | None = None

    @property
    def closing(self) -> bool:
        """Whether an intent is open."""
        return self.landing is not None and self.landing.step is not Step.CHOSEN

    @property
    def running(self) -> list[Probe]:
        return [probe for probe in self.probes if probe.verdict is None]

    def count(self, tree: Sha, verdict: CommandVerdict) -> int:
        return sum(probe.tree == tree and probe.verdict is verdict for probe in self.probes)

    def job(self, number: int) -> Job:
        return self.jobs[number - 1]

    def item(self, number: int) -> Item:
        return number, self.job(number).version

    def with_job(self, number: int, job: Job) -> "Shell":
        """Return this with another job; who is not queued any more leaves the queue."""
        jobs = (*self.jobs[: number - 1], job, *self.jobs[number:])
        return replace(self, jobs=jobs, queue=tuple(n for n in self.queue if jobs[n - 1].place is Place.QUEUED))

    def put(self, number: int, place: Place) -> "Shell":
        return self.with_job(number, replace(self.job(number), place=place))

    def enter(self, number: int) -> "Shell":
        entered = self.put(number, Place.QUEUED)
        return replace(entered, queue=(*entered.queue, number))


@dataclass(frozen=True, slots=True)
class State:
    """*main* is what the forge has; *budget* is how often each disturbance may still come."""

    shell: Shell
    budget: tuple[tuple[str, int], ...]
    main: Content = ()
    alive: bool = True

    def left(self, what: str) -> int:
        return dict(self.budget).get(what, 0)


@dataclass(frozen=True, slots=True)
class Safeguards:
    base_check: bool = True
    membership: bool = True
    reconcile: bool = True


@dataclass(frozen=True, slots=True)
class Story:
    """The tasks (numbered from 1) and what is true of them; *budget* bounds what may go wrong."""

    tasks: int = 3
    slots: int = 2
    broken: frozenset[Item] = frozenset()
    clashing: tuple[tuple[int, int], ...] = ()
    conflicting: tuple[tuple[int, int], ...] = ()
    needs: Mapping[int, int] = field(default_factory=dict)
    fixes: frozenset[int] = frozenset()
    width: int | None = None
    budget: Mapping[str, int] = field(default_factory=dict)

    def is_red(self, content: Content) -> bool:
        """Say what a perfect test of *content* says; a fix mends what pushes from outside broke."""
        tasks = {task for task, _ in content}
        mended = bool(tasks & self.fixes)
        broken = any(item in self.broken and not (mended and item[0] == 0) for item in content)
        return broken or any(one in tasks and other in tasks for one, other in self.clashing)

    def conflicts(self, task: int, content: Content) -> bool:
        others = {other for pair in self.conflicting if task in pair for other in pair} - {task}
        return any(other in others for other, _ in content)

    def is_ready(self, number: int, jobs: Sequence[Job]) -> bool:
        """Say whether what the task needs has landed or was stopped."""
        need = self.needs.get(number)
        return need is None or jobs[need - 1].place in TERMINAL


@cache
def tree_of(content: Content) -> Sha:
    return Sha("t" + repr(sorted(content)))


@cache
def link_of(content: Content) -> Link:
    task, version = content[-1]
    member = Member(task=TaskRow(task), head=head_of(task, version))
    return Link(member=member, sha=Sha("c" + repr(content)), tree=tree_of(content))


def head_of(task: int, version: int) -> Sha:
    return Sha(f"{task}.{version}")


@cache
def task_of(number: int, job: Job) -> Task:
    """Return the task as the store has it, for the real membership check."""
    return make_task(
        row=TaskRow(number),
        stage=Stage.CANCELLED if job.place is Place.CANCELLED else Stage.DEPLOY_STAGING,
        train_seq=number if job.place is Place.QUEUED else None,
        head=head_of(number, job.version),
        exempt=job.exempt,
        cancel_requested_at=NOW if job.stopping else None,
    )


def repo_of(shell: Shell) -> Repo:
    freeze = Freeze(project=PROJECT, cause=FreezeCause.PERSON, since=NOW, by="anna") if shell.frozen else None
    return Repo(project=PROJECT, freeze=freeze)


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


def items_of(chain: Chain, position: int) -> Content:
    """Return what the first *position* members of *chain* are, with the versions of their heads."""
    heads = [link.member.head.split(".") for link in chain.links[:position]]
    return tuple((int(task), int(version)) for task, version in heads)


def name_of(items: Content) -> str:
    return "+".join(str(task) if task else "someone's" for task, _ in items) or "main"
