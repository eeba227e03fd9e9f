"""What the checks say about a chain of the merge train: its longest green prefix, its shortest red one, what gives no verdict.

Owns: which verdicts count. Does not own: what is done about them (``train``).
Rule: any green check of a tree makes it green, whatever else it was; only red counts against anybody.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import final

from orch.core.ids import CheckId, Sha
from orch.core.messages import CommandVerdict
from orch.core.train_facts import DISTURBED_MAX, Chain, Check


@final
@dataclass(slots=True, kw_only=True)
class Record:
    """What is known of one tree. *reds* and *disturbed* are those that still count, *stale* the reds that do not."""

    green: CheckId | None = None
    reds: list[CheckId] = field(default_factory=list)
    stale: list[CheckId] = field(default_factory=list)
    disturbed: list[CheckId] = field(default_factory=list)
    running: bool = False

    @property
    def red(self) -> bool:
        return bool(self.reds) and self.green is None

    @property
    def stuck(self) -> bool:
        return self.green is None and len(self.disturbed) >= DISTURBED_MAX


Records = Mapping[Sha, Record]
UNKNOWN = Record()


def read_checks(checks: Sequence[Check], spent: CheckId | None) -> dict[Sha, Record]:
    """Return what *checks*, oldest first, say about each tree; a red or disturbed one counts when it comes after *spent*."""
    records: dict[Sha, Record] = {}
    for check in checks:
        record = records.setdefault(check.tree, Record())
        fresh = spent is None or check.id > spent
        match check.verdict:
            case None:
                record.running = True
            case CommandVerdict.GREEN:
                record.green = check.id
            case CommandVerdict.RED:
                (record.reds if fresh else record.stale).append(check.id)
            case CommandVerdict.TIMEOUT | CommandVerdict.INFRA:
                if fresh:
                    record.disturbed.append(check.id)
            case CommandVerdict.INTERRUPTED:
                pass
    return records


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A chain as the checks have it. *green* is its longest green prefix, however wide, 0 (the base) where there is none.

    A round goes up to *top*, the length or the width at most; it is narrower where a prefix gives no verdict however often it is
    tried. *red* is its shortest red prefix that is longer than the green one. *stuck*: the very next member gives no verdict.
    """

    chain: Chain
    records: Records
    width: int
    green: int
    top: int
    red: int | None
    stuck: bool

    @property
    def length(self) -> int:
        return len(self.chain.links)

    def at(self, position: int) -> Record:
        return self.records.get(self.chain.tree(position), UNKNOWN)

    def running(self, low: int, high: int) -> set[int]:
        """Return the positions from *low* to *high* whose tree is being tested."""
        return {position for position in range(low, high + 1) if self.at(position).running}


def survey(chain: Chain, records: Records, width: int) -> Line:
    """Return *chain* as *records* have it, in a round of *width* members."""
    seen = [records.get(link.tree, UNKNOWN) for link in chain.links]
    green = next((position for position in range(len(seen), 0, -1) if seen[position - 1].green is not None), 0)
    top = min(width, len(seen))
    red = next((position for position in range(green + 1, top + 1) if seen[position - 1].red), None)
    stuck = next((position for position in range(green + 1, red or top + 1) if seen[position - 1].stuck), None)
    if stuck is not None:
        top, red = green + (stuck - green) // 2, None
    return Line(
        chain=chain, records=records, width=width, green=green, top=top, red=red, stuck=stuck is not None and stuck == green + 1
    )


def spread(low: int, high: int, taken: Collection[int], count: int) -> list[int]:
    """Return up to *count* positions strictly between *low* and *high* that, beside *taken*, divide the gap most evenly."""
    marks = sorted({low, high, *(position for position in taken if low < position < high)})
    pieces = dict.fromkeys(pairwise(marks), 0)
    for _ in range(count):
        room = [gap for gap, points in pieces.items() if gap[1] - gap[0] > points + 1]
        if not room:
            break
        widest = max(room, key=lambda gap: (gap[1] - gap[0]) / (pieces[gap] + 1))
        pieces[widest] += 1
    return [a + (b - a) * step // (points + 1) for (a, b), points in pieces.items() for step in range(1, points + 1)]
