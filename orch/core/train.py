"""The merge train as a pure planner: which candidates to test, which to land, which task is to blame.

Owns: the order of the chain, the choice of prefixes, how wide a round is, what counts as a minimal pair.
Does not own: building candidates, running tests, pushing (``actors/train.py``), what an ejection means for its task
(``decide_evidence``), the membership check of a landing (``decide_repo``).
Rule: recomputed from the store at every event; policy chooses candidates, never verdicts.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

from orch.core.ids import Sha, TaskRow
from orch.core.train_evidence import Line, Record, read_checks, spread, survey
from orch.core.train_facts import (
    DISTURBED_MAX,
    DOUBT,
    REDS,
    WIDTH_MAX,
    WIDTH_START,
    Action,
    Begin,
    Cancel,
    Chain,
    Check,
    Disturbed,
    Eject,
    Facts,
    LandPrefix,
    Link,
    MainRed,
    Plan,
    Train,
    Waiting,
)

__all__ = [
    "DISTURBED_MAX",
    "WIDTH_START",
    "Action",
    "Begin",
    "Cancel",
    "Chain",
    "Check",
    "Disturbed",
    "Eject",
    "Facts",
    "LandPrefix",
    "Link",
    "MainRed",
    "Plan",
    "Train",
    "Waiting",
    "arrange",
    "initial",
    "landed",
    "plan",
    "reach",
]

# ------------------------------------------------------------------------------------------------ order and width


def arrange(
    queue: Sequence[Waiting], running: Sequence[TaskRow], *, frozen: bool, suspect: TaskRow | None = None
) -> tuple[Waiting, ...]:
    """Return the order in which the chain is built; *queue* is FIFO by entry, *running* the members of candidates under test.

    *running* comes candidate by candidate, oldest check first, each candidate's members in their order: so what is under test
    stays a prefix of the chain. The train's *suspect* comes first. A fix goes to the head, behind members of running candidates;
    while a fix waits under a freeze there are fixes only.
    """
    fixes_only = frozen and any(waiting.exempt for waiting in queue)
    staying = {waiting.task: waiting for waiting in queue if waiting.exempt or not fixes_only}
    head = [] if suspect is None else [suspect]
    fixes = [waiting.task for waiting in queue if waiting.exempt]
    order = dict.fromkeys([*head, *running, *fixes, *staying])
    return tuple(staying[task] for task in order if task in staying)


def initial(slots: int) -> Train:
    """Return a train that has seen nothing yet."""
    return Train(width=max(WIDTH_START, slots * (slots + 1)))


def reach(train: Train, running: Sequence[TaskRow], slots: int) -> int:
    """Return how many members of the order the chain has to have: whatever a round may take, and whatever is under test already.

    What was ever tested and may still land is among them, so that no verdict is lost from sight.
    """
    return max(train.width, slots, len(set(running))) + 1


def landed(train: Train, members: int, slots: int) -> Train:
    """Return the train after a candidate of that many members has landed: its width grows."""
    widest = max(WIDTH_MAX, slots * (slots + 1))
    return replace(train, width=min(widest, train.width + members), doubt=max(0, train.doubt - members))


# ------------------------------------------------------------------------------------------------ the plan


def plan(train: Train, facts: Facts) -> Plan:
    """Return what to do about *facts*.

    The shell cancels before it begins. After an action that changes the queue or main it calls again, with a new chain; so it
    does when the train has a new suspect, because there is then a chain *aside* to be given.
    """
    records = read_checks(facts.checks, train.spent)
    if any(record.green is not None and record.reds for record in records.values()):
        train = replace(train, doubt=DOUBT)
    line = survey(facts.chain, records, _breadth(train.width, facts.slots))
    side = facts.aside and survey(facts.aside, records, _breadth(_halved(train.width, facts.slots), facts.slots))
    at = _Situation(train=train, facts=facts, line=line, side=side)
    judged = at.judge() if at.on_trial and not facts.landing else None
    if judged is not None:
        return Plan(actions=(judged,), train=_remember(train, judged, facts))
    train = replace(train, suspect=facts.chain.links[0].member.task if at.on_trial else None)
    return Plan(actions=at.carry_on(), train=train)


def _breadth(width: int, slots: int) -> int:
    """Return how many members a round takes: with one slot fewer, because it has to halve a red round step by step."""
    return -(-3 * width // 4) if slots == 1 else width


def _halved(width: int, slots: int) -> int:
    return max(slots, width // 2, 1)


def _remember(train: Train, judged: Eject | MainRed | Disturbed, facts: Facts) -> Train:
    match judged:
        case Eject():
            return replace(train, suspect=None, width=_halved(train.width, facts.slots))
        case MainRed() | Disturbed():
            return replace(train, suspect=None, spent=max(check.id for check in facts.checks))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Situation:
    """One call of ``plan``: everything it looks at, and what it concludes. *side* is the chain without the suspect."""

    train: Train
    facts: Facts
    line: Line
    side: Line | None

    @property
    def on_trial(self) -> bool:
        """Whether the first member is red, or gives no verdict, on what is now main, and no longer prefix makes up for it."""
        return self.line.green == 0 and (self.line.red == 1 or self.line.stuck)

    @property
    def base(self) -> Record:
        return self.line.at(0)

    @property
    def main_is_red(self) -> bool:
        """Whether the freeze stands over a main that is known to be red: then only a fix is worth a test."""
        return self.facts.frozen and self.base.green is None and len(self.base.reds) + len(self.base.stale) >= REDS

    @property
    def reds_wanted(self) -> int:
        return REDS + (1 if self.train.doubt else 0)

    def is_exempt(self, position: int) -> bool:
        """Say whether a freeze holds nobody among the first *position* members."""
        return all(link.member.task in self.facts.exempt for link in self.facts.chain.links[:position])

    # -------------------------------------------------------------------------------------------- who is to blame

    def judge(self) -> Eject | MainRed | Disturbed | None:
        """Return what the runs of the first member and of the base come to, None while some are still needed."""
        first, base, task = self.line.at(1), self.base, self.facts.chain.links[0].member.task
        convicted = len(first.reds) >= self.reds_wanted
        if self.main_is_red:
            if not self.is_exempt(1):
                return None
            if convicted:
                return Eject(task=task, red=first.reds[-1], green=None)
        elif convicted and base.green is not None:
            return Eject(task=task, red=first.reds[-1], green=base.green)
        elif base.green is None and len(base.reds) >= REDS:
            return MainRed(check=base.reds[-1])
        elif convicted and base.stuck:
            return Disturbed(task=task, check=base.disturbed[-1])
        if first.stuck and not convicted:
            return Disturbed(task=task, check=first.disturbed[-1])
        return None

    def trial(self) -> list[Begin]:
        """Return the runs that a judgement still needs: the red one again, and the base if nothing is known of it."""
        first, base = self.line.at(1), self.base
        known = base.green is not None or base.stuck or len(base.reds) >= REDS or self.main_is_red
        again = [Begin(position=1)] if len(first.reds) < self.reds_wanted and not first.stuck else []
        return again if known else [*again, Begin(position=0)]

    # -------------------------------------------------------------------------------------------- what to land and to test

    def carry_on(self) -> tuple[Action, ...]:
        """Return what to cancel, to land and to begin."""
        needed = self.needed()
        running = [check for check in self.facts.checks if check.verdict is None]
        cancelled = [Cancel(check=check.id) for check in running if check.tree not in needed]
        green = self.landable()
        landing = [LandPrefix(position=green)] if green else []
        kept = {check.tree for check in running} & needed
        return (*cancelled, *landing, *self.wanted(kept, self.facts.slots - len(running) + len(cancelled)))

    def landable(self) -> int:
        """Return the longest green prefix that may land now, 0 where none may."""
        if self.facts.landing:
            return 0
        longest = range(self.line.green, 0, -1)
        free = (p for p in longest if self.line.at(p).green is not None and (not self.facts.frozen or self.is_exempt(p)))
        return next(free, 0)

    def needed(self) -> set[Sha]:
        """Return the trees whose verdict can still tell something: longer than what is green, no longer than what is red.

        Where tests are known to flake a longer one stays, because the red may have been a flake.
        """
        line, trees = self.line, set()
        for at in [line, self.side] if self.on_trial and self.side is not None else [line]:
            end = at.length if at.red is None or self.train.doubt else at.red
            trees |= {at.chain.tree(position) for position in range(at.green + 1, end + 1)}
        if line.green == 0 and self.base.green is None:
            trees.add(line.chain.tree(0))
        return trees

    def wanted(self, running: Collection[Sha], free: int) -> list[Begin]:
        """Return up to *free* runs that are worth a slot, none of a tree that is *running*."""
        if self.main_is_red and not self.is_exempt(self.line.length):
            return []
        begins: dict[Sha, Begin] = {}

        def add(line: Line, found: Iterable[Begin]) -> None:
            for begin in found:
                tree = line.chain.tree(begin.position)
                if tree not in running and len(begins) < free:
                    begins.setdefault(tree, begin)

        if self.on_trial:
            add(self.line, self.trial())
            if self.side is not None:
                add(self.side, (Begin(position=p, aside=True) for p in self.round(self.side, free - len(begins))))
        else:
            add(self.line, (Begin(position=p) for p in self.round(self.line, free)))
        return list(begins.values())

    def round(self, line: Line, free: int) -> list[int]:
        """Return up to *free* positions that are worth a test: evenly spaced, the longest being all, or within the gap.

        A round that is shorter than its width takes fewer slots, at the same distances: a finer sieve costs more than it saves.
        One slot alone divides a gap nearer to its front: the first culprit is rather there, the more so the less is known.
        """
        low, red, top, slots = line.green, line.red, line.top, self.facts.slots
        if free <= 0 or top <= low:
            return []
        if red is not None:
            if red == low + 1:
                return [red] if len(line.at(red).reds) < self.reds_wanted and not line.at(red).stuck else []
            taken = line.running(low + 1, red - 1)
            if slots == 1:
                return [] if taken else [low + -(-(red - low) // 3)]
            return spread(low, red, taken, free)
        taken = line.running(low + 1, top)
        first = [] if top in taken else [top]
        finest = -(-(top - low) * slots // line.width)
        return first + spread(low, top, taken, min(free, finest - len(taken)) - len(first))
