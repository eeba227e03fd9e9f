"""The merge train as a pure planner: which candidates to test, which to land, which task is to blame.

Owns: the order of the chain, the choice of prefixes, how wide a round is, what counts as a minimal pair.
Does not own: building candidates, running tests, pushing (``actors/train.py``), what an ejection means for its task
(``decide_evidence``), the membership check of a landing (``decide_repo``).
Rule: recomputed from the store at every event; policy chooses candidates, never verdicts. A verdict belongs to a *tree* in an
*environment*: whatever candidate has that tree has that verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from orch.core.ids import CheckId, Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.model import Member

WIDTH_START = 16
DISTURBED_MAX = 3
"""How often a candidate is tried again whose test run gave no verdict (time-out, infrastructure)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task in the landing queue, with its pinned head. *exempt*: a fix."""

    task: TaskRow
    head: Sha
    exempt: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One member of the chain and the candidate that ends with it: the base plus every member up to this one."""

    member: Member
    sha: Sha
    tree: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The base (the default branch's tip) and the members put onto it, one after the other, in the train's order.

    A task that conflicts with what stands before it is not among them. Position 0 is the base itself, position *i* the candidate
    of the first *i* members.
    """

    base: Sha
    base_tree: Sha
    links: tuple[Link, ...] = ()

    def tree(self, position: int) -> Sha:
        return self.base_tree if position == 0 else self.links[position - 1].tree

    def sha(self, position: int) -> Sha:
        return self.base if position == 0 else self.links[position - 1].sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One run of the test command on a tree; *verdict* is None while it runs."""

    id: CheckId
    tree: Sha
    verdict: CommandVerdict | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the planner looks at.

    *checks* are, oldest first, those that are running (whatever their tree) and those that ended on a tree of the chain, in the
    present environment. *slots* is how many may run at once. *landing* says that an intent to land is open.
    """

    chain: Chain
    checks: Sequence[Check] = ()
    slots: int = 1
    frozen: bool = False
    exempt: frozenset[TaskRow] = frozenset()
    """The members that a freeze does not hold."""
    landing: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """What the planner remembers between calls; a row of the store. *width* is b, how many members a round takes."""

    width: int = WIDTH_START


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Test the candidate at *position* of the chain (0: a control run of the default branch as it is)."""

    position: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Nobody needs this run's verdict any more."""

    check: CheckId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LandPrefix:
    """Land the candidate at *position*: its tree is green."""

    position: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Eject:
    """The first member is red on the default branch, twice: the minimal pair.

    *green* is a green run of the default branch as it is; None only for a fix under a freeze that a red main caused.
    """

    task: TaskRow
    red: CheckId
    green: CheckId | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MainRed:
    """The default branch itself is red on a control run, twice: freeze, blame nobody."""

    check: CheckId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """The first member's candidate gave no verdict DISTURBED_MAX times: the task waits until what disturbs it is mended."""

    task: TaskRow
    check: CheckId


Action = Begin | Cancel | LandPrefix | Eject | MainRed | Disturbed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now, in order, and what to remember."""

    actions: tuple[Action, ...]
    train: Train


def arrange(queue: Sequence[Waiting], running: Sequence[TaskRow], *, frozen: bool) -> tuple[Waiting, ...]:
    """Return the order in which the chain is built; *queue* is FIFO by entry, *running* the members of candidates under test.

    A fix goes to the head, behind members of running candidates; while a fix waits under a freeze there are fixes only.
    """
    raise NotImplementedError


def initial(slots: int) -> Train:
    """Return a train that has seen nothing yet."""
    raise NotImplementedError


def plan(train: Train, facts: Facts) -> Plan:
    """Return what to do about *facts*."""
    raise NotImplementedError


def landed(train: Train, members: int, slots: int) -> Train:
    """Return the train after a candidate of that many members has landed: its width grows."""
    raise NotImplementedError
