"""Fate: from a seed to everything that happens to a world; each event is a value, so that a story can be told with fewer.

Owns: the plan (cards, events, weather) and ``draw``, the luck of one named thing. Does not own: what an event does (``people``,
``weather``). Rule: whatever is not an event is drawn from its own name and the seed, never from a stream: dropping one event
changes no other's luck.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import final

HORIZON_S = 1000.0
"""When the storm ends: after it no event happens and nobody fails any more."""

PEOPLE = (
    ("stop-column", 3),
    ("stop-button", 3),
    ("resume", 3),
    ("send-back", 3),
    ("fix", 2),
    ("freeze", 2),
    ("thaw", 2),
    ("pause", 1),
    ("unpause", 1),
    ("adopt", 2),
    ("edit", 2),
    ("archive", 1),
    ("restore", 1),
    ("move", 4),
    ("close-pull", 2),
    ("push-branch", 3),
    ("force-branch", 1),
    ("delete-branch", 1),
    ("merge-outside", 2),
    ("push-main", 3),
    ("red-main", 1),
    ("revert", 1),
    ("depend", 1),
    ("comment", 2),
)
FAULTS = (
    ("outage", 5),
    ("error", 8),
    ("lost-answer", 8),
    ("slow", 4),
    ("crash", 9),
    ("disk-full", 2),
    ("stall", 4),
    ("no-room", 1),
    ("clock", 2),
    ("degrade", 1),
)
SERVICES = ("board", "forge", "mirror", "workspace", "notifier", "commands", "deploys")
CALLS = (
    "board.fetch_states",
    "board.fetch_issue",
    "board.fetch_activities",
    "board.fetch_comments",
    "board.fetch_changed",
    "board.set_state",
    "board.add_comment",
    "forge.open_pull_request",
    "forge.edit_pull_request",
    "forge.mark_merged",
    "forge.keep_comment",
    "forge.post_status",
    "forge.fetch_statuses",
    "forge.list_pull_requests",
    "mirror.fetch",
    "mirror.push_candidate",
    "mirror.push_branch",
    "mirror.delete_branch",
    "mirror.keep_branch",
    "mirror.build_candidate",
    "mirror.checkout",
    "workspace.prepare",
    "workspace.archive",
    "workspace.collect",
    "commands.run",
    "deploys.launch",
    "notifier.alert",
)
CUES = (
    ("asks", 4),
    ("agent starts", 2),
    ("agent ends", 3),
    ("archive", 3),
    ("branch moves", 4),
    ("main moves", 5),
    ("tested", 3),
    ("deploy", 2),
    ("pull edited", 1),
    ("state", 2),
    ("slow", 3),
)
"""What the world sees at moments between two steps of the daemon's: whoever waits for one acts in that gap."""
COLUMNS = (
    "backlog",
    "to_analyse",
    "approved",
    "rejected",
    "confirm_deploy",
    "stop",
    "in_progress",
    "done",
    "blocked",
    "in_review",
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens *at* a moment. *who* is a card's or project's number, *amount* and *detail* are the kind's own.

    With a *cue* it happens in the instant in which, from then on, the world first sees a thing of that kind.
    """

    at: float
    kind: str
    who: int = 0
    amount: float = 0.0
    detail: str = ""
    cue: str = ""

    def __str__(self) -> str:
        upon = f" upon {self.cue!r}" if self.cue else ""
        return f"{self.at:7.0f} s  {self.kind:13} #{self.who} {self.amount:g} {self.detail}".rstrip() + upon


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A world's fate. *loss*, *doubling*, *late_s* are the weather of its webhooks; *trouble* is how bad its agents are."""

    seed: int
    events: tuple[Event, ...]
    loss: float = 0.0
    doubling: float = 0.0
    late_s: float = 0.0
    trouble: float = 0.0
    test_slots: int = 1
    serial: bool = False
    confirm: bool = True
    style: str = "rebase"


def draw(seed: int, *name: object) -> Random:
    """Return the luck of one named thing under *seed*: the same whatever else happens."""
    return Random(f"{seed}/{'/'.join(str(part) for part in name)}")


def make_plan(seed: int) -> Plan:
    """Draw a whole fate. One seed in ten is calm but for its people: what fails there is no fault's fault."""
    luck = draw(seed, "plan")
    calm = seed % 10 == 0
    cards = luck.choice((1, 2, 2, 3, 3, 4, 5))
    events = [_card(draw(seed, "card", number), number) for number in range(cards)]
    events += [_person(draw(seed, "person", number), cards) for number in range(luck.randint(0, 10))]
    if not calm:
        events += [_fault(draw(seed, "fault", number)) for number in range(luck.randint(0, 14))]
    lossy = luck.choice((0.0, 0.3, 1.0))
    return Plan(
        seed=seed,
        events=tuple(sorted(events, key=lambda event: event.at)),
        loss=0.0 if calm else lossy,
        doubling=0.0 if calm else 0.3,
        late_s=0.0 if calm else 90.0,
        trouble=0.0 if calm else luck.choice((0.0, 0.15, 0.4)),
        test_slots=luck.choice((1, 2)),
        serial=luck.random() < 0.3,
        confirm=luck.random() < 0.7,
        style=luck.choice(("rebase", "squash", "merge")),
    )


def _choose(luck: Random, kinds: Sequence[tuple[str, int]]) -> str:
    return luck.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]


def _card(luck: Random, number: int) -> Event:
    """*amount* is the card it waits for, negative for none; *detail* says what is not as usual with it."""
    waits = float(luck.randrange(number)) if number and luck.random() < 0.25 else -1.0
    kind = luck.choices(("", "thin", "clash", "pair"), (6, 1, 3, 2))[0]
    return Event(at=luck.uniform(0, 300), kind="card", who=number, amount=waits, detail=kind)


def _person(luck: Random, cards: int) -> Event:
    kind = _choose(luck, PEOPLE)
    detail = luck.choice(COLUMNS) if kind == "move" else ""
    made = Event(at=luck.uniform(30, HORIZON_S), kind=kind, who=luck.randrange(cards), amount=luck.random(), detail=detail)
    return replace(made, cue=_cue(luck, 0.35))


def _fault(luck: Random) -> Event:
    kind, cue = _choose(luck, FAULTS), ""
    match kind:
        case "outage":
            detail, amount = luck.choice(SERVICES), luck.choice((20.0, 120.0, 900.0))
        case "error" | "lost-answer":
            detail, amount = luck.choice(CALLS), float(luck.choice((1, 1, 1, 2, 4)))
        case "slow":
            detail, amount, cue = luck.choice(CALLS), luck.choice((5.0, 40.0, 200.0)), _cue(luck, 0.3)
        case "crash":
            cue = _cue(luck, 0.5)
            detail, amount = "", float(luck.randint(1, 6 if cue else 120))
        case "stall":
            cue = _cue(luck, 0.7)
            detail, amount = "", luck.choice((5.0, 30.0))
        case "clock":
            detail, amount = "", luck.choice((-3600.0, 3600.0))
        case _:
            detail, amount = "", luck.choice((10.0, 60.0, 300.0))
    at = luck.uniform(0, HORIZON_S)
    return Event(at=at, kind=kind, who=luck.randrange(2), amount=amount, detail=detail, cue=cue)


def _cue(luck: Random, chance: float) -> str:
    return _choose(luck, CUES) if luck.random() < chance else ""
