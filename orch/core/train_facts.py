"""The nouns of the merge train: what its planner looks at, what it remembers, what it tells the shell to do.

Does not own: any rule (``train``, ``train_evidence``). Rule: values only. A verdict belongs to a *tree* in an *environment*:
whatever candidate has that tree has that verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from orch.core.ids import CheckId, Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.model import Member

WIDTH_START = 16
WIDTH_MAX = 128
DISTURBED_MAX = 3
"""How many checks of a candidate may end without a verdict (time-out, infrastructure) before it is tried no more."""
REDS = 2
"""A red counts once it has been repeated: that many red checks of one tree and no green one."""
DOUBT = 200
"""For how many landed tasks one more repetition is asked for, once a tree has been seen both red and green."""


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
    of the first *i* members. ``train.reach`` says how many members it needs to have.
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

    *checks* are, oldest first, those that are running (whatever their tree) and those that ended on a tree of either chain, in
    the present environment. *slots* is how many may run at once. *landing* says that an intent to land is open; until it is
    resolved the chain stays on that intent's base.
    """

    chain: Chain
    checks: Sequence[Check] = ()
    slots: int = 1
    frozen: bool = False
    exempt: frozenset[TaskRow] = frozenset()
    """The members that a freeze does not hold."""
    landing: bool = False
    aside: Chain | None = None
    """On the same base the chain without its first member, where that is the train's suspect. Without it slots stay idle."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """What the planner remembers between calls; a row of the store. *width* is b, how many members a round takes."""

    width: int = WIDTH_START
    suspect: TaskRow | None = None
    """The member that is red on the base once, and is to be convicted or cleared before anybody lands past it."""
    spent: CheckId | None = None
    """The newest check when main was found red or a test disturbed: no red or disturbed one up to it counts any more."""
    doubt: int = 0
    """For how many more landings a red is repeated once more, because of a tree that was both red and green."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Test the candidate at *position* (0: a control run of the default branch as it is) of the chain, or of that *aside*."""

    position: int
    aside: bool = False


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
    """The first member's candidate gave no verdict DISTURBED_MAX times: the task waits until what disturbs it is mended.

    *check* is the last such run; it is the default branch's own where the member is red and that could not be compared.
    """

    task: TaskRow
    check: CheckId


Action = Begin | Cancel | LandPrefix | Eject | MainRed | Disturbed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now, in order, and what to remember."""

    actions: tuple[Action, ...]
    train: Train
