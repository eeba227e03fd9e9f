"""Freezes: which cause may freeze a repo, which of several stays, and what lifts one.

Owns: the one rule for people, the watch and the train alike. Does not own: what a freeze keeps from happening (the claim, the
landing and the deploy ask for it), its row.
Rule: pure. A repo has one freeze. Where causes meet the one that is harder to lift stays: a person's before a red main's, a red
main's before a deploy's. Of equal machine causes a new one (its detail tells) takes the place of the old one, because whatever
was done about that came too early; of two persons the first stays. A person lifts any freeze. Besides, a good deploy lifts a
machine's: for a bad deploy one that was begun after the freeze, for a red main one that carries what landed after it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.model import Freeze, FreezeCause, Repo

_STRENGTH: Mapping[FreezeCause, int] = {FreezeCause.DEPLOY: 1, FreezeCause.RED_MAIN: 2, FreezeCause.PERSON: 3}

DAEMON = "orch"
"""Who a machine's freeze is by."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a good deploy put into production: when it was begun, and when the task that it deployed had landed (None: unknown).

    In a project without a deploy a landing is as far as anything goes: it counts as begun and landed at that moment.
    """

    begun_at: datetime
    landed_at: datetime | None = None


def freeze(
    repo: Repo, cause: FreezeCause, *, by: str = DAEMON, detail: str = "", now: datetime, enabled: bool = True
) -> Freeze | None:
    """Return the freeze to be set on *repo*, or None where nothing changes: what stands stays, or machines may not freeze.

    *enabled* is the switch ``serial_gate_freeze_enabled``: without it only a person freezes.
    """
    if not enabled and cause is not FreezeCause.PERSON:
        return None
    standing = repo.freeze
    if standing is not None:
        if _STRENGTH[standing.cause] > _STRENGTH[cause]:
            return None
        if standing.cause is cause and (cause is FreezeCause.PERSON or standing.detail == detail):
            return None
    return Freeze(project=repo.project, cause=cause, since=now, by=by, detail=detail)


def lifts(standing: Freeze, delivered: Delivered) -> bool:
    """Say whether *delivered* lifts the freeze: never a person's, and never by what was under way or in main before it."""
    match standing.cause:
        case FreezeCause.PERSON:
            return False
        case FreezeCause.DEPLOY:
            return delivered.begun_at >= standing.since
        case FreezeCause.RED_MAIN:
            landed = delivered.landed_at
            return delivered.begun_at >= standing.since and landed is not None and landed >= standing.since
